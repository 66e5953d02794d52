// SPDX-License-Identifier: Apache-2.0
//! From colours to bytes.
//!
//! Rows are composed as one [`Color`] per pixel, already in the format's own components;
//! a table says which component of which pixel each byte of a plane is. So one piece of code
//! writes all formats, and the same table tells the reader where to look.

use vs_frame::{Format, FourCc};

/// Y, Cb, Cr or R, G, B.
pub(crate) type Color = [u8; 3];

/// What one byte of a group of pixels holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Byte {
    /// A component (0 to 2) of a pixel of the group.
    Component(usize, usize),
    /// Full opacity, or nothing.
    Opaque,
}

/// The bytes of a group of pixels of one plane.
pub(crate) type Group = &'static [Byte];

/// How a pixel format is written.
#[derive(Debug)]
pub(crate) struct Packing {
    pub fourcc: FourCc,
    /// For each plane; the number of pixels in a group is the plane's subsampling.
    pub planes: &'static [Group],
    pub rgb: bool,
}

impl Packing {
    pub(crate) fn of(fourcc: FourCc) -> Option<&'static Self> {
        PACKINGS.iter().find(|packing| packing.fourcc == fourcc)
    }

    /// The component by which black and white are told apart: luma, or green, which weighs
    /// most in it.
    pub(crate) fn luma(&self) -> usize {
        usize::from(self.rgb)
    }
}

use Byte::{Component as C, Opaque};

const LUMA: Group = &[C(0, 0)];
const CB: Group = &[C(1, 0)];
const CR: Group = &[C(2, 0)];
const CB_CR: Group = &[C(1, 0), C(2, 0)];
const CR_CB: Group = &[C(2, 0), C(1, 0)];

const fn yuv(fourcc: FourCc, planes: &'static [Group]) -> Packing {
    Packing { fourcc, planes, rgb: false }
}

const fn rgb(fourcc: FourCc, planes: &'static [Group]) -> Packing {
    Packing { fourcc, planes, rgb: true }
}

/// Every format that can be painted and read.
pub(crate) static PACKINGS: &[Packing] = &[
    yuv(FourCc::NV12, &[LUMA, CB_CR]),
    yuv(FourCc::NV21, &[LUMA, CR_CB]),
    yuv(FourCc::NV16, &[LUMA, CB_CR]),
    yuv(FourCc::NV12M, &[LUMA, CB_CR]),
    yuv(FourCc::YUV420, &[LUMA, CB, CR]),
    yuv(FourCc::YVU420, &[LUMA, CR, CB]),
    yuv(FourCc::YUV420M, &[LUMA, CB, CR]),
    yuv(FourCc::YUYV, &[&[C(0, 0), C(1, 0), C(0, 1), C(2, 0)]]),
    yuv(FourCc::UYVY, &[&[C(1, 0), C(0, 0), C(2, 0), C(0, 1)]]),
    yuv(FourCc::YVYU, &[&[C(0, 0), C(2, 0), C(0, 1), C(1, 0)]]),
    yuv(FourCc::VYUY, &[&[C(2, 0), C(0, 0), C(1, 0), C(0, 1)]]),
    yuv(FourCc::GREY, &[LUMA]),
    rgb(FourCc::RGB24, &[&[C(0, 0), C(1, 0), C(2, 0)]]),
    rgb(FourCc::BGR24, &[&[C(2, 0), C(1, 0), C(0, 0)]]),
    rgb(FourCc::RGBX32, &[&[C(0, 0), C(1, 0), C(2, 0), Opaque]]),
    rgb(FourCc::RGBA32, &[&[C(0, 0), C(1, 0), C(2, 0), Opaque]]),
    rgb(FourCc::BGRX32, &[&[C(2, 0), C(1, 0), C(0, 0), Opaque]]),
    rgb(FourCc::BGRA32, &[&[C(2, 0), C(1, 0), C(0, 0), Opaque]]),
];

/// Writes a row of a plane from the colours of a row of the picture.
pub(crate) fn encode_row(group: Group, pixels: usize, line: &[Color], row: &mut [u8]) {
    for (bytes, colors) in row.chunks_exact_mut(group.len()).zip(line.chunks_exact(pixels)) {
        for (byte, what) in bytes.iter_mut().zip(group) {
            *byte = match *what {
                C(component, pixel) => colors[pixel][component],
                Opaque => 0xff,
            };
        }
    }
}

/// The colours of a picture, in its format's components.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Palette {
    /// White, yellow, cyan, green, magenta, red, blue, black.
    pub bars: [Color; 8],
}

impl Palette {
    pub(crate) fn new(format: &Format, packing: &Packing) -> Self {
        // Falling luma: of each colour's bits, blue changes fastest and green slowest.
        let bars = std::array::from_fn(|bar| {
            let rgb = [2, 4, 1].map(|bit| if bar & bit == 0 { 1.0 } else { 0.0 });
            if packing.rgb { rgb.map(|part: f64| (part * 255.0) as u8) } else { to_yuv(rgb, format) }
        });
        Self { bars }
    }

    pub(crate) fn white(&self) -> Color {
        self.bars[0]
    }

    pub(crate) fn black(&self) -> Color {
        self.bars[7]
    }
}

/// Y'CbCr of a colour (parts from 0 to 1) by the equations of ITU-T H.273, clause 8.3, with
/// the matrix and range of the format; BT.601 where it does not say.
fn to_yuv([r, g, b]: [f64; 3], format: &Format) -> Color {
    let color = format.color.h273();
    let (kr, kb) = match color.matrix {
        1 => (0.2126, 0.0722),
        9 => (0.2627, 0.0593),
        _ => (0.299, 0.114),
    };
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    let (cb, cr) = ((b - y) / (1.0 - kb) / 2.0, (r - y) / (1.0 - kr) / 2.0);
    let (floor, luma, chroma) = if color.full_range { (0.0, 255.0, 255.0) } else { (16.0, 219.0, 224.0) };
    [floor + luma * y, 128.0 + chroma * cb, 128.0 + chroma * cr].map(|sample| sample.round().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use vs_frame::{Colorimetry, Rate};

    use super::*;

    #[test]
    fn every_known_layout_has_a_packing_that_fits_it() {
        for info in vs_frame::fourcc::PIXEL_FORMATS {
            let packing = Packing::of(info.fourcc).unwrap();
            let sizes: Vec<_> = packing.planes.iter().map(|group| group.len() as u32).collect();
            assert_eq!(sizes, info.planes.iter().map(|plane| plane.bytes).collect::<Vec<_>>(), "{}", info.fourcc);
        }
    }

    #[test]
    fn colours_are_those_of_the_standards() {
        let mut format = Format::packed(FourCc::NV12, 16, 16, Rate::fps(30)).unwrap();
        let packing = Packing::of(FourCc::NV12).unwrap();
        // 100 % bars as SMPTE RP 219 and EBU Tech 3325 tabulate them for 8 bit.
        let bars = Palette::new(&format, packing).bars;
        assert_eq!((bars[0], bars[5], bars[7]), ([235, 128, 128], [81, 90, 240], [16, 128, 128]));
        format.color = Colorimetry::BT709;
        assert_eq!(Palette::new(&format, packing).bars[5], [63, 102, 240]);
    }
}
