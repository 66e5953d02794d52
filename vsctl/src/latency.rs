// SPDX-License-Identifier: Apache-2.0
//! How long frames were on their way. A histogram: an hour takes as much memory as a second.

use hdrhistogram::Histogram;
use serde::Serialize;
use vsclient::dbus::Distribution;

use crate::units;

/// Three digits: a percentile is off by a thousandth at most.
const DIGITS: u8 = 3;

/// The longest that is told apart, in ns: an hour. A quarter of a megabyte counts up to there.
const LONGEST: u64 = 3_600_000_000_000;

/// Latencies so far.
pub struct Latencies(Histogram<u64>);

/// What there is to say of them, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Latency {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Latency {
    /// Of what the daemon has counted; `None` if it has not counted any. Quantiles are never
    /// too low and at most an eighth too high.
    pub fn of(durations: &Distribution) -> Option<Self> {
        let us = |ns: u64| hundredths(ns as f64);
        let quantile = |q| durations.quantile(q).map(us);
        Some(Self {
            min: us(durations.min),
            mean: hundredths(durations.mean()?),
            p50: quantile(0.5)?,
            p95: quantile(0.95)?,
            p99: quantile(0.99)?,
            max: us(durations.max),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let us = units::microseconds;
        format!("p50 {}, p99 {}, at most {}", us(self.p50), us(self.p99), us(self.max))
    }
}

/// ns as µs with two decimals.
fn hundredths(ns: f64) -> f64 {
    (ns / 10.0).round() / 100.0
}

impl Latencies {
    /// None yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST, DIGITS)?))
    }

    /// Adds one, in ns.
    pub fn add(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// What there is to say; `None` if there is none.
    pub fn summary(&self) -> Option<Latency> {
        let us = |ns: u64| hundredths(ns as f64);
        // The histogram's buckets may reach beyond what was added.
        let (min, max) = (self.0.min(), self.0.max());
        let quantile = |q| us(self.0.value_at_quantile(q).clamp(min, max));
        (!self.0.is_empty()).then(|| Latency {
            min: us(min),
            mean: us(self.0.mean().round() as u64),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: us(max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= expected * 0.002
    }

    #[test]
    fn percentiles_of_a_known_distribution() {
        let mut latencies = Latencies::new().unwrap();
        assert_eq!(latencies.summary(), None);
        (1..=1000u64).rev().for_each(|us| latencies.add(us * 1000));
        let summary = latencies.summary().unwrap();
        let found = [summary.min, summary.mean, summary.p50, summary.p95, summary.p99, summary.max];
        for (value, expected) in found.into_iter().zip([1.0, 500.5, 500.0, 950.0, 990.0, 1000.0]) {
            assert!(close(value, expected), "{value} is not {expected}");
        }
    }

    #[test]
    fn one_is_all_of_them() {
        let mut latencies = Latencies::new().unwrap();
        latencies.add(54_321);
        let summary = latencies.summary().unwrap();
        assert!(close(summary.p50, 54.321) && summary.p50 == summary.max && summary.min <= summary.max);
    }

    #[test]
    fn hours_fit() {
        let mut latencies = Latencies::new().unwrap();
        latencies.add(0);
        latencies.add(u64::MAX);
        assert_eq!(latencies.summary().unwrap().min, 0.0);
    }
}
