// SPDX-License-Identifier: Apache-2.0
//! Dictionaries of variants, without ceremony.

use std::collections::HashMap;

use vs_ipc::histogram::Histogram;
use vs_ipc::host::{ByReason, Reason};
use zbus::zvariant::{OwnedValue, Value};

/// `a{sv}`
pub(super) type Dict = HashMap<String, OwnedValue>;

/// A dictionary of these entries.
pub(super) fn dict<const N: usize>(entries: [(&str, Value<'_>); N]) -> Dict {
    let own = |(key, value): (&str, Value<'_>)| Some((key.to_owned(), value.try_to_owned().ok()?));
    // Only file descriptors can fail to be owned, and there are none.
    entries.into_iter().filter_map(own).collect()
}

/// `a{st}`: counts by the names of their reasons.
pub(super) fn by_reason<R: Reason, const N: usize>(counts: &ByReason<R, N>) -> HashMap<String, u64> {
    counts.iter().map(|(reason, count)| (reason.name().to_owned(), count)).collect()
}

/// `a{sv}`: a distribution of durations.
pub(super) fn distribution(histogram: &Histogram) -> Dict {
    dict([
        ("count", Value::from(histogram.count())),
        ("sum", Value::from(histogram.sum_ns())),
        ("min", Value::from(histogram.min_ns().unwrap_or(0))),
        ("max", Value::from(histogram.max_ns().unwrap_or(0))),
        ("buckets", Value::from(histogram.buckets().collect::<Vec<_>>())),
    ])
}
