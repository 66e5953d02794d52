// SPDX-License-Identifier: Apache-2.0
//! Pixels to as many others.
//!
//! The filter is bilinear, and as wide as the pixels that come out: when a picture is made smaller,
//! each pixel of it is a mean of all that it stands for, so that nothing flickers.

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Rows of pixels of equal size.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of a pixel: 1, 3 or 4.
    pub bytes: usize,
    /// How many pixels there are; those of chroma may end in the middle of the last one.
    pub width: f64,
    pub height: f64,
}

/// Scales, with memory that is used again and again.
#[derive(Default)]
pub(super) struct Scaler {
    resizer: Resizer,
    /// Rows whose padding is no whole number of pixels.
    tight: Vec<u8>,
}

impl Scaler {
    /// Fills `out` with `width` by `height` pixels without padding; `None` if the bytes are not all
    /// there. With `alpha`, what is transparent has no colour.
    pub(super) fn scale(
        &mut self,
        from: Pixels<'_>,
        out: &mut Vec<u8>,
        (width, height): (u32, u32),
        alpha: bool,
    ) -> Option<()> {
        let Pixels { mut data, mut stride, bytes, .. } = from;
        let kind = match bytes {
            1 => PixelType::U8,
            3 => PixelType::U8x3,
            4 => PixelType::U8x4,
            _ => return None,
        };
        let (columns, rows) = (from.width.ceil() as usize, from.height.ceil() as usize);
        let row_bytes = columns * bytes;
        if stride % bytes != 0 || data.len() < stride * rows {
            self.tight.clear();
            for row in 0..rows {
                self.tight.extend_from_slice(data.get(row * stride..row * stride + row_bytes)?);
            }
            (data, stride) = (&self.tight, row_bytes);
        }
        let source = ImageRef::new(u32::try_from(stride / bytes).ok()?, u32::try_from(rows).ok()?, data, kind).ok()?;
        // The filter reads all that it is given, also beyond what is to be scaled.
        let source = CroppedImage::new(&source, 0, 0, u32::try_from(columns).ok()?, source.height()).ok()?;
        out.resize(width as usize * height as usize * bytes, 0);
        let mut target = Image::from_slice_u8(width, height, out, kind).ok()?;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(0.0, 0.0, from.width, from.height)
            .use_alpha(alpha);
        self.resizer.resize(&source, &mut target, &options).ok()
    }
}
