// SPDX-License-Identifier: Apache-2.0
//! Any picture as I420, with as little copying as its layout allows.
//!
//! Planes that already are what is wanted are lent where they lie; the others
//! are converted into scratch memory that is used again and again. Odd sizes are padded to
//! even ones by repeating the last column and row.

use vs_frame::{Colorimetry, Format, FourCc, FrameView, PlaneView};
use yuv::{
    BufferStoreMut, YuvConversionMode, YuvError, YuvPackedImage, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
};

/// The pixel formats that pictures can have, before and after.
pub const FORMATS: &[FourCc] = &[
    FourCc::NV12,
    FourCc::NV21,
    FourCc::NV16,
    FourCc::NV12M,
    FourCc::YUV420,
    FourCc::YVU420,
    FourCc::YUV420M,
    FourCc::YUYV,
    FourCc::UYVY,
    FourCc::YVYU,
    FourCc::VYUY,
    FourCc::RGB24,
    FourCc::BGR24,
    FourCc::BGRX32,
    FourCc::BGRA32,
    FourCc::RGBX32,
    FourCc::RGBA32,
    FourCc::GREY,
];

/// From this height on, RGB becomes Rec. 709, below it BT.601: what players take a picture
/// for that does not say.
pub(crate) const HD_HEIGHT: u32 = 720;

/// How the bytes of a picture become planes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Layout {
    /// Planes 1 and 2 are Cb and Cr, or the other way round.
    Planar { swapped: bool },
    /// Plane 1 has Cb and Cr in turn, or the other way round; as many rows as luma, or half.
    SemiPlanar { swapped: bool, full_height: bool },
    /// No chroma.
    Grey,
    /// 4:2:2 in one plane.
    Packed(fn(&mut YuvPlanarImageMut<'_, u8>, &YuvPackedImage<'_, u8>) -> Result<(), YuvError>),
    /// RGB in one plane.
    Rgb(FromRgb),
}

pub(crate) type FromRgb = fn(
    &mut YuvPlanarImageMut<'_, u8>,
    &[u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> Result<(), YuvError>;

impl Layout {
    pub fn of(fourcc: FourCc) -> Option<Self> {
        Some(match fourcc {
            FourCc::YUV420 | FourCc::YUV420M => Self::Planar { swapped: false },
            FourCc::YVU420 => Self::Planar { swapped: true },
            FourCc::NV12 | FourCc::NV12M => Self::SemiPlanar { swapped: false, full_height: false },
            FourCc::NV21 => Self::SemiPlanar { swapped: true, full_height: false },
            FourCc::NV16 => Self::SemiPlanar { swapped: false, full_height: true },
            FourCc::GREY => Self::Grey,
            FourCc::YUYV => Self::Packed(yuv::yuyv422_to_yuv420),
            FourCc::UYVY => Self::Packed(yuv::uyvy422_to_yuv420),
            FourCc::YVYU => Self::Packed(yuv::yvyu422_to_yuv420),
            FourCc::VYUY => Self::Packed(yuv::vyuy422_to_yuv420),
            FourCc::RGB24 => Self::Rgb(yuv::rgb_to_yuv420),
            FourCc::BGR24 => Self::Rgb(yuv::bgr_to_yuv420),
            FourCc::BGRX32 | FourCc::BGRA32 => Self::Rgb(yuv::bgra_to_yuv420),
            FourCc::RGBX32 | FourCc::RGBA32 => Self::Rgb(yuv::rgba_to_yuv420),
            _ => return None,
        })
    }
}

/// A picture as most codecs want it: three planes, those of chroma with half as many columns and rows
/// (rounded up) and a common stride.
#[derive(Clone, Copy, Debug)]
pub struct I420<'a> {
    /// Luma, row after row.
    pub y: &'a [u8],
    /// Cb.
    pub u: &'a [u8],
    /// Cr.
    pub v: &'a [u8],
    /// Bytes from one row of luma to the next.
    pub y_stride: usize,
    /// Bytes from one row of chroma to the next.
    pub uv_stride: usize,
}

impl I420<'_> {
    /// Whether each row of a `width` by `height` picture lies within its plane.
    #[must_use]
    pub fn covers(&self, width: usize, height: usize) -> bool {
        let end = |stride: usize, width: usize, rows: usize| {
            stride.checked_mul(rows.saturating_sub(1)).and_then(|last| last.checked_add(width))
        };
        let fits = |plane: &[u8], stride, width, rows| {
            stride >= width && end(stride, width, rows).is_some_and(|end| end <= plane.len())
        };
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        fits(self.y, self.y_stride, width, height)
            && fits(self.u, self.uv_stride, chroma_width, chroma_height)
            && fits(self.v, self.uv_stride, chroma_width, chroma_height)
    }
}

/// Turns pictures of one format into I420.
#[derive(Debug)]
pub struct ToI420 {
    fourcc: FourCc,
    layout: Layout,
    /// Size of the picture, and rounded up to even.
    width: usize,
    height: usize,
    even_width: usize,
    even_height: usize,
    output_color: Colorimetry,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl ToI420 {
    /// For pictures of this format; `None` for a pixel format that is not among [`FORMATS`].
    #[must_use]
    pub fn new(format: &Format) -> Option<Self> {
        let layout = Layout::of(format.fourcc)?;
        let (width, height) = (format.width as usize, format.height as usize);
        let (even_width, even_height) = (width.next_multiple_of(2), height.next_multiple_of(2));
        let output_color = match layout {
            Layout::Rgb(_) => color_of_rgb(format),
            _ => format.color,
        };
        let (y, u, v) = (Vec::new(), Vec::new(), Vec::new());
        Some(Self { fourcc: format.fourcc, layout, width, height, even_width, even_height, output_color, y, u, v })
    }

    /// The colour of what comes out.
    #[must_use]
    pub fn output_color(&self) -> Colorimetry {
        self.output_color
    }

    /// The picture as I420 of even size; `None` if its bytes are not all there, or if it has not the size
    /// and pixel format that were announced. Strides may change from picture to picture.
    pub fn convert<'a>(&'a mut self, view: &'a FrameView<'_>) -> Option<I420<'a>> {
        let &Format { fourcc, width, height, .. } = view.format();
        if (fourcc, width as usize, height as usize) != (self.fourcc, self.width, self.height) {
            return None;
        }
        let first = view.plane(0)?;
        match self.layout {
            Layout::Packed(convert) => {
                self.packed(first, |target, rows, stride| {
                    let image = YuvPackedImage { yuy: rows, yuy_stride: stride, width, height: target.height };
                    convert(target, &image)
                })?;
            }
            Layout::Rgb(convert) => {
                let matrix = match self.output_color.h273().matrix {
                    1 => YuvStandardMatrix::Bt709,
                    _ => YuvStandardMatrix::Bt601,
                };
                let mode = YuvConversionMode::Balanced;
                self.packed(first, |target, rows, stride| {
                    convert(target, rows, stride, YuvRange::Limited, matrix, mode)
                })?;
            }
            Layout::Planar { swapped } => return self.planar(view, first, swapped),
            Layout::SemiPlanar { swapped, full_height } => {
                let chroma = view.plane(1)?;
                self.reserve_chroma();
                let (even, odd) = if swapped { (&mut self.v, &mut self.u) } else { (&mut self.u, &mut self.v) };
                let step = 1 + usize::from(full_height);
                let rows = chroma.rows().step_by(step);
                let targets = even.chunks_exact_mut(self.even_width / 2).zip(odd.chunks_exact_mut(self.even_width / 2));
                for (row, (even, odd)) in rows.zip(targets) {
                    deinterleave(row, even, odd);
                }
                return self.with_luma(first);
            }
            Layout::Grey => {
                self.reserve_chroma();
                self.u.fill(128);
                self.v.fill(128);
                return self.with_luma(first);
            }
        }
        pad(&mut self.y, self.width, self.height, self.even_width);
        Some(self.converted())
    }

    /// Three planes: lent as they are if their layout is I420 of even size.
    fn planar<'a>(&'a mut self, view: &'a FrameView<'_>, y: PlaneView<'a>, swapped: bool) -> Option<I420<'a>> {
        let (first, second) = (view.plane(1)?, view.plane(2)?);
        let (u, v) = if swapped { (second, first) } else { (first, second) };
        if self.is_even() && u.stride == v.stride {
            let (y_stride, uv_stride) = (y.stride, u.stride);
            return Some(I420 { y: y.data, u: u.data, v: v.data, y_stride, uv_stride });
        }
        self.reserve_chroma();
        copy_rows(u, &mut self.u, self.even_width / 2);
        copy_rows(v, &mut self.v, self.even_width / 2);
        self.with_luma(y)
    }

    /// Chroma from the scratch memory, luma from there only if it must be padded.
    fn with_luma<'a>(&'a mut self, luma: PlaneView<'a>) -> Option<I420<'a>> {
        let (y, y_stride) = if self.is_even() {
            (luma.data, luma.stride)
        } else {
            self.y.resize(self.even_width * self.even_height, 0);
            copy_rows(luma, &mut self.y, self.even_width);
            pad(&mut self.y, self.width, self.height, self.even_width);
            (&self.y[..], self.even_width)
        };
        Some(I420 { y, u: &self.u, v: &self.v, y_stride, uv_stride: self.even_width / 2 })
    }

    fn is_even(&self) -> bool {
        (self.width, self.height) == (self.even_width, self.even_height)
    }

    fn reserve_chroma(&mut self) {
        let len = self.even_width / 2 * (self.even_height / 2);
        self.u.resize(len, 0);
        self.v.resize(len, 0);
    }

    /// One plane of whole pixels, by the library, which reckons with pairs of rows that have
    /// their padding: what is left over goes through a copy.
    fn packed(
        &mut self,
        plane: PlaneView<'_>,
        convert: impl Fn(&mut YuvPlanarImageMut<'_, u8>, &[u8], u32) -> Result<(), YuvError>,
    ) -> Option<()> {
        let PlaneView { data, stride, row_bytes, rows } = plane;
        let whole = if data.len() >= stride * rows { rows & !1 } else { rows.saturating_sub(1) & !1 };
        self.reserve_chroma();
        self.y.resize(self.even_width * self.even_height, 0);
        if whole > 0 {
            convert(&mut self.scratch(0, whole), data.get(..whole * stride)?, u32::try_from(stride).ok()?).ok()?;
        }
        if whole < rows {
            let row = |index: usize| data.get(index * stride..index * stride + row_bytes);
            let pair = [row(whole)?, row((whole + 1).min(rows - 1))?].concat();
            convert(&mut self.scratch(whole, 2), &pair, u32::try_from(row_bytes).ok()?).ok()?;
        }
        Some(())
    }

    /// An even number of rows of the scratch memory.
    fn scratch(&mut self, first: usize, rows: usize) -> YuvPlanarImageMut<'_, u8> {
        let stride = self.even_width;
        let luma = first * stride..(first + rows) * stride;
        let chroma = first / 2 * (stride / 2)..(first + rows) / 2 * (stride / 2);
        YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut self.y[luma]),
            y_stride: stride as u32,
            u_plane: BufferStoreMut::Borrowed(&mut self.u[chroma.clone()]),
            u_stride: stride as u32 / 2,
            v_plane: BufferStoreMut::Borrowed(&mut self.v[chroma]),
            v_stride: stride as u32 / 2,
            width: self.width as u32,
            height: rows as u32,
        }
    }

    fn converted(&self) -> I420<'_> {
        I420 { y: &self.y, u: &self.u, v: &self.v, y_stride: self.even_width, uv_stride: self.even_width / 2 }
    }
}

/// Y'CbCr of sRGB: its primaries and transfer function, limited range, and the matrix that
/// players expect at that size.
fn color_of_rgb(format: &Format) -> Colorimetry {
    let usual = if format.height >= HD_HEIGHT { Colorimetry::BT709 } else { Colorimetry::BT601 };
    let (encoding, quantization) = (usual.encoding, usual.quantization);
    Colorimetry { encoding, quantization, ..format.color }
}

fn deinterleave(row: &[u8], even: &mut [u8], odd: &mut [u8]) {
    for (pair, (even, odd)) in row.chunks_exact(2).zip(even.iter_mut().zip(odd)) {
        (*even, *odd) = (pair[0], pair[1]);
    }
}

fn copy_rows(from: PlaneView<'_>, to: &mut [u8], stride: usize) {
    for (row, target) in from.rows().zip(to.chunks_exact_mut(stride)) {
        target[..row.len()].copy_from_slice(row);
    }
}

/// Repeats the last column and the last row where an odd size was made even.
fn pad(plane: &mut [u8], width: usize, height: usize, stride: usize) {
    if width < stride {
        for row in plane.chunks_exact_mut(stride).take(height) {
            row[width] = row[width - 1];
        }
    }
    if height % 2 == 1 {
        plane.copy_within((height - 1) * stride..height * stride, height * stride);
    }
}
