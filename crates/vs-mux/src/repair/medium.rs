// SPDX-License-Identifier: Apache-2.0
//! A file that is repaired: locked, read at places, written like a recording.

use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, SeekFrom};

use rustix::fs::{Advice, OFlags, fadvise};

use super::error::RepairError;
use crate::mp4::{FileSink, IoFailure, Lock, Sink};

/// A locked file.
#[derive(Debug)]
pub(super) struct Medium {
    file: File,
    sink: FileSink,
}

impl Medium {
    /// Locks `file`, to be changed or only to be read.
    pub fn open(file: &File, to_change: bool) -> Result<Self, RepairError> {
        if !file.metadata().map_err(failed("inspecting the file"))?.is_file() {
            return Err(RepairError::NotAFile);
        }
        let flags = rustix::fs::fcntl_getfl(file).map_err(io::Error::from).map_err(failed("inspecting the file"))?;
        if to_change && (!flags.contains(OFlags::RDWR) || flags.contains(OFlags::APPEND)) {
            return Err(RepairError::NotWritable);
        }
        let copy = || file.try_clone().map_err(failed("duplicating the descriptor"));
        let lock = match Lock::take(file, !to_change) {
            Ok(None) => return Err(RepairError::InUse),
            // A file system without locks: then nobody can tell.
            lock => lock.ok().flatten(),
        };
        // Of a large file, a page here and there is read; what lies between would be read for nothing.
        let _ = fadvise(file, 0, None, Advice::Random);
        Ok(Self { file: copy()?, sink: FileSink::locked(copy()?, lock) })
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        let _ = fadvise(&self.file, 0, None, Advice::Normal);
    }
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> IoFailure {
    move |source| IoFailure { action, offset: 0, source }
}

impl Read for Medium {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}

impl Seek for Medium {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Sink for Medium {
    fn write_at(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.sink.write_at(offset, parts)
    }

    fn rewritable(&self) -> bool {
        self.sink.rewritable()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.sink.truncate(length)
    }

    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<bool> {
        self.sink.reserve(offset, length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sink.sync()
    }
}
