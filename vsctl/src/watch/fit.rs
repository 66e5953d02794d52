// SPDX-License-Identifier: Apache-2.0
//! How large a picture becomes in a window, and where it stands: as large as it can be in its shape, in the middle.

/// Cells that a picture may cover, and their size in pixels of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub columns: u32,
    pub rows: u32,
    pub cell: (u32, u32),
}

/// What a terminal's cell usually is like, where it does not say: twice as high as it is wide.
pub const USUAL_CELL: (u32, u32) = (8, 16);

/// Where a picture stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its size in pixels.
    pub width: u32,
    pub height: u32,
    /// Cells that it covers, and those left of it and above it.
    pub columns: u32,
    pub rows: u32,
    pub left: u32,
    pub top: u32,
}

impl Room {
    /// For a picture of this shape whose pixels are `dots` in a cell, of at most `limit` pixels.
    pub fn place(self, (width, height): (u32, u32), dots: (u32, u32), limit: Option<(u32, u32)>) -> Place {
        let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let (cell_width, cell_height) = (f64::from(self.cell.0.max(1)), f64::from(self.cell.1.max(1)));
        let (columns, rows) = (self.columns.max(1), self.rows.max(1));
        // In pixels of the screen.
        let scale = (f64::from(columns) * cell_width / width).min(f64::from(rows) * cell_height / height);
        let covered = |length: f64, cell: f64, most: u32| ((length * scale / cell - 0.01).ceil() as u32).clamp(1, most);
        let (wide, high) = (covered(width, cell_width, columns), covered(height, cell_height, rows));
        // In dots.
        let mut dots_wide = width * scale / cell_width * f64::from(dots.0);
        let mut dots_high = height * scale / cell_height * f64::from(dots.1);
        if let Some((most_wide, most_high)) = limit {
            let shrink = (f64::from(most_wide) / dots_wide).min(f64::from(most_high) / dots_high).min(1.0);
            (dots_wide, dots_high) = (dots_wide * shrink, dots_high * shrink);
        }
        Place {
            width: (dots_wide.round() as u32).clamp(1, wide * dots.0),
            height: (dots_high.round() as u32).clamp(1, high * dots.1),
            columns: wide,
            rows: high,
            left: (columns - wide) / 2,
            top: (rows - high) / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pictures_keep_their_shape() {
        let room = Room { columns: 80, rows: 23, cell: (8, 16) };
        let place = room.place((640, 480), (1, 2), None);
        assert_eq!(place, Place { width: 61, height: 46, columns: 62, rows: 23, left: 9, top: 0 });
        let place = room.place((1920, 400), (1, 2), None);
        assert_eq!((place.width, place.height, place.left, place.top), (80, 17, 0, 7));
        // Sixels of a window with large pixels.
        let place = room.place((640, 480), (8, 16), None);
        assert_eq!((place.width, place.height), (491, 368));
        let place = room.place((640, 480), (8, 16), Some((320, 320)));
        assert_eq!((place.width, place.height, place.columns), (320, 240, 62));
    }

    proptest! {
        #[test]
        fn nothing_lies_outside(
            (width, height) in (1u32..20_000, 1u32..20_000), (columns, rows) in (1u32..500, 1u32..300),
            cell in (1u32..40, 1u32..80), blocks in any::<bool>()
        ) {
            let dots = if blocks { (1, 2) } else { cell };
            let place = Room { columns, rows, cell }.place((width, height), dots, None);
            prop_assert!(place.left + place.columns <= columns && place.top + place.rows <= rows);
            prop_assert!((1..=place.columns * dots.0).contains(&place.width), "{place:?}");
            prop_assert!((1..=place.rows * dots.1).contains(&place.height), "{place:?}");
        }
    }
}
