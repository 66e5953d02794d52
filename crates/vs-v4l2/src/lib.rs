// SPDX-License-Identifier: Apache-2.0
//! Frames from V4L2: which devices there are, what a camera delivers, and what codecs and
//! converters make of it.
//!
//! Four parts build on one thin layer of system calls:
//!
//! * [`discovery`] finds every V4L2 node through udev and says what it is: camera, encoder,
//!   decoder, converter, or nothing that carries pictures. It looks at capabilities and
//!   formats, never at node numbers. [`Monitor`] tells when nodes come and go.
//! * [`capture`] runs a camera: negotiates a format, exports the driver's buffers as
//!   read-only DmaBufs once, and hands them out as [`vs_frame::Frame`]s that go back to the
//!   driver by themselves.
//! * [`controls`] lists, gets and sets what can be adjusted at a device: brightness, gain,
//!   exposure.
//! * [`m2m`] runs an encoder, a decoder or a converter: inputs go in under tokens, and what
//!   became of each comes out.
//!
//! The single- and the multi-planar API (kernel doc, "Single- and multi-planar APIs") differ
//! in the layer of system calls only; above it there is one code path.
//!
//! Nothing here blocks unless it is called so, and nothing here knows of threads, clients or an
//! event loop: a [`Camera`] or a [`Session`](m2m::Session) belongs to one thread, which waits
//! on its file descriptor as it likes.

#![warn(missing_docs)]

pub mod capture;
mod classify;
pub mod controls;
pub mod discovery;
mod event;
mod formats;
pub mod m2m;
mod monitor;
mod node;
mod order;
mod planar;
mod sys;

pub use capture::{
    Adjustment, Camera, CaptureError, CaptureRequest, CaptureStats, Captured, GrowError, LayoutError, OpenError,
    StartError,
};
pub use classify::DeviceKind;
pub use controls::{Control, ControlError, ControlValue, Controls};
pub use discovery::{DeviceInfo, DiscoverError, Function, Node, discover, nodes};
pub use event::Event;
pub use formats::{FormatDesc, FormatFlags, FrameSize, RateOffer};
pub use monitor::{Monitor, NodeEvent};
pub use node::NodeError;
pub use order::OrderKey;
pub use planar::Planar;
pub use rustix::io::Errno;
