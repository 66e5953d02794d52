// SPDX-License-Identifier: Apache-2.0
//! RGB of one kind to RGB of another.

use vs_frame::{Format, FourCc, FrameView};
use yuv::{YuvError, YuvPlanarImage, YuvRange, YuvStandardMatrix};

use crate::fill::rows;
use crate::scale::{Pixels, Scaler};

/// What makes RGB of I420.
pub(crate) type ToRgb =
    fn(&YuvPlanarImage<'_, u8>, &mut [u8], u32, YuvRange, YuvStandardMatrix) -> Result<(), YuvError>;

/// Where the bytes of a pixel are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Channels {
    bytes: usize,
    red: usize,
    blue: usize,
    /// Whether the fourth says how opaque it is; else it says nothing.
    alpha: bool,
}

impl Channels {
    pub fn of(fourcc: FourCc) -> Option<Self> {
        let (bytes, red, alpha) = match fourcc {
            FourCc::RGB24 => (3, 0, false),
            FourCc::BGR24 => (3, 2, false),
            FourCc::RGBX32 => (4, 0, false),
            FourCc::BGRX32 => (4, 2, false),
            FourCc::RGBA32 => (4, 0, true),
            FourCc::BGRA32 => (4, 2, true),
            _ => return None,
        };
        Some(Self { bytes, red, blue: 2 - red, alpha })
    }

    /// What makes these of I420.
    pub fn to_rgb(self) -> ToRgb {
        match (self.bytes, self.red) {
            (3, 0) => yuv::yuv420_to_rgb,
            (3, _) => yuv::yuv420_to_bgr,
            (_, 0) => yuv::yuv420_to_rgba,
            _ => yuv::yuv420_to_bgra,
        }
    }
}

/// Writes a picture of these channels as one of those.
pub(crate) fn convert(
    view: &FrameView<'_>,
    (from, to): (Channels, Channels),
    scaler: &mut Scaler,
    scaled: &mut Vec<u8>,
    memories: &mut [&mut [u8]],
    output: &Format,
) -> Option<()> {
    let (input, plane) = (view.format(), view.plane(0)?);
    let same_size = (input.width, input.height) == (output.width, output.height);
    let (pixels, stride) = if same_size {
        (plane.data, plane.stride)
    } else {
        let (width, height) = (f64::from(input.width), f64::from(input.height));
        let pixels = Pixels { data: plane.data, stride: plane.stride, bytes: from.bytes, width, height };
        scaler.scale(pixels, scaled, (output.width, output.height), from.alpha)?;
        (&scaled[..], output.width as usize * from.bytes)
    };
    for (index, row) in rows(memories, output, 0)?.enumerate() {
        let source = pixels.get(index * stride..)?.get(..output.width as usize * from.bytes)?;
        for (target, source) in row.chunks_exact_mut(to.bytes).zip(source.chunks_exact(from.bytes)) {
            target[to.red] = source[from.red];
            target[1] = source[1];
            target[to.blue] = source[from.blue];
            if to.bytes == 4 {
                target[3] = if from.alpha { source[3] } else { u8::MAX };
            }
        }
    }
    Some(())
}
