// SPDX-License-Identifier: Apache-2.0
//! The moment at which the host has something to do although nobody says anything.
//!
//! Moments that have been set only ever come nearer; what was set for a lease that ended
//! meanwhile wakes the host once for nothing. So a stream whose leases last for a second
//! sets it once a second, and not for each frame.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use vs_frame::clock::NS_PER_SEC;

/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// A timer that is readable from its moment on, until it is cleared.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: OwnedFd,
    set_for_ns: u64,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self { timer, set_for_ns: NEVER })
    }

    /// Makes it go off at `due_ns` at the latest, in ns of `CLOCK_MONOTONIC`. A moment that
    /// has passed is now.
    pub(super) fn set(&mut self, due_ns: u64) -> io::Result<()> {
        if due_ns >= self.set_for_ns {
            return Ok(());
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // The moment 0 would mean "never" to the kernel.
        let at_ns = due_ns.max(1);
        let it_value =
            Timespec { tv_sec: (at_ns / NS_PER_SEC).cast_signed(), tv_nsec: (at_ns % NS_PER_SEC).cast_signed() };
        let setting = Itimerspec { it_interval: zero, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &setting)?;
        self.set_for_ns = due_ns;
        Ok(())
    }

    /// It has gone off.
    pub(super) fn clear(&mut self) {
        self.set_for_ns = NEVER;
        // Nothing to read means that it was set anew meanwhile.
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}
