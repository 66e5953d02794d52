// SPDX-License-Identifier: Apache-2.0
//! One descriptor to wait on, for the driver and for callers who are done with a buffer.
//!
//! A mem2mem node that has nothing to do reports an error to whoever polls it (kernel doc,
//! "V4L2 mem2mem": an empty queue is an error). So it is watched only while the driver has
//! something that it can give back.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use vs_frame::Home;

use super::machine::Readiness;

/// Where buffers are put that callers are done with, from whatever thread.
#[derive(Debug)]
pub(super) struct Returns {
    bell: OwnedFd,
    /// Number and generation.
    buffers: Mutex<Vec<(u32, u64)>>,
}

impl Returns {
    pub(super) fn take(&self) -> Vec<(u32, u64)> {
        let mut counter = [0; 8];
        // Empty is fine: the bell has not rung.
        let _ = rustix::io::read(&self.bell, &mut counter);
        std::mem::take(&mut *self.buffers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the descriptor readable.
    pub(super) fn ring(&self) {
        // Full is fine: it rings already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }
}

/// The home of the buffers of one allocation.
#[derive(Debug)]
pub(super) struct Homecoming {
    pub(super) returns: Arc<Returns>,
    pub(super) generation: u64,
}

impl Home for Homecoming {
    fn take_back(&self, slot: u32) {
        let buffer = (slot, self.generation);
        self.returns.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        self.returns.ring();
    }
}

/// The descriptor.
#[derive(Debug)]
pub(super) struct Waker {
    epoll: OwnedFd,
    pub(super) returns: Arc<Returns>,
    /// The node, and what it is watched for.
    watched: Option<(RawFd, EventFlags)>,
}

impl Waker {
    pub(super) fn new() -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &bell, EventData::new_u64(0), EventFlags::IN)?;
        let returns = Arc::new(Returns { bell, buffers: Mutex::new(Vec::new()) });
        Ok(Self { epoll, returns, watched: None })
    }

    /// Watches a node for what it may do next; `None` if it is closed.
    pub(super) fn watch(&mut self, node: Option<BorrowedFd<'_>>, interest: Readiness) -> Result<(), Errno> {
        let wanted = node.map(|node| (node, flags(interest))).filter(|(_, flags)| !flags.is_empty());
        let same = self.watched == wanted.map(|(node, flags)| (node.as_raw_fd(), flags));
        if same {
            return Ok(());
        }
        match (self.watched.take(), node, wanted) {
            (Some((old, _)), Some(node), Some((_, flags))) if old == node.as_raw_fd() => {
                epoll::modify(&self.epoll, node, EventData::new_u64(1), flags)?;
            }
            (Some((old, _)), Some(node), None) if old == node.as_raw_fd() => epoll::delete(&self.epoll, node)?,
            (_, Some(node), Some((_, flags))) => epoll::add(&self.epoll, node, EventData::new_u64(1), flags)?,
            // A closed descriptor is forgotten by the kernel.
            _ => {}
        }
        self.watched = wanted.map(|(node, flags)| (node.as_raw_fd(), flags));
        Ok(())
    }

    /// The node is about to be closed, and its number may be another file's next.
    pub(super) fn forget(&mut self, node: Option<BorrowedFd<'_>>) {
        if let (Some(_), Some(node)) = (self.watched.take(), node) {
            // It goes with the descriptor anyway.
            let _ = epoll::delete(&self.epoll, node);
        }
    }

    /// Waits until it is readable, or so many ns.
    pub(super) fn wait(&self, ns: u64) -> Result<(), Errno> {
        let timeout = Timespec { tv_sec: (ns / NS_PER_SEC) as _, tv_nsec: (ns % NS_PER_SEC) as _ };
        match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

const NS_PER_SEC: u64 = vs_frame::clock::NS_PER_SEC;

fn flags(interest: Readiness) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::PRI, interest.events);
    flags.set(EventFlags::OUT, interest.output);
    flags.set(EventFlags::IN, interest.capture);
    flags
}

/// What a node has ready now. An error is known more about by whoever asks for buffers.
pub(super) fn readiness(node: BorrowedFd<'_>, interest: Readiness) -> Readiness {
    let mut wanted = PollFlags::empty();
    wanted.set(PollFlags::PRI, interest.events);
    wanted.set(PollFlags::OUT, interest.output);
    wanted.set(PollFlags::IN, interest.capture);
    let mut fds = [PollFd::from_borrowed_fd(node, wanted)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if wanted.is_empty() || poll(&mut fds, Some(&now)).is_err() {
        return Readiness::default();
    }
    let found = fds[0].revents();
    let broken = found.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    Readiness {
        events: found.contains(PollFlags::PRI),
        output: interest.output && (broken || found.contains(PollFlags::OUT)),
        capture: interest.capture && (broken || found.contains(PollFlags::IN)),
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(waker: &Waker) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(waker, PollFlags::IN)], Some(&now)).unwrap() > 0
    }

    #[test]
    fn a_buffer_that_comes_home_on_another_thread_wakes() {
        let waker = Waker::new().unwrap();
        let home = Homecoming { returns: Arc::clone(&waker.returns), generation: 3 };
        assert!(!is_readable(&waker));
        std::thread::spawn(move || home.take_back(5)).join().unwrap();
        waker.wait(u64::MAX / 4).unwrap();
        assert!(is_readable(&waker));
        assert_eq!(waker.returns.take(), [(5, 3)]);
        assert!(!is_readable(&waker));
    }

    #[test]
    fn a_node_is_watched_for_what_it_may_do_only() {
        let mut waker = Waker::new().unwrap();
        let (node, other) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&other, b"x").unwrap();
        let capture = Readiness { capture: true, ..Readiness::default() };
        waker.watch(Some(node.as_fd()), capture).unwrap();
        assert!(is_readable(&waker));
        assert_eq!(readiness(node.as_fd(), capture), capture);
        waker.watch(Some(node.as_fd()), Readiness::default()).unwrap();
        assert!(!is_readable(&waker));
        waker.watch(Some(node.as_fd()), capture).unwrap();
        // Closed, and another file under its number.
        waker.forget(Some(node.as_fd()));
        drop(node);
        let (node, _other) = rustix::pipe::pipe().unwrap();
        waker.watch(Some(node.as_fd()), capture).unwrap();
        assert!(!is_readable(&waker));
    }
}
