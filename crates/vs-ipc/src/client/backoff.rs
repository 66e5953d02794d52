// SPDX-License-Identifier: Apache-2.0
//! How long to wait before the next attempt to connect.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// No attempt follows another faster than half of this, whatever a program asks for: a dead
/// host must never cost a core.
const FLOOR: Duration = Duration::from_millis(20);

/// Waiting times that double from attempt to attempt up to a bound. The actual wait lies
/// anywhere between half of that time and all of it, so that many clients of a host that
/// died do not come back in step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits at most `first` before the first attempt and at most `max` before any. Times
    /// under 20 ms are taken as 20 ms.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        let first = first.max(FLOOR);
        Self { first, max: max.max(first) }
    }

    /// The longest wait before attempt `attempt`, counted from 0.
    #[must_use]
    pub fn longest(&self, attempt: u32) -> Duration {
        let doubled = 1u32.checked_shl(attempt).and_then(|factor| self.first.checked_mul(factor));
        doubled.unwrap_or(self.max).min(self.max)
    }

    /// A wait before attempt `attempt`, counted from 0; another one each time.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> Duration {
        self.wait_with(attempt, RandomState::new().build_hasher().finish())
    }

    /// `random` decides where between half and all of the longest wait it lies.
    fn wait_with(&self, attempt: u32, random: u64) -> Duration {
        let longest = self.longest(attempt);
        let fraction = random as f64 / u64::MAX as f64;
        longest.mul_f64(0.5 + fraction / 2.0).min(longest)
    }
}

impl Default for Backoff {
    /// From 100 ms, so that a restarted daemon is found again without a noticeable pause,
    /// to 5 s, which costs nothing however long the daemon stays away.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_bound() {
        let longest = |attempt| Backoff::default().longest(attempt).as_millis();
        assert_eq!([0, 1, 2, 5, 6, 40, u32::MAX].map(longest), [100, 200, 400, 3200, 5000, 5000, 5000]);
    }

    proptest! {
        #[test]
        fn no_attempt_comes_too_early_or_too_late(
            first in 0..10_000u64, max in 0..100_000u64, attempt: u32, random: u64,
        ) {
            let backoff = Backoff::new(Duration::from_millis(first), Duration::from_millis(max));
            let wait = backoff.wait_with(attempt, random);
            prop_assert!(wait >= FLOOR / 2 && wait >= backoff.longest(attempt) / 2);
            prop_assert!(wait <= backoff.longest(attempt));
        }
    }

    #[test]
    fn two_clients_do_not_come_back_in_step() {
        let backoff = Backoff::new(Duration::from_secs(1000), Duration::from_secs(1000));
        let waits: std::collections::HashSet<_> = (0..16).map(|_| backoff.wait(0)).collect();
        assert!(waits.len() > 1);
    }
}
