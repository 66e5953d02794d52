// SPDX-License-Identifier: Apache-2.0
//! Test pictures that say which frame they are.
//!
//! A pattern is a function of format, serial and capture time alone: whoever knows the
//! three knows every byte. So a reader needs no copy of what was sent to find a torn frame:
//! it reads the serial and the time out of the picture and compares all of it.
//!
//! From top to bottom:
//!
//! * a **barcode** of 96 square cells, white for 1 and black for 0, most significant bit
//!   first, in rows from left to right: 40 bits of serial, 40 bits of milliseconds of
//!   `CLOCK_MONOTONIC`, and CRC-16/IBM-3740 of those ten bytes. Cells are at least 12 pixels
//!   wide from 320x240 on and survive H.264 there;
//! * the same for people: serial, seconds and milliseconds in **digits**;
//! * **colour bars** (white, yellow, cyan, green, magenta, red, blue, black, at 100 %), which
//!   move to the left by an even number of pixels with each serial.
//!
//! Along the right edge runs a **strip** of two shades that count the serial to base 211 in
//! every row of every plane: rows of any two frames less than 44521 apart differ.
//!
//! What is too small is left out: the digits, when they would be smaller than their 5x7
//! font (below about 120 pixels of width or 54 of height). The barcode's cells shrink, down to
//! one pixel at 16x16: raw pictures can always be read and checked.

#![warn(missing_docs)]

mod font;
mod geometry;
mod paint;
mod picture;
mod read;
mod stamp;

use std::ops::{DerefMut, Range};

use geometry::{BARS, Geometry, Row, TextBox};
use paint::{Color, PACKINGS, Packing, Palette};
use vs_frame::format::{MODIFIER_LINEAR, PlaneLayout};
use vs_frame::{Format, FormatError, FourCc};

pub use picture::{Memories, Picture};
pub use read::{CheckError, ReadError};
pub use stamp::Stamp;

/// The smallest width or height in pixels: below it the barcode has no room.
pub const MIN_DIMENSION: u32 = 16;

/// How many values a shade of the strip has. A prime below 220, so that all of them are legal
/// in limited range and the two shades never fall into step with the bars.
const SHADES: u64 = 211;
const DARKEST: u8 = 16;

/// Why there is no pattern of a format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not a pixel format that can be painted.
    #[error("there is no test pattern in {fourcc}: use one of {}", list_formats())]
    Fourcc {
        /// What was asked for.
        fourcc: FourCc,
    },
    /// Rows that are not plain.
    #[error("there is no test pattern with format modifier {modifier:#x}: only linear pictures can be painted")]
    Modifier {
        /// What was asked for.
        modifier: u64,
    },
    /// No room for the barcode.
    #[error("a test pattern of {width}x{height} is too small: each side must have at least {MIN_DIMENSION} pixels")]
    TooSmall {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
    },
    /// The format contradicts itself.
    #[error(transparent)]
    Format(#[from] FormatError),
}

fn list_formats() -> String {
    PACKINGS.iter().map(|packing| packing.fourcc.to_string()).collect::<Vec<_>>().join(", ")
}

/// Why a picture was not painted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("memory {memory} has {len} bytes where the format needs {needed}")]
pub struct RenderError {
    /// Index of the memory.
    pub memory: usize,
    /// What it has, in bytes.
    pub len: u64,
    /// What it must have, in bytes.
    pub needed: u64,
}

/// The test pattern in one format.
#[derive(Debug)]
pub struct Pattern {
    format: Format,
    packing: &'static Packing,
    palette: Palette,
    geometry: Geometry,
}

impl Pattern {
    /// The formats there are patterns of.
    pub fn formats() -> impl Iterator<Item = FourCc> {
        PACKINGS.iter().map(|packing| packing.fourcc)
    }

    /// The pattern in `format`: any that [`formats`](Self::formats) lists, of at least
    /// [`MIN_DIMENSION`] in each direction, with whatever strides and offsets.
    ///
    /// # Errors
    /// [`PatternError`] says what is not possible.
    pub fn new(format: &Format) -> Result<Self, PatternError> {
        let &Format { fourcc, width, height, modifier, .. } = format;
        let packing = Packing::of(fourcc).ok_or(PatternError::Fourcc { fourcc })?;
        if modifier != MODIFIER_LINEAR {
            return Err(PatternError::Modifier { modifier });
        }
        if width.min(height) < MIN_DIMENSION {
            return Err(PatternError::TooSmall { width, height });
        }
        let lens: Vec<_> = (0..format.memories()).map(|memory| format.memory_size(memory)).collect();
        format.check(&lens)?;
        let palette = Palette::new(format, packing);
        Ok(Self { format: format.clone(), packing, palette, geometry: Geometry::new(width, height) })
    }

    /// The format that is painted.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Paints frame `serial`, taken at `time_ns` of `CLOCK_MONOTONIC`, into the memories of a
    /// buffer. Padding between rows and planes is left alone.
    ///
    /// # Errors
    /// [`RenderError`] if a memory is missing or too short; then nothing has been painted.
    pub fn render<M>(&self, serial: u64, time_ns: u64, memories: &mut [M]) -> Result<Stamp, RenderError>
    where
        M: DerefMut<Target = [u8]>,
    {
        for memory in 0..self.format.memories() {
            let needed = self.format.memory_size(memory);
            let len = memories.get(memory).map_or(0, |bytes| bytes.len() as u64);
            if len < needed {
                return Err(RenderError { memory, len, needed });
            }
        }
        let stamp = Stamp::new(serial, time_ns);
        let Ok(()) = self.visit_rows(stamp, |plane, rows, bytes| {
            let PlaneLayout { memory, offset, stride, .. } = self.format.planes[plane];
            let memory: &mut [u8] = &mut memories[usize::from(memory)];
            for row in rows {
                let start = offset as usize + row * stride as usize;
                memory[start..start + bytes.len()].copy_from_slice(bytes);
            }
            Ok::<_, std::convert::Infallible>(())
        });
        Ok(stamp)
    }

    /// Gives `visit` each plane from top to bottom, as runs of rows with equal bytes.
    fn visit_rows<E>(
        &self,
        stamp: Stamp,
        mut visit: impl FnMut(usize, Range<usize>, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let text = stamp.text();
        let text_box = self.geometry.text_box(text.len());
        let runs = self.geometry.runs(text_box);
        let mut line = vec![self.palette.black(); self.geometry.width as usize];
        let mut bytes = Vec::new();
        for (plane, group) in self.packing.planes.iter().enumerate() {
            let (hsub, vsub) = self.subsampling(plane);
            bytes.resize(self.format.plane_row_bytes(plane) as usize, 0);
            for (rows, row) in &runs {
                let end = rows.end.min(self.format.height);
                let rows = rows.start.div_ceil(vsub) as usize..end.div_ceil(vsub) as usize;
                if !rows.is_empty() {
                    self.compose(*row, stamp, text_box.map(|fit| (fit, text.as_bytes())), &mut line);
                    paint::encode_row(group, hsub, &line, &mut bytes);
                    visit(plane, rows, &bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Pixels per group and rows per row of a plane.
    fn subsampling(&self, plane: usize) -> (usize, u32) {
        let info = self.format.fourcc.pixel_info().and_then(|info| info.planes.get(plane));
        info.map_or((1, 1), |plane| (plane.hsub as usize, plane.vsub))
    }

    /// The colours of a row of the picture.
    fn compose(&self, row: Row, stamp: Stamp, text: Option<(TextBox, &[u8])>, line: &mut [Color]) {
        let (white, black) = (self.palette.white(), self.palette.black());
        self.compose_bars(stamp, line);
        match (row, text) {
            (Row::Cells(row), _) => {
                let Geometry { columns, cell, .. } = self.geometry;
                let bits = stamp.to_bytes();
                for (column, cell) in (0..columns).zip(line.chunks_exact_mut(cell as usize)) {
                    let bit = row * columns + column;
                    let set = bits[bit as usize / 8] >> (7 - bit % 8) & 1 == 1;
                    cell.fill(if set { white } else { black });
                }
            }
            (Row::Dots(row), Some((TextBox { scale, width }, text))) => {
                let line = &mut line[..width as usize];
                line.fill(black);
                // A blank dot on each side: the box is one dot wider and two taller than its text.
                for (dot, pixels) in (0..).zip(line.chunks_mut(scale as usize).skip(1)) {
                    let glyph = text.get((dot / font::ADVANCE) as usize).copied().unwrap_or_default();
                    if row > 0 && font::dot(glyph, dot % font::ADVANCE, row - 1) {
                        pixels.fill(white);
                    }
                }
            }
            (Row::Dots(_), None) | (Row::Bars, _) => {}
        }
    }

    /// Bars from edge to edge, and the strip.
    fn compose_bars(&self, stamp: Stamp, line: &mut [Color]) {
        let Geometry { bar, strip, shade, .. } = self.geometry;
        let (line, shades) = line.split_at_mut(strip as usize);
        let mut x = 0;
        let mut phase = self.geometry.shift(stamp);
        while x < line.len() {
            let end = (x + (bar - phase % bar) as usize).min(line.len());
            line[x..end].fill(self.palette.bars[(phase / bar % BARS) as usize]);
            phase += (end - x) as u32;
            x = end;
        }
        let digits = [stamp.serial % SHADES, stamp.serial / SHADES % SHADES];
        for (digit, pixels) in digits.iter().zip(shades.chunks_mut(shade as usize)) {
            pixels.fill([DARKEST + *digit as u8; 3]);
        }
    }
}
