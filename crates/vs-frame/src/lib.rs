// SPDX-License-Identifier: Apache-2.0
//! What a frame is.
//!
//! A [`Frame`] is one picture or one access unit: a [`Buffer`] that holds the bytes, a
//! [`Format`] that says how they are laid out, and [`FrameMeta`] that says when they were
//! taken. It is a cheap, reference-counted handle; dropping the last one sends the buffer
//! home to whoever fills it, and there is no other way for a buffer to go home. That one
//! rule is what keeps a driver from writing into memory that somebody may still read.
//!
//! The crate knows nobody else: not where frames come from (V4L2, a test pattern), not how
//! they travel (sockets), not what becomes of them (an encoder, a file).
//!
//! * [`fourcc`], [`format`](mod@format), [`colorimetry`], [`rate`]: what the bytes mean
//! * [`meta`], [`clock`]: when and in which order they came
//! * [`memory`], [`buffer`], [`frame`](mod@frame), [`pool`]: where they are and who owns them
//! * [`spares`]: how many buffers there are

#![warn(missing_docs)]

pub mod buffer;
pub mod clock;
pub mod colorimetry;
pub mod format;
pub mod fourcc;
pub mod frame;
pub mod memory;
pub mod meta;
pub mod pool;
pub mod rate;
pub mod spares;

pub use buffer::{Buffer, BufferId, ReadGuard};
pub use colorimetry::Colorimetry;
pub use format::{Field, Format, FormatError, MAX_PLANES, PlaneLayout, Planes};
pub use fourcc::FourCc;
pub use frame::{Frame, FrameError, FrameView, Home, PlaneView};
pub use memory::{MapError, Memory, MemoryError, MemoryKind};
pub use meta::{FrameFlags, FrameMeta};
pub use pool::{CpuMemory, CpuPool, WriteSlot};
pub use rate::Rate;
pub use spares::Spares;
