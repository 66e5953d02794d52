// SPDX-License-Identifier: Apache-2.0
//! How pictures are shown on the terminal that there is.

use std::env;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use crossterm::terminal::window_size;

use crate::terminal::ask::{Answer, ask};
use crate::terminal::{self};
use crate::watch::blocks::Colors;
use crate::watch::fit::{Room, USUAL_CELL};
use crate::watch::painter::Way;

/// Columns and rows of a picture that nobody's window limits.
const PRINTED: (u32, u32) = (80, 40);

/// How to show pictures.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The best that the terminal says it can
    Auto,
    /// Two pixels in a character
    HalfBlocks,
    /// DEC's graphics: xterm -ti vt340, foot, wezterm, mlterm, iTerm2 and others
    Sixel,
    /// Kitty's graphics: kitty, ghostty, wezterm, konsole and others
    Kitty,
}

impl Show {
    /// The way, and the size of a cell in pixels of the screen.
    pub fn find(self) -> anyhow::Result<(Way, (u32, u32))> {
        let term = env::var("TERM").unwrap_or_default();
        // The console and the simplest ones may print a question that they do not understand.
        let asks = terminal::is_live() && !matches!(term.as_str(), "" | "dumb" | "linux");
        let answer = if asks { ask()? } else { Answer::default() };
        let colors = if answer.true_color || has_true_color(&term, &env::var("COLORTERM").unwrap_or_default()) {
            Colors::True
        } else {
            Colors::Few
        };
        let way = match self {
            Self::Auto if answer.kitty => Way::Kitty,
            Self::Auto if answer.sixel => Way::Sixel,
            Self::Auto | Self::HalfBlocks => Way::Blocks(colors),
            Self::Sixel => Way::Sixel,
            Self::Kitty => Way::Kitty,
        };
        Ok((way, cell().or(answer.cell).unwrap_or(USUAL_CELL)))
    }
}

/// What terminals are known for. ssh passes `TERM` on, and seldom `COLORTERM`.
fn has_true_color(term: &str, colorterm: &str) -> bool {
    let named = ["-direct", "-truecolor", "kitty", "foot", "alacritty", "wezterm", "ghostty", "contour"];
    matches!(colorterm, "truecolor" | "24bit") || named.iter().any(|name| term.contains(name))
}

/// The size of a cell, where the kernel knows it.
fn cell() -> Option<(u32, u32)> {
    let window = window_size().ok()?;
    let cell = (window.width.checked_div(window.columns)?, window.height.checked_div(window.rows)?);
    (cell.0 > 0 && cell.1 > 0).then_some((u32::from(cell.0), u32::from(cell.1)))
}

/// The window without its last line, which is for words.
pub fn room(usual: (u32, u32)) -> Room {
    let (columns, rows) = if io::stdout().is_terminal() {
        let (columns, rows) = terminal::size();
        (columns as u32, (rows as u32).saturating_sub(1).max(1))
    } else {
        PRINTED
    };
    Room { columns, rows, cell: cell().unwrap_or(usual) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_known_by_names() {
        assert!(has_true_color("xterm-kitty", "") && has_true_color("xterm", "truecolor"));
        assert!(!has_true_color("xterm-256color", "") && !has_true_color("linux", ""));
    }
}
