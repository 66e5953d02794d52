// SPDX-License-Identifier: Apache-2.0
//! One picture after the other, in the window as it is.

use std::io;

use vs_convert::Scaler;
use vsclient::Frame;

use super::blocks::{self, Blocks, Colors, UNSEEN};
use super::fit::{Place, Room};
use super::kitty::{self, Kitty};
use super::picture::{self, Picture, ReadError};
use super::sixel;

/// How pictures are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Blocks(Colors),
    Sixel,
    Kitty,
}

impl Way {
    /// As the command line and the status line call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blocks(_) => "half-blocks",
            Self::Sixel => "sixel",
            Self::Kitty => "kitty",
        }
    }
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum PaintError {
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It was taken back before it was read, or its memory cannot be read.
    #[error(transparent)]
    Map(#[from] vsclient::MapError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Makes pictures for a terminal.
pub struct Painter {
    way: Way,
    /// The largest picture that is sent as pixels.
    limit: (u32, u32),
    scaler: Scaler,
    blocks: Blocks,
    kitty: Kitty,
    /// What is on the screen.
    shown: Option<(Room, Place)>,
}

impl Painter {
    pub fn new(way: Way, limit: (u32, u32)) -> Self {
        let (blocks, kitty) = (Blocks::default(), Kitty::default());
        Self { way, limit, scaler: Scaler::default(), blocks, kitty, shown: None }
    }

    pub fn way(&self) -> Way {
        self.way
    }

    /// What is written to show a frame on the screen.
    pub fn paint(&mut self, frame: &Frame, room: Room) -> Result<String, PaintError> {
        let (picture, place) = self.picture(frame, room)?;
        let mut text = String::new();
        if self.shown != Some((room, place)) {
            text.push_str(&self.clear());
            self.shown = Some((room, place));
        }
        let home = format!("\x1b[{};{}H", place.top + 1, place.left + 1);
        match self.way {
            Way::Blocks(colors) => {
                text.push_str(&self.blocks.draw(&picture, colors, (place.left, place.top), UNSEEN));
            }
            Way::Sixel => text.extend([home, sixel::encode(&picture)]),
            Way::Kitty => text.extend([home, self.kitty.draw(&picture, &place)?]),
        }
        Ok(text)
    }

    /// What is written to print a frame where the cursor is.
    pub fn print(&mut self, frame: &Frame, room: Room) -> Result<String, PaintError> {
        let (picture, place) = self.picture(frame, room)?;
        Ok(match self.way {
            Way::Blocks(colors) => blocks::lines(&picture, colors, 0),
            Way::Sixel => sixel::encode(&picture) + "\n",
            Way::Kitty => kitty::print(&picture, &place)? + "\n",
        })
    }

    /// The frame as it fits, upright.
    fn picture(&mut self, frame: &Frame, room: Room) -> Result<(Picture, Place), PaintError> {
        let format = frame.format();
        let whole = frame.read(|view| picture::read(view, format))??;
        let degrees = u32::from(format.rotation);
        let lies = matches!(degrees, 90 | 270);
        let upright = if lies { (whole.height, whole.width) } else { (whole.width, whole.height) };
        let (dots, limit) = match self.way {
            Way::Blocks(_) => ((1, 2), None),
            Way::Sixel => (room.cell, Some(self.limit)),
            // The terminal makes it larger; more pixels than there are is a waste.
            Way::Kitty => (room.cell, Some((self.limit.0.min(upright.0), self.limit.1.min(upright.1)))),
        };
        let place = self.centred(room.place(upright, dots, limit), room);
        let size = if lies { (place.height, place.width) } else { (place.width, place.height) };
        let small = whole.scaled(&mut self.scaler, size).ok_or(ReadError::Damaged)?;
        Ok((small.turned(degrees), place))
    }

    /// Sixels cover as many cells as they have pixels for, not as many as there are.
    fn centred(&self, place: Place, room: Room) -> Place {
        if self.way != Way::Sixel {
            return place;
        }
        let columns = place.width.div_ceil(room.cell.0.max(1)).min(room.columns);
        let rows = place.height.div_ceil(room.cell.1.max(1)).min(room.rows);
        Place { columns, rows, left: (room.columns - columns) / 2, top: (room.rows - rows) / 2, ..place }
    }

    fn clear(&mut self) -> String {
        self.blocks.forget();
        let pictures = if self.way == Way::Kitty { Kitty::clear() } else { String::new() };
        pictures + "\x1b[0m\x1b[2J"
    }

    /// The screen is not as it was left.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// What is written before the screen is left.
    pub fn leave(way: Way) -> String {
        if way == Way::Kitty { Kitty::clear() } else { String::new() }
    }
}
