// SPDX-License-Identifier: Apache-2.0
//! The receiving end of the socket: one system call for each message.
//!
//! Three ways of waiting for a message were at hand. `poll` and then `recvmsg` costs two
//! calls for each frame, and with a first non-blocking attempt three. A `recvmsg` that
//! blocks costs one, and the kernel hands the message over as soon as the thread wakes: that
//! is what [`Inbox::receive`] does, with `SO_RCVTIMEO` as its timeout. The option is set
//! only when the timeout differs from the last one, so a loop with a constant timeout stays
//! at one call. The socket itself is in blocking mode; whoever must not block says
//! `MSG_DONTWAIT`.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use vs_frame::MAX_PLANES;

use super::ReceiveError;
use crate::wire::{MAX_HOST_MESSAGE, WireError};

/// The descriptors that came with a message.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    pub(crate) fds: [Option<OwnedFd>; MAX_PLANES],
    /// How many there are.
    pub(crate) count: usize,
    /// Some could not be received. Either this process has no room for them, or the host
    /// sent more than any message may carry.
    pub(crate) truncated: bool,
}

/// How long to wait for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// At most so long; `None` is for ever.
    Block(Option<Duration>),
}

/// Where messages land.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Box<[u8; MAX_HOST_MESSAGE]>,
    len: usize,
    /// The `SO_RCVTIMEO` in force; `None` is for ever, as the kernel starts.
    timeout: Option<Duration>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { bytes: Box::new([0; MAX_HOST_MESSAGE]), len: 0, timeout: None }
    }

    /// The message received last.
    pub(crate) fn record(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Takes one message from the socket; `None` if there is none in time.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, wait: Wait) -> Result<Option<Descriptors>, ReceiveError> {
        let mut flags = RecvFlags::CMSG_CLOEXEC;
        match wait {
            Wait::No => flags |= RecvFlags::DONTWAIT,
            Wait::Block(timeout) => self.set_timeout(socket, timeout)?,
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PLANES))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut receive = || recvmsg(socket, &mut [IoSliceMut::new(&mut self.bytes[..])], &mut control, flags);
        let received = match receive() {
            // A host that closes with requests of this client unread makes the kernel say so
            // once, before the messages that are still to be read: its GOODBYE, most of all.
            Err(Errno::CONNRESET) => receive(),
            other => other,
        };
        let message = match received {
            Ok(message) => message,
            // A signal ends a wait early; the caller knows how much of it is left.
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(Errno::CONNRESET | Errno::NOTCONN | Errno::PIPE) => return Err(ReceiveError::Closed),
            Err(error) => return Err(ReceiveError::Io(error.into())),
        };
        let mut descriptors =
            Descriptors { truncated: message.flags.contains(ReturnFlags::CTRUNC), ..Descriptors::default() };
        for ancillary in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = ancillary {
                descriptors.take(fds);
            }
        }
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(ReceiveError::Protocol(WireError::TooLong(MAX_HOST_MESSAGE).into()));
        }
        // No message of the protocol is empty: this is the end of the connection.
        if message.bytes == 0 {
            return Err(ReceiveError::Closed);
        }
        self.len = message.bytes;
        Ok(Some(descriptors))
    }

    fn set_timeout(&mut self, socket: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<(), ReceiveError> {
        if self.timeout != timeout {
            // A timeout of 0 would mean "for ever" to the kernel.
            let wanted = timeout.map(|timeout| timeout.max(Duration::from_micros(1)));
            set_socket_timeout(socket, Timeout::Recv, wanted).map_err(|e| ReceiveError::Io(e.into()))?;
            self.timeout = timeout;
        }
        Ok(())
    }
}

impl Descriptors {
    /// Keeps those that a message may carry; the rest is closed.
    fn take(&mut self, fds: impl Iterator<Item = OwnedFd>) {
        for fd in fds {
            if let Some(place) = self.fds.get_mut(self.count) {
                *place = Some(fd);
                self.count += 1;
            }
        }
    }
}
