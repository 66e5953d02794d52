// SPDX-License-Identifier: Apache-2.0
//! Four-character codes, and what each says of the bytes of a picture.
//!
//! The codes are V4L2's (kernel doc, "Image Formats"), because that is what drivers speak.
//! Names that people know from elsewhere (`I420`, `YUY2`, `BGRx`, `H265`) are read as
//! aliases and never written.

use std::fmt;
use std::str::FromStr;

/// A V4L2 four-character code: a pixel format or a codec.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourCc(pub [u8; 4]);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl FourCc {
            $($(#[$doc])* pub const $name: Self = Self(*$code);)*
        }
    };
}

codes! {
    /// Y plane, then interleaved CbCr at half width and height, in one memory.
    NV12 = b"NV12";
    /// As NV12 with Cr before Cb.
    NV21 = b"NV21";
    /// Y plane, then interleaved CbCr at half width, in one memory.
    NV16 = b"NV16";
    /// As NV12, each plane in a memory of its own.
    NV12M = b"NM12";
    /// Y, Cb, Cr planes, chroma at half width and height, in one memory ("I420").
    YUV420 = b"YU12";
    /// As YUV420 with Cr before Cb ("YV12").
    YVU420 = b"YV12";
    /// As YUV420, each plane in a memory of its own.
    YUV420M = b"YM12";
    /// Packed Y0 Cb Y1 Cr.
    YUYV = b"YUYV";
    /// Packed Cb Y0 Cr Y1.
    UYVY = b"UYVY";
    /// Packed Y0 Cr Y1 Cb.
    YVYU = b"YVYU";
    /// Packed Cr Y0 Cb Y1.
    VYUY = b"VYUY";
    /// Packed R G B, 24 bit.
    RGB24 = b"RGB3";
    /// Packed B G R, 24 bit.
    BGR24 = b"BGR3";
    /// Packed B G R x, 32 bit ("BGRx").
    BGRX32 = b"XR24";
    /// Packed B G R A, 32 bit ("BGRA").
    BGRA32 = b"AR24";
    /// Packed R G B x, 32 bit ("RGBx").
    RGBX32 = b"XB24";
    /// Packed R G B A, 32 bit ("RGBA").
    RGBA32 = b"AB24";
    /// Luma only, 8 bit.
    GREY = b"GREY";
    /// H.264 access units as an Annex B byte stream.
    H264 = b"H264";
    /// H.265 access units as an Annex B byte stream.
    HEVC = b"HEVC";
    /// VP8 frames.
    VP8 = b"VP80";
    /// VP9 frames.
    VP9 = b"VP90";
    /// Motion JPEG: one JFIF picture a frame.
    MJPEG = b"MJPG";
    /// JPEG: one JFIF picture a frame.
    JPEG = b"JPEG";
    /// The kernel's test codec (vicodec).
    FWHT = b"FWHT";
}

impl FourCc {
    /// The code from V4L2's little-endian `__u32`.
    #[must_use]
    pub const fn from_u32(code: u32) -> Self {
        Self(code.to_le_bytes())
    }

    /// The code as V4L2's little-endian `__u32`.
    #[must_use]
    pub const fn to_u32(self) -> u32 {
        u32::from_le_bytes(self.0)
    }

    /// How a picture of this code is laid out; `None` for codecs and for pixel formats
    /// that this crate has no table row for (they still travel, as one opaque plane).
    #[must_use]
    pub fn pixel_info(self) -> Option<&'static PixelInfo> {
        PIXEL_FORMATS.iter().find(|info| info.fourcc == self)
    }

    /// Whether the code names a codec, so that a frame is an access unit.
    #[must_use]
    pub fn is_coded(self) -> bool {
        [Self::H264, Self::HEVC, Self::VP8, Self::VP9, Self::MJPEG, Self::JPEG, Self::FWHT].contains(&self)
    }
}

/// How the samples of one colour plane follow one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlaneInfo {
    /// Bytes for each group of `hsub` pixels in a row.
    pub bytes: u32,
    /// Horizontal subsampling: pixels of the picture in one group.
    pub hsub: u32,
    /// Vertical subsampling: rows of the picture in one row of the plane.
    pub vsub: u32,
}

/// One row of the table of known pixel formats.
#[derive(Debug)]
pub struct PixelInfo {
    /// The V4L2 code.
    pub fourcc: FourCc,
    /// Its colour planes in the order in which they lie in memory.
    pub planes: &'static [PlaneInfo],
    /// Whether each plane lies in a memory of its own (V4L2's "non-contiguous" formats).
    pub separate: bool,
}

const fn plane(bytes: u32, hsub: u32, vsub: u32) -> PlaneInfo {
    PlaneInfo { bytes, hsub, vsub }
}

const SEMI_420: &[PlaneInfo] = &[plane(1, 1, 1), plane(2, 2, 2)];
const SEMI_422: &[PlaneInfo] = &[plane(1, 1, 1), plane(2, 2, 1)];
const PLANAR_420: &[PlaneInfo] = &[plane(1, 1, 1), plane(1, 2, 2), plane(1, 2, 2)];
const PACKED_422: &[PlaneInfo] = &[plane(4, 2, 1)];
const PACKED_24: &[PlaneInfo] = &[plane(3, 1, 1)];
const PACKED_32: &[PlaneInfo] = &[plane(4, 1, 1)];

const fn pixel(fourcc: FourCc, planes: &'static [PlaneInfo]) -> PixelInfo {
    PixelInfo { fourcc, planes, separate: false }
}

const fn separate(fourcc: FourCc, planes: &'static [PlaneInfo]) -> PixelInfo {
    PixelInfo { fourcc, planes, separate: true }
}

/// Every pixel format whose layout is known.
pub static PIXEL_FORMATS: &[PixelInfo] = &[
    pixel(FourCc::NV12, SEMI_420),
    pixel(FourCc::NV21, SEMI_420),
    pixel(FourCc::NV16, SEMI_422),
    separate(FourCc::NV12M, SEMI_420),
    pixel(FourCc::YUV420, PLANAR_420),
    pixel(FourCc::YVU420, PLANAR_420),
    separate(FourCc::YUV420M, PLANAR_420),
    pixel(FourCc::YUYV, PACKED_422),
    pixel(FourCc::UYVY, PACKED_422),
    pixel(FourCc::YVYU, PACKED_422),
    pixel(FourCc::VYUY, PACKED_422),
    pixel(FourCc::RGB24, PACKED_24),
    pixel(FourCc::BGR24, PACKED_24),
    pixel(FourCc::BGRX32, PACKED_32),
    pixel(FourCc::BGRA32, PACKED_32),
    pixel(FourCc::RGBX32, PACKED_32),
    pixel(FourCc::RGBA32, PACKED_32),
    pixel(FourCc::GREY, &[plane(1, 1, 1)]),
];

/// Other people's names for the same bytes.
const ALIASES: &[(&str, FourCc)] = &[
    ("I420", FourCc::YUV420),
    ("NV12M", FourCc::NV12M),
    ("YUV420M", FourCc::YUV420M),
    ("YUY2", FourCc::YUYV),
    ("RGB", FourCc::RGB24),
    ("RGB24", FourCc::RGB24),
    ("BGR", FourCc::BGR24),
    ("BGR24", FourCc::BGR24),
    ("BGRX", FourCc::BGRX32),
    ("BGRA", FourCc::BGRA32),
    ("RGBX", FourCc::RGBX32),
    ("RGBA", FourCc::RGBA32),
    ("GRAY8", FourCc::GREY),
    ("H265", FourCc::HEVC),
    ("VP8", FourCc::VP8),
    ("VP9", FourCc::VP9),
    ("MJPEG", FourCc::MJPEG),
];

impl fmt::Display for FourCc {
    /// Printable ASCII as it is, trailing blanks included; anything else as `0x…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if self.0.iter().all(|c| (0x20..0x7f).contains(c)) => f.pad(text),
            _ => write!(f, "{:#010x}", self.to_u32()),
        }
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a text is not a four-character code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a format: write a V4L2 code such as NV12, YU12 (I420), YUYV, RGB3 (RGB24), XR24 (BGRx) or H264")]
pub struct ParseFourCcError(String);

impl FromStr for FourCc {
    type Err = ParseFourCcError;

    /// Reads an alias in any case, or exactly a code of 3 or 4 printable characters
    /// (three are filled up with a blank, as V4L2 does for `Y16 `).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((_, code)) = ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(*code);
        }
        let printable = text.bytes().all(|c| (0x20..0x7f).contains(&c));
        let code = match *text.as_bytes() {
            [a, b, c, d] if printable => Self([a, b, c, d]),
            [a, b, c] if printable => Self([a, b, c, b' ']),
            _ => return Err(ParseFourCcError(text.to_owned())),
        };
        let upper = Self(code.0.map(|c| c.to_ascii_uppercase()));
        let known = upper.pixel_info().is_some() || upper.is_coded();
        Ok(if known { upper } else { code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_name_the_same_bytes() {
        for (alias, code) in [("i420", "YU12"), ("YUY2", "YUYV"), ("BGRx", "XR24"), ("h265", "HEVC"), ("nv12", "NV12")]
        {
            assert_eq!(alias.parse::<FourCc>().unwrap().to_string(), code);
        }
        assert!("".parse::<FourCc>().is_err());
        assert!("NV12345".parse::<FourCc>().is_err());
        assert!("N\u{e9}12".parse::<FourCc>().is_err());
    }

    #[test]
    fn unprintable_codes_are_shown_as_numbers() {
        assert_eq!(FourCc::from_u32(0x0102_0304).to_string(), "0x01020304");
        assert_eq!(FourCc(*b"Y16 ").to_string(), "Y16 ");
    }
}
