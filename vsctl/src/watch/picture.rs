// SPDX-License-Identifier: Apache-2.0
//! Any frame as a small RGB picture.
//!
//! The one place of vsctl that knows pixel formats: [`read`] takes a frame's bytes, and nobody else looks at them.

use vs_convert::{Conversion, ConversionError, Incomplete, Pixels, Scaler};
use vsclient::{Format, FourCc, FrameView};
use zune_jpeg::JpegDecoder;

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
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// Not all its bytes are there, or they are no picture.
    #[error("the picture is damaged")]
    Damaged,
}

impl From<Incomplete> for ReadError {
    fn from(_: Incomplete) -> Self {
        Self::Damaged
    }
}

/// Whether frames of this format can be shown.
pub fn is_readable(fourcc: FourCc) -> bool {
    is_jpeg(fourcc) || vs_convert::FORMATS.contains(&fourcc)
}

fn is_jpeg(fourcc: FourCc) -> bool {
    fourcc == FourCc::MJPEG || fourcc == FourCc::JPEG
}

/// The picture in a frame.
pub fn read(view: &FrameView<'_>, format: &Format) -> Result<Picture, ReadError> {
    if is_jpeg(format.fourcc) {
        return jpeg(view.payload(), format);
    }
    let mut conversion = Conversion::new(format, Some(FourCc::RGB24), None)?;
    let mut rgb = Vec::new();
    conversion.convert(view, &mut rgb)?;
    Ok(Picture { width: format.width, height: format.height, rgb })
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

impl Picture {
    /// The same in another size. Where it becomes smaller, each pixel is a mean of all that it stands for.
    pub fn scaled(&self, scaler: &mut Scaler, (width, height): (u32, u32)) -> Option<Self> {
        if (width, height) == (self.width, self.height) {
            return Some(self.clone());
        }
        let (stride, bytes) = (self.width as usize * 3, 3);
        let from = Pixels { data: &self.rgb, stride, bytes, width: self.width.into(), height: self.height.into() };
        let mut rgb = Vec::new();
        scaler.scale(from, &mut rgb, (width, height), false)?;
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
    use std::sync::Arc;

    use vs_frame::{CpuMemory, CpuPool, FrameMeta, Rate};
    use vs_pattern::Pattern;

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
                let pool = CpuPool::new(Arc::new(format.clone()), CpuMemory::Memfd, 1, 1).unwrap();
                let mut slot = pool.acquire().unwrap().unwrap();
                slot.write(|memories| Pattern::new(&format).unwrap().render(0, 0, memories)).unwrap().unwrap();
                let frame = slot.finish(FrameMeta::default()).unwrap();
                let picture = read(&frame.map().unwrap(), &format).unwrap();
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
