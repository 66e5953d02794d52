// SPDX-License-Identifier: Apache-2.0
//! A timer that is as exact as the kernel: frames are due to the microsecond, the runtime's own
//! timers to the millisecond.

use std::os::fd::OwnedFd;

use anyhow::Context;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vs_frame::clock::NS_PER_SEC;

/// See the module.
#[derive(Debug)]
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// Must be called on the stream's runtime.
    pub fn new() -> anyhow::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).context("cannot create a timer")?;
        // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, and the
        // `AsyncFd` owns it.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }
            .map_err(std::io::Error::from)
            .context("cannot watch a timer")?;
        Ok(Self(timer))
    }

    /// Sets it to a time of `CLOCK_MONOTONIC`, in ns; what it was set to before is forgotten.
    pub fn set(&self, at_ns: u64) -> anyhow::Result<()> {
        let it_value = Timespec { tv_sec: (at_ns / NS_PER_SEC) as i64, tv_nsec: (at_ns % NS_PER_SEC) as i64 };
        let timer = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &timer).context("cannot set the timer")?;
        Ok(())
    }

    /// Waits until its time has come. Safe to cancel.
    pub async fn wait(&self) -> anyhow::Result<()> {
        loop {
            let mut guard = self.0.readable().await?;
            let mut expirations = [0u8; 8];
            match rustix::io::read(guard.get_inner(), &mut expirations) {
                Ok(_) => {
                    // An expiration that has been read leaves nothing to read.
                    guard.clear_ready();
                    return Ok(());
                }
                Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
                Err(error) => return Err(error).context("cannot read the timer"),
            }
        }
    }
}
