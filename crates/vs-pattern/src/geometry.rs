// SPDX-License-Identifier: Apache-2.0
//! What lies where in a picture.
//!
//! Every edge between colours is at an even column and row, so that no chroma sample ever
//! belongs to two of them. Odd sizes are laid out like the next even ones: an encoder that
//! has to pad a picture to even sides does not move anything.

use std::ops::Range;

use crate::font;
use crate::stamp::{STAMP_BITS, Stamp};

/// How many barcode cells may lie side by side, from the flattest band to the tallest.
const COLUMNS: [u32; 6] = [96, 48, 32, 24, 16, 12];

/// From this side length in pixels on, cells survive H.264 at moderate bitrates: whatever
/// an 8x8 transform does, the middle of a cell keeps its shade.
const ROBUST_CELL: u32 = 12;

/// Bars of colour side by side before they repeat.
pub(crate) const BARS: u32 = 8;

/// What a row of the picture shows beside bars and strip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Row {
    /// Row of the barcode's grid.
    Cells(u32),
    /// Row of dots of the digits' box, whose first and last are blank.
    Dots(u32),
    /// Nothing.
    Bars,
}

/// The fixed part of the layout, all in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Geometry {
    /// Width and height, rounded up to even.
    pub width: u32,
    pub height: u32,
    /// Cells of the barcode side by side.
    pub columns: u32,
    /// Side of a cell.
    pub cell: u32,
    /// Height of the barcode's band.
    pub band: u32,
    /// Where the strip begins whose two shades count the serial in every row.
    pub strip: u32,
    /// Width of each of its shades.
    pub shade: u32,
    /// Width of a bar.
    pub bar: u32,
    /// How far the bars move from one frame to the next.
    pub step: u32,
}

/// Where the digits are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TextBox {
    /// Pixels per dot of the font.
    pub scale: u32,
    pub width: u32,
}

impl Geometry {
    /// The layout of pictures of at least [`MIN_DIMENSION`](crate::MIN_DIMENSION).
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width.next_multiple_of(2), height.next_multiple_of(2));
        let shade = even(width / 32).max(2);
        let strip = width - 2 * shade;
        let (columns, cell) = choose_cells(strip, height);
        let band = (STAMP_BITS / columns * cell).next_multiple_of(2);
        let bar = even(strip / BARS).max(2);
        let step = even(width / 240).max(2);
        Self { width, height, columns, cell, band, strip, shade, bar, step }
    }

    /// The box for as many characters; `None` if they would be smaller than their font.
    pub(crate) fn text_box(&self, characters: usize) -> Option<TextBox> {
        let dots = font::ADVANCE * characters as u32 + 1;
        let scale = (self.strip / dots).min(self.height / 6 / (font::ROWS + 2));
        (scale > 0).then(|| TextBox { scale, width: (dots * scale).next_multiple_of(2).min(self.strip) })
    }

    /// The picture from top to bottom as runs of equal rows.
    pub(crate) fn runs(&self, text: Option<TextBox>) -> Vec<(Range<u32>, Row)> {
        let mut runs = Vec::new();
        let mut top = 0;
        let mut push = |rows: u32, row| {
            runs.push((top..top + rows, row));
            top += rows;
            top
        };
        let cell_rows = STAMP_BITS / self.columns;
        for row in 0..cell_rows {
            push(self.cell, Row::Cells(row));
        }
        push(self.band - cell_rows * self.cell, Row::Bars);
        let mut end = self.band;
        if let Some(TextBox { scale, .. }) = text {
            for row in 0..font::ROWS + 2 {
                end = push(scale, Row::Dots(row));
            }
            // A box of odd height ends in half a chroma row.
            end = push(end % 2, Row::Dots(0));
        }
        push(self.height - end, Row::Bars);
        runs
    }

    /// How far the bars have moved in the picture of this stamp, in pixels.
    pub(crate) fn shift(&self, stamp: Stamp) -> u32 {
        // Less than the period, which is at most the width.
        (stamp.serial * u64::from(self.step) % u64::from(BARS * self.bar)) as u32
    }
}

/// The flattest band of robust cells that leaves half of the picture free; if there is none,
/// the largest cells.
fn choose_cells(width: u32, height: u32) -> (u32, u32) {
    let size = |columns: u32| {
        let side = (width / columns).min(height / 2 / (STAMP_BITS / columns));
        (columns, if side > 1 { even(side) } else { side })
    };
    let all = COLUMNS.map(size);
    let robust = all.iter().find(|(_, cell)| *cell >= ROBUST_CELL);
    let largest = all.iter().max_by_key(|(_, cell)| *cell);
    robust.or(largest).copied().unwrap_or(all[0])
}

const fn even(n: u32) -> u32 {
    n & !1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vs_frame::format::MAX_DIMENSION;

    use super::*;
    use crate::MIN_DIMENSION;

    #[test]
    fn common_sizes_have_robust_cells_and_readable_digits() {
        for (width, height) in [(320, 240), (640, 480), (1280, 720), (1920, 1080), (3840, 2160)] {
            let geometry = Geometry::new(width, height);
            assert!(geometry.cell >= ROBUST_CELL, "{geometry:?}");
            assert!(geometry.band <= height / 4, "{geometry:?}");
            assert!(geometry.text_box(19).is_some_and(|text| text.scale >= 2), "{geometry:?}");
        }
    }

    proptest! {
        #[test]
        fn everything_fits_and_nothing_is_left_bare(
            width in MIN_DIMENSION..=MAX_DIMENSION, height in MIN_DIMENSION..=MAX_DIMENSION, characters in 19usize..29,
        ) {
            let g = Geometry::new(width, height);
            prop_assert!(g.cell > 0 && g.columns * g.cell <= g.strip);
            prop_assert!(g.strip + 2 * g.shade == g.width);
            let text = g.text_box(characters);
            prop_assert!(text.is_none_or(|text| text.width <= g.strip));
            let mut top = 0;
            for (rows, row) in g.runs(text) {
                prop_assert_eq!(rows.start, top);
                top = rows.end;
                prop_assert!(matches!(row, Row::Dots(_)) || rows.start % 2 == 0 || g.cell == 1);
            }
            prop_assert_eq!(top, g.height);
        }
    }
}
