// SPDX-License-Identifier: Apache-2.0
//! What a connection and its frames share: the socket, for sending, and the order in which
//! requests left. Nothing here ever blocks, for a frame may be dropped anywhere.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use zerocopy::IntoBytes;

use crate::vsl::wire::{Control, Request};

/// What an answer is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Lock,
    Unlock,
}

/// The sending side.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    closed: AtomicBool,
    requests: Mutex<Requests>,
    /// Whether requests are unsent, so that looking costs no lock.
    backlogged: AtomicBool,
    /// Locks asked for or granted, and not given back.
    wanted: AtomicUsize,
}

/// Bounded by the frames that the program wants at once: each has one lock and one unlock,
/// and an answer to a later request is only taken after those to the earlier ones.
#[derive(Debug, Default)]
struct Requests {
    /// Those that the socket could not take yet, oldest first.
    unsent: VecDeque<(Asked, i64)>,
    /// Those sent and not answered, oldest first.
    unanswered: VecDeque<Asked>,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            closed: AtomicBool::new(false),
            requests: Mutex::default(),
            backlogged: AtomicBool::new(false),
            wanted: AtomicUsize::new(0),
        }
    }

    /// Whether the connection has ended, as far as this process has noticed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the connection: the host takes back every lock.
    pub(super) fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            // Frames keep the descriptor open for as long as they live; the host must not
            // go on sending to nobody meanwhile. It can only fail if the host is gone.
            let _ = shutdown(&self.socket, Shutdown::Both);
        }
    }

    /// Locks asked for or granted, and not given back.
    pub(super) fn wanted(&self) -> usize {
        self.wanted.load(Ordering::Acquire)
    }

    pub(super) fn lock(&self, serial: i64) {
        self.wanted.fetch_add(1, Ordering::AcqRel);
        self.request(Asked::Lock, serial);
    }

    pub(super) fn unlock(&self, serial: i64) {
        self.request(Asked::Unlock, serial);
        // The host hears of it before it hears of any later lock.
        self.wanted.fetch_sub(1, Ordering::AcqRel);
    }

    /// A lock that was asked for is not to be.
    pub(super) fn not_granted(&self) {
        self.wanted.fetch_sub(1, Ordering::AcqRel);
    }

    /// An answer has come: what was asked.
    pub(super) fn answered(&self) -> Option<Asked> {
        self.requests().unanswered.pop_front()
    }

    /// Whether requests wait for the socket.
    pub(super) fn has_backlog(&self) -> bool {
        self.backlogged.load(Ordering::Acquire)
    }

    /// Sends what waits, oldest first; whether nothing is left.
    pub(super) fn flush(&self) -> bool {
        !self.has_backlog() || self.send_unsent(&mut self.requests())
    }

    fn request(&self, asked: Asked, serial: i64) {
        if self.is_closed() {
            return;
        }
        let mut requests = self.requests();
        requests.unsent.push_back((asked, serial));
        self.send_unsent(&mut requests);
    }

    /// Sending and remembering happen under one lock: their order is what answers go by.
    fn send_unsent(&self, requests: &mut Requests) -> bool {
        while let Some((asked, serial)) = requests.unsent.front().copied() {
            let control = match asked {
                Asked::Lock => Control::Lock,
                Asked::Unlock => Control::Unlock,
            };
            let request = Request::new(control, serial);
            match send(&self.socket, request.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                // Whether the host is gone is for the receiving side to find out: there may
                // be frames left to read.
                Ok(_) => {
                    requests.unsent.pop_front();
                    requests.unanswered.push_back(asked);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => break,
                Err(_) => requests.unsent.clear(),
            }
        }
        let empty = requests.unsent.is_empty();
        self.backlogged.store(!empty, Ordering::Release);
        empty
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        // Nothing under the lock can panic halfway.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
