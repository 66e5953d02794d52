// SPDX-License-Identifier: Apache-2.0
//! From a driver's strides and sizes to where the planes lie.

use std::sync::Arc;

use vs_frame::format::MODIFIER_LINEAR;
use vs_frame::fourcc::PixelInfo;
use vs_frame::{Format, FormatError, FourCc, MAX_PLANES, PlaneLayout, Planes, Rate};

use crate::sys::{PixFormat, PixPlane};

/// Why a driver's format cannot be right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// A buffer of this format cannot have that many memories.
    #[error("{fourcc} cannot come in {got} memories: {expected} expected")]
    Memories {
        /// The pixel format.
        fourcc: FourCc,
        /// How many there should be; for formats unknown here, the most there can be.
        expected: usize,
        /// How many the driver states.
        got: usize,
    },
    /// The driver states a size of 0 bytes.
    #[error("{fourcc} buffers of 0 bytes hold nothing")]
    Empty {
        /// The pixel format.
        fourcc: FourCc,
    },
    /// The picture does not fit into the bytes that the driver states.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// Width and height as people write them.
pub(crate) fn shown_size((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}

/// The format that a driver's answer describes.
pub(crate) fn format_of(pix: &PixFormat, rate: Rate) -> Result<Format, LayoutError> {
    let layouts = match pix.fourcc.pixel_info() {
        Some(info) if info.separate => separate(pix, info)?,
        Some(_) => contiguous(pix)?,
        None if pix.fourcc.is_coded() => coded(pix)?,
        None => opaque(pix)?,
    };
    let fourcc = pix.fourcc;
    let got = layouts.len();
    let planes = Planes::new(&layouts).ok_or(LayoutError::Memories { fourcc, expected: MAX_PLANES, got })?;
    let format = Format {
        fourcc,
        width: pix.width,
        height: pix.height,
        rate,
        field: pix.field,
        rotation: 0,
        modifier: MODIFIER_LINEAR,
        color: pix.color,
        planes,
        parameter_sets: Arc::from([]),
    };
    let sizes: Vec<u64> = pix.planes.iter().map(|plane| u64::from(plane.sizeimage)).collect();
    format.check(&sizes)?;
    Ok(format)
}

/// All planes in one memory, where the kernel's documents place them. A driver may leave the
/// padding of the last row out of its size.
fn contiguous(pix: &PixFormat) -> Result<Vec<PlaneLayout>, LayoutError> {
    let PixPlane { bytesperline, sizeimage } = only_memory(pix)?;
    let (fourcc, width, height) = (pix.fourcc, pix.width, pix.height);
    let stride = match bytesperline {
        // Some drivers leave it to the reader when rows have no padding.
        0 => Format::packed(fourcc, width, height, Rate::UNKNOWN)?.planes[0].stride,
        stride => stride,
    };
    let planes = Format::contiguous_planes(fourcc, width, height, stride)?;
    let fit =
        |plane: &PlaneLayout| PlaneLayout { size: plane.size.min(sizeimage.saturating_sub(plane.offset)), ..*plane };
    Ok(planes.iter().map(fit).collect())
}

/// Each plane in a memory of its own.
fn separate(pix: &PixFormat, info: &PixelInfo) -> Result<Vec<PlaneLayout>, LayoutError> {
    let (expected, got) = (info.planes.len(), pix.planes.len());
    if got != expected {
        return Err(LayoutError::Memories { fourcc: pix.fourcc, expected, got });
    }
    Ok(one_each(pix))
}

/// An access unit from the first byte on, of any length up to the memory's.
fn coded(pix: &PixFormat) -> Result<Vec<PlaneLayout>, LayoutError> {
    let PixPlane { sizeimage, .. } = only_memory(pix)?;
    Ok(vec![PlaneLayout { memory: 0, offset: 0, stride: 0, size: sizeimage }])
}

/// What is not known here still travels: each memory as one plane.
fn opaque(pix: &PixFormat) -> Result<Vec<PlaneLayout>, LayoutError> {
    if pix.planes.iter().any(|plane| plane.sizeimage == 0) {
        return Err(LayoutError::Empty { fourcc: pix.fourcc });
    }
    Ok(one_each(pix))
}

fn only_memory(pix: &PixFormat) -> Result<PixPlane, LayoutError> {
    match pix.planes[..] {
        [only] if only.sizeimage > 0 => Ok(only),
        [_] => Err(LayoutError::Empty { fourcc: pix.fourcc }),
        _ => Err(LayoutError::Memories { fourcc: pix.fourcc, expected: 1, got: pix.planes.len() }),
    }
}

fn one_each(pix: &PixFormat) -> Vec<PlaneLayout> {
    let layout = |(memory, plane): (usize, &PixPlane)| PlaneLayout {
        // A driver has at most VIDEO_MAX_PLANES (8) of them.
        memory: memory as u8,
        offset: 0,
        stride: plane.bytesperline,
        size: plane.sizeimage,
    };
    pix.planes.iter().enumerate().map(layout).collect()
}

/// The same format in buffers where each memory begins with bytes that are not picture
/// (`data_offset` of `struct v4l2_plane`; known only once a buffer has been filled).
pub(crate) fn with_data_offset(
    format: &Format,
    offsets: &[u32; MAX_PLANES],
    memory_lens: &[u64],
) -> Result<Format, FormatError> {
    let mut layouts = format.planes.to_vec();
    for layout in &mut layouts {
        let memory = usize::from(layout.memory);
        let offset = offsets.get(memory).copied().unwrap_or(0);
        let len = memory_lens.get(memory).copied().unwrap_or(0);
        layout.offset = layout.offset.saturating_add(offset);
        let room = len.saturating_sub(u64::from(layout.offset));
        layout.size = layout.size.min(u32::try_from(room).unwrap_or(u32::MAX));
    }
    let planes = Planes::new(&layouts).unwrap_or(format.planes);
    let shifted = Format { planes, ..format.clone() };
    shifted.check(memory_lens)?;
    Ok(shifted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vs_frame::fourcc::PIXEL_FORMATS;
    use vs_frame::{Colorimetry, Field};

    use super::*;

    fn pix(fourcc: FourCc, width: u32, height: u32, planes: &[(u32, u32)]) -> PixFormat {
        let plane =
            |(bytesperline, sizeimage): &(u32, u32)| PixPlane { bytesperline: *bytesperline, sizeimage: *sizeimage };
        PixFormat {
            fourcc,
            width,
            height,
            field: Field::PROGRESSIVE,
            color: Colorimetry::BT709,
            planes: planes.iter().map(plane).collect(),
        }
    }

    fn layout(pix: &PixFormat) -> Vec<(u8, u32, u32, u32)> {
        let format = format_of(pix, Rate::fps(30)).unwrap();
        format.planes.iter().map(|p| (p.memory, p.offset, p.stride, p.size)).collect()
    }

    #[test]
    fn nv12_is_the_same_through_either_api_and_in_either_number_of_memories() {
        let (luma, chroma) = (704 * 480, 704 * 240);
        let one = pix(FourCc::NV12, 640, 480, &[(704, luma + chroma)]);
        assert_eq!(layout(&one), [(0, 0, 704, luma), (0, luma, 704, chroma)]);
        let two = pix(FourCc::NV12M, 640, 480, &[(704, luma), (704, chroma + 4096)]);
        assert_eq!(layout(&two), [(0, 0, 704, luma), (1, 0, 704, chroma + 4096)]);
    }

    #[test]
    fn a_stride_of_zero_means_rows_without_padding() {
        assert_eq!(layout(&pix(FourCc::YUYV, 640, 480, &[(0, 614_400)])), [(0, 0, 1280, 614_400)]);
    }

    #[test]
    fn the_last_row_may_lack_its_padding() {
        let size = 64 * 3 + 60;
        assert_eq!(layout(&pix(FourCc::GREY, 60, 4, &[(64, size)])), [(0, 0, 64, size)]);
        assert!(format_of(&pix(FourCc::GREY, 60, 4, &[(64, size - 1)]), Rate::UNKNOWN).is_err());
    }

    #[test]
    fn coded_and_unknown_formats_are_one_plane_a_memory() {
        assert_eq!(layout(&pix(FourCc::MJPEG, 640, 480, &[(0, 99_999)])), [(0, 0, 0, 99_999)]);
        let bayer = FourCc(*b"RG10");
        assert_eq!(layout(&pix(bayer, 640, 480, &[(1280, 614_400)])), [(0, 0, 1280, 614_400)]);
        let nv16m = FourCc(*b"NM16");
        assert_eq!(layout(&pix(nv16m, 8, 2, &[(8, 16), (8, 16)])), [(0, 0, 8, 16), (1, 0, 8, 16)]);
    }

    #[test]
    fn impossible_answers_are_refused() {
        let refused = |pix: &PixFormat| format_of(pix, Rate::UNKNOWN).unwrap_err();
        assert!(matches!(refused(&pix(FourCc::NV12, 8, 2, &[(8, 16), (8, 8)])), LayoutError::Memories { .. }));
        assert!(matches!(refused(&pix(FourCc::NV12M, 8, 2, &[(8, 24)])), LayoutError::Memories { .. }));
        assert!(matches!(refused(&pix(FourCc::MJPEG, 8, 2, &[(0, 0)])), LayoutError::Empty { .. }));
        assert!(matches!(refused(&pix(FourCc(*b"RG10"), 8, 2, &[])), LayoutError::Memories { .. }));
        assert!(matches!(refused(&pix(FourCc(*b"XXXX"), 8, 2, &[(8, 8); 5])), LayoutError::Memories { .. }));
        assert!(matches!(refused(&pix(FourCc::NV12, 0, 0, &[(8, 24)])), LayoutError::Format(_)));
        assert!(matches!(refused(&pix(FourCc::NV12, 8, 2, &[(4, 24)])), LayoutError::Format(_)));
    }

    #[test]
    fn bytes_before_the_picture_move_it() {
        let format = format_of(&pix(FourCc::NV12M, 8, 2, &[(8, 16 + 128), (8, 8 + 16)]), Rate::UNKNOWN).unwrap();
        let lens = [4096, 4096];
        let moved = with_data_offset(&format, &[128, 16, 0, 0], &lens).unwrap();
        assert_eq!((moved.planes[0].offset, moved.planes[1].offset), (128, 16));
        assert!(with_data_offset(&format, &[4090, 0, 0, 0], &lens).is_err());
        assert!(with_data_offset(&format, &[u32::MAX, 0, 0, 0], &lens).is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_driver_says_is_refused_or_fits(
            row in 0..PIXEL_FORMATS.len() + 2, width in 0..5000u32, height in 0..5000u32,
            planes in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..6),
            offsets: [u32; MAX_PLANES],
        ) {
            let fourcc = PIXEL_FORMATS.get(row).map_or(if row % 2 == 0 { FourCc::H264 } else { FourCc(*b"pRAA") }, |i| i.fourcc);
            let pix = pix(fourcc, width, height, &planes);
            let lens: Vec<u64> = planes.iter().map(|(_, size)| u64::from(*size)).collect();
            if let Ok(format) = format_of(&pix, Rate::fps(30)) {
                prop_assert_eq!(format.check(&lens), Ok(()));
                if let Ok(moved) = with_data_offset(&format, &offsets, &lens) {
                    prop_assert_eq!(moved.check(&lens), Ok(()));
                }
            }
        }
    }
}
