// SPDX-License-Identifier: Apache-2.0
//! The sending side of the socket, shared with the frames that the other side has lent: they are
//! dropped anywhere, and must not block there.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, shutdown};
use vs_frame::{Home, Memory};

use super::MAX_QUEUED;
use crate::record::{Sent, send_record, send_with_fds};
use crate::wire::exchange::{Return, VERSION_MAJOR, VERSION_MINOR};
use crate::wire::{Goodbye, GoodbyeReason, MAX_TEXT, record, truncate};

#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    closed: AtomicBool,
    /// The other side reads nothing.
    overflowed: AtomicBool,
    /// Records that the socket could not take yet, oldest first.
    queue: Mutex<VecDeque<Vec<u8>>>,
    /// Whether `queue` has anything, so that looking costs no lock.
    queued: AtomicBool,
    /// Frames of the other side in this side's hands.
    borrowed: AtomicUsize,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            closed: AtomicBool::new(false),
            overflowed: AtomicBool::new(false),
            queue: Mutex::default(),
            queued: AtomicBool::new(false),
            borrowed: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether it was closed because nobody read.
    pub(super) fn is_overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Acquire)
    }

    pub(super) fn borrowed(&self) -> usize {
        self.borrowed.load(Ordering::Acquire)
    }

    /// Ends the connection; the other side sees it at once, whoever still has a descriptor.
    pub(super) fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            // It can only fail if the other side is gone.
            let _ = shutdown(&self.socket, Shutdown::Both);
        }
    }

    /// Says why, as far as the socket has room, and ends the connection.
    pub(super) fn goodbye(&self, reason: GoodbyeReason, text: &str) {
        let text = truncate(text, MAX_TEXT).as_bytes();
        let goodbye = Goodbye {
            reason: reason.code().into(),
            major: VERSION_MAJOR.into(),
            minor: VERSION_MINOR.into(),
            text_len: (text.len() as u32).into(),
            ..Goodbye::default()
        };
        if !self.is_closed() {
            self.flush();
            // What waits will not be sent any more; a reason is worth more than its place in the row.
            send_record(self.socket.as_fd(), &record(goodbye, text));
        }
        self.close();
    }

    /// Whether the other side has hung up, as the kernel knows it.
    pub(super) fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = poll(&mut fds, Some(&now));
        polled.is_ok() && fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    /// Sends a record, now or when there is room.
    pub(super) fn say(&self, bytes: Vec<u8>) {
        if self.is_closed() {
            return;
        }
        let mut queue = self.lock();
        if self.flush_queue(&mut queue) && !matches!(send_record(self.socket.as_fd(), &bytes), Sent::Full | Sent::Busy)
        {
            return;
        }
        if queue.len() >= MAX_QUEUED {
            drop(queue);
            self.overflowed.store(true, Ordering::Release);
            self.close();
            return;
        }
        queue.push_back(bytes);
        self.queued.store(true, Ordering::Release);
    }

    /// Sends a record behind all that waits, now or not at all.
    pub(super) fn send(&self, bytes: &[u8], memories: &[Memory]) -> Sent {
        let mut queue = self.lock();
        if !self.flush_queue(&mut queue) {
            return Sent::Full;
        }
        if memories.is_empty() {
            send_record(self.socket.as_fd(), bytes)
        } else {
            send_with_fds(self.socket.as_fd(), bytes, memories.iter())
        }
    }

    /// Whether records wait for room in the socket.
    pub(super) fn has_backlog(&self) -> bool {
        self.queued.load(Ordering::Acquire)
    }

    /// Sends what waits; whether nothing is left.
    pub(super) fn flush(&self) -> bool {
        !self.has_backlog() || self.flush_queue(&mut self.lock())
    }

    fn flush_queue(&self, queue: &mut VecDeque<Vec<u8>>) -> bool {
        while let Some(first) = queue.front() {
            if matches!(send_record(self.socket.as_fd(), first), Sent::Full | Sent::Busy) {
                return false;
            }
            queue.pop_front();
        }
        self.queued.store(false, Ordering::Release);
        true
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        // Nothing under the lock can panic halfway.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The home of one frame that the other side has lent.
#[derive(Debug)]
pub(super) struct Borrowed {
    link: Arc<Link>,
    number: u64,
}

impl Borrowed {
    /// Counts it.
    pub(super) fn new(link: &Arc<Link>, number: u64) -> Self {
        link.borrowed.fetch_add(1, Ordering::AcqRel);
        Self { link: Arc::clone(link), number }
    }
}

impl Home for Borrowed {
    fn take_back(&self, _slot: u32) {
        // The other side may lend the next one as soon as it has heard.
        self.link.borrowed.fetch_sub(1, Ordering::AcqRel);
        self.link.say(record(Return { number: self.number.into(), ..Return::default() }, &[]));
    }
}

/// Ends an exchange from another thread than the one it belongs to.
#[derive(Debug, Clone)]
pub struct Hangup(pub(super) Arc<Link>);

impl Hangup {
    /// Tells the other side why, as far as there is room, and ends the connection. The thread that
    /// has the exchange finds it closed.
    pub fn goodbye(&self, reason: GoodbyeReason, text: &str) {
        self.0.goodbye(reason, text);
    }

    /// Whether the connection has ended, or the other side has hung up: what it cost is about to
    /// be released.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.is_closed() || self.0.is_gone()
    }
}
