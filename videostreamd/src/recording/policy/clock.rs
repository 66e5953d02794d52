// SPDX-License-Identifier: Apache-2.0
//! A clock for the age of files, on machines whose wall clock cannot be trusted.
//!
//! Boards without a battery begin in 1970, or where they were switched off, and jump when the network tells the time.
//! A recording must not be seven days old because of that. So age is counted on a clock that is set once and then
//! runs evenly, with `CLOCK_BOOTTIME`: to the wall clock as soon as that is not behind what was recorded last; until
//! then it goes on from there. When in doubt a file is younger, and stays.

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

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// What is added to the time since switching on.
    offset_ns: i64,
    /// Whether it has been set by the wall clock.
    set: bool,
}

impl SteadyClock {
    /// `newest_ns` is the time of the newest recording, if there is one.
    pub fn new(now: Moment, newest_ns: Option<i64>) -> Self {
        let begin = newest_ns.unwrap_or(now.wall_ns).max(now.wall_ns);
        Self { offset_ns: begin.saturating_sub(now.boot_ns), set: begin == now.wall_ns }
    }

    /// The time in ns since 1970; it never goes back.
    pub fn at(&mut self, now: Moment) -> i64 {
        let steady = now.boot_ns.saturating_add(self.offset_ns);
        if !self.set && now.wall_ns >= steady {
            *self = Self { offset_ns: now.wall_ns.saturating_sub(now.boot_ns), set: true };
            return now.wall_ns;
        }
        steady
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
        assert_eq!(clock.at(moment(1001, 6)), 1001 * S);
        assert_eq!(clock.at(moment(9_999_999, 7)), 1002 * S);
        assert_eq!(clock.at(moment(3, 8)), 1003 * S);
    }

    #[test]
    fn a_clock_that_was_never_set_goes_on_from_the_newest_file() {
        let mut clock = SteadyClock::new(moment(20, 20), Some(900 * S));
        assert_eq!(clock.at(moment(30, 30)), 910 * S);
        // The network has told the time.
        assert_eq!(clock.at(moment(5000, 40)), 5000 * S);
        assert_eq!(clock.at(moment(60_000, 50)), 5010 * S);
    }
}
