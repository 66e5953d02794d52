// SPDX-License-Identifier: Apache-2.0
//! Annex B byte streams: finding the NAL units and the pictures they make, and saying what they are.
//!
//! Encoders and cameras deliver NAL units between start codes (Annex B of H.264 and H.265); files
//! hold them behind their length, and the parameter sets apart. This crate does the way from the
//! one to the other and back, puts together what belongs to one picture, and reads from the parameter
//! sets what a file or a player must know of it. Encoders, decoders and files all need that, so that
//! it is a crate of its own.
//!
//! The crate knows plain numbers and bytes only. Every byte that comes in is taken as hostile: a
//! parser answers with an error, never with a panic, and reserves no memory on an attacker's word.
//!
//! ```
//! use vs_bitstream::{Codec, NalKind, nal_units};
//!
//! let stream = [0, 0, 0, 1, 0x67, 0x42, 0, 0, 1, 0x68, 0xce, 0, 0, 1, 0x65, 0x88];
//! let kinds: Vec<_> = nal_units(&stream).map(|nal| NalKind::of(Codec::H264, nal)).collect();
//! assert_eq!(kinds, [NalKind::Sps, NalKind::Pps, NalKind::KeySlice]);
//! ```

#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod access_unit;
mod bits;
mod format;
pub mod h264;
pub mod h265;
mod nal;
pub mod order;
mod params;
mod picture;
mod role;
mod sample;
mod sei;
mod vui;

pub use access_unit::{AccessUnitTooLarge, AccessUnits, MAX_ACCESS_UNIT};
pub use bits::rbsp;
pub use format::{Codec, Colour, Tick, VideoFormat};
pub use nal::{NalKind, NalUnits, is_keyframe, nal_units};
pub use params::{ParameterSets, ParameterSetsError};
pub use picture::{Entry, Field, PictureReader, PictureTime};
pub use sample::{LengthPrefixed, append_length_prefixed, length_prefixed, to_length_prefixed};

use bits::BitReader;

/// Why a parameter set could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpsError {
    /// The bytes end before the fields do.
    #[error("the sequence parameter set ends too early")]
    Truncated,
    /// A field has a value outside the range the standard gives it.
    #[error("the sequence parameter set has an impossible {0}")]
    OutOfRange(&'static str),
    /// The NAL unit is not a sequence parameter set.
    #[error("the NAL unit is not a sequence parameter set")]
    NotAnSps,
}
