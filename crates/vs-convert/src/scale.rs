// SPDX-License-Identifier: Apache-2.0
//! Pixels to as many others.
//!
//! The filter is bilinear, and as wide as the pixels that come out: when a picture is made smaller,
//! each pixel of it is a mean of all that it stands for, so that nothing flickers.

use std::fmt;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3, U8x4};
use fast_image_resize::{FilterType, ImageView, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

/// Rows of pixels of equal size.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    /// From the first byte of the first row on.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of a pixel: 1, 3 or 4.
    pub bytes: usize,
    /// How many pixels there are; those of chroma may end in the middle of the last one.
    pub width: f64,
    /// The same of rows.
    pub height: f64,
}

/// Scales, with memory that is used again and again.
#[derive(Default)]
pub struct Scaler {
    resizer: Resizer,
    /// Rows whose padding is no whole number of pixels.
    tight: Vec<u8>,
}

impl fmt::Debug for Scaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scaler").finish_non_exhaustive()
    }
}

impl Scaler {
    /// Fills `out` with `width` by `height` pixels without padding; `None` if the bytes are not all
    /// there. With `alpha`, what is transparent has no colour.
    pub fn scale(
        &mut self,
        from: Pixels<'_>,
        out: &mut Vec<u8>,
        (width, height): (u32, u32),
        alpha: bool,
    ) -> Option<()> {
        // By the kind of pixel, for the library would otherwise be compiled for all that it knows, which takes minutes.
        match from.bytes {
            1 => self.scale_typed::<U8>(from, out, (width, height), alpha),
            3 => self.scale_typed::<U8x3>(from, out, (width, height), alpha),
            4 => self.scale_typed::<U8x4>(from, out, (width, height), alpha),
            _ => None,
        }
    }

    fn scale_typed<P: PixelTrait>(
        &mut self,
        from: Pixels<'_>,
        out: &mut Vec<u8>,
        (width, height): (u32, u32),
        alpha: bool,
    ) -> Option<()> {
        let Pixels { mut data, mut stride, bytes, .. } = from;
        let (columns, rows) = (from.width.ceil() as usize, from.height.ceil() as usize);
        let row_bytes = columns * bytes;
        if stride % bytes != 0 || data.len() < stride * rows {
            self.tight.clear();
            for row in 0..rows {
                self.tight.extend_from_slice(data.get(row * stride..row * stride + row_bytes)?);
            }
            (data, stride) = (&self.tight, row_bytes);
        }
        let (pixels, rows) = (u32::try_from(stride / bytes).ok()?, u32::try_from(rows).ok()?);
        let source = TypedImageRef::<P>::from_buffer(pixels, rows, data.get(..stride * rows as usize)?).ok()?;
        // The filter reads all that it is given, also beyond what is to be scaled.
        let source = TypedCroppedImage::from_ref(&source, 0, 0, u32::try_from(columns).ok()?, source.height()).ok()?;
        out.resize(width as usize * height as usize * bytes, 0);
        let mut target = TypedImage::<P>::from_buffer(width, height, out).ok()?;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(0.0, 0.0, from.width, from.height)
            .use_alpha(alpha);
        self.resizer.resize_typed(&source, &mut target, &options).ok()
    }
}
