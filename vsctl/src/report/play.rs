// SPDX-License-Identifier: Apache-2.0
//! Files that are played.

use serde::Serialize;
use vsclient::dbus::PlaybackEnd;

use crate::output::{Output, Report};
use crate::units;

/// A file that is played without us.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Detached {
    pub stream: String,
    pub file: String,
    pub state: &'static str,
    pub socket: String,
}

impl Report for Detached {
    fn text(&self, _: &Output) -> String {
        let Self { stream, file, .. } = self;
        format!("playing {file} as stream {stream}: end it with `vsctl stop-stream {stream}`\n")
    }
}

/// A file that has been played.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Played {
    pub stream: String,
    pub file: String,
    /// Why it is over: `end`, `stopped` or `failed`.
    pub reason: String,
    /// The same in words.
    pub text: String,
    pub frames: u64,
    pub damaged: u64,
    pub late: u64,
    pub loops: u64,
    pub position_ns: u64,
    /// `null` if the file does not say.
    pub duration_ns: Option<u64>,
}

impl Played {
    pub fn new(stream: String, file: String, end: PlaybackEnd) -> Self {
        let PlaybackEnd { reason, text, frames, damaged, late, loops, position, duration, .. } = end;
        let duration_ns = (duration > 0).then_some(duration);
        Self { stream, file, reason, text, frames, damaged, late, loops, position_ns: position, duration_ns }
    }
}

impl Report for Played {
    fn text(&self, _: &Output) -> String {
        let Self { stream, file, text, .. } = self;
        let mut report = format!("{file} as {stream}: {}", units::count(self.frames, "frame"));
        if self.loops > 0 {
            report += &format!(", begun anew {}", units::count(self.loops, "time"));
        }
        report += &format!("; {text}\n");
        if self.damaged > 0 {
            let missing = units::count(self.damaged, "picture");
            report += &format!("note: {missing} missing: parts of the file are damaged\n");
        }
        if self.late > 0 {
            let late = units::count(self.late, "picture");
            report += &format!("note: {late} passed over: they were decoded too late to be shown\n");
        }
        report
    }
}
