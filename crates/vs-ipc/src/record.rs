// SPDX-License-Identifier: Apache-2.0
//! One record into one socket, at once or not at all.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::{Errno, IoSlice};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use vs_frame::format::MAX_PLANES;

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    Yes,
    /// The socket is full; it will say when there is room.
    Full,
    /// The kernel has no room for it now, for reasons beyond this socket.
    Busy,
    /// The peer is gone.
    Gone,
}

const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

pub(crate) fn send_record(socket: BorrowedFd<'_>, bytes: &[u8]) -> Sent {
    outcome(send(socket, bytes, FLAGS))
}

/// Sends a record with descriptors, at most [`MAX_PLANES`].
pub(crate) fn send_with_fds<'f>(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: impl Iterator<Item = &'f (impl AsFd + 'f)>,
) -> Sent {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PLANES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<BorrowedFd<'_>> = fds.map(AsFd::as_fd).collect();
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Sent::Busy;
    }
    outcome(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, FLAGS))
}

fn outcome(result: rustix::io::Result<usize>) -> Sent {
    match result {
        Ok(_) => Sent::Yes,
        Err(Errno::AGAIN) => Sent::Full,
        // ETOOMANYREFS: the user has as many descriptors in flight as it may, in this or
        // other sockets (unix(7)). It passes when somebody reads.
        Err(Errno::NOBUFS | Errno::NOMEM | Errno::INTR | Errno::TOOMANYREFS) => Sent::Busy,
        Err(_) => Sent::Gone,
    }
}
