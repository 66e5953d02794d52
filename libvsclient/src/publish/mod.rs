// SPDX-License-Identifier: Apache-2.0
//! Publishing frames of one's own (feature `publish`): what the daemon does for a camera, a
//! program does for whatever it makes.
//!
//! ```no_run
//! use vsclient::publish::{FrameMeta, Publisher};
//! use vsclient::{Format, FourCc, Rate, monotonic_ns};
//!
//! let format = Format::packed(FourCc::NV12, 1280, 720, Rate::fps(30))?;
//! let publisher = Publisher::builder("/tmp/mine").format(format).start()?;
//! loop {
//!     let mut slot = publisher.buffer()?;
//!     slot.write(|memories| memories[0].fill(128))?;
//!     let bytes_used = slot.format().picture_bytes();
//!     let meta = FrameMeta { capture_ns: monotonic_ns(), bytes_used, ..FrameMeta::default() };
//!     publisher.publish(slot.finish(meta)?)?;
//!     std::thread::sleep(std::time::Duration::from_millis(33));
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whoever may write to the socket reads the frames: any [`Client`](crate::Client), `vsctl
//! receive`, or a videostreamd whose configuration has a stream with `ipc = "/tmp/mine"`.
//!
//! A [`Publisher`] is a handle to a thread that holds the socket and the clients; none of its
//! methods waits for a client. Whatever clients do, [`Publisher::buffer`] has a buffer to fill:
//! clients lose frames, never the program.
//!
//! # Memory
//!
//! * Frames that the CPU fills: [`Publisher::buffer`] gives a [`WriteSlot`] of a pool. Its
//!   memory is sealed, so clients can read it and nothing else.
//! * Frames that a device fills, or that lie in memory that the program has anyway:
//!   [`import`] makes a [`Buffer`] of its descriptors, once; [`lend`] makes a frame of the
//!   buffer, again and again, and says when the last client is done with it.
//!
//! # With a runtime of its own
//!
//! A program that has a tokio runtime needs no further thread: [`PublisherBuilder::bind`] gives
//! the [`Host`] itself, whose owner calls [`Host::publish`] and awaits [`Host::turn`].

mod builder;
mod error;
mod publisher;
mod thread;

pub use crate::lending::{ImportError, import, lend};
pub use builder::PublisherBuilder;
pub use error::{BufferError, PublishError, StartError};
pub use publisher::Publisher;

pub use vs_frame::{
    Buffer, CpuMemory, CpuPool, Frame, FrameError, FrameFlags, FrameMeta, Home, Memory, MemoryError, MemoryKind,
    WriteSlot,
};
pub use vs_ipc::histogram::Histogram;
pub use vs_ipc::host::{
    BindError, ByReason, ClientSnapshot, Departure, Host, HostError, HostOptions, HostSnapshot, Reason, Revocations,
    Skips,
};
