// SPDX-License-Identifier: Apache-2.0
//! The page, from the side that collects.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{Ordering, fence};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::{LEN, MAX_ENTRIES, Page, WRITING};

/// The page of one client.
#[derive(Debug)]
pub(crate) struct HostPage {
    page: Page,
    /// What the call was set to last; the page itself is the client's to scribble on.
    calls: bool,
}

impl HostPage {
    /// Makes a page for a client that holds at most `credits` frames; returns the descriptor
    /// for the client, too. Nobody can change its size.
    pub(crate) fn make(credits: usize) -> io::Result<(Self, OwnedFd)> {
        let fd = memfd_create("videostream-unlocks", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, LEN as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let page = Page::map(&fd, credits)?;
        Ok((Self { page, calls: false }, fd))
    }

    /// Entries that the client may use.
    pub(crate) fn entries(&self) -> usize {
        self.page.count
    }

    /// Takes out what the client has put in: serials, each with the time that the client
    /// gives. Returns how many there were.
    pub(crate) fn collect(&self, mut unlocked: impl FnMut(u64, u64)) -> usize {
        let mut count = 0;
        for entry in self.page.entries() {
            let serial = entry.serial.load(Ordering::Acquire);
            if serial == 0 || serial == WRITING {
                continue;
            }
            let unlock_ns = entry.unlock_ns.load(Ordering::Relaxed);
            // The client may be taking it back, to send it as a message.
            if entry.serial.compare_exchange(serial, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                unlocked(serial, unlock_ns);
                count += 1;
            }
        }
        count
    }

    /// Asks for messages. What the client has put in without seeing that is found by the
    /// next [`collect`](Self::collect).
    pub(crate) fn call(&mut self) {
        if !self.calls {
            self.calls = true;
            self.page.called().store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }

    /// Messages are not needed any more.
    pub(crate) fn hush(&mut self) {
        if self.calls {
            self.calls = false;
            self.page.called().store(0, Ordering::Relaxed);
        }
    }
}

const _: () = assert!(MAX_ENTRIES >= 64, "more than clients usually hold");
