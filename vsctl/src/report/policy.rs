// SPDX-License-Identifier: Apache-2.0
//! Recordings of the configuration.

use serde::Serialize;
use vsclient::dbus::PolicyInfo;

use super::some_text;
use crate::output::{Output, Report};
use crate::table::{Align, Table};
use crate::units;

/// What one of them does.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Policy {
    pub name: String,
    pub stream: String,
    pub directory: Option<String>,
    /// `recording`, `waiting` or `stopped`.
    pub state: String,
    /// What it waits for.
    pub text: Option<String>,
    /// Number of its recording.
    pub recording: Option<u64>,
    /// Finished files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

impl Policy {
    pub fn new(info: &PolicyInfo) -> Self {
        Self {
            name: info.name.clone(),
            stream: info.stream.clone(),
            directory: some_text(&info.directory),
            state: info.state.clone(),
            text: some_text(&info.text),
            recording: Some(info.recording).filter(|number| *number > 0),
            files: info.files,
            bytes: info.bytes,
        }
    }
}

/// One in a row; nothing if there is none.
pub fn table(policies: &[Policy], output: &Output) -> String {
    if policies.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("STREAM", Align::Left),
        ("STATE", Align::Left),
        ("KEPT FILES", Align::Right),
        ("KEPT BYTES", Align::Right),
        ("DIRECTORY", Align::Left),
    ]);
    for policy in policies {
        table.row([
            policy.name.clone(),
            policy.stream.clone(),
            policy.state.clone(),
            policy.files.to_string(),
            units::bytes(policy.bytes),
            policy.directory.clone().unwrap_or_default(),
        ]);
        if let Some(text) = &policy.text {
            table.note(text);
        }
    }
    let space = if output.headings() { "\n" } else { "" };
    format!("{space}{}", table.text(output.headings()))
}

/// It has begun.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Started {
    pub name: String,
    pub recording: Option<u64>,
    pub state: &'static str,
}

impl Report for Started {
    fn text(&self, _output: &Output) -> String {
        match self.recording {
            Some(number) => format!("{} records: number {number}\n", self.name),
            None => format!("{} records\n", self.name),
        }
    }
}

/// It has ended, and does not begin by itself.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Parked {
    pub name: String,
    pub state: &'static str,
}

impl Report for Parked {
    fn text(&self, _output: &Output) -> String {
        format!("{0} has stopped: `vsctl start-recording {0}` begins it again\n", self.name)
    }
}
