// SPDX-License-Identifier: Apache-2.0
//! What a client has counted.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use vsclient::{Histogram, SkipReason};

/// See `_native.pyi`.
#[pyclass(frozen, get_all, module = "vsclient")]
pub(crate) struct Counters {
    received: u64,
    lost: u64,
    source_gaps: u64,
    revoked: u64,
    connections: u64,
    skipped: BTreeMap<String, u64>,
    skipped_total: u64,
}

impl From<vsclient::Counters> for Counters {
    fn from(counters: vsclient::Counters) -> Self {
        let skipped = SkipReason::ALL.iter().map(|reason| (reason.name().to_owned(), counters.skipped(*reason)));
        Self {
            received: counters.received,
            lost: counters.lost,
            source_gaps: counters.source_gaps,
            revoked: counters.revoked,
            connections: counters.connections,
            skipped: skipped.collect(),
            skipped_total: counters.skipped_total(),
        }
    }
}

#[pymethods]
impl Counters {
    fn __repr__(&self) -> String {
        let Self { received, lost, skipped_total, revoked, .. } = self;
        format!("<vsclient.Counters received={received} lost={lost} skipped_total={skipped_total} revoked={revoked}>")
    }
}

/// See `_native.pyi`.
#[pyclass(frozen, module = "vsclient")]
pub(crate) struct Latency(pub(crate) Histogram);

#[pymethods]
impl Latency {
    #[getter]
    fn count(&self) -> u64 {
        self.0.count()
    }

    #[getter]
    fn min_ns(&self) -> Option<u64> {
        self.0.min_ns()
    }

    #[getter]
    fn mean_ns(&self) -> Option<f64> {
        (self.0.count() > 0).then(|| self.0.sum_ns() as f64 / self.0.count() as f64)
    }

    #[getter]
    fn max_ns(&self) -> Option<u64> {
        self.0.max_ns()
    }

    fn quantile_ns(&self, q: f64) -> Option<u64> {
        self.0.quantile(q)
    }

    fn __repr__(&self) -> String {
        format!("<vsclient.Latency of {} frames>", self.0.count())
    }
}
