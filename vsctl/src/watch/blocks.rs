// SPDX-License-Identifier: Apache-2.0
//! Two pixels in a cell: the upper half block `▀` has the colour of the upper one, its background that of the lower one. What every
//! terminal shows that has colours at all.
//!
//! Only cells are written that have changed. A camera's noise changes every cell a little: what nobody can see is not sent.

use std::fmt::Write as _;

use super::picture::Picture;

/// Colours that a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// 24 bit (SGR 38;2).
    True,
    /// xterm's 256: a cube of 6x6x6, and 24 greys.
    Few,
}

/// By how much each of red, green and blue may be wrong in a live picture, of 255: noise.
pub const UNSEEN: u8 = 4;

/// Levels of the cube of 256 colours.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// A pixel's colour as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Color {
    Rgb([u8; 3]),
    Index(u8),
}

type Cell = [Color; 2];

/// What the terminal shows.
#[derive(Debug, Default)]
pub struct Blocks {
    cells: Vec<Cell>,
    columns: u32,
}

impl Blocks {
    /// The terminal has been cleared.
    pub fn forget(&mut self) {
        self.cells.clear();
    }

    /// Shows a picture whose left upper corner is in the cell (`left`, `top`), counted from 0. Each colour is off by at most `unseen`.
    pub fn draw(&mut self, picture: &Picture, colors: Colors, (left, top): (u32, u32), unseen: u8) -> String {
        let rows = picture.height.div_ceil(2);
        let fresh = self.columns != picture.width || self.cells.len() != picture.width as usize * rows as usize;
        if fresh {
            self.cells.clear();
            self.columns = picture.width;
        }
        let mut text = String::new();
        let mut pen = Pen::default();
        for row in 0..rows {
            let mut at = None;
            for column in 0..picture.width {
                let cell = cell(picture, colors, column, row);
                let index = row as usize * picture.width as usize + column as usize;
                match self.cells.get_mut(index) {
                    Some(shown) if like(shown, &cell, unseen) => continue,
                    Some(shown) => *shown = cell,
                    None => self.cells.push(cell),
                }
                if at != Some(column) {
                    // CUP counts from 1. Writing to a String cannot fail.
                    let _ = write!(text, "\x1b[{};{}H", top + row + 1, left + column + 1);
                }
                pen.put(&mut text, cell);
                at = Some(column + 1);
            }
        }
        pen.lift(&mut text);
        text
    }
}

/// A picture as lines of text.
pub fn lines(picture: &Picture, colors: Colors, left: u32) -> String {
    let mut text = String::new();
    for row in 0..picture.height.div_ceil(2) {
        let mut pen = Pen::default();
        text.push_str(&" ".repeat(left as usize));
        for column in 0..picture.width {
            pen.put(&mut text, cell(picture, colors, column, row));
        }
        pen.lift(&mut text);
        text.push('\n');
    }
    text
}

fn cell(picture: &Picture, colors: Colors, column: u32, row: u32) -> Cell {
    [0, 1].map(|half| {
        let rgb = picture.pixel(column, row * 2 + half);
        match colors {
            Colors::True => Color::Rgb(rgb),
            Colors::Few => Color::Index(nearest(rgb)),
        }
    })
}

fn like(a: &Cell, b: &Cell, unseen: u8) -> bool {
    a.iter().zip(b).all(|pair| match pair {
        (Color::Rgb(a), Color::Rgb(b)) => a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= unseen),
        (a, b) => a == b,
    })
}

/// The nearest of 256 colours.
fn nearest(rgb: [u8; 3]) -> u8 {
    let level = |value: u8| (0..6).min_by_key(|level| LEVELS[*level].abs_diff(value)).unwrap_or_default();
    let [r, g, b] = rgb.map(level);
    let cube = [r, g, b].map(|level| LEVELS[level]);
    let mean = rgb.iter().map(|value| u32::from(*value)).sum::<u32>() / 3;
    // 8, 18, 28… 238.
    let step = (mean.saturating_sub(3) / 10).min(23) as u8;
    let grey = [8 + 10 * step; 3];
    let distance = |other: [u8; 3]| rgb.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>();
    if distance(grey) < distance(cube) { 232 + step } else { (16 + 36 * r + 6 * g + b) as u8 }
}

/// The colours that the terminal writes with.
#[derive(Default)]
struct Pen {
    upper: Option<Color>,
    lower: Option<Color>,
}

impl Pen {
    fn put(&mut self, text: &mut String, [upper, lower]: Cell) {
        // A cell of one colour needs one only.
        if upper == lower {
            self.lower(text, lower);
            text.push(' ');
            return;
        }
        self.lower(text, lower);
        if self.upper != Some(upper) {
            let _ = match upper {
                Color::Rgb([r, g, b]) => write!(text, "\x1b[38;2;{r};{g};{b}m"),
                Color::Index(index) => write!(text, "\x1b[38;5;{index}m"),
            };
            self.upper = Some(upper);
        }
        text.push('▀');
    }

    fn lower(&mut self, text: &mut String, color: Color) {
        if self.lower != Some(color) {
            let _ = match color {
                Color::Rgb([r, g, b]) => write!(text, "\x1b[48;2;{r};{g};{b}m"),
                Color::Index(index) => write!(text, "\x1b[48;5;{index}m"),
            };
            self.lower = Some(color);
        }
    }

    fn lift(&mut self, text: &mut String) {
        if (self.upper, self.lower) != (None, None) {
            text.push_str("\x1b[0m");
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// A terminal that knows what is written here: the colours of the two halves of each cell, by column and row.
    #[derive(Default)]
    struct Terminal {
        cells: HashMap<(u32, u32), [Vec<u32>; 2]>,
        at: (u32, u32),
        colors: [Vec<u32>; 2],
    }

    impl Terminal {
        fn write(&mut self, text: &str) {
            let mut rest = text;
            while let Some(c) = rest.chars().next() {
                rest = &rest[c.len_utf8()..];
                match c {
                    '\x1b' => {
                        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                        let numbers = rest[1..end].split(';').map(|n| n.parse().unwrap()).collect::<Vec<u32>>();
                        match (&rest[end..=end], numbers.as_slice()) {
                            ("H", [row, column]) => self.at = (column - 1, row - 1),
                            ("m", [0]) => self.colors = Default::default(),
                            ("m", [38, color @ ..]) => self.colors[0] = color.to_vec(),
                            ("m", [48, color @ ..]) => self.colors[1] = color.to_vec(),
                            other => panic!("{other:?}"),
                        }
                        rest = &rest[end + 1..];
                    }
                    '\n' => self.at = (0, self.at.1 + 1),
                    ' ' | '▀' => {
                        let [upper, lower] = self.colors.clone();
                        let upper = if c == ' ' { lower.clone() } else { upper };
                        self.cells.insert(self.at, [upper, lower]);
                        self.at.0 += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }

        fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
            match self.cells[&(x, y / 2)][y as usize % 2].as_slice() {
                [2, r, g, b] => [*r as u8, *g as u8, *b as u8],
                other => panic!("{other:?}"),
            }
        }
    }

    fn picture() -> impl Strategy<Value = Picture> {
        (1u32..20, 1u32..20).prop_flat_map(|(width, height)| pixels(width, height))
    }

    fn pixels(width: u32, height: u32) -> impl Strategy<Value = Picture> {
        let len = (width * height * 3) as usize;
        // Few values, so that neighbours are alike now and then.
        let value = prop_oneof![Just(0u8), Just(3), Just(255), any::<u8>()];
        proptest::collection::vec(value, len).prop_map(move |rgb| Picture { width, height, rgb })
    }

    fn two() -> impl Strategy<Value = (Picture, Picture)> {
        (1u32..12, 1u32..12).prop_flat_map(|(width, height)| (pixels(width, height), pixels(width, height)))
    }

    proptest! {
        #[test]
        fn the_terminal_shows_the_picture(picture in picture(), left in 0u32..9, top in 0u32..9) {
            let (mut terminal, mut blocks) = (Terminal::default(), Blocks::default());
            terminal.write(&blocks.draw(&picture, Colors::True, (left, top), 0));
            let mut printed = Terminal::default();
            printed.write(&lines(&picture, Colors::True, 0));
            for (x, y) in (0..picture.width).flat_map(|x| (0..picture.height).map(move |y| (x, y))) {
                prop_assert_eq!(terminal.pixel(left + x, top * 2 + y), picture.pixel(x, y));
                prop_assert_eq!(printed.pixel(x, y), picture.pixel(x, y));
            }
        }

        #[test]
        fn the_next_picture_is_shown_over_it((first, second) in two(), unseen in 0u8..10) {
            let (mut terminal, mut blocks) = (Terminal::default(), Blocks::default());
            for picture in [&first, &second, &first] {
                terminal.write(&blocks.draw(picture, Colors::True, (0, 0), unseen));
                for (x, y) in (0..picture.width).flat_map(|x| (0..picture.height).map(move |y| (x, y))) {
                    let (shown, wanted) = (terminal.pixel(x, y), picture.pixel(x, y));
                    let off = shown.iter().zip(wanted).map(|(a, b)| a.abs_diff(b)).max();
                    prop_assert!(off <= Some(unseen), "{:?} {:?}", shown, wanted);
                }
            }
            prop_assert_eq!(blocks.draw(&first, Colors::True, (0, 0), unseen), "");
        }

        #[test]
        fn few_colours_are_near(rgb in any::<[u8; 3]>()) {
            let shown = match nearest(rgb) {
                index @ 232.. => [8 + 10 * (index - 232); 3],
                index => {
                    let index = index - 16;
                    [index / 36, index / 6 % 6, index % 6].map(|level| LEVELS[usize::from(level)])
                }
            };
            // Half of the largest step of the cube, in each of its directions; a grey that is nearer may be off by more in one.
            let distance: u32 = shown.iter().zip(rgb).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum();
            prop_assert!(distance <= 3 * 48 * 48, "{:?} {:?}", rgb, shown);
        }
    }
}
