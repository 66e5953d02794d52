// SPDX-License-Identifier: Apache-2.0
//! What a connection and its frames share: the socket, for sending, and whether the
//! connection still stands. Nothing here ever blocks, for a frame may be dropped anywhere.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use vs_frame::clock::monotonic_ns;
use zerocopy::IntoBytes;

use super::buffers::MAX_BUFFERS;
use super::{ProtocolError, SendError};
use crate::unlock_page::{ClientPage, Put};
use crate::wire::{Header, LockRequest, Message, UnlockRequest};

/// Unlocks that may wait for the socket when the host makes it one more. An honest host revokes
/// each frame that it announces once at most, and of those it has no more than buffers.
const BACKLOG_MAX: usize = 4 * MAX_BUFFERS;

/// The sending side.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    closed: AtomicBool,
    /// Serials whose unlock the socket could not take yet. The program adds no more than it
    /// holds frames; what the host adds by revoking, [`BACKLOG_MAX`] bounds.
    backlog: Mutex<Vec<u64>>,
    /// Whether `backlog` has anything, so that looking costs no lock.
    backlogged: AtomicBool,
    requests: AtomicU64,
    /// Where to unlock without a message, if the host has given one.
    page: OnceLock<ClientPage>,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            closed: AtomicBool::new(false),
            backlog: Mutex::default(),
            backlogged: AtomicBool::new(false),
            requests: AtomicU64::new(1),
            page: OnceLock::new(),
        }
    }

    /// Whether the connection has ended, as far as this process has noticed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the connection: the host takes back every lease, and every frame knows it.
    pub(super) fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            // Frames keep the descriptor open for as long as they live; the host must not
            // go on sending to nobody meanwhile. It can only fail if the host is gone.
            let _ = shutdown(&self.socket, Shutdown::Both);
        }
    }

    /// Asks the kernel whether the host is still there.
    pub(super) fn host_is_gone(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = poll(&mut fds, Some(&now));
        polled.is_ok() && fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    /// From now on frames may be given back in this page. The first one stays.
    pub(super) fn set_page(&self, page: ClientPage) {
        let _ = self.page.set(page);
    }

    /// Gives back a frame that came with a lease and was never asked for: what the page says
    /// and what messages say has no order among itself.
    pub(super) fn give_back(&self, serial: u64) {
        match self.page.get() {
            Some(page) if page.put(serial, monotonic_ns()) == Put::Done => {}
            _ => self.unlock(serial),
        }
    }

    /// Sends an UNLOCK_REQUEST, now or with the next message.
    pub(super) fn unlock(&self, serial: u64) {
        if self.is_closed() {
            return;
        }
        if self.flush() && self.send_unlock(serial) != Err(SendError::Busy) {
            return;
        }
        self.lock_backlog().push(serial);
        self.backlogged.store(true, Ordering::Release);
    }

    /// Answers the host, which wants an unlock; fails if it has not read a great many.
    pub(super) fn answer(&self, serial: u64) -> Result<(), ProtocolError> {
        if self.has_backlog() && self.lock_backlog().len() >= BACKLOG_MAX {
            return Err(ProtocolError::ReadsNothing(BACKLOG_MAX));
        }
        self.unlock(serial);
        Ok(())
    }

    /// Sends a LOCK_REQUEST; returns its number.
    pub(super) fn request_lock(&self, serial: u64, lease_ns: u64) -> Result<u64, SendError> {
        if self.is_closed() {
            return Err(SendError::Closed);
        }
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let message = LockRequest {
            header: header::<LockRequest>(),
            request: request.into(),
            serial: serial.into(),
            lease_ns: lease_ns.into(),
        };
        self.send(message.as_bytes()).map(|()| request)
    }

    /// Sends a message without waiting.
    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), SendError> {
        loop {
            match send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return Err(SendError::Busy),
                // Whether it is really over is for the receiving side to find out: there
                // may be messages left to read.
                Err(_) => return Err(SendError::Closed),
            }
        }
    }

    /// Whether unlocks wait for the socket.
    pub(super) fn has_backlog(&self) -> bool {
        self.backlogged.load(Ordering::Acquire)
    }

    /// Sends what waits, oldest first; whether nothing is left.
    pub(super) fn flush(&self) -> bool {
        if !self.has_backlog() {
            return true;
        }
        let mut backlog = self.lock_backlog();
        let sent = backlog.iter().take_while(|serial| self.send_unlock(**serial) != Err(SendError::Busy)).count();
        backlog.drain(..sent);
        self.backlogged.store(!backlog.is_empty(), Ordering::Release);
        backlog.is_empty()
    }

    fn send_unlock(&self, serial: u64) -> Result<(), SendError> {
        let message = UnlockRequest { header: header::<UnlockRequest>(), serial: serial.into() };
        self.send(message.as_bytes())
    }

    fn lock_backlog(&self) -> MutexGuard<'_, Vec<u64>> {
        // Nothing under the lock can panic halfway.
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The header of a message without a tail.
pub(super) fn header<M: Message>() -> Header {
    Header { kind: M::KIND.into(), reserved: 0.into(), length: (size_of::<M>() as u32).into() }
}
