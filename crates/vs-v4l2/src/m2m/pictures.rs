// SPDX-License-Identifier: Apache-2.0
//! Pictures between a caller's layout and a driver's.

use rustix::io::Errno;
use vs_frame::{Format, Frame, FrameView, PlaneLayout, Planes};

use crate::sys::Rect;

/// DmaBufs come in whole pages, so that a picture's memory is that much longer than the picture.
const PAGE: u64 = 4096;

/// Whether a device that wants pictures as `driver` can read them as they are.
pub(super) fn can_import(source: &Format, driver: &Format) -> bool {
    let same_place =
        |a: &PlaneLayout, b: &PlaneLayout| (a.memory, a.offset, a.stride) == (b.memory, b.offset, b.stride);
    let memory_fits = |memory| source.memory_size(memory).next_multiple_of(PAGE) >= driver.memory_size(memory);
    source.fourcc == driver.fourcc
        && source.planes.len() == driver.planes.len()
        && source.planes.iter().zip(driver.planes.iter()).all(|(a, b)| same_place(a, b))
        && (0..driver.memories()).all(memory_fits)
}

/// Copies the rows of a picture to where the driver wants them.
pub(super) fn copy(frame: &Frame, driver: &Format, memories: &mut [impl AsMut<[u8]>]) -> Result<(), Errno> {
    let view = frame.map().map_err(|_| Errno::FAULT)?;
    for (index, plane) in driver.planes.iter().enumerate() {
        let memory = memories.get_mut(usize::from(plane.memory)).ok_or(Errno::INVAL)?.as_mut();
        copy_plane(&view, index, plane, memory).ok_or(Errno::INVAL)?;
    }
    Ok(())
}

fn copy_plane(view: &FrameView<'_>, index: usize, to: &PlaneLayout, memory: &mut [u8]) -> Option<()> {
    let from = view.plane(index)?;
    let stride = to.stride as usize;
    for (number, row) in from.rows().enumerate() {
        let start = to.offset as usize + number * stride;
        let len = row.len().min(stride.max(1));
        memory.get_mut(start..start + len)?.copy_from_slice(row.get(..len)?);
    }
    Some(())
}

/// The format of a decoder's pictures without the rows and columns that only the codec needs
/// (decoder document, "Capture Setup": `V4L2_SEL_TGT_COMPOSE`). Planes move by whole pixels
/// only: a rectangle that begins between two of them is taken from the one before.
pub(super) fn visible(format: Format, part: Rect) -> Format {
    let inside = |start: u32, len: u32, all: u32| start.checked_add(len).is_some_and(|end| end <= all);
    let Some(info) = format.fourcc.pixel_info() else { return format };
    if !inside(part.left, part.width, format.width) || !inside(part.top, part.height, format.height) {
        return format;
    }
    let mut layouts = format.planes.to_vec();
    for (layout, plane) in layouts.iter_mut().zip(info.planes) {
        let skip = (part.top / plane.vsub) * layout.stride + (part.left / plane.hsub) * plane.bytes;
        layout.offset += skip;
        layout.size = layout.size.saturating_sub(skip);
    }
    let planes = Planes::new(&layouts).unwrap_or(format.planes);
    Format { width: part.width, height: part.height, planes, ..format }
}

#[cfg(test)]
mod tests {
    use vs_frame::{FourCc, Rate};

    use super::*;

    #[test]
    fn the_visible_part_begins_where_its_first_pixel_lies() {
        let coded = Format::packed(FourCc::NV12, 1920, 1088, Rate::UNKNOWN).unwrap();
        let seen = visible(coded.clone(), Rect { left: 0, top: 0, width: 1920, height: 1080 });
        assert_eq!((seen.height, seen.planes), (1080, coded.planes));
        let inner = visible(coded.clone(), Rect { left: 4, top: 2, width: 16, height: 8 });
        assert_eq!((inner.planes[0].offset, inner.planes[1].offset), (2 * 1920 + 4, 1920 * 1088 + 1920 + 4));
        let memory = coded.memory_size(0);
        assert_eq!(inner.check(&[memory]), Ok(()));
        // What cannot be is not believed.
        assert_eq!(visible(coded.clone(), Rect { left: 0, top: 9, width: 1920, height: 1080 }), coded);
    }

    #[test]
    fn only_what_lies_the_same_way_is_imported() {
        let driver = Format::packed(FourCc::NV12, 640, 480, Rate::UNKNOWN).unwrap();
        assert!(can_import(&driver, &driver));
        let planes = Format::contiguous_planes(FourCc::NV12, 640, 480, 704).unwrap();
        assert!(!can_import(&Format { planes, ..driver.clone() }, &driver));
        let taller = Format::packed(FourCc::NV12, 640, 496, Rate::UNKNOWN).unwrap();
        assert!(!can_import(&driver, &taller));
    }
}
