// SPDX-License-Identifier: Apache-2.0
//! The file as the writer sees it: whole boxes at its end, synced on time.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::error::IoFailure;
use super::sink::Sink;

/// What is reserved at a time. Each call costs some microseconds, and up to so much of a disk that gets
/// full stays unused.
const RESERVE_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(crate) struct Storage<S> {
    sink: S,
    /// Everything before is whole boxes.
    end: u64,
    /// Where what the file has of the disk ends: behind `end` lies what is reserved, or torn.
    occupied: u64,
    /// Whether the sink reserves room.
    reserves: bool,
    /// When the oldest byte that is not synced was written.
    unsynced: Option<Instant>,
}

impl<S: Sink> Storage<S> {
    pub fn new(sink: S) -> Self {
        Self { sink, end: 0, occupied: 0, reserves: true, unsynced: None }
    }

    /// A file that is of use up to `end`. How much of the disk it has nobody can tell: a recorder that
    /// was killed has left room reserved behind the file's length, too.
    pub fn torn(sink: S, end: u64) -> Self {
        Self { end, occupied: u64::MAX, ..Self::new(sink) }
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn rewritable(&self) -> bool {
        self.sink.rewritable()
    }

    /// Adds `parts` in one write, or nothing.
    pub fn append(&mut self, action: &'static str, parts: &[&[u8]]) -> Result<(), IoFailure> {
        let offset = self.end;
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        match self.sink.write_at(offset, &mut slices) {
            Ok(()) => {
                self.end += parts.iter().map(|part| part.len() as u64).sum::<u64>();
                self.occupied = self.occupied.max(self.end);
                self.unsynced.get_or_insert_with(Instant::now);
                Ok(())
            }
            Err(source) => {
                self.cut(offset);
                Err(IoFailure { action, offset, source })
            }
        }
    }

    /// Makes sure that there is room for `bytes` more, if the sink can tell.
    pub fn reserve(&mut self, bytes: u64) -> Result<(), IoFailure> {
        let until = self.end + bytes;
        if !self.reserves || until <= self.occupied {
            return Ok(());
        }
        let from = self.occupied;
        let reserved = match self.sink.reserve(from, until + RESERVE_BYTES - from) {
            Ok(reserved) => Ok((reserved, until + RESERVE_BYTES)),
            // The last bytes of a disk.
            Err(_) => self.sink.reserve(from, until - from).map(|reserved| (reserved, until)),
        };
        match reserved {
            Ok((true, until)) => self.occupied = until,
            Ok((false, _)) => self.reserves = false,
            Err(source) => {
                return Err(IoFailure { action: "reserving room for frames and their index", offset: from, source });
            }
        }
        Ok(())
    }

    /// Gives back what lies behind the end.
    pub fn trim(&mut self) -> Result<(), IoFailure> {
        if self.occupied > self.end {
            let trimmed = self.sink.truncate(self.end);
            trimmed.map_err(|source| IoFailure {
                action: "cutting off what is left over",
                offset: self.end,
                source,
            })?;
            self.occupied = self.end;
        }
        Ok(())
    }

    /// Takes back everything from `offset` on. That it may fail changes nothing: players stop at a
    /// box that is not complete.
    pub fn cut(&mut self, offset: u64) {
        if self.sink.rewritable() {
            let _ = self.sink.truncate(offset);
            self.end = offset;
            self.occupied = self.occupied.min(offset);
        }
    }

    pub fn overwrite(&mut self, action: &'static str, offset: u64, bytes: &[u8]) -> Result<(), IoFailure> {
        self.sink.write_at(offset, &mut [IoSlice::new(bytes)]).map_err(|source| IoFailure { action, offset, source })
    }

    pub fn sync(&mut self) -> Result<(), IoFailure> {
        self.sink.sync().map_err(|source| IoFailure { action: "syncing the file", offset: self.end, source })?;
        self.unsynced = None;
        Ok(())
    }

    /// Syncs if the oldest byte that is not synced would otherwise have waited longer than `interval`
    /// at the next chance, which comes `pause` from now.
    pub fn sync_if_due(&mut self, interval: Duration, pause: Duration) -> Result<(), IoFailure> {
        match self.unsynced {
            Some(since) if since.elapsed() + pause >= interval => self.sync(),
            _ => Ok(()),
        }
    }
}
