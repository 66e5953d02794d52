// SPDX-License-Identifier: Apache-2.0
//! The file as the writer sees it: whole boxes at its end, synced on time.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use super::error::IoFailure;
use super::sink::Sink;

#[derive(Debug)]
pub(super) struct Storage<S> {
    sink: S,
    /// Everything before is whole boxes.
    end: u64,
    /// When the oldest byte that is not synced was written.
    unsynced: Option<Instant>,
}

impl<S: Sink> Storage<S> {
    pub fn new(sink: S) -> Self {
        Self { sink, end: 0, unsynced: None }
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
                self.unsynced.get_or_insert_with(Instant::now);
                Ok(())
            }
            Err(source) => {
                self.cut(offset);
                Err(IoFailure { action, offset, source })
            }
        }
    }

    /// Takes back everything from `offset` on. That it may fail changes nothing: players stop at a
    /// box that is not complete.
    pub fn cut(&mut self, offset: u64) {
        if self.sink.rewritable() {
            let _ = self.sink.truncate(offset);
            self.end = offset;
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
