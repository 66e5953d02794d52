// SPDX-License-Identifier: Apache-2.0
//! The clock of a burst, the same for both sides: a timer descriptor, and what the thread
//! has used of the processor between two ticks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Context;
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use vs_frame::clock::NS_PER_SEC;

/// Frames at the start of a burst that do not count: caches still hold what the other side
/// needed.
const WARM_UP: u32 = 6;

/// A timer that ticks once for each frame.
#[derive(Debug)]
pub struct Pacer {
    timer: OwnedFd,
    fps: u32,
}

impl Pacer {
    /// A timer to wait for by a blocking [`tick`](Self::tick), or by its descriptor.
    pub fn new(fps: u32, blocking: bool) -> anyhow::Result<Self> {
        let mode = if blocking { TimerfdFlags::empty() } else { TimerfdFlags::NONBLOCK };
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | mode);
        Ok(Self { timer: timer.context("cannot create a timer")?, fps })
    }

    /// Starts ticking, one interval from now.
    pub fn start(&self) -> anyhow::Result<()> {
        let interval_ns = NS_PER_SEC / u64::from(self.fps);
        let interval = Timespec {
            tv_sec: (interval_ns / NS_PER_SEC).cast_signed(),
            tv_nsec: (interval_ns % NS_PER_SEC).cast_signed(),
        };
        let setting = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting).context("cannot set a timer")?;
        Ok(())
    }

    /// Takes the tick that is due; `false` if there is none yet. Ticks that were overslept
    /// are one.
    pub fn tick(&self) -> anyhow::Result<bool> {
        let mut expirations = [0; 8];
        loop {
            match rustix::io::read(&self.timer, &mut expirations) {
                Ok(_) => return Ok(true),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot read a timer"),
            }
        }
    }
}

impl AsFd for Pacer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

impl std::os::fd::AsRawFd for Pacer {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.timer.as_raw_fd()
    }
}

/// Frames of one burst, numbered through all bursts of a side.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    first: u32,
    frames: u32,
}

/// What to do at a tick.
pub enum Tick {
    /// Publish the frame of this number.
    Publish(u32),
    /// The burst is over; nanoseconds of processor time that the thread used from the first
    /// counted frame to the tick after the last one.
    Done(u64),
}

impl Burst {
    /// The burst of a round, with `frames` that count.
    pub fn of_round(round: u32, frames: u32) -> Self {
        Self { first: round * (WARM_UP + frames), frames }
    }

    /// The numbers of the frames that count.
    pub fn counted(self) -> std::ops::Range<usize> {
        let start = self.first + WARM_UP;
        start as usize..(start + self.frames) as usize
    }

    /// All that a burst does at its ticks.
    pub fn ticks(self) -> impl FnMut() -> Tick {
        let (mut tick, mut start_ns) = (0, 0);
        move || {
            if tick == WARM_UP {
                start_ns = thread_cpu_ns();
            }
            if tick == WARM_UP + self.frames {
                return Tick::Done(thread_cpu_ns() - start_ns);
            }
            tick += 1;
            Tick::Publish(self.first + tick - 1)
        }
    }
}

/// Processor time of this thread, in ns.
pub fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * NS_PER_SEC + time.tv_nsec.cast_unsigned()
}
