// SPDX-License-Identifier: Apache-2.0
//! How the bytes of a stream's frames are laid out.
//!
//! One [`Format`] describes all frames of a stream until it changes. A plane is a colour
//! plane as DRM sees it: it lies at an offset with a stride in one of the buffer's
//! memories. So NV12 in one DmaBuf has two planes in memory 0, and NV12M has its second
//! plane in memory 1; a reader need not know the difference.

use std::sync::Arc;

use crate::colorimetry::Colorimetry;
use crate::fourcc::{FourCc, PixelInfo};
use crate::rate::Rate;

/// The most planes, and the most memories, that a frame can have: what V4L2's common
/// formats and DRM's `drmModeAddFB2` allow.
pub const MAX_PLANES: usize = 4;

/// The largest width or height in pixels. V4L2 drivers stop far below; the bound keeps every
/// stride and size of a picture within 32 bits.
pub const MAX_DIMENSION: u32 = 16384;

/// DRM's modifier for plain rows of pixels (`DRM_FORMAT_MOD_LINEAR`).
pub const MODIFIER_LINEAR: u64 = 0;

/// Where one plane lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PlaneLayout {
    /// Index of the memory of the buffer in which the plane lies.
    pub memory: u8,
    /// Bytes from the start of that memory to the first row.
    pub offset: u32,
    /// Bytes from one row to the next; 0 for coded data.
    pub stride: u32,
    /// Bytes from the first row to the end of the last, padding included.
    pub size: u32,
}

/// 1 to [`MAX_PLANES`] planes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Planes {
    layouts: [PlaneLayout; MAX_PLANES],
    count: u8,
}

impl Planes {
    /// The planes in `layouts`; `None` if there are none or more than [`MAX_PLANES`].
    #[must_use]
    pub fn new(layouts: &[PlaneLayout]) -> Option<Self> {
        if layouts.is_empty() || layouts.len() > MAX_PLANES {
            return None;
        }
        let mut all = [PlaneLayout::default(); MAX_PLANES];
        all[..layouts.len()].copy_from_slice(layouts);
        Some(Self { layouts: all, count: layouts.len() as u8 })
    }
}

impl std::ops::Deref for Planes {
    type Target = [PlaneLayout];

    fn deref(&self) -> &[PlaneLayout] {
        &self.layouts[..usize::from(self.count)]
    }
}

/// How the rows of a picture came about in time (`enum v4l2_field`), as the driver says it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Field(pub u8);

impl Field {
    /// Not interlaced (`V4L2_FIELD_NONE`).
    pub const PROGRESSIVE: Self = Self(1);
    /// Only the even rows, from 0 (`V4L2_FIELD_TOP`).
    pub const TOP: Self = Self(2);
    /// Only the odd rows (`V4L2_FIELD_BOTTOM`).
    pub const BOTTOM: Self = Self(3);

    /// Whether rows of one picture come from different moments.
    #[must_use]
    pub const fn is_interlaced(self) -> bool {
        self.0 > 1
    }
}

/// What all frames of a stream have in common until the next format change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    /// Pixel format or codec.
    pub fourcc: FourCc,
    /// Width of the picture in pixels.
    pub width: u32,
    /// Height of the picture in pixels.
    pub height: u32,
    /// Nominal frame rate.
    pub rate: Rate,
    /// Interlacing.
    pub field: Field,
    /// Degrees by which the picture is to be turned counter-clockwise to be upright, because its
    /// camera is mounted like that (`V4L2_CID_CAMERA_SENSOR_ROTATION`); 0 if it is upright, or
    /// nobody knows.
    pub rotation: u16,
    /// DRM format modifier; [`MODIFIER_LINEAR`] unless the source says otherwise.
    pub modifier: u64,
    /// Colour.
    pub color: Colorimetry,
    /// Where the planes lie. Coded streams have one plane: the largest access unit.
    pub planes: Planes,
    /// Parameter sets of a coded stream (Annex B for H.264 and H.265), else empty.
    pub parameter_sets: Arc<[u8]>,
}

/// Why a format is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Width or height out of range.
    #[error("{width}x{height} is not a picture size: each side must be 1 to {MAX_DIMENSION} pixels")]
    Size {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
    },
    /// The layout of this pixel format is not known.
    #[error("the layout of pixel format {0} is not known: use NV12, YU12, YUYV, RGB3 or XR24")]
    Layout(FourCc),
    /// A plane does not fit into its memory, or names a memory that is not there.
    #[error("plane {plane} ({offset}+{size} bytes in memory {memory}) does not fit into its buffer")]
    Plane {
        /// Index of the plane.
        plane: usize,
        /// The memory it names.
        memory: u8,
        /// Its offset in bytes.
        offset: u32,
        /// Its size in bytes.
        size: u32,
    },
    /// Rows overlap, or there are too few of them.
    #[error("plane {plane} has a stride of {stride} bytes and a size of {size}: too small for the picture")]
    Stride {
        /// Index of the plane.
        plane: usize,
        /// Its stride in bytes.
        stride: u32,
        /// Its size in bytes.
        size: u32,
    },
}

impl Format {
    /// A raw format with the tightest layout: rows without padding, planes back to back.
    ///
    /// # Errors
    /// [`FormatError::Size`] or [`FormatError::Layout`].
    pub fn packed(fourcc: FourCc, width: u32, height: u32, rate: Rate) -> Result<Self, FormatError> {
        let info = fourcc.pixel_info().ok_or(FormatError::Layout(fourcc))?;
        check_size(width, height)?;
        Ok(Self::plain(fourcc, width, height, rate, lay_out(info, width, height, min_stride(info, 0, width))))
    }

    /// A format of access units of which none has more than `largest` bytes. The parameter sets, if
    /// they are known, are still to be added.
    ///
    /// # Errors
    /// [`FormatError::Size`], or [`FormatError::Layout`] if `fourcc` is not that of a codec.
    pub fn coded(fourcc: FourCc, width: u32, height: u32, rate: Rate, largest: u32) -> Result<Self, FormatError> {
        if !fourcc.is_coded() {
            return Err(FormatError::Layout(fourcc));
        }
        check_size(width, height)?;
        let mut layouts = [PlaneLayout::default(); MAX_PLANES];
        layouts[0].size = largest;
        Ok(Self::plain(fourcc, width, height, rate, Planes { layouts, count: 1 }))
    }

    /// Progressive, upright, linear, in the usual colours, without parameter sets.
    fn plain(fourcc: FourCc, width: u32, height: u32, rate: Rate, planes: Planes) -> Self {
        Self {
            fourcc,
            width,
            height,
            rate,
            field: Field::PROGRESSIVE,
            rotation: 0,
            modifier: MODIFIER_LINEAR,
            color: if is_rgb(fourcc) { Colorimetry::SRGB } else { Colorimetry::BT601 },
            planes,
            parameter_sets: Arc::from([]),
        }
    }

    /// The planes of a contiguous picture whose first plane has rows of `stride` bytes: how
    /// V4L2 drivers place the chroma of single-memory formats (kernel doc, "YUV Formats",
    /// "Semi Planar" and "Fully Planar": chroma stride follows from luma's).
    ///
    /// # Errors
    /// [`FormatError::Size`], [`FormatError::Layout`] or [`FormatError::Stride`].
    pub fn contiguous_planes(fourcc: FourCc, width: u32, height: u32, stride: u32) -> Result<Planes, FormatError> {
        let info = fourcc.pixel_info().ok_or(FormatError::Layout(fourcc))?;
        check_size(width, height)?;
        let min = min_stride(info, 0, width);
        // No format has more than three times the bytes of its first plane.
        let largest = u64::from(stride) * u64::from(height) * 3;
        if stride < min || largest > u64::from(u32::MAX) {
            return Err(FormatError::Stride { plane: 0, stride, size: 0 });
        }
        Ok(lay_out(info, width, height, stride))
    }

    /// Whether a frame is an access unit rather than a picture.
    #[must_use]
    pub fn is_coded(&self) -> bool {
        self.fourcc.is_coded()
    }

    /// How many memories a buffer of this format has: 1 to [`MAX_PLANES`].
    #[must_use]
    pub fn memories(&self) -> usize {
        self.planes.iter().map(|plane| usize::from(plane.memory) + 1).max().unwrap_or(1)
    }

    /// The bytes that memory `index` must at least have.
    #[must_use]
    pub fn memory_size(&self, index: usize) -> u64 {
        let ends = self.planes.iter().filter(|plane| usize::from(plane.memory) == index);
        ends.map(|plane| u64::from(plane.offset) + u64::from(plane.size)).max().unwrap_or(0)
    }

    /// The bytes of a whole picture in each memory, for [`FrameMeta::bytes_used`](crate::FrameMeta).
    #[must_use]
    pub fn picture_bytes(&self) -> [u32; MAX_PLANES] {
        std::array::from_fn(|memory| {
            let planes = self.planes.iter().filter(|plane| usize::from(plane.memory) == memory);
            let first = planes.map(|plane| u64::from(plane.offset)).min().unwrap_or(0);
            u32::try_from(self.memory_size(memory) - first).unwrap_or(u32::MAX)
        })
    }

    /// Rows of plane `index`: the height, divided by the plane's vertical subsampling. For a
    /// format without a table row, as many as fit.
    #[must_use]
    pub fn plane_rows(&self, index: usize) -> u32 {
        match self.fourcc.pixel_info().and_then(|info| info.planes.get(index)) {
            Some(plane) => self.height.div_ceil(plane.vsub),
            None => self.planes.get(index).map_or(0, |plane| plane.size.checked_div(plane.stride).unwrap_or(1)),
        }
    }

    /// Bytes of a row of plane `index` that carry pixels; the stride for a format without a
    /// table row.
    #[must_use]
    pub fn plane_row_bytes(&self, index: usize) -> u32 {
        match self.fourcc.pixel_info() {
            Some(info) if index < info.planes.len() => min_stride(info, index, self.width),
            _ => self.planes.get(index).map_or(0, |plane| plane.stride),
        }
    }

    /// Checks the format against itself and against memories of the given lengths: after
    /// this, no row of any plane reaches outside its memory.
    ///
    /// # Errors
    /// The first [`FormatError`] found.
    pub fn check(&self, memory_lens: &[u64]) -> Result<(), FormatError> {
        check_size(self.width, self.height)?;
        for (plane, layout) in self.planes.iter().enumerate() {
            let end = u64::from(layout.offset) + u64::from(layout.size);
            let fits = memory_lens.get(usize::from(layout.memory)).is_some_and(|len| end <= *len);
            if !fits {
                let PlaneLayout { memory, offset, size, .. } = *layout;
                return Err(FormatError::Plane { plane, memory, offset, size });
            }
            self.check_rows(plane, layout)?;
        }
        Ok(())
    }

    fn check_rows(&self, plane: usize, layout: &PlaneLayout) -> Result<(), FormatError> {
        let Some(info) = self.fourcc.pixel_info() else { return Ok(()) };
        let row_bytes = self.plane_row_bytes(plane);
        let last_row = u64::from(self.plane_rows(plane).saturating_sub(1)) * u64::from(layout.stride);
        let too_small = layout.stride < row_bytes || last_row + u64::from(row_bytes) > u64::from(layout.size);
        if plane >= info.planes.len() || self.planes.len() != info.planes.len() || too_small {
            return Err(FormatError::Stride { plane, stride: layout.stride, size: layout.size });
        }
        Ok(())
    }
}

fn is_rgb(fourcc: FourCc) -> bool {
    use FourCc as F;
    [F::RGB24, F::BGR24, F::BGRX32, F::BGRA32, F::RGBX32, F::RGBA32].contains(&fourcc)
}

fn check_size(width: u32, height: u32) -> Result<(), FormatError> {
    let fine = 1..=MAX_DIMENSION;
    if fine.contains(&width) && fine.contains(&height) { Ok(()) } else { Err(FormatError::Size { width, height }) }
}

fn min_stride(info: &PixelInfo, plane: usize, width: u32) -> u32 {
    let plane = info.planes[plane];
    width.div_ceil(plane.hsub) * plane.bytes
}

/// Planes back to back (or each in its own memory), where the first has rows of `stride`
/// bytes and the others keep its proportion of padding.
fn lay_out(info: &PixelInfo, width: u32, height: u32, stride: u32) -> Planes {
    let first = info.planes[0];
    let mut layouts = [PlaneLayout::default(); MAX_PLANES];
    let mut offset = 0;
    for (index, (plane, layout)) in info.planes.iter().zip(&mut layouts).enumerate() {
        let scaled = stride.div_ceil(first.bytes * plane.hsub / first.hsub) * plane.bytes;
        let stride = if index == 0 { stride } else { scaled.max(min_stride(info, index, width)) };
        let size = stride * height.div_ceil(plane.vsub);
        *layout = PlaneLayout {
            memory: if info.separate { index as u8 } else { 0 },
            offset: if info.separate { 0 } else { offset },
            stride,
            size,
        };
        offset += size;
    }
    Planes { layouts, count: info.planes.len() as u8 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fourcc::PIXEL_FORMATS;

    #[test]
    fn odd_sizes_round_chroma_up() {
        let format = Format::packed(FourCc::YUV420, 5, 3, Rate::fps(1)).unwrap();
        let sizes: Vec<_> = format.planes.iter().map(|p| (p.offset, p.stride, p.size)).collect();
        assert_eq!(sizes, [(0, 5, 15), (15, 3, 6), (21, 3, 6)]);
        assert_eq!(format.memory_size(0), 27);
    }

    #[test]
    fn separate_memories_start_at_zero() {
        let format = Format::packed(FourCc::NV12M, 64, 32, Rate::fps(1)).unwrap();
        assert_eq!(format.memories(), 2);
        assert_eq!((format.memory_size(0), format.memory_size(1)), (2048, 1024));
    }

    #[test]
    fn chroma_stride_follows_lumas() {
        let planes = Format::contiguous_planes(FourCc::NV12, 640, 480, 704).unwrap();
        assert_eq!((planes[1].offset, planes[1].stride), (704 * 480, 704));
        let planes = Format::contiguous_planes(FourCc::YUV420, 640, 480, 704).unwrap();
        assert_eq!((planes[1].stride, planes[2].offset), (352, 704 * 480 + 352 * 240));
        assert!(Format::contiguous_planes(FourCc::NV12, 640, 480, 639).is_err());
    }

    proptest! {
        #[test]
        fn a_packed_format_always_fits_its_own_memories(
            row in 0..PIXEL_FORMATS.len(), width in 1..=MAX_DIMENSION, height in 1..=MAX_DIMENSION,
        ) {
            let format = Format::packed(PIXEL_FORMATS[row].fourcc, width, height, Rate::fps(30)).unwrap();
            let mut lens: Vec<u64> = (0..format.memories()).map(|i| format.memory_size(i)).collect();
            prop_assert_eq!(format.check(&lens), Ok(()));
            lens[0] -= 1;
            prop_assert!(format.check(&lens).is_err());
        }

        #[test]
        fn whatever_passes_the_check_keeps_its_rows_inside(
            width in 1..200u32, height in 1..200u32, stride in 0..4096u32, offset in 0..100_000u32,
            size in 0..1_000_000u32, memory in 0..3u8, len in 0..1_000_000u64,
        ) {
            let mut format = Format::packed(FourCc::GREY, width, height, Rate::fps(30)).unwrap();
            format.planes = Planes::new(&[PlaneLayout { memory, offset, stride, size }]).unwrap();
            if format.check(&[len]).is_ok() {
                let last = u64::from(offset) + u64::from(stride) * u64::from(height - 1) + u64::from(width);
                prop_assert!(last <= len);
            }
        }
    }
}
