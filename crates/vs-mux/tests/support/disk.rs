// SPDX-License-Identifier: Apache-2.0
//! A file in memory that can be read and written, and remembers what was done to it.

use std::io::{self, IoSlice, Read, Seek, SeekFrom};

use vs_mux::mp4::Sink;

use super::{Journal, Step};

#[derive(Debug, Default)]
pub struct Disk {
    /// What was in the file before.
    before: Vec<u8>,
    pub journal: Journal,
    at: u64,
    now: Vec<u8>,
}

impl Disk {
    pub fn new(before: &[u8]) -> Self {
        Self { before: before.to_vec(), now: before.to_vec(), ..Self::default() }
    }

    pub fn file(&self) -> &[u8] {
        &self.now
    }

    /// The file after the first `count` steps, of which the last may be done by half.
    pub fn file_after(&self, count: usize, half: bool) -> Vec<u8> {
        let mut file = self.before.clone();
        for (number, step) in self.journal.steps[..count].iter().enumerate() {
            match step {
                Step::Write(at, bytes) if half && number + 1 == count => {
                    apply(&mut file, *at, &bytes[..bytes.len() / 2])
                }
                Step::Write(at, bytes) => apply(&mut file, *at, bytes),
                Step::Truncate(length) => file.resize(*length as usize, 0),
                Step::Sync => {}
            }
        }
        file
    }

    /// Shows in `now` what the journal has newly got.
    fn follow(&mut self, steps: usize) {
        for step in &self.journal.steps[steps..] {
            match step {
                Step::Write(at, bytes) => apply(&mut self.now, *at, bytes),
                Step::Truncate(length) => self.now.resize(*length as usize, 0),
                Step::Sync => {}
            }
        }
    }
}

fn apply(file: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let end = at as usize + bytes.len();
    file.resize(file.len().max(end), 0);
    file[at as usize..end].copy_from_slice(bytes);
}

impl Read for Disk {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.now.get(self.at as usize..).unwrap_or(&[]).read(bytes)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.now.len().saturating_add_signed(by as isize) as u64,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

impl Sink for Disk {
    fn write_at(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let steps = self.journal.steps.len();
        let written = self.journal.write_at(offset, parts);
        self.follow(steps);
        written
    }

    fn rewritable(&self) -> bool {
        true
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let steps = self.journal.steps.len();
        let cut = self.journal.truncate(length);
        self.follow(steps);
        cut
    }

    fn sync(&mut self) -> io::Result<()> {
        self.journal.sync()
    }
}
