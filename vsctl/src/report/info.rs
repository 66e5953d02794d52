// SPDX-License-Identifier: Apache-2.0
//! What a machine can do.

use serde::Serialize;
use vsclient::dbus::FindingInfo;

use super::some_text;
use crate::output::{Output, Report};
use crate::table::{Align, Table};

/// The daemon and what it found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Info {
    pub version: String,
    pub bus: String,
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    pub topic: String,
    pub name: String,
    /// `ok`, `note` (nothing fails), `missing` or `denied`.
    pub state: String,
    pub text: Option<String>,
    /// What to do.
    pub remedy: Option<String>,
}

impl From<&FindingInfo> for Finding {
    fn from(info: &FindingInfo) -> Self {
        Self {
            topic: info.topic.clone(),
            name: info.name.clone(),
            state: info.state.clone(),
            text: some_text(&info.text),
            remedy: some_text(&info.remedy),
        }
    }
}

impl Report for Info {
    fn text(&self, output: &Output) -> String {
        let mut table =
            Table::new([("WHAT", Align::Left), ("WHICH", Align::Left), ("STATE", Align::Left), ("", Align::Left)]);
        let row = |table: &mut Table, cells: [&str; 4]| table.row(cells.map(str::to_owned));
        if output.headings() {
            row(&mut table, ["daemon", &self.version, "ok", &format!("on the bus {}", self.bus)]);
        }
        // Quiet: only what somebody should look at.
        for finding in self.findings.iter().filter(|finding| output.headings() || finding.is_wrong()) {
            let Finding { topic, name, state, text, remedy } = finding;
            row(&mut table, [topic, name, state, text.as_deref().unwrap_or(" ")]);
            if let Some(remedy) = remedy {
                table.note(format!("to do: {remedy}"));
            }
        }
        table.text(output.headings())
    }
}

impl Finding {
    fn is_wrong(&self) -> bool {
        matches!(self.state.as_str(), "missing" | "denied")
    }
}
