// SPDX-License-Identifier: Apache-2.0
//! From a format to the shape of an array: which of its dimensions is what.

use std::ffi::c_int;

use vsclient::{Format, PlaneView};

/// The most dimensions: rows, columns, samples of a pixel.
const MAX_DIMENSIONS: usize = 3;

/// Where the bytes of an array are. It holds nothing: whoever keeps it keeps the memory, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    address: usize,
    len: usize,
    dimensions: usize,
    shape: [isize; MAX_DIMENSIONS],
    strides: [isize; MAX_DIMENSIONS],
}

impl Layout {
    /// A row of bytes.
    pub(crate) fn bytes(data: &[u8]) -> Self {
        let (address, len) = (data.as_ptr() as usize, data.len());
        Self { address, len, dimensions: 1, shape: [len as isize, 1, 1], strides: [1, 1, 1] }
    }

    /// Plane `index` of a picture. Rows that do not lie within the plane, which a checked format
    /// does not have, are left out.
    pub(crate) fn plane(format: &Format, index: usize, view: &PlaneView<'_>) -> Self {
        if view.stride == 0 || view.row_bytes == 0 {
            return Self::bytes(view.data);
        }
        let samples = samples(format, index).filter(|samples| view.row_bytes.is_multiple_of(*samples)).unwrap_or(1);
        let fitting = match view.data.len().checked_sub(view.row_bytes) {
            Some(more) => more / view.stride + 1,
            None => 0,
        };
        let rows = view.rows.min(fitting);
        let columns = view.row_bytes / samples;
        Self {
            address: view.data.as_ptr() as usize,
            len: rows * view.row_bytes,
            dimensions: if samples == 1 { 2 } else { 3 },
            shape: [rows as isize, columns as isize, samples as isize],
            strides: [view.stride as isize, samples as isize, 1],
        }
    }

    /// The first byte.
    pub(crate) fn address(&self) -> usize {
        self.address
    }

    /// Bytes without padding.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn shape(&self) -> &[isize] {
        &self.shape[..self.dimensions]
    }

    pub(crate) fn strides(&self) -> &[isize] {
        &self.strides[..self.dimensions]
    }

    /// As the C interfaces want it.
    pub(crate) fn dimensions(&self) -> c_int {
        self.dimensions as c_int
    }

    /// Whether there is no padding.
    pub(crate) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape().iter().zip(self.strides()).rev().all(|(len, stride)| {
            let fits = *stride == expected || *len == 1;
            expected *= len;
            fits
        }) || self.len == 0
    }
}

/// How many samples, of a byte each, stand for one pixel of the plane. YUYV has two: luma, and
/// one of the chromas.
fn samples(format: &Format, index: usize) -> Option<usize> {
    let plane = format.fourcc.pixel_info()?.planes.get(index)?;
    // Only chroma's own planes are narrower than the picture.
    let pixels = if index == 0 { plane.hsub } else { 1 };
    Some((plane.bytes / pixels).max(1) as usize)
}
