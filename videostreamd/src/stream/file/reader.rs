// SPDX-License-Identifier: Apache-2.0
//! The file, read from a place of our own.
//!
//! A descriptor that a client has handed over shares its position with that client, and with
//! whoever plays it a second time: so each reads with a position of its own (pread(2)).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;

use rustix::fs::OFlags;
use vs_mux::read::Movie;

use super::refusal::Refusal;
use super::spec::Clip;

/// See the module.
#[derive(Debug)]
pub struct Reader {
    file: Arc<File>,
    position: u64,
}

/// Opens the file and finds out what is in it. Takes as long as the disk.
pub fn open(clip: &Clip) -> Result<Movie<Reader>, Refusal> {
    let file = match clip {
        Clip::Path(path) => {
            // A FIFO would be waited for.
            let flags = OFlags::NONBLOCK.bits() as i32;
            let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
            Arc::new(opened.map_err(|error| Refusal::unopened(clip, &error))?)
        }
        Clip::Handed { file, .. } => Arc::clone(file),
    };
    let metadata = file.metadata().map_err(|error| Refusal::file(clip, error))?;
    if !metadata.is_file() {
        return Err(Refusal::file(clip, "it is not a regular file"));
    }
    Movie::open(Reader { file, position: 0 }).map_err(|error| Refusal::movie(clip, &error))
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(offset) => (self.position, offset),
            SeekFrom::End(offset) => (self.file.metadata()?.len(), offset),
        };
        let position = base.checked_add_signed(offset);
        self.position = position.ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
