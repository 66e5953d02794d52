// SPDX-License-Identifier: Apache-2.0
//! A picture as sixels (DEC STD 070, chapter 9): six rows at a time, colour by colour.
//!
//! The palette is always the same, with an ordered dither: a palette made for each picture would be nearer to its colours, and would let the
//! picture flicker from one to the next, for the same grey would be another one each time.

use std::fmt::Write as _;

use super::picture::Picture;

/// Levels of red, green and blue: 252 colours of the 256 that terminals have. The eye sees green best.
const LEVELS: [usize; 3] = [6, 7, 6];
const COLORS: usize = LEVELS[0] * LEVELS[1] * LEVELS[2];

/// Rows in a band.
const BAND: usize = 6;

/// From this many equal sixels on, a count is shorter.
const RUN: usize = 4;

/// Thresholds in 64ths (Bayer's matrix of 8 by 8).
const DITHER: [[u8; 8]; 8] = [
    [0, 32, 8, 40, 2, 34, 10, 42],
    [48, 16, 56, 24, 50, 18, 58, 26],
    [12, 44, 4, 36, 14, 46, 6, 38],
    [60, 28, 52, 20, 62, 30, 54, 22],
    [3, 35, 11, 43, 1, 33, 9, 41],
    [51, 19, 59, 27, 49, 17, 57, 25],
    [15, 47, 7, 39, 13, 45, 5, 37],
    [63, 31, 55, 23, 61, 29, 53, 21],
];

/// The level nearest to a value, or the next one, as the threshold has it.
fn level(value: u8, levels: usize, threshold: u8) -> usize {
    let scaled = usize::from(value) * (levels - 1) * 64;
    (scaled + usize::from(threshold) * 255 + 127) / (255 * 64)
}

/// The colour of a pixel in the palette.
fn color(rgb: [u8; 3], x: usize, y: usize) -> usize {
    let threshold = DITHER[y % 8][x % 8];
    let [r, g, b] = [0, 1, 2].map(|channel| level(rgb[channel], LEVELS[channel], threshold));
    (r * LEVELS[1] + g) * LEVELS[2] + b
}

/// The picture, from where the cursor is.
pub fn encode(picture: &Picture) -> String {
    let (width, height) = (picture.width as usize, picture.height as usize);
    // Pixels that are not drawn stay as they are; pixels are square.
    let mut text = format!("\x1bP0;1;0q\"1;1;{width};{height}");
    palette(&mut text);
    // For each colour its sixels in this band; those in use.
    let mut bits = vec![0u8; COLORS * width];
    let mut used = vec![false; COLORS];
    for top in (0..height).step_by(BAND) {
        if top > 0 {
            text.push('-');
        }
        for y in top..height.min(top + BAND) {
            for x in 0..width {
                let color = color(picture.pixel(x as u32, y as u32), x, y);
                used[color] = true;
                bits[color * width + x] |= 1 << (y - top);
            }
        }
        for (color, used) in used.iter_mut().enumerate().filter(|(_, used)| **used) {
            let row = &mut bits[color * width..(color + 1) * width];
            // Writing to a String cannot fail.
            let _ = write!(text, "#{color}");
            band(&mut text, row);
            // Back to the left edge.
            text.push('$');
            row.fill(0);
            *used = false;
        }
    }
    text.push_str("\x1b\\");
    text
}

fn palette(text: &mut String) {
    for color in 0..COLORS {
        let levels = [color / LEVELS[2] / LEVELS[1], color / LEVELS[2] % LEVELS[1], color % LEVELS[2]];
        // In percent.
        let [r, g, b] =
            [0, 1, 2].map(|channel| (levels[channel] * 100 + (LEVELS[channel] - 1) / 2) / (LEVELS[channel] - 1));
        let _ = write!(text, "#{color};2;{r};{g};{b}");
    }
}

/// The sixels of one colour; what is empty at the end is left out.
fn band(text: &mut String, row: &[u8]) {
    let len = row.iter().rposition(|sixel| *sixel != 0).map_or(0, |last| last + 1);
    for run in row[..len].chunk_by(|a, b| a == b) {
        let sixel = char::from(b'?' + run[0]);
        if run.len() >= RUN {
            let _ = write!(text, "!{}{sixel}", run.len());
        } else {
            text.extend(std::iter::repeat_n(sixel, run.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a terminal makes of it.
    fn decode(text: &str) -> Picture {
        let body = text.strip_prefix("\x1bP0;1;0q\"1;1;").unwrap().strip_suffix("\x1b\\").unwrap();
        let mut rest = body;
        let number = |rest: &mut &str| -> usize {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest[..end].parse().unwrap();
            *rest = &rest[end..];
            number
        };
        let skip = |rest: &mut &str| *rest = &rest[1..];
        let width = number(&mut rest);
        skip(&mut rest);
        let height = number(&mut rest);
        let mut palette = vec![[0u8; 3]; 256];
        let mut pixels = vec![None; width * height];
        let (mut color, mut x, mut y) = (0, 0, 0);
        while let Some(c) = rest.chars().next() {
            skip(&mut rest);
            let count = if c == '!' { number(&mut rest) } else { 1 };
            let c = if c == '!' {
                let c = rest.chars().next().unwrap();
                skip(&mut rest);
                c
            } else {
                c
            };
            match c {
                '#' => {
                    color = number(&mut rest);
                    if let Some(values) = rest.strip_prefix(";2;") {
                        rest = values;
                        palette[color] = [0, 1, 2].map(|channel| {
                            if channel > 0 {
                                skip(&mut rest);
                            }
                            (number(&mut rest) * 255 / 100) as u8
                        });
                    }
                }
                '$' => x = 0,
                '-' => (x, y) = (0, y + 6),
                '?'..='~' => {
                    for _ in 0..count {
                        for bit in (0..6).filter(|bit| (c as u8 - b'?') >> bit & 1 == 1) {
                            let pixel = &mut pixels[(y + bit) * width + x];
                            assert_eq!(pixel.replace(palette[color]), None, "drawn twice");
                        }
                        x += 1;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        let rgb = pixels.into_iter().flat_map(|pixel| pixel.expect("not drawn")).collect();
        Picture { width: width as u32, height: height as u32, rgb }
    }

    proptest! {
        #[test]
        fn every_pixel_is_drawn_once_in_a_near_colour(
            (width, height, rgb) in (1u32..30, 1u32..20).prop_flat_map(|(width, height)| {
                (Just(width), Just(height), proptest::collection::vec(any::<u8>(), (width * height * 3) as usize))
            })
        ) {
            let picture = Picture { width, height, rgb };
            let decoded = decode(&encode(&picture));
            prop_assert_eq!((decoded.width, decoded.height), (width, height));
            // A whole step of the palette, for the dither goes up or down.
            prop_assert!(decoded.rgb.iter().zip(&picture.rgb).all(|(a, b)| a.abs_diff(*b) <= 53));
        }
    }

    #[test]
    fn the_mean_of_a_plain_colour_is_that_colour() {
        for rgb in [[0; 3], [255; 3], [128; 3], [200, 30, 77], [16, 235, 128]] {
            let picture = Picture { width: 64, height: 48, rgb: rgb.repeat(64 * 48) };
            let decoded = decode(&encode(&picture));
            for channel in 0..3 {
                let sum: u32 = decoded.rgb.iter().skip(channel).step_by(3).map(|value| u32::from(*value)).sum();
                let mean = sum / (64 * 48);
                assert!(mean.abs_diff(u32::from(rgb[channel])) <= 3, "{rgb:?} {channel}: {mean}");
            }
        }
    }
}
