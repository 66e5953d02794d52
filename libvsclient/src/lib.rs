// SPDX-License-Identifier: Apache-2.0
//! Frames of videostreamd's streams, without a copy.
//!
//! ```no_run
//! for frame in vsclient::Client::connect("cam0")?.frames() {
//!     let frame = frame?;
//!     let brightness = frame.read(|view| view.plane(0).map(|plane| plane.data[0]))?;
//!     println!("frame {}: {brightness:?}", frame.serial());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Client`] is connected to one stream. It gives [`Frame`]s: handles to memory that the
//! camera, or whoever fills the stream, has written and nobody else can write to. While a
//! frame is held its bytes stay as they are; dropping it gives it back. A client that holds
//! frames for long gets fewer, and nobody else notices.
//!
//! * [`Client::frames`] gives frames only, [`Client::events`] also says what the stream is
//!   doing: format changes, states, connections lost and found again.
//! * [`Client::newest`] is for those who want the present rather than every picture.
//! * [`Frame::read`] and [`Frame::map`] give the planes to the CPU; [`Frame::memories`] gives
//!   the file descriptors to import into other interfaces (DRM, EGL, Vulkan, V4L2).
//! * [`ClientBuilder`] has the options: mode, credits, lease, reconnecting.
//! * `AsyncClient` (feature `tokio`) is the same as a `Stream`.
//! * `publish` (feature `publish`) is the other side: a program publishes frames of its own.
//! * `codec` (feature `codec`): the daemon's encoders and decoders, for whatever frames.
//! * `convert` (feature `convert`): pictures in the pixel format and size that the program wants.
//! * `dbus` (feature `dbus`) are the proxies to start streams and record them.
//!
//! # How long a frame may be held
//!
//! A lease has a deadline (one second unless asked otherwise, see [`Session::lease`]).
//! [`Frame::lock`] prolongs it, up to [`Session::lease_max`] in all. After the deadline the
//! memory is filled anew, and the frame says so: [`Frame::map`] fails, and a reading that
//! was under way when it happened fails in [`FrameMap::finish`], so that torn pictures are
//! never taken for whole ones. What must be kept for longer is copied.
//!
//! # Threads
//!
//! A client belongs to one thread at a time (`Send`); frames go anywhere (`Send`, `Sync`,
//! `Clone`). Dropping the client ends the connection and with it the right to its frames.

#![warn(missing_docs)]

mod address;
#[cfg(feature = "tokio")]
mod asynchronous;
mod builder;
mod client;
#[cfg(feature = "codec")]
pub mod codec;
#[cfg(feature = "convert")]
pub mod convert;
mod core;
mod counters;
#[cfg(feature = "dbus")]
pub mod dbus;
mod error;
mod event;
#[cfg(any(feature = "codec", feature = "publish"))]
mod lending;
#[cfg(feature = "publish")]
pub mod publish;

pub use address::{DEFAULT_SOCKET_DIR, NameError, SOCKET_DIR_ENV};
#[cfg(feature = "tokio")]
pub use asynchronous::AsyncClient;
pub use builder::ClientBuilder;
pub use client::{Client, Events, Frames};
pub use counters::Counters;
pub use error::{ConnectError, LockError, ReceiveError};
pub use event::Event;

pub use vs_frame::clock::monotonic_ns;
pub use vs_frame::{
    Buffer, Colorimetry, Format, FourCc, FrameFlags, FrameMeta, FrameView, MAX_PLANES, Memory, MemoryKind, PlaneLayout,
    PlaneView, Planes, Rate,
};
pub use vs_ipc::client::{
    Backoff, Ended, FrameMap, Goodbye, LockReply, MapError, PassOnError, ReceivedFrame as Frame, SendError, Session,
    Skipped, StreamStatus,
};
pub use vs_ipc::histogram::Histogram;
pub use vs_ipc::wire::{GoodbyeReason, LockStatus, Mode, RevokeReason, SkipReason, StreamState};
