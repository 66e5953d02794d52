// SPDX-License-Identifier: Apache-2.0
//! A clock for the age of files, on machines whose wall clock cannot be trusted.
//!
//! Boards without a battery begin in 1970, or where they were switched off, and jump when the network tells the time.
//! A recording must not be seven days old because of that. So age is counted on a clock that is set once and then
//! runs evenly, with `CLOCK_BOOTTIME`: to the wall clock as soon as that is not behind what was recorded last; until
//! then it goes on from there. When the wall clock leaps forward, what was recorded since the start was recorded that
//! much later than it seemed: its age stays as it is, and its time is put right.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// What clocks say, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since 1970, if somebody has set the clock.
    pub wall_ns: i64,
    /// Since the machine was switched on, suspension included.
    pub boot_ns: i64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        let boot = clock_gettime(ClockId::Boottime);
        let boot_ns = boot.tv_sec.saturating_mul(1_000_000_000).saturating_add(boot.tv_nsec);
        Self { wall_ns: wall_ns(SystemTime::now()), boot_ns }
    }
}

/// A time in ns since 1970.
pub fn wall_ns(time: SystemTime) -> i64 {
    let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    time.duration_since(SystemTime::UNIX_EPOCH).map_or_else(|before| -ns(before.duration()), ns)
}

/// Less than this, in ns, is no leap but the clock being slewed: nothing is kept that exactly.
pub const LEAP_MIN_NS: i64 = 60 * 1_000_000_000;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// What is added to the time since switching on.
    offset_ns: i64,
    /// What the wall clock has leapt ahead since it was believed.
    ahead_ns: i64,
    /// Whether it has been set by the wall clock.
    set: bool,
}

impl SteadyClock {
    /// `newest_ns` is the time of the newest recording, if there is one.
    pub fn new(now: Moment, newest_ns: Option<i64>) -> Self {
        let begin = newest_ns.unwrap_or(now.wall_ns).max(now.wall_ns);
        Self { offset_ns: begin.saturating_sub(now.boot_ns), ahead_ns: 0, set: begin == now.wall_ns }
    }

    /// The time in ns since 1970; it never goes back.
    pub fn at(&self, now: Moment) -> i64 {
        now.boot_ns.saturating_add(self.offset_ns)
    }

    /// The same as it is to be written down, for the next start.
    pub fn written(&self, time_ns: i64) -> i64 {
        time_ns.saturating_add(self.ahead_ns)
    }

    /// Looks whether the wall clock has leapt. Returns by how much this clock has gone forward, in ns, if so: by nothing
    /// if it had been set before.
    pub fn follow(&mut self, now: Moment) -> Option<i64> {
        let leap = now.wall_ns.saturating_sub(self.written(self.at(now)));
        if !self.set && leap >= 0 {
            self.offset_ns = self.offset_ns.saturating_add(leap);
            self.set = true;
            return Some(leap);
        }
        if self.set && leap >= LEAP_MIN_NS {
            self.ahead_ns = self.ahead_ns.saturating_add(leap);
            return Some(0);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn moment(wall: i64, boot: i64) -> Moment {
        Moment { wall_ns: wall * S, boot_ns: boot * S }
    }

    #[test]
    fn a_good_clock_is_believed_once() {
        let mut clock = SteadyClock::new(moment(1000, 5), Some(900 * S));
        assert_eq!((clock.follow(moment(1001, 6)), clock.at(moment(1001, 6))), (None, 1001 * S));
        let leapt = moment(9_999_999, 7);
        assert_eq!((clock.follow(leapt), clock.at(leapt)), (Some(0), 1002 * S));
        assert_eq!(clock.written(clock.at(leapt)), leapt.wall_ns);
        assert_eq!((clock.follow(moment(3, 8)), clock.at(moment(3, 8))), (None, 1003 * S));
    }

    #[test]
    fn a_clock_that_was_never_set_goes_on_from_the_newest_file() {
        let mut clock = SteadyClock::new(moment(20, 20), Some(900 * S));
        assert_eq!((clock.follow(moment(30, 30)), clock.at(moment(30, 30))), (None, 910 * S));
        // The network has told the time.
        assert_eq!((clock.follow(moment(5000, 40)), clock.at(moment(5000, 40))), (Some(4080 * S), 5000 * S));
        assert_eq!((clock.follow(moment(60_000, 50)), clock.at(moment(60_000, 50))), (Some(0), 5010 * S));
    }
}
