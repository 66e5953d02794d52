// SPDX-License-Identifier: Apache-2.0
//! A file as something to read at places, none of them beyond its end.

use std::io::{self, Read, Seek, SeekFrom};

use super::error::Trouble;
use crate::mp4::IoFailure;

/// A file and its length.
#[derive(Debug)]
pub(crate) struct Source<F> {
    file: F,
    length: u64,
}

impl<F: Read + Seek> Source<F> {
    pub fn new(mut file: F) -> Result<Self, IoFailure> {
        let length = file.seek(SeekFrom::End(0)).map_err(failed("seeking to the end", 0))?;
        Ok(Self { file, length })
    }

    /// Bytes in the file when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Fills `bytes` from the file at `at`.
    pub fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), Trouble> {
        if at.checked_add(bytes.len() as u64).is_none_or(|end| end > self.length) {
            return Err(Trouble::broken("something reaches beyond the end of the file", at));
        }
        let mut read = || {
            self.file.seek(SeekFrom::Start(at))?;
            self.file.read_exact(bytes)
        };
        read().map_err(failed("reading", at)).map_err(Trouble::Io)
    }

    /// The bytes from `at` to `end`, of which there may be at most `limit`: the caller's, not the
    /// file's, idea of how much is sensible.
    pub fn read_range(&mut self, at: u64, end: u64, limit: usize) -> Result<Vec<u8>, Trouble> {
        match usize::try_from(end.saturating_sub(at)) {
            Ok(length) if length <= limit && end <= self.length => {
                let mut bytes = vec![0; length];
                self.read_at(at, &mut bytes)?;
                Ok(bytes)
            }
            _ => Err(Trouble::broken("a description is larger than any sensible one", at)),
        }
    }

    /// Reads on from `at` as much as there is, up to `bytes`.
    pub fn read_some(&mut self, at: u64, bytes: &mut [u8]) -> Result<usize, IoFailure> {
        let length = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        let mut read = || {
            self.file.seek(SeekFrom::Start(at))?;
            self.file.read_exact(&mut bytes[..length])
        };
        read().map_err(failed("reading", at))?;
        Ok(length)
    }
}

fn failed(action: &'static str, offset: u64) -> impl FnOnce(io::Error) -> IoFailure {
    move |source| IoFailure { action, offset, source }
}
