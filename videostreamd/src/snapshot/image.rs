// SPDX-License-Identifier: Apache-2.0
//! Pixels become files.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use vs_codec::Quality;

use super::SnapshotError;
use super::picture::Turn;

/// Where nobody sees a difference, at a fifth of the size of the best.
const DEFAULT_QUALITY: u8 = 90;

/// Rows of pixels without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    /// `width * height * bytes` of them.
    pub data: Vec<u8>,
    /// Bytes of a pixel: 3 for RGB, 1 for grey.
    pub bytes: usize,
}

impl Pixels {
    /// The same, turned counter-clockwise.
    pub fn turned(self, turn: Turn) -> Self {
        let Self { width, height, data, bytes } = &self;
        let (columns, rows) = (*width as usize, *height as usize);
        let mut turned = Vec::with_capacity(data.len());
        let mut take = |column: usize, row: usize| {
            let start = (row * columns + column) * bytes;
            turned.extend_from_slice(data.get(start..start + bytes).unwrap_or_default());
        };
        match turn {
            Turn::None => return self,
            Turn::Quarter => {
                (0..columns).rev().for_each(|column| (0..rows).for_each(|row| take(column, row)));
            }
            Turn::Half => {
                (0..rows).rev().for_each(|row| (0..columns).rev().for_each(|column| take(column, row)));
            }
            Turn::ThreeQuarters => {
                (0..columns).for_each(|column| (0..rows).rev().for_each(|row| take(column, row)));
            }
        }
        let (width, height) = if turn == Turn::Half { (*width, *height) } else { (*height, *width) };
        Self { width, height, data: turned, bytes: *bytes }
    }
}

/// A JFIF file: BT.601, full range, as JFIF has it. Chroma has half the resolution, for that of nearly all cameras
/// has no more.
pub fn jpeg(pixels: &Pixels, quality: Option<Quality>) -> Result<Vec<u8>, SnapshotError> {
    let failed = |text: String| SnapshotError::Failed(format!("the JPEG encoder failed: {text}"));
    let side = |side: u32| u16::try_from(side).map_err(|_| failed(format!("{side} pixels are too many for a side")));
    let (width, height) = (side(pixels.width)?, side(pixels.height)?);
    let mut file = Vec::with_capacity(pixels.data.len() / 4);
    let mut encoder = Encoder::new(&mut file, quality.map_or(DEFAULT_QUALITY, Quality::get));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let color = if pixels.bytes == 1 { ColorType::Luma } else { ColorType::Rgb };
    encoder.encode(&pixels.data, width, height, color).map_err(|error| failed(error.to_string()))?;
    Ok(file)
}

/// A PNG file, as small as a quick compression makes it.
pub fn png(pixels: &Pixels) -> Result<Vec<u8>, SnapshotError> {
    let failed = |error: png::EncodingError| SnapshotError::Failed(format!("the PNG encoder failed: {error}"));
    let mut file = Vec::with_capacity(pixels.data.len() / 2);
    let mut encoder = png::Encoder::new(&mut file, pixels.width, pixels.height);
    encoder.set_color(if pixels.bytes == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels.data).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three pixels.
    fn pixels(data: &[u8]) -> Pixels {
        Pixels { width: 3, height: 2, data: data.to_vec(), bytes: 1 }
    }

    #[test]
    fn pictures_are_turned_counter_clockwise() {
        let picture = pixels(&[1, 2, 3, 4, 5, 6]);
        let turned = |turn| {
            let Pixels { width, height, data, .. } = picture.clone().turned(turn);
            (width, height, data)
        };
        assert_eq!(turned(Turn::None), (3, 2, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(turned(Turn::Quarter), (2, 3, vec![3, 6, 2, 5, 1, 4]));
        assert_eq!(turned(Turn::Half), (3, 2, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(turned(Turn::ThreeQuarters), (2, 3, vec![4, 1, 5, 2, 6, 3]));
    }

    #[test]
    fn a_png_keeps_every_pixel() {
        let picture = Pixels { width: 2, height: 1, data: vec![1, 2, 3, 250, 251, 252], bytes: 3 };
        let file = png(&picture).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut data).unwrap();
        assert_eq!(data, picture.data);
        assert!(jpeg(&picture, Quality::new(1)).unwrap().starts_with(&[0xff, 0xd8]));
    }
}
