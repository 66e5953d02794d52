// SPDX-License-Identifier: Apache-2.0
//! Clients that are connected no more, and why.

use serde::Serialize;
use vsclient::dbus::DepartureInfo;
use vsclient::monotonic_ns;

use super::some_text;
use super::stream::{Reasons, Stream, reasons};
use crate::output::Output;
use crate::table::{Align, Table};
use crate::units;

/// Somebody who has gone.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Departure {
    pub id: u64,
    pub name: String,
    pub pid: i32,
    pub uid: u32,
    /// `null`: it left by itself.
    pub reason: Option<String>,
    pub text: Option<String>,
    pub delivered: u64,
    pub skipped: Reasons,
    pub revoked: Reasons,
    pub held: u32,
    pub connected_ns: u64,
    pub left_ns: u64,
    pub times: u64,
}

impl From<&DepartureInfo> for Departure {
    fn from(info: &DepartureInfo) -> Self {
        Self {
            id: info.id,
            name: info.name.clone(),
            pid: info.pid,
            uid: info.uid,
            reason: some_text(&info.reason),
            text: some_text(&info.text),
            delivered: info.delivered,
            skipped: reasons(&info.skipped),
            revoked: reasons(&info.revoked),
            held: info.held,
            connected_ns: info.connected,
            left_ns: info.left,
            times: info.times,
        }
    }
}

/// Those who have gone, one in a row: who was thrown out, and with `all` who left, too.
pub fn table(streams: &[Stream], output: &Output, all: bool) -> String {
    let mut table = Table::new([
        ("GONE", Align::Left),
        ("STREAM", Align::Left),
        ("NAME", Align::Left),
        ("PID", Align::Right),
        ("UID", Align::Right),
        ("AGO", Align::Right),
        ("TIMES", Align::Right),
        ("DELIVERED", Align::Right),
        ("WHY", Align::Left),
    ]);
    let now_ns = monotonic_ns();
    for stream in streams {
        for gone in stream.departures.iter().filter(|gone| all || gone.reason.is_some()) {
            let why = match (&gone.reason, &gone.text) {
                (Some(reason), Some(text)) => format!("{reason}: {text}"),
                (Some(reason), None) => reason.clone(),
                (None, _) => "left".to_owned(),
            };
            table.row([
                gone.id.to_string(),
                stream.name.clone(),
                gone.name.clone(),
                gone.pid.to_string(),
                gone.uid.to_string(),
                units::duration(now_ns.saturating_sub(gone.left_ns)),
                gone.times.to_string(),
                gone.delivered.to_string(),
                why,
            ]);
        }
    }
    table.text(output.headings())
}
