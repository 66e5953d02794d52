// SPDX-License-Identifier: Apache-2.0
//! How long things took, in memory that does not grow.
//!
//! A [`Histogram`] is a fixed array of counters. To add a duration is to increment one of
//! them: no allocation, no floating point, no search. The buckets grow with what they count:
//! every power of two from 1.024 µs to 68.7 s is divided into eight, so that a microsecond
//! and a minute are told apart from their neighbours equally well. What a quantile says is
//! therefore never too low, and at most an eighth too high.

use std::fmt;

/// Durations up to 2¹⁰ ns share the first bucket: the clock itself takes a good part of that.
const FIRST_EXPONENT: u32 = 10;

/// Durations beyond 2³⁶ ns share the last bucket: no lease or latency is longer and healthy.
const LAST_EXPONENT: u32 = 36;

/// Each power of two is divided into 2³ buckets.
const SUB_BITS: u32 = 3;

const SUBS: usize = 1 << SUB_BITS;
const OCTAVES: usize = (LAST_EXPONENT - FIRST_EXPONENT) as usize;
const BUCKETS: usize = 1 + OCTAVES * SUBS + 1;

/// The upper end of the last bucket.
pub const NO_BOUND: u64 = u64::MAX;

/// A distribution of durations; 1.7 kB. See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum_ns: u64,
    min_ns: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum_ns: 0, min_ns: u64::MAX, max_ns: 0 }
    }
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a duration, in ns.
    pub fn record(&mut self, ns: u64) {
        self.counts[index(ns)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds all that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// All durations together, in ns; exact, but never more than 584 years.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// The shortest, in ns, exact; `None` if there is none.
    #[must_use]
    pub fn min_ns(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.min_ns)
    }

    /// The longest, in ns, exact; `None` if there is none.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.max_ns)
    }

    /// The duration, in ns, that a fraction `q` of all (0.5: half of them) does not exceed.
    /// Never less than the true one and at most an eighth more; up to 1.024 µs, 1.024 µs or
    /// the longest. `None` if there is none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        quantile(self.buckets(), self.max_ns()?, q)
    }

    /// The buckets that have something in them, shortest durations first: the longest
    /// duration of each in ns ([`NO_BOUND`] for the last), and how many are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + Clone {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(index, count)| (upper(index), *count))
    }

    /// For every power of two from 2¹⁰ to 2³⁶ ns: it, and how many durations do not exceed it.
    pub fn octaves(&self) -> impl Iterator<Item = (u64, u64)> {
        let (first, rest) = (self.counts[0], &self.counts[1..BUCKETS - 1]);
        let within = std::iter::once(first).chain(rest.chunks(SUBS).map(|octave| octave.iter().sum()));
        let bounds = (FIRST_EXPONENT..=LAST_EXPONENT).map(|exponent| 1 << exponent);
        let cumulate = |total: &mut u64, (bound, count): (u64, u64)| {
            *total += count;
            Some((bound, *total))
        };
        bounds.zip(within).scan(0, cumulate)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.quantile(0.5), self.quantile(0.99));
        write!(f, "Histogram({} durations, p50 {p50:?}, p99 {p99:?}, max {:?} ns)", self.count(), self.max_ns())
    }
}

/// [`Histogram::quantile`] of buckets as [`Histogram::buckets`] gives them, for those who
/// got them from elsewhere. `max_ns` is the longest duration.
pub fn quantile(buckets: impl Iterator<Item = (u64, u64)> + Clone, max_ns: u64, q: f64) -> Option<u64> {
    let total = buckets.clone().fold(0u64, |total, (_, count)| total.saturating_add(count));
    // Casts of floats to integers saturate: any `q` at all is somewhere from the first to the last.
    let rank = ((q * total as f64).ceil() as u64).clamp(1, total.max(1));
    let reaches = |seen: &mut u64, (upper, count): (u64, u64)| {
        *seen = seen.saturating_add(count);
        Some((upper, *seen))
    };
    buckets.scan(0, reaches).find(|(_, seen)| *seen >= rank).map(|(upper, _)| upper.min(max_ns))
}

/// The bucket of a duration. Upper ends belong to their bucket, as Prometheus has it.
fn index(ns: u64) -> usize {
    let below = ns.saturating_sub(1);
    let exponent = below.checked_ilog2().unwrap_or(0);
    match exponent {
        0..FIRST_EXPONENT => 0,
        FIRST_EXPONENT..LAST_EXPONENT => {
            let sub = (below >> (exponent - SUB_BITS)) as usize % SUBS;
            1 + (exponent - FIRST_EXPONENT) as usize * SUBS + sub
        }
        _ => BUCKETS - 1,
    }
}

/// The longest duration of a bucket.
fn upper(index: usize) -> u64 {
    let Some(index) = index.checked_sub(1) else { return 1 << FIRST_EXPONENT };
    let (octave, sub) = (index / SUBS, index % SUBS);
    if octave >= OCTAVES {
        return NO_BOUND;
    }
    ((SUBS + sub + 1) as u64) << (FIRST_EXPONENT - SUB_BITS + octave as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Durations of all sizes alike, the ends of buckets and their neighbours among them.
    fn duration() -> impl Strategy<Value = u64> {
        prop_oneof![
            (0..64u32, any::<u64>()).prop_map(|(bits, random)| random >> bits),
            (0..BUCKETS, 0..3u64).prop_map(|(bucket, step)| upper(bucket).saturating_add(step).saturating_sub(1)),
        ]
    }

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        durations.iter().for_each(|ns| histogram.record(*ns));
        histogram
    }

    #[test]
    fn buckets_meet() {
        for bucket in 0..BUCKETS - 1 {
            assert_eq!((index(upper(bucket)), index(upper(bucket) + 1)), (bucket, bucket + 1));
        }
        assert_eq!((index(0), index(u64::MAX), upper(BUCKETS - 1)), (0, BUCKETS - 1, NO_BOUND));
        assert!(upper(BUCKETS - 2) > 60_000_000_000, "a minute is told from more");
        assert!(size_of::<Histogram>() < 2048);
    }

    #[test]
    fn an_empty_one_says_nothing() {
        let histogram = Histogram::new();
        assert_eq!((histogram.count(), histogram.min_ns(), histogram.max_ns()), (0, None, None));
        assert_eq!((histogram.quantile(0.5), histogram.buckets().count()), (None, 0));
        assert!(histogram.octaves().all(|(_, count)| count == 0));
        assert_eq!(quantile(std::iter::empty(), 5, 0.5), None);
    }

    proptest! {
        #[test]
        fn quantiles_are_not_too_low_and_at_most_an_eighth_too_high(
            mut durations in proptest::collection::vec(duration(), 1..200),
            q in 0.0..=1.0f64,
        ) {
            let found = of(&durations).quantile(q).unwrap();
            durations.sort_unstable();
            let rank = ((q * durations.len() as f64).ceil() as usize).clamp(1, durations.len());
            let (truth, longest) = (durations[rank - 1], durations[durations.len() - 1]);
            prop_assert!(found >= truth);
            prop_assert!(found <= longest);
            if truth <= 1 << LAST_EXPONENT {
                prop_assert!(found <= (truth + truth / 8 + 1).max(1 << FIRST_EXPONENT), "{truth} became {found}");
            }
        }

        #[test]
        fn merging_is_counting_both(
            one in proptest::collection::vec(duration(), 0..50),
            other in proptest::collection::vec(duration(), 0..50),
        ) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            let all = of(&[one, other].concat());
            prop_assert!(merged == all);
        }

        #[test]
        fn nothing_is_lost_and_nothing_added(durations in proptest::collection::vec(duration(), 0..200)) {
            let histogram = of(&durations);
            let count = durations.len() as u64;
            prop_assert_eq!(histogram.count(), count);
            prop_assert_eq!(histogram.buckets().map(|(_, n)| n).sum::<u64>(), count);
            prop_assert_eq!(histogram.min_ns(), durations.iter().min().copied());
            prop_assert_eq!(histogram.max_ns(), durations.iter().max().copied());
            let sum = durations.iter().fold(0u64, |sum, ns| sum.saturating_add(*ns));
            prop_assert_eq!(histogram.sum_ns(), sum);
            for (bound, found) in histogram.octaves() {
                prop_assert_eq!(found, durations.iter().filter(|ns| **ns <= bound).count() as u64);
            }
            prop_assert_eq!(histogram.octaves().count(), OCTAVES + 1);
        }

        #[test]
        fn any_q_is_answered(durations in proptest::collection::vec(duration(), 1..9), q in any::<f64>()) {
            prop_assert!(of(&durations).quantile(q).is_some());
        }
    }
}
