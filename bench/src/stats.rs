// SPDX-License-Identifier: Apache-2.0
//! Percentiles, medians, spread.

use std::fmt;

use serde::Serialize;

/// The `percent`th percentile of sorted values by the nearest rank; 0 of none.
pub fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().map_or(0.0, f64::from)
}

/// What repeated measurements gave.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Summary {
    /// Half of the values are lower.
    pub median: f64,
    /// A quarter of the values is lower.
    pub q1: f64,
    /// A quarter of the values is higher.
    pub q3: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Summary {
    /// Of at least one value; of none it is all 0.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |quarter| quantile(&sorted, quarter);
        Self { median: at(0.5), q1: at(0.25), q3: at(0.75), min: at(0.0), max: at(1.0) }
    }
}

/// Between two values it lies on the line that joins them.
fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = fraction * last as f64;
    let (below, above) = (place.floor(), place.ceil());
    sorted[below as usize] + (sorted[above as usize] - sorted[below as usize]) * (place - below)
}

/// Median and quartiles, in a column of its own.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 10.0 { 2 } else { 1 };
        let spread = format!("({:.digits$}–{:.digits$})", self.q1, self.q3);
        write!(f, "{:>7.digits$} {spread:<15}", self.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (50.0, 99.0));
        assert_eq!((percentile(&[7], 1), percentile(&[7], 99), percentile(&[], 50)), (7.0, 7.0, 0.0));
    }

    #[test]
    fn an_outlier_moves_the_maximum_only() {
        let calm = Summary::of([1.0, 2.0, 3.0, 4.0, 5.0]);
        let disturbed = Summary::of([1.0, 2.0, 3.0, 4.0, 500.0]);
        assert_eq!((calm.median, calm.q1, calm.q3, calm.min, calm.max), (3.0, 2.0, 4.0, 1.0, 5.0));
        assert_eq!(Summary { max: calm.max, ..disturbed }, calm);
        assert_eq!(Summary::of([1.0, 2.0]).median, 1.5);
    }
}
