// SPDX-License-Identifier: Apache-2.0
//! The file that a picture goes into. Somebody else has opened it, with that one's rights, and may have any intentions.
//!
//! A regular file is written with `write`. What hangs there is the storage, and nothing helps against that but a thread
//! of its own. A pipe may have a reader who does not read, and its blocking mode is the caller's; so nothing is written to it
//! but by `splice` from a pipe of our own, which never waits (splice(2), `SPLICE_F_NONBLOCK`).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

/// Bytes handed over at once: what a pipe has room for by default (pipe(7)).
const CHUNK: usize = 65536;

/// When to try again if a pipe that has room takes nothing all the same: others write into it, too.
const RETRY: Duration = Duration::from_millis(1);

/// Why it cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is something else.
    #[error("a snapshot cannot be written there: open a regular file or a pipe")]
    Kind,
    /// It was opened otherwise.
    #[error("the file is not open for writing")]
    ReadOnly,
    /// Nobody reads.
    #[error("nobody reads the pipe: the snapshot was not written to its end in time")]
    NotRead,
    /// The reader has gone.
    #[error("the reader of the pipe has gone before the snapshot was written to its end")]
    Closed,
    /// The system says so.
    #[error("cannot write the snapshot: {0}")]
    Io(#[source] io::Error),
}

/// See the module.
#[derive(Debug)]
pub struct Target {
    file: File,
    is_pipe: bool,
}

impl Target {
    /// Takes a file that somebody has opened for writing.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn new(file: File) -> Result<Self, TargetError> {
        let io = |errno: Errno| TargetError::Io(errno.into());
        let is_pipe = match FileType::from_raw_mode(rustix::fs::fstat(&file).map_err(io)?.st_mode) {
            FileType::RegularFile => false,
            FileType::Fifo => true,
            _ => return Err(TargetError::Kind),
        };
        let flags = rustix::fs::fcntl_getfl(&file).map_err(io)?;
        if !flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
            return Err(TargetError::ReadOnly);
        }
        Ok(Self { file, is_pipe })
    }

    /// Writes all of it, from where the file stands; into a pipe until `deadline`. Blocks.
    ///
    /// # Errors
    /// [`TargetError`]; a part may have been written.
    pub fn write(mut self, bytes: &[u8], deadline: Instant) -> Result<(), TargetError> {
        if !self.is_pipe {
            return self.file.write_all(bytes).map_err(TargetError::Io);
        }
        let io = |errno: Errno| TargetError::Io(errno.into());
        let (ours, mouth) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(io)?;
        let mut rest = bytes;
        let mut waiting = 0;
        while waiting > 0 || !rest.is_empty() {
            if waiting == 0 {
                let chunk = rest.get(..rest.len().min(CHUNK)).unwrap_or_default();
                waiting = rustix::io::write(&mouth, chunk).map_err(io)?;
                rest = rest.get(waiting..).unwrap_or_default();
            }
            waiting -= self.pass_on(&ours, waiting, deadline)?;
        }
        Ok(())
    }

    /// Hands over some of what is in our own pipe; how many bytes.
    fn pass_on(&self, ours: &OwnedFd, waiting: usize, deadline: Instant) -> Result<usize, TargetError> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        loop {
            match splice(ours, None, &self.file, None, waiting, flags) {
                Ok(passed) if passed > 0 => return Ok(passed),
                Err(Errno::PIPE) => return Err(TargetError::Closed),
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(TargetError::Io(errno.into())),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TargetError::NotRead);
            }
            let mut fds = [PollFd::from_borrowed_fd(self.file.as_fd(), PollFlags::OUT)];
            let ready = poll(&mut fds, Some(&Timespec::try_from(left).unwrap_or_default()));
            if ready.is_ok_and(|ready| ready > 0) {
                std::thread::sleep(RETRY);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn soon(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    #[test]
    fn pipes_get_all_of_it_however_slow_the_reader() {
        let (mut reader, writer) = io::pipe().unwrap();
        let target = Target::new(File::from(OwnedFd::from(writer))).unwrap();
        let bytes: Vec<u8> = (0..1_000_003u32).map(|index| index as u8).collect();
        let written = bytes.clone();
        let thread = std::thread::spawn(move || target.write(&written, soon(60_000)));
        let mut read = Vec::new();
        let mut piece = [0; 40_001];
        loop {
            match reader.read(&mut piece).unwrap() {
                0 => break,
                count => read.extend_from_slice(&piece[..count]),
            }
        }
        thread.join().unwrap().unwrap();
        assert!(read == bytes);
    }

    #[test]
    fn a_reader_who_does_not_read_or_has_gone_ends_it() {
        let (reader, writer) = io::pipe().unwrap();
        let target =
            |writer: &io::PipeWriter| Target::new(File::from(OwnedFd::from(writer.try_clone().unwrap()))).unwrap();
        let bytes = vec![0; 200_000];
        assert!(matches!(target(&writer).write(&bytes, soon(20)), Err(TargetError::NotRead)));
        drop(reader);
        assert!(matches!(target(&writer).write(&bytes, soon(60_000)), Err(TargetError::Closed)));
    }

    #[test]
    fn what_cannot_be_written_to_is_refused() {
        let (reader, _writer) = io::pipe().unwrap();
        assert!(matches!(Target::new(File::from(OwnedFd::from(reader))), Err(TargetError::ReadOnly)));
        assert!(matches!(Target::new(File::open("/").unwrap()), Err(TargetError::Kind)));
        let null = File::options().write(true).open("/dev/null").unwrap();
        assert!(matches!(Target::new(null), Err(TargetError::Kind)));
    }
}
