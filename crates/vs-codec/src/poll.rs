// SPDX-License-Identifier: Apache-2.0
//! One descriptor to wait on for several, which may be exchanged while others wait.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

/// Readable while one of its descriptors is.
#[derive(Debug)]
pub(crate) struct Poll(OwnedFd);

impl Poll {
    pub(crate) fn new() -> Result<Self, Errno> {
        epoll::create(CreateFlags::CLOEXEC).map(Self)
    }

    /// Watches another one. It is forgotten when it is closed.
    pub(crate) fn watch(&self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        epoll::add(&self.0, fd, EventData::new_u64(0), EventFlags::IN)
    }
}

impl AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

    use super::*;

    fn is_readable(fd: &Poll) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&now)).unwrap() > 0
    }

    #[test]
    fn one_of_them_is_enough_and_the_closed_one_is_forgotten() {
        let bell = |count| eventfd(count, EventfdFlags::NONBLOCK).unwrap();
        let (silent, ringing) = (bell(0), bell(1));
        let all = Poll::new().unwrap();
        let inner = Poll::new().unwrap();
        inner.watch(silent.as_fd()).unwrap();
        all.watch(inner.as_fd()).unwrap();
        assert!(!is_readable(&all));
        inner.watch(ringing.as_fd()).unwrap();
        assert!(is_readable(&all));
        drop(ringing);
        assert!(!is_readable(&all));
    }
}
