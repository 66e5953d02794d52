// SPDX-License-Identifier: Apache-2.0
//! All client sockets of a host behind one descriptor.
//!
//! The clients sit in an epoll set of their own, and only that set is registered with the
//! runtime. So a burst of unlocks costs one wake-up and one `epoll_wait`, however many
//! clients sent them, and the host can choose to let them gather for a moment.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Clients served in one go, before the source gets its turn again.
const BATCH: usize = 64;

#[derive(Debug)]
pub(super) struct Poller {
    set: AsyncFd<OwnedFd>,
    events: Box<[MaybeUninit<Event>; BATCH]>,
}

/// What a client's socket is ready for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) key: usize,
    pub(super) writable: bool,
    pub(super) readable: bool,
}

impl Poller {
    /// Must be called on a tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let set = epoll::create(CreateFlags::CLOEXEC)?;
        // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, and the
        // `AsyncFd` owns it.
        let set = unsafe { AsyncFd::register_with_interest(set, Interest::READABLE) }?;
        Ok(Self { set, events: Box::new([MaybeUninit::uninit(); BATCH]) })
    }

    pub(super) fn add(&self, key: usize, socket: impl AsFd) -> io::Result<()> {
        epoll::add(&self.set, socket, EventData::new_u64(key as u64), EventFlags::IN)?;
        Ok(())
    }

    /// Whether to wake for room in the socket as well.
    pub(super) fn watch_writable(&self, key: usize, socket: impl AsFd, writable: bool) -> io::Result<()> {
        let flags = if writable { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        epoll::modify(&self.set, socket, EventData::new_u64(key as u64), flags)?;
        Ok(())
    }

    pub(super) fn remove(&self, socket: impl AsFd) {
        // Fails only if it is not in the set.
        let _ = epoll::delete(&self.set, socket);
    }

    /// Waits until a client has something to say, then lists at most [`BATCH`] of them.
    /// Safe to cancel: nothing is taken before it returns.
    pub(super) async fn ready(&mut self, list: &mut Vec<Ready>) -> io::Result<()> {
        loop {
            let mut guard = self.set.readable().await?;
            let (events, _) = epoll::wait(guard.get_inner(), &mut self.events[..], Some(&Timespec::default()))?;
            list.extend(events.iter().map(|event| {
                // The kernel's structure is packed: copy the field, never borrow it.
                let flags = event.flags;
                Ready {
                    key: event.data.u64() as usize,
                    writable: flags.contains(EventFlags::OUT),
                    readable: flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR),
                }
            }));
            if !list.is_empty() {
                return Ok(());
            }
            guard.clear_ready();
        }
    }
}
