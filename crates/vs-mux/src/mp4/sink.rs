// SPDX-License-Identifier: Apache-2.0
//! Where a file goes, and what can be done there.

use std::fs::File;
use std::io::{self, IoSlice};

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use super::lock::Lock;

/// A place to write a file to. The writer says at which offset each byte belongs, so the sink needs
/// no position of its own.
pub trait Sink {
    /// Writes all of `parts`, one after the other, at `offset`, in as few system calls as possible.
    /// On a sink that is not [rewritable](Sink::rewritable), `offset` is always the end.
    fn write_at(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Whether what is written can be overwritten and cut off.
    fn rewritable(&self) -> bool;

    /// Cuts the file off at `length` bytes. Called only where [rewritable](Sink::rewritable).
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Makes sure that the `length` bytes at `offset`, which lie behind the end, can be written later
    /// even if the disk is full by then; the file gets no longer. `Ok(false)` if such a promise
    /// cannot be had here. What is reserved and not written is given back by
    /// [`truncate`](Sink::truncate).
    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<bool> {
        let _ = (offset, length);
        Ok(false)
    }

    /// Returns when all that was written survives a power cut, or at once where nothing can.
    fn sync(&mut self) -> io::Result<()>;
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn write_at(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        (**self).write_at(offset, parts)
    }

    fn rewritable(&self) -> bool {
        (**self).rewritable()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        (**self).truncate(length)
    }

    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<bool> {
        (**self).reserve(offset, length)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }
}

/// Why a file cannot be recorded to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file has content that recording would destroy.
    #[error("the file already holds {length} bytes; pass an empty one (open it with O_TRUNC)")]
    NotEmpty {
        /// Its size.
        length: u64,
    },
    /// The file was opened for reading only.
    #[error("the file is not open for writing")]
    NotWritable,
    /// Its properties could not be read.
    #[error("cannot inspect the file: {0}")]
    Inspect(#[from] io::Error),
}

/// A file, pipe or socket that somebody opened.
///
/// Regular files are written with `pwritev`, so the position that the descriptor may share with
/// whoever opened it does not matter. A file opened with `O_APPEND` is treated like a pipe: Linux
/// appends there whatever offset is asked for (pwrite(2), "Bugs").
///
/// A regular file is locked with `flock` for as long as the sink lives, so that
/// [`repair`](crate::repair) knows that it is not torn but in use. Where somebody else has locked it,
/// or locks are not supported, it is recorded to all the same.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    regular: bool,
    rewritable: bool,
    _lock: Option<Lock>,
}

impl FileSink {
    /// Takes over `file`, which must be writable and, if it is a regular file, empty.
    ///
    /// The name in the directory is the caller's: sync the directory if the file is new.
    pub fn new(file: File) -> Result<Self, OpenError> {
        let metadata = file.metadata()?;
        let regular = metadata.is_file();
        if regular && metadata.len() > 0 {
            return Err(OpenError::NotEmpty { length: metadata.len() });
        }
        let flags = rustix::fs::fcntl_getfl(&file).map_err(io::Error::from)?;
        if !flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
            return Err(OpenError::NotWritable);
        }
        let lock = if regular { Lock::take(&file, false).unwrap_or(None) } else { None };
        Ok(Self { file, regular, rewritable: regular && !flags.contains(OFlags::APPEND), _lock: lock })
    }

    /// A file that holds something, which nobody else changes for as long as there is the `lock`.
    pub(crate) fn locked(file: File, lock: Option<Lock>) -> Self {
        Self { file, regular: true, rewritable: true, _lock: lock }
    }

    /// Gives the file back.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl Sink for FileSink {
    fn write_at(&mut self, mut offset: u64, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut parts, 0); // leaves out empty slices
        while !parts.is_empty() {
            let written = if self.rewritable {
                rustix::io::pwritev(&self.file, parts, offset)
            } else {
                rustix::io::writev(&self.file, parts)
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    IoSlice::advance_slices(&mut parts, count);
                    offset += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn rewritable(&self) -> bool {
        self.rewritable
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<bool> {
        if !self.rewritable {
            return Ok(false);
        }
        loop {
            return match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, length) {
                Ok(()) => Ok(true),
                Err(Errno::INTR) => continue,
                // A file system that cannot, or a sandbox that does not know the call.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(false),
                Err(error) => Err(error.into()),
            };
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.regular { self.file.sync_data() } else { Ok(()) }
    }
}
