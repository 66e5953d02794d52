// SPDX-License-Identifier: Apache-2.0
//! Unlocking without a message.
//!
//! A frame that goes to many clients comes back as many unlocks, and to hear each of them
//! costs the host more than sending the frame did. So every client may have a page of memory
//! that it shares with the host alone: to unlock, it writes the serial into a free **entry**.
//! The host looks at the page when it next needs to know, which costs no system call on
//! either side.
//!
//! Nobody waits for that look. When something depends on an unlock (a client has missed a
//! frame, a buffer is wanted back), the host sets the **call**, and the client sends a
//! message as if there were no page. Either side writes before it reads what the other one
//! wrote, with a full fence in between; so of an unlock and a call that meet, the host sees
//! the one or the client the other.
//!
//! The page is as hostile as a message: the host believes no serial in it, and uses it in no
//! other way than an UNLOCK_REQUEST. Its size is sealed, so no access to it can fault.

mod client;
#[cfg(feature = "host")]
mod host;

use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};

pub(crate) use client::{ClientPage, Put};
#[cfg(feature = "host")]
pub(crate) use host::HostPage;

/// Bytes of the memory: one page on most machines, and a part of one on the others.
pub(crate) const LEN: usize = 4096;

/// Entries that fit behind the call.
pub(crate) const MAX_ENTRIES: usize = (LEN - size_of::<Call>()) / size_of::<Entry>();

/// In an entry that is just being written.
const WRITING: u64 = u64::MAX;

/// Set by the host, read by the client. On a cache line of its own, which then stays in both
/// their caches while nobody calls.
#[repr(C, align(64))]
#[derive(Debug)]
struct Call {
    /// Not 0: unlock by a message.
    called: AtomicU32,
}

/// One unlock, from the client to the host.
#[repr(C)]
#[derive(Debug)]
struct Entry {
    /// Serial of the frame; 0 if the entry is free.
    serial: AtomicU64,
    /// When it was unlocked, in ns of `CLOCK_MONOTONIC`.
    unlock_ns: AtomicU64,
}

/// What lies in the page. All of it is atomic, for another process writes it at any time.
#[repr(C)]
#[derive(Debug)]
struct Layout {
    call: Call,
    entries: [Entry; MAX_ENTRIES],
}

const _: () = assert!(size_of::<Layout>() <= LEN);

/// The page in this process.
#[derive(Debug)]
struct Page {
    mapping: MmapRaw,
    /// Entries in use, at most [`MAX_ENTRIES`].
    count: usize,
}

impl Page {
    /// Maps memory that has [`LEN`] bytes and never fewer.
    fn map(memory: &impl std::os::fd::AsRawFd, count: usize) -> std::io::Result<Self> {
        let mapping = MmapOptions::new().len(LEN).map_raw(memory)?;
        Ok(Self { mapping, count: count.min(MAX_ENTRIES) })
    }

    fn layout(&self) -> &Layout {
        // SAFETY: the mapping is at least as long as a `Layout`, aligned to a page, and lives
        // as long as `self`; every byte is a valid value of the atomics that it consists of,
        // whoever writes it.
        unsafe { &*self.mapping.as_ptr().cast::<Layout>() }
    }

    fn entries(&self) -> &[Entry] {
        &self.layout().entries[..self.count]
    }

    fn called(&self) -> &AtomicU32 {
        &self.layout().call.called
    }
}

#[cfg(all(test, feature = "host"))]
mod tests;
