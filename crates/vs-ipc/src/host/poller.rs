// SPDX-License-Identifier: Apache-2.0
//! All that a host waits for, behind one descriptor: its listening socket, its clients, its
//! alarm.
//!
//! They sit in an epoll set of their own, and only that set is registered with the runtime.
//! So a burst of messages costs one wake-up and one `epoll_wait`, however many clients sent
//! them, and the runtime has one thing to look at when a frame comes, not four.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::stats::Dialect;

/// Clients served in one go, before the source gets its turn again.
const BATCH: usize = 64;

/// Numbers that no client has: clients have small keys.
const LISTENER: u64 = u64::MAX;
const ALARM: u64 = u64::MAX - 1;
const VSL_LISTENER: u64 = u64::MAX - 2;

#[derive(Debug)]
pub(super) struct Poller {
    set: AsyncFd<OwnedFd>,
    events: Box<[MaybeUninit<Event>; BATCH]>,
}

/// Who is in the set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Member {
    /// The socket for clients of this kind.
    Listener(Dialect),
    Alarm,
    /// A client by its key.
    Client(usize),
}

/// What to wake for. The end of a connection always wakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Watch {
    Nothing,
    Messages,
    MessagesAndRoom,
}

/// What a member is ready for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) member: Member,
    pub(super) writable: bool,
    pub(super) readable: bool,
    /// The other side has closed: nothing that it said matters any more.
    pub(super) ended: bool,
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

    /// Takes a member in, watched for messages.
    pub(super) fn add(&self, member: Member, file: impl AsFd) -> io::Result<()> {
        epoll::add(&self.set, file, member.data(), Watch::Messages.flags())?;
        Ok(())
    }

    pub(super) fn watch(&self, member: Member, file: impl AsFd, watch: Watch) -> io::Result<()> {
        epoll::modify(&self.set, file, member.data(), watch.flags())?;
        Ok(())
    }

    pub(super) fn remove(&self, file: impl AsFd) {
        // Fails only if it is not in the set.
        let _ = epoll::delete(&self.set, file);
    }

    /// Waits until a member has something to say, then lists at most [`BATCH`] of them.
    /// Safe to cancel: nothing is taken before it returns.
    pub(super) async fn ready(&mut self, list: &mut Vec<Ready>) -> io::Result<()> {
        loop {
            let mut guard = self.set.readable().await?;
            list_ready(guard.get_inner(), &mut self.events, list)?;
            if !list.is_empty() {
                return Ok(());
            }
            guard.clear_ready();
        }
    }

    /// Lists those that have something to say now, as [`ready`](Self::ready) does, without waiting. The runtime looks
    /// only when all that it has to run waits; who publishes without a pause never does.
    pub(super) fn ready_now(&mut self, list: &mut Vec<Ready>) -> io::Result<()> {
        list_ready(self.set.get_ref(), &mut self.events, list)
    }
}

fn list_ready(set: &OwnedFd, events: &mut [MaybeUninit<Event>; BATCH], list: &mut Vec<Ready>) -> io::Result<()> {
    let (events, _) = epoll::wait(set, &mut events[..], Some(&Timespec::default()))?;
    list.extend(events.iter().map(|event| {
        // The kernel's structure is packed: copy the fields, never borrow them.
        let (flags, data) = (event.flags, event.data);
        Ready {
            member: Member::of(data),
            writable: flags.contains(EventFlags::OUT),
            ended: flags.intersects(EventFlags::HUP | EventFlags::ERR),
            readable: flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR),
        }
    }));
    Ok(())
}

impl Member {
    fn data(self) -> EventData {
        EventData::new_u64(match self {
            Self::Listener(Dialect::Native) => LISTENER,
            Self::Listener(Dialect::Vsl) => VSL_LISTENER,
            Self::Alarm => ALARM,
            Self::Client(key) => key as u64,
        })
    }

    fn of(data: EventData) -> Self {
        match data.u64() {
            LISTENER => Self::Listener(Dialect::Native),
            VSL_LISTENER => Self::Listener(Dialect::Vsl),
            ALARM => Self::Alarm,
            key => Self::Client(key as usize),
        }
    }
}

impl Watch {
    fn flags(self) -> EventFlags {
        match self {
            Self::Nothing => EventFlags::empty(),
            Self::Messages => EventFlags::IN,
            Self::MessagesAndRoom => EventFlags::IN | EventFlags::OUT,
        }
    }
}
