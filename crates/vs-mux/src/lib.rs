// SPDX-License-Identifier: Apache-2.0
//! Bitstreams and files: what leaves an encoder becomes a file that survives, and files become what
//! a decoder takes.
//!
//! What the access units themselves say is `vs-bitstream`'s to know. [`mp4`] writes access units to a
//! file that plays whatever happens to the process or the disk, and that is an ordinary MP4 once it is
//! finished. [`read`] takes them out of files again, whoever wrote those, and [`convert`] does both.
//! [`repair`] finishes recordings that were interrupted.
//!
//! The crate knows plain numbers and bytes only. Timestamps are nanoseconds, signed, on any clock;
//! colour is given as ISO/IEC 23091-2 code points. Every byte that comes in is taken as hostile: a
//! parser answers with an error, never with a panic, and reserves no memory on an attacker's word.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod convert;
pub mod mp4;
pub mod read;
pub mod repair;

pub use vs_bitstream::{Codec, Colour, VideoFormat};
