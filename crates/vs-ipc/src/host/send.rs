// SPDX-License-Identifier: Apache-2.0
//! What a host reads of its clients: one record at a time, without descriptors.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

pub(super) use crate::record::{Sent, send_record, send_with_fds};
use crate::wire::MAX_CLIENT_MESSAGE;

/// What a readable socket held.
pub(super) enum Received {
    /// A record of so many bytes; it can be longer than the buffer.
    Record(usize),
    Nothing,
    Closed,
}

/// Room for the longest record that a client may send.
pub(super) type RecordBuffer = [u8; MAX_CLIENT_MESSAGE];

/// Takes one record. Descriptors that came with it are closed by the kernel, for no control
/// buffer is given.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut RecordBuffer) -> Received {
    match recv(socket, &mut buffer[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
        Ok((_, 0)) => Received::Closed,
        Ok((_, len)) => Received::Record(len),
        Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
        Err(_) => Received::Closed,
    }
}
