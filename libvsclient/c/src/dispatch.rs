// SPDX-License-Identifier: Apache-2.0
//! One descriptor for everything that a client waits for, for ever: an epoll descriptor over its
//! present socket and a timer. The socket is another one after each reconnection, and the timer stands
//! for what no socket tells: that the next attempt is due, or that there are events to be told.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use vsclient::Client;

use crate::error::Outcome;

/// While an unlock waits for room in the socket that a frame's last holder in another thread sent, no
/// descriptor tells. It needs a host that has not read hundreds of messages.
const BACKLOG_RETRY: Duration = Duration::from_millis(10);

pub(crate) struct Dispatch {
    epoll: OwnedFd,
    timer: OwnedFd,
    watched: Option<Watched>,
    alarm: Alarm,
}

/// A socket in the epoll set. Frames keep sockets of lost connections open, and the kernel removes one
/// when all its descriptors are closed: so it is removed by a descriptor of our own.
struct Watched {
    socket: OwnedFd,
    /// Which one it was.
    fd: RawFd,
    connection: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alarm {
    Off,
    Now,
    At(Instant),
}

impl Dispatch {
    pub(crate) fn new() -> Outcome<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(std::io::Error::from)?;
        let data = epoll::EventData::new_u64(0);
        epoll::add(&epoll, &timer, data, epoll::EventFlags::IN).map_err(std::io::Error::from)?;
        Ok(Self { epoll, timer, watched: None, alarm: Alarm::Off })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Makes the descriptor tell what this client waits for now.
    pub(crate) fn update(&mut self, client: &Client) -> Outcome<()> {
        self.watch(client).map_err(std::io::Error::from)?;
        let alarm = if client.has_pending() || client.has_ended() {
            Alarm::Now
        } else if let Some(due) = client.retry_at() {
            Alarm::At(due)
        } else if client.has_backlog() {
            Alarm::At(Instant::now() + BACKLOG_RETRY)
        } else {
            Alarm::Off
        };
        if alarm != self.alarm {
            self.set(alarm).map_err(std::io::Error::from)?;
        }
        Ok(())
    }

    fn watch(&mut self, client: &Client) -> rustix::io::Result<()> {
        let connection = client.counters().connections;
        let present = client.socket();
        let same = |watched: &Watched| {
            present.is_some_and(|socket| socket.as_raw_fd() == watched.fd) && watched.connection == connection
        };
        if self.watched.as_ref().is_some_and(same) {
            return Ok(());
        }
        if let Some(gone) = self.watched.take() {
            epoll::delete(&self.epoll, &gone.socket)?;
        }
        let Some(present) = present else { return Ok(()) };
        let socket = rustix::io::fcntl_dupfd_cloexec(present, 0)?;
        epoll::add(&self.epoll, socket.as_fd(), epoll::EventData::new_u64(1), epoll::EventFlags::IN)?;
        self.watched = Some(Watched { socket, fd: present.as_raw_fd(), connection });
        Ok(())
    }

    fn set(&mut self, alarm: Alarm) -> rustix::io::Result<()> {
        let left = match alarm {
            Alarm::Off => Duration::ZERO,
            // A timer of zero is one that is off.
            Alarm::Now => Duration::from_nanos(1),
            Alarm::At(due) => due.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1)),
        };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec::try_from(left).unwrap_or(zero);
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value })?;
        self.alarm = alarm;
        Ok(())
    }
}
