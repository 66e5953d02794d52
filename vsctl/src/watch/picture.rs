// SPDX-License-Identifier: Apache-2.0
//! Any frame as a small RGB picture.
//!
//! The one place of vsctl that knows pixel formats: [`read`] takes a frame's bytes, and nobody else looks at them.

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use vsclient::{Format, FourCc, FrameView, PlaneView};
use yuv::{
    YuvBiPlanarImage, YuvConversionMode, YuvError, YuvGrayImage, YuvPackedImage, YuvPlanarImage, YuvRange,
    YuvStandardMatrix,
};
use zune_jpeg::JpegDecoder;

/// From this height on, a picture that does not say is taken for Rec. 709, below it for BT.601, as players do it.
const HD_HEIGHT: u32 = 720;

/// Pixels in rows without padding, R G B.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    /// Nothing here reads such frames.
    #[error("{0} cannot be shown")]
    Fourcc(FourCc),
    /// Not all its bytes are there, or they are no picture.
    #[error("the picture is damaged")]
    Damaged,
}

/// Whether frames of this format can be shown.
pub fn is_readable(fourcc: FourCc) -> bool {
    is_jpeg(fourcc) || Layout::of(fourcc).is_some()
}

fn is_jpeg(fourcc: FourCc) -> bool {
    fourcc == FourCc::MJPEG || fourcc == FourCc::JPEG
}

type FromPlanar = fn(&YuvPlanarImage<'_, u8>, &mut [u8], u32, YuvRange, YuvStandardMatrix) -> Result<(), YuvError>;
type FromBiPlanar = fn(
    &YuvBiPlanarImage<'_, u8>,
    &mut [u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> Result<(), YuvError>;
type FromPacked = fn(&YuvPackedImage<'_, u8>, &mut [u8], u32, YuvRange, YuvStandardMatrix) -> Result<(), YuvError>;
type FromRgb = fn(&[u8], u32, &mut [u8], u32, u32, u32) -> Result<(), YuvError>;

/// How the bytes become RGB.
enum Layout {
    Planar { swapped: bool, convert: FromPlanar },
    BiPlanar(FromBiPlanar),
    Packed(FromPacked),
    Grey,
    Rgb,
    OtherRgb(FromRgb),
}

impl Layout {
    fn of(fourcc: FourCc) -> Option<Self> {
        Some(match fourcc {
            FourCc::YUV420 | FourCc::YUV420M => Self::Planar { swapped: false, convert: yuv::yuv420_to_rgb },
            FourCc::YVU420 => Self::Planar { swapped: true, convert: yuv::yuv420_to_rgb },
            FourCc::NV12 | FourCc::NV12M => Self::BiPlanar(yuv::yuv_nv12_to_rgb),
            FourCc::NV21 => Self::BiPlanar(yuv::yuv_nv21_to_rgb),
            FourCc::NV16 => Self::BiPlanar(yuv::yuv_nv16_to_rgb),
            FourCc::YUYV => Self::Packed(yuv::yuyv422_to_rgb),
            FourCc::UYVY => Self::Packed(yuv::uyvy422_to_rgb),
            FourCc::YVYU => Self::Packed(yuv::yvyu422_to_rgb),
            FourCc::VYUY => Self::Packed(yuv::vyuy422_to_rgb),
            FourCc::GREY => Self::Grey,
            FourCc::RGB24 => Self::Rgb,
            FourCc::BGR24 => Self::OtherRgb(yuv::bgr_to_rgb),
            FourCc::RGBX32 | FourCc::RGBA32 => Self::OtherRgb(yuv::rgba_to_rgb),
            FourCc::BGRX32 | FourCc::BGRA32 => Self::OtherRgb(yuv::bgra_to_rgb),
            _ => return None,
        })
    }
}

/// The whole plane, row after row with its stride. The last row may end where its pixels end, which the conversions do not like.
fn whole(plane: PlaneView<'_>) -> Option<(Cow<'_, [u8]>, u32)> {
    let PlaneView { data, stride, row_bytes, rows } = plane;
    if data.len() >= stride.checked_mul(rows)? {
        return Some((Cow::Borrowed(data), u32::try_from(stride).ok()?));
    }
    let tight: Vec<u8> = plane.rows().flatten().copied().collect();
    (tight.len() == row_bytes * rows).then_some((Cow::Owned(tight), u32::try_from(row_bytes).ok()?))
}

/// The picture in a frame.
pub fn read(view: &FrameView<'_>, format: &Format) -> Result<Picture, ReadError> {
    if is_jpeg(format.fourcc) {
        return jpeg(view.payload(), format);
    }
    let layout = Layout::of(format.fourcc).ok_or(ReadError::Fourcc(format.fourcc))?;
    planes(view, format, &layout).ok_or(ReadError::Damaged)
}

/// A JPEG of the size that the format says. Another one is damaged: its own word for its size is not trusted with memory.
fn jpeg(bytes: &[u8], format: &Format) -> Result<Picture, ReadError> {
    let mut decoder = JpegDecoder::new(std::io::Cursor::new(bytes));
    decoder.decode_headers().map_err(|_| ReadError::Damaged)?;
    let (width, height) = (format.width, format.height);
    if decoder.dimensions() != Some((width as usize, height as usize)) {
        return Err(ReadError::Damaged);
    }
    let rgb = decoder.decode().map_err(|_| ReadError::Damaged)?;
    let whole = rgb.len() == width as usize * height as usize * 3;
    whole.then_some(Picture { width, height, rgb }).ok_or(ReadError::Damaged)
}

fn planes(view: &impl vs_pattern::Picture, format: &Format, layout: &Layout) -> Option<Picture> {
    let (width, height) = (format.width, format.height);
    let (range, matrix) = color(format);
    let stride = width.checked_mul(3)?;
    let mut rgb = vec![0; stride as usize * height as usize];
    let plane = |index| whole(view.plane(index)?);
    let (first, first_stride) = plane(0)?;
    match layout {
        Layout::Planar { swapped, convert } => {
            let (u, v) = if *swapped { (plane(2)?, plane(1)?) } else { (plane(1)?, plane(2)?) };
            let image = YuvPlanarImage {
                y_plane: &first,
                y_stride: first_stride,
                u_plane: &u.0,
                u_stride: u.1,
                v_plane: &v.0,
                v_stride: v.1,
                width,
                height,
            };
            convert(&image, &mut rgb, stride, range, matrix).ok()?;
        }
        Layout::BiPlanar(convert) => {
            let (uv, uv_stride) = plane(1)?;
            let image =
                YuvBiPlanarImage { y_plane: &first, y_stride: first_stride, uv_plane: &uv, uv_stride, width, height };
            convert(&image, &mut rgb, stride, range, matrix, YuvConversionMode::Balanced).ok()?;
        }
        Layout::Packed(convert) => {
            let image = YuvPackedImage { yuy: &first, yuy_stride: first_stride, width, height };
            convert(&image, &mut rgb, stride, range, matrix).ok()?;
        }
        Layout::Grey => {
            let image = YuvGrayImage { y_plane: &first, y_stride: first_stride, width, height };
            yuv::yuv400_to_rgb(&image, &mut rgb, stride, range, matrix).ok()?;
        }
        Layout::Rgb => {
            for (row, target) in view.plane(0)?.rows().zip(rgb.chunks_exact_mut(stride as usize)) {
                target.copy_from_slice(row.get(..stride as usize)?);
            }
        }
        Layout::OtherRgb(convert) => convert(&first, first_stride, &mut rgb, stride, width, height).ok()?,
    }
    Some(Picture { width, height, rgb })
}

fn color(format: &Format) -> (YuvRange, YuvStandardMatrix) {
    let color = format.color.h273();
    let range = if color.full_range { YuvRange::Full } else { YuvRange::Limited };
    let matrix = match color.matrix {
        1 => YuvStandardMatrix::Bt709,
        9 => YuvStandardMatrix::Bt2020,
        6 => YuvStandardMatrix::Bt601,
        _ if format.height >= HD_HEIGHT => YuvStandardMatrix::Bt709,
        _ => YuvStandardMatrix::Bt601,
    };
    (range, matrix)
}

impl Picture {
    /// The same in another size. Where it becomes smaller, each pixel is a mean of all that it stands for.
    pub fn scaled(&self, resizer: &mut Resizer, (width, height): (u32, u32)) -> Option<Self> {
        if (width, height) == (self.width, self.height) {
            return Some(self.clone());
        }
        let mut rgb = vec![0; width as usize * height as usize * 3];
        let from = ImageRef::new(self.width, self.height, &self.rgb, PixelType::U8x3).ok()?;
        let mut to = Image::from_slice_u8(width, height, &mut rgb, PixelType::U8x3).ok()?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        resizer.resize(&from, &mut to, &options).ok()?;
        Some(Self { width, height, rgb })
    }

    /// The same, turned counter-clockwise by so many degrees: 90, 180 or 270.
    pub fn turned(self, degrees: u32) -> Self {
        let (width, height) = match degrees {
            90 | 270 => (self.height, self.width),
            180 => (self.width, self.height),
            _ => return self,
        };
        let mut rgb = Vec::with_capacity(self.rgb.len());
        for y in 0..height {
            for x in 0..width {
                let (from_x, from_y) = match degrees {
                    90 => (self.width - 1 - y, x),
                    180 => (self.width - 1 - x, self.height - 1 - y),
                    _ => (y, self.height - 1 - x),
                };
                rgb.extend(self.pixel(from_x, from_y));
            }
        }
        Self { width, height, rgb }
    }

    /// A pixel; black outside.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        if x >= self.width || y >= self.height {
            return [0; 3];
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        self.rgb.get(at..at + 3).map_or([0; 3], |rgb| [rgb[0], rgb[1], rgb[2]])
    }
}

#[cfg(test)]
mod tests {
    use vs_frame::Rate;
    use vs_pattern::{Memories, Pattern};

    use super::*;

    /// White, yellow, cyan, green, magenta, red, blue, black, as the pattern has them from left to right.
    const BARS: [[u8; 3]; 8] = [
        [255, 255, 255],
        [255, 255, 0],
        [0, 255, 255],
        [0, 255, 0],
        [255, 0, 255],
        [255, 0, 0],
        [0, 0, 255],
        [0, 0, 0],
    ];

    #[test]
    fn every_format_shows_the_same_picture() {
        for fourcc in Pattern::formats() {
            for (width, height) in [(320, 240), (321, 241)] {
                let format = Format::packed(fourcc, width, height, Rate::fps(30)).unwrap();
                let mut bytes: Vec<Vec<u8>> =
                    (0..format.memories()).map(|index| vec![0; format.memory_size(index) as usize]).collect();
                Pattern::new(&format).unwrap().render(0, 0, &mut bytes).unwrap();
                let layout = Layout::of(fourcc).unwrap_or_else(|| panic!("{fourcc} cannot be shown"));
                let picture = planes(&Memories::new(&format, &bytes), &format, &layout).unwrap();
                assert_eq!((picture.width, picture.height), (width, height));
                for (bar, wanted) in (0..).zip(BARS) {
                    let shown = picture.pixel(18 + bar * 38, height - 20);
                    let off = shown.iter().zip(wanted).map(|(a, b)| a.abs_diff(b)).max();
                    let grey = fourcc == FourCc::GREY && shown[0] == shown[1] && shown[1] == shown[2];
                    assert!(off <= Some(4) || grey, "{fourcc} {width}x{height}, bar {bar}: {shown:?}");
                }
            }
        }
    }

    #[test]
    fn jpegs_of_cameras_are_read_and_no_others() {
        let plain = |color: jpeg_encoder::ColorType, pixel: &[u8]| {
            let mut bytes = Vec::new();
            let encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
            encoder.encode(&pixel.repeat(48 * 32), 48, 32, color).unwrap();
            bytes
        };
        let format = |width, height| Format::coded(FourCc::MJPEG, width, height, Rate::fps(30), 10_000).unwrap();
        let shown = |bytes: &[u8]| jpeg(bytes, &format(48, 32)).map(|picture| picture.pixel(20, 20));
        let red = plain(jpeg_encoder::ColorType::Rgb, &[255, 0, 0]);
        let [r, g, b] = shown(&red).unwrap();
        assert!(r > 240 && g < 15 && b < 15, "{r} {g} {b}");
        let [r, g, b] = shown(&plain(jpeg_encoder::ColorType::Luma, &[100])).unwrap();
        assert!(r.abs_diff(100) < 4 && (r, r) == (g, b), "{r} {g} {b}");
        assert_eq!(jpeg(&red, &format(64, 32)), Err(ReadError::Damaged));
        assert_eq!(shown(&[]), Err(ReadError::Damaged));
        // What ends early is shown as far as it goes, or not at all.
        for len in 0..red.len() {
            let _ = shown(&red[..len]);
        }
    }

    #[test]
    fn pictures_turn() {
        let corners = |picture: &Picture| {
            let (right, bottom) = (picture.width - 1, picture.height - 1);
            [(0, 0), (right, 0), (right, bottom), (0, bottom)].map(|(x, y)| picture.pixel(x, y)[0])
        };
        // 1 2
        // 3 4
        // 5 6
        let picture = Picture { width: 2, height: 3, rgb: (1..=6).flat_map(|n| [n; 3]).collect() };
        assert_eq!(corners(&picture), [1, 2, 6, 5]);
        assert_eq!(corners(&picture.clone().turned(90)), [2, 6, 5, 1]);
        assert_eq!(corners(&picture.clone().turned(180)), [6, 5, 1, 2]);
        assert_eq!(corners(&picture.clone().turned(270)), [5, 1, 2, 6]);
        assert_eq!(picture.clone().turned(0), picture);
    }
}
