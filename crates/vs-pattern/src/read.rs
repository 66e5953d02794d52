// SPDX-License-Identifier: Apache-2.0
//! The other side: which frame is this, and is it whole?

use vs_frame::PlaneView;

use crate::paint::Byte;
use crate::picture::Picture;
use crate::stamp::Stamp;
use crate::{Pattern, stamp};

/// Samples at and above this are white. Halfway between black and white in full range, and
/// near enough in limited range.
const WHITE_FROM: u32 = 128;

/// Why no stamp could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The picture is smaller than its format says.
    #[error("plane {plane} lacks row {row}: the picture is smaller than its format says")]
    Missing {
        /// Index of the plane.
        plane: usize,
        /// Index of its first row that is not there.
        row: usize,
    },
    /// There is no stamp, or it is damaged.
    #[error("no valid stamp: this is no test pattern of this format, or its barcode is torn or damaged")]
    Checksum,
}

/// Why a picture is not what the pattern would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// Without a stamp there is nothing to compare with.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A row is not that of the frame that the stamp names: the picture is torn or altered.
    #[error("row {row} of plane {plane} is not that of frame {}, as whose part it came", stamp.serial)]
    Torn {
        /// What the picture's barcode says.
        stamp: Stamp,
        /// Index of the first plane that differs.
        plane: usize,
        /// Its first row that differs.
        row: usize,
    },
}

impl Pattern {
    /// Reads the stamp. Works on raw pictures of any size, and on decoded ones (of H.264, as
    /// I420 or luma alone) where the barcode's cells are large enough to survive.
    ///
    /// # Errors
    /// [`ReadError`] if there is no valid stamp.
    pub fn read(&self, picture: &(impl Picture + ?Sized)) -> Result<Stamp, ReadError> {
        let plane = picture.plane(0).ok_or(ReadError::Missing { plane: 0, row: 0 })?;
        let mut bytes = [0; stamp::STAMP_BITS as usize / 8];
        for bit in 0..stamp::STAMP_BITS {
            let white = self.cell_average(&plane, bit)? >= WHITE_FROM;
            bytes[bit as usize / 8] |= u8::from(white) << (7 - bit % 8);
        }
        Stamp::from_bytes(bytes).ok_or(ReadError::Checksum)
    }

    /// The mean shade of the middle of cell number `bit`.
    fn cell_average(&self, plane: &PlaneView<'_>, bit: u32) -> Result<u32, ReadError> {
        let geometry = &self.geometry;
        let (x, y) = (bit % geometry.columns * geometry.cell, bit / geometry.columns * geometry.cell);
        // A codec blurs edges: the outer quarter does not count.
        let margin = geometry.cell / 4;
        let side = geometry.cell - 2 * margin;
        let mut sum = 0;
        for row in y + margin..y + margin + side {
            for column in x + margin..x + margin + side {
                let missing = ReadError::Missing { plane: 0, row: row as usize };
                sum += u32::from(self.luma(plane, column as usize, row as usize).ok_or(missing)?);
            }
        }
        Ok(sum / (side * side))
    }

    fn luma(&self, plane: &PlaneView<'_>, x: usize, y: usize) -> Option<u8> {
        let group = self.packing.planes[0];
        let wanted = Byte::Component(self.packing.luma(), x % self.subsampling(0).0);
        let position = group.iter().position(|byte| *byte == wanted)?;
        let offset = x / self.subsampling(0).0 * group.len() + position;
        plane.data.get(y * plane.stride + offset).copied()
    }

    /// Reads the stamp and compares every row of every plane with what the pattern of that
    /// stamp is. For raw pictures only: it is exact.
    ///
    /// # Errors
    /// [`CheckError::Torn`] with the first row that differs, [`CheckError::Read`] if there is
    /// no valid stamp.
    pub fn check(&self, picture: &(impl Picture + ?Sized)) -> Result<Stamp, CheckError> {
        let stamp = self.read(picture)?;
        self.visit_rows(stamp, |plane, rows, expected| {
            let view = picture.plane(plane).ok_or(ReadError::Missing { plane, row: 0 })?;
            for row in rows {
                let start = row * view.stride;
                match view.data.get(start..start + expected.len()) {
                    Some(bytes) if bytes == expected => {}
                    Some(_) => return Err(CheckError::Torn { stamp, plane, row }),
                    None => return Err(ReadError::Missing { plane, row }.into()),
                }
            }
            Ok(())
        })?;
        Ok(stamp)
    }
}
