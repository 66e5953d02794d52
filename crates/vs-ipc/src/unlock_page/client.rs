// SPDX-License-Identifier: Apache-2.0
//! The page, from the side that unlocks.

use std::os::fd::OwnedFd;
use std::sync::atomic::{Ordering, fence};

use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
use rustix::io::Errno;

use super::{LEN, Page, WRITING};

/// The page of a connection. Any thread may unlock.
#[derive(Debug)]
pub(crate) struct ClientPage(Page);

/// What became of an unlock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Put {
    /// The host will find it.
    Done,
    /// The host wants a message, or there is no entry left: send one.
    SendMessage,
}

impl ClientPage {
    /// Maps what the host has sent, with so many entries.
    ///
    /// # Errors
    /// The system's word; `EINVAL` for memory that is too small, or could become so: touching
    /// it could then end this process.
    pub(crate) fn map(fd: &OwnedFd, entries: usize) -> std::io::Result<Self> {
        let fixed = fcntl_get_seals(fd)?.contains(SealFlags::SHRINK);
        let long_enough = usize::try_from(fstat(fd)?.st_size).is_ok_and(|len| len >= LEN);
        if !fixed || !long_enough {
            return Err(Errno::INVAL.into());
        }
        Page::map(fd, entries).map(Self)
    }

    /// Unlocks frame `serial`, at `now_ns` of `CLOCK_MONOTONIC`. What the thread has read of
    /// the frame happened before.
    pub(crate) fn put(&self, serial: u64, now_ns: u64) -> Put {
        if self.0.called().load(Ordering::Relaxed) != 0 {
            return Put::SendMessage;
        }
        let claim = |entry: &&super::Entry| {
            entry.serial.load(Ordering::Relaxed) == 0
                && entry.serial.compare_exchange(0, WRITING, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let Some(entry) = self.0.entries().iter().find(claim) else { return Put::SendMessage };
        entry.unlock_ns.store(now_ns, Ordering::Relaxed);
        entry.serial.store(serial, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.0.called().load(Ordering::Relaxed) == 0 {
            return Put::Done;
        }
        // The host may or may not look once more: whoever takes the entry out passes it on.
        match entry.serial.compare_exchange(serial, 0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Put::SendMessage,
            Err(_) => Put::Done,
        }
    }
}
