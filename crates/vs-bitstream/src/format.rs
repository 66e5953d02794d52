// SPDX-License-Identifier: Apache-2.0
//! Which codec, which colours, which picture.

use std::fmt;
use std::num::NonZeroU32;

/// How the pictures are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264, ISO/IEC 14496-10 (AVC).
    H264,
    /// H.265, ISO/IEC 23008-2 (HEVC).
    H265,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
        })
    }
}

/// A tick of the clock that a stream's own timing is counted in (H.264 C.1, H.265 C.1): `units / scale` seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tick {
    /// num_units_in_tick, not 0.
    pub units: NonZeroU32,
    /// time_scale, not 0: units per second.
    pub scale: NonZeroU32,
}

impl Tick {
    /// A tick; `None` if either number is 0, by which streams say that they do not know.
    pub fn new(units: u32, scale: u32) -> Option<Self> {
        Some(Self { units: NonZeroU32::new(units)?, scale: NonZeroU32::new(scale)? })
    }
}

/// What the sample values mean, as code points of ISO/IEC 23091-2 (ITU-T H.273).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    /// ColourPrimaries, H.273 table 2. 1 is BT.709, 9 BT.2020, 2 unspecified.
    pub primaries: u8,
    /// TransferCharacteristics, H.273 table 3. 1 is BT.709, 13 sRGB, 16 PQ, 18 HLG.
    pub transfer: u8,
    /// MatrixCoefficients, H.273 table 4. 1 is BT.709, 5 and 6 BT.601, 9 BT.2020.
    pub matrix: u8,
    /// VideoFullRangeFlag: black is 0 rather than 16.
    pub full_range: bool,
}

impl Colour {
    /// The code point for "not said".
    pub const UNSPECIFIED: u8 = 2;
}

/// The picture as a sequence parameter set describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoFormat {
    /// Width in pixels after cropping, 1..=65535.
    pub width: u16,
    /// Height in pixels after cropping, 1..=65535.
    pub height: u16,
    /// chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits per luma sample, 8..=16.
    pub bit_depth_luma: u8,
    /// Bits per chroma sample, 8..=16.
    pub bit_depth_chroma: u8,
    /// Width and height of one pixel relative to each other; `None` when not said.
    pub pixel_aspect: Option<(u16, u16)>,
    /// The colours; `None` when not said.
    pub colour: Option<Colour>,
    /// The nominal duration of a frame in nanoseconds; `None` when not said.
    pub frame_duration_ns: Option<i64>,
}
