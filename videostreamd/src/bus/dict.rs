// SPDX-License-Identifier: Apache-2.0
//! Dictionaries of variants, without ceremony.

use std::collections::HashMap;

use vs_ipc::histogram::Histogram;
use vs_ipc::host::Skips;
use vs_ipc::wire::SkipReason;
use zbus::zvariant::{OwnedValue, Value};

/// `a{sv}`
pub(super) type Dict = HashMap<String, OwnedValue>;

/// A dictionary of these entries.
pub(super) fn dict<const N: usize>(entries: [(&str, Value<'_>); N]) -> Dict {
    let own = |(key, value): (&str, Value<'_>)| Some((key.to_owned(), value.try_to_owned().ok()?));
    // Only file descriptors can fail to be owned, and there are none.
    entries.into_iter().filter_map(own).collect()
}

/// `a{st}`: skips by the names of their reasons.
pub(super) fn skips(skips: &Skips) -> HashMap<String, u64> {
    SkipReason::ALL.iter().map(|reason| (reason.name().to_owned(), skips.by(*reason))).collect()
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
