// SPDX-License-Identifier: Apache-2.0
//! A table in the file, read through a small window: whatever its length, it costs no more memory.

use std::io::{Read, Seek};

use super::boxes::{BoxAt, Fields};
use super::error::Trouble;
use super::source::Source;

/// Bytes of a table in memory at a time.
const WINDOW_BYTES: usize = 4096;

/// Entries of one width behind each other.
#[derive(Debug, Default)]
pub(super) struct Table {
    at: u64,
    count: u64,
    width: usize,
    window: Vec<u8>,
    /// The entry at which the window begins.
    first: u64,
}

impl Table {
    /// `count` entries of `width` bytes at `at`, which must lie in `within`.
    pub fn new(at: u64, count: u64, width: usize, within: &BoxAt) -> Result<Self, Trouble> {
        let bytes = count.checked_mul(width as u64);
        if bytes.is_none_or(|bytes| bytes > within.end.saturating_sub(at)) {
            return Err(Trouble::broken("a table is longer than the box it is in", within.start));
        }
        Ok(Self { at, count, width, window: Vec::new(), first: 0 })
    }

    /// The table of a full box that consists of a count and entries: 4.2.2.
    pub fn counted<F: Read + Seek>(source: &mut Source<F>, found: &BoxAt, width: usize) -> Result<Self, Trouble> {
        let head: [u8; 8] = found.head(source)?;
        Self::new(found.body + 8, Fields(&head[4..]).u32().into(), width, found)
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The entry at `index`; `None` behind the last.
    pub fn get<F: Read + Seek>(&mut self, source: &mut Source<F>, index: u64) -> Result<Option<Fields<'_>>, Trouble> {
        if index >= self.count {
            return Ok(None);
        }
        if self.width == 0 {
            return Ok(Some(Fields(&[])));
        }
        let held = (self.window.len() / self.width) as u64;
        if !(self.first..self.first + held).contains(&index) {
            let entries = (self.count - index).min((WINDOW_BYTES / self.width) as u64) as usize;
            self.window.resize(entries * self.width, 0);
            self.first = index;
            let read = source.read_at(self.at + index * self.width as u64, &mut self.window);
            if read.is_err() {
                self.window.clear();
            }
            read?;
        }
        let from = (index - self.first) as usize * self.width;
        Ok(self.window.get(from..from + self.width).map(Fields))
    }
}
