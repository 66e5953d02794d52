// SPDX-License-Identifier: Apache-2.0
//! How much the log tells of what another host makes happen: it may change its format or state
//! with each frame, for days.

use std::time::{Duration, Instant};

/// A host that comes, goes and comes back says some five things.
const PER_PERIOD: u32 = 16;

/// What is beyond is counted, and the count told with the first event of the next period.
const PERIOD: Duration = Duration::from_secs(10);

/// A ration of log lines.
#[derive(Debug, Default)]
pub struct Ration {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Ration {
    /// Whether an event at `now` may be told, and how many before it were not.
    pub fn take(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= PERIOD) {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told >= PER_PERIOD {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_next_period_tells_of_it() {
        let (mut ration, start) = (Ration::default(), Instant::now());
        let told = (0..1000).filter_map(|_| ration.take(start)).count();
        assert_eq!(told, PER_PERIOD as usize);
        assert_eq!(ration.take(start + PERIOD), Some(1000 - u64::from(PER_PERIOD)));
        assert_eq!(ration.take(start + PERIOD), Some(0));
    }
}
