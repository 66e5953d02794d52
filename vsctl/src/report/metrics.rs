// SPDX-License-Identifier: Apache-2.0
//! Metrics, in the words of the daemon.

use serde::Serialize;

use crate::output::{Output, Report};

/// All metrics.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Metrics {
    pub format: &'static str,
    pub text: String,
}

impl Report for Metrics {
    fn text(&self, _: &Output) -> String {
        self.text.clone()
    }
}
