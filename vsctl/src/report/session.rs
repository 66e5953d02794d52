// SPDX-License-Identifier: Apache-2.0
//! Encoders and decoders of other processes.

use serde::Serialize;
use vsclient::dbus::CodecSessionInfo;

use super::some_text;
use crate::output::Output;
use crate::table::{Align, Table};

/// A codec session.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CodecSession {
    pub session: u64,
    /// `encoder` or `decoder`.
    pub kind: String,
    pub codec: String,
    /// What does it now; `null` while it is being opened.
    pub name: Option<String>,
    pub backend: Option<String>,
    pub uid: u32,
    pub pid: u32,
    pub inputs: u64,
    pub outputs: u64,
    pub lost: u64,
}

impl From<&CodecSessionInfo> for CodecSession {
    fn from(info: &CodecSessionInfo) -> Self {
        Self {
            session: info.number,
            kind: info.kind.clone(),
            codec: info.codec.clone(),
            name: some_text(&info.name),
            backend: some_text(&info.backend),
            uid: info.uid,
            pid: info.pid,
            inputs: info.inputs,
            outputs: info.outputs,
            lost: info.lost,
        }
    }
}

/// The sessions, one in a row; nothing if there are none.
pub fn table(sessions: &[CodecSession], output: &Output) -> String {
    if sessions.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("SESSION", Align::Right),
        ("KIND", Align::Left),
        ("CODEC", Align::Left),
        ("BY", Align::Left),
        ("PID", Align::Right),
        ("UID", Align::Right),
        ("IN", Align::Right),
        ("OUT", Align::Right),
        ("LOST", Align::Right),
    ]);
    for session in sessions {
        table.row([
            session.session.to_string(),
            session.kind.clone(),
            session.codec.clone(),
            session.name.clone().unwrap_or_default(),
            session.pid.to_string(),
            session.uid.to_string(),
            session.inputs.to_string(),
            session.outputs.to_string(),
            session.lost.to_string(),
        ]);
    }
    table.text(output.headings())
}
