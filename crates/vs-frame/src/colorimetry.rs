// SPDX-License-Identifier: Apache-2.0
//! What the numbers of a pixel mean as colour.
//!
//! Kept as the driver says it, in V4L2's numbers (kernel doc, "Colorspaces"), so that
//! nothing is lost on the way to a client. [`Colorimetry::h273`] translates for those who
//! write bitstreams and files (ISO/IEC 23091-2, also ITU-T H.273).

/// The four V4L2 colour fields. All 0 is V4L2's "default": unknown to the driver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Colorimetry {
    /// `enum v4l2_colorspace`.
    pub colorspace: u8,
    /// `enum v4l2_xfer_func`.
    pub transfer: u8,
    /// `enum v4l2_ycbcr_encoding`.
    pub encoding: u8,
    /// `enum v4l2_quantization`: 1 full range, 2 limited range.
    pub quantization: u8,
}

/// The same as code points of ISO/IEC 23091-2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct H273 {
    /// `ColourPrimaries`; 2 is "unspecified".
    pub primaries: u8,
    /// `TransferCharacteristics`; 2 is "unspecified".
    pub transfer: u8,
    /// `MatrixCoefficients`; 2 is "unspecified".
    pub matrix: u8,
    /// `VideoFullRangeFlag`.
    pub full_range: bool,
}

// enum v4l2_colorspace
const SMPTE170M: u8 = 1;
const REC709: u8 = 3;
const BT470_525: u8 = 5;
const BT470_625: u8 = 6;
const JPEG: u8 = 7;
const SRGB: u8 = 8;
const BT2020: u8 = 10;
// enum v4l2_xfer_func
const XFER_709: u8 = 1;
const XFER_SRGB: u8 = 2;
const XFER_SMPTE2084: u8 = 7;
// enum v4l2_ycbcr_encoding
const ENC_601: u8 = 1;
const ENC_709: u8 = 2;
const ENC_BT2020: u8 = 6;
// enum v4l2_quantization
const FULL_RANGE: u8 = 1;
const LIM_RANGE: u8 = 2;

const UNSPECIFIED: u8 = 2;

impl Colorimetry {
    /// What standard-definition and most camera YUV is: SMPTE 170M, limited range.
    pub const BT601: Self =
        Self { colorspace: SMPTE170M, transfer: XFER_709, encoding: ENC_601, quantization: LIM_RANGE };
    /// High-definition YUV: Rec. 709, limited range.
    pub const BT709: Self = Self { colorspace: REC709, transfer: XFER_709, encoding: ENC_709, quantization: LIM_RANGE };
    /// Computer RGB: sRGB, full range.
    pub const SRGB: Self = Self { colorspace: SRGB, transfer: XFER_SRGB, encoding: ENC_601, quantization: FULL_RANGE };

    /// Translates to code points, filling V4L2's defaults in as the kernel documents them
    /// (`V4L2_MAP_XFER_FUNC_DEFAULT`, `V4L2_MAP_YCBCR_ENC_DEFAULT`,
    /// `V4L2_MAP_QUANTIZATION_DEFAULT` for YCbCr).
    #[must_use]
    pub const fn h273(self) -> H273 {
        H273 {
            primaries: match self.colorspace {
                SMPTE170M | BT470_525 => 6,
                REC709 | SRGB | JPEG => 1,
                BT470_625 => 5,
                BT2020 => 9,
                _ => UNSPECIFIED,
            },
            transfer: match (self.transfer, self.colorspace) {
                (XFER_709, _) => 1,
                (XFER_SRGB, _) | (0, SRGB | JPEG) => 13,
                (XFER_SMPTE2084, _) => 16,
                (0, SMPTE170M | BT470_525 | BT470_625) => 6,
                (0, REC709) => 1,
                (0, BT2020) => 14,
                _ => UNSPECIFIED,
            },
            matrix: match (self.encoding, self.colorspace) {
                (ENC_601, _) | (0, SMPTE170M | BT470_525 | BT470_625 | SRGB | JPEG) => 6,
                (ENC_709, _) | (0, REC709) => 1,
                (ENC_BT2020, _) | (0, BT2020) => 9,
                _ => UNSPECIFIED,
            },
            full_range: match (self.quantization, self.colorspace) {
                (FULL_RANGE, _) => true,
                (LIM_RANGE, _) => false,
                (_, colorspace) => colorspace == JPEG,
            },
        }
    }
}

impl H273 {
    /// What is nearest to it in V4L2's numbers; 0 where it is unspecified or V4L2 has none.
    #[must_use]
    pub const fn colorimetry(self) -> Colorimetry {
        Colorimetry {
            colorspace: match self.primaries {
                1 => REC709,
                5 => BT470_625,
                6 | 7 => SMPTE170M,
                9 => BT2020,
                _ => 0,
            },
            transfer: match self.transfer {
                1 | 6 | 14 | 15 => XFER_709,
                13 => XFER_SRGB,
                16 => XFER_SMPTE2084,
                _ => 0,
            },
            encoding: match self.matrix {
                1 => ENC_709,
                5 | 6 => ENC_601,
                9 => ENC_BT2020,
                _ => 0,
            },
            quantization: if self.full_range { FULL_RANGE } else { LIM_RANGE },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_come_back() {
        for color in [Colorimetry::BT601, Colorimetry::BT709] {
            assert_eq!(color.h273().colorimetry(), color);
        }
        let unknown = H273 { primaries: 2, transfer: 2, matrix: 2, full_range: false };
        assert_eq!(unknown.colorimetry().h273(), unknown);
    }

    #[test]
    fn defaults_follow_the_colorspace() {
        let webcam = Colorimetry { colorspace: SRGB, ..Colorimetry::default() };
        assert_eq!(webcam.h273(), H273 { primaries: 1, transfer: 13, matrix: 6, full_range: false });
        assert_eq!(Colorimetry::BT709.h273(), H273 { primaries: 1, transfer: 1, matrix: 1, full_range: false });
        assert_eq!(Colorimetry::default().h273(), H273 { primaries: 2, transfer: 2, matrix: 2, full_range: false });
    }
}
