// SPDX-License-Identifier: Apache-2.0
//! I420 into the memories of a buffer, whatever YUV it is to be there.

use std::ops::DerefMut;

use vs_frame::{Format, FourCc};

use crate::I420;

/// Where the bytes of a pair of pixels are in packed 4:2:2: first luma, Cb, Cr; the second luma
/// follows two bytes after the first.
const PACKED: [(FourCc, [usize; 3]); 4] =
    [(FourCc::YUYV, [0, 1, 3]), (FourCc::UYVY, [1, 0, 2]), (FourCc::YVYU, [0, 3, 1]), (FourCc::VYUY, [1, 2, 0])];

/// Whether [`fill`] makes this format.
#[must_use]
pub fn makes(fourcc: FourCc) -> bool {
    use FourCc as F;
    let planar = [F::YUV420, F::YUV420M, F::YVU420, F::NV12, F::NV12M, F::NV21, F::NV16, F::GREY];
    planar.contains(&fourcc) || PACKED.iter().any(|(packed, _)| *packed == fourcc)
}

/// Writes a picture of the format's size into the memories of a buffer of that format; `None` if it is not
/// one that is [made](makes), or something does not fit.
pub fn fill<M>(memories: &mut [M], format: &Format, picture: &I420<'_>) -> Option<()>
where
    M: DerefMut<Target = [u8]>,
{
    write(&mut slices(memories), format, picture)
}

/// The memories, whatever holds them.
pub(crate) fn slices<M: DerefMut<Target = [u8]>>(memories: &mut [M]) -> Vec<&mut [u8]> {
    memories.iter_mut().map(DerefMut::deref_mut).collect()
}

pub(crate) fn write(memories: &mut [&mut [u8]], format: &Format, picture: &I420<'_>) -> Option<()> {
    let &I420 { y, u, v, y_stride, uv_stride } = picture;
    if let Some((_, places)) = PACKED.iter().find(|(packed, _)| *packed == format.fourcc) {
        return pack(rows(memories, format, 0)?, picture, *places);
    }
    if !makes(format.fourcc) {
        return None;
    }
    copy(rows(memories, format, 0)?, y, y_stride)?;
    match format.fourcc {
        FourCc::GREY => {}
        FourCc::YUV420 | FourCc::YUV420M => {
            copy(rows(memories, format, 1)?, u, uv_stride)?;
            copy(rows(memories, format, 2)?, v, uv_stride)?;
        }
        FourCc::YVU420 => {
            copy(rows(memories, format, 1)?, v, uv_stride)?;
            copy(rows(memories, format, 2)?, u, uv_stride)?;
        }
        _ => {
            let (even, odd) = if format.fourcc == FourCc::NV21 { (v, u) } else { (u, v) };
            let repeat = if format.fourcc == FourCc::NV16 { 2 } else { 1 };
            for (index, row) in rows(memories, format, 1)?.enumerate() {
                let start = index / repeat * uv_stride;
                let (even, odd) = (even.get(start..)?, odd.get(start..)?);
                for (pair, (even, odd)) in row.chunks_exact_mut(2).zip(even.iter().zip(odd)) {
                    pair.copy_from_slice(&[*even, *odd]);
                }
            }
        }
    }
    Some(())
}

/// The rows of a plane in its memory, without padding.
pub(crate) fn rows<'a>(
    memories: &'a mut [&mut [u8]],
    format: &Format,
    plane: usize,
) -> Option<impl Iterator<Item = &'a mut [u8]> + use<'a>> {
    let layout = format.planes.get(plane)?;
    let (offset, size) = (layout.offset as usize, layout.size as usize);
    let (row_bytes, count) = (format.plane_row_bytes(plane) as usize, format.plane_rows(plane) as usize);
    let bytes = memories.get_mut(usize::from(layout.memory))?.get_mut(offset..offset + size)?;
    Some(bytes.chunks_mut((layout.stride as usize).max(1)).take(count).filter_map(move |row| row.get_mut(..row_bytes)))
}

fn copy<'a>(rows: impl Iterator<Item = &'a mut [u8]>, from: &[u8], stride: usize) -> Option<()> {
    for (index, row) in rows.enumerate() {
        row.copy_from_slice(from.get(index * stride..)?.get(..row.len())?);
    }
    Some(())
}

fn pack<'a>(rows: impl Iterator<Item = &'a mut [u8]>, picture: &I420<'_>, [luma, cb, cr]: [usize; 3]) -> Option<()> {
    let &I420 { y, u, v, y_stride, uv_stride } = picture;
    for (index, row) in rows.enumerate() {
        let y = y.get(index * y_stride..)?;
        let (u, v) = (u.get(index / 2 * uv_stride..)?, v.get(index / 2 * uv_stride..)?);
        // The last pixel of an odd width has no partner: it stands for it itself.
        let pairs = y.chunks(2).zip(u.iter().zip(v));
        for (group, (pair, (u, v))) in row.chunks_exact_mut(4).zip(pairs) {
            group[luma] = pair[0];
            group[luma + 2] = pair[pair.len() - 1];
            group[cb] = *u;
            group[cr] = *v;
        }
    }
    Some(())
}
