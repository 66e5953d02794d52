// SPDX-License-Identifier: Apache-2.0
//! Snapshots.

use serde::Serialize;
use vsclient::dbus::SnapshotInfo;

use crate::output::{Output, Report};
use crate::units;

/// A snapshot that was taken.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Snapped {
    pub file: String,
    pub stream: String,
    pub format: String,
    pub fourcc: String,
    pub width: u32,
    pub height: u32,
    pub rotation: u32,
    pub bytes: u64,
    pub serial: u64,
    /// Of `CLOCK_MONOTONIC`.
    pub capture_ns: u64,
    /// Since 1970.
    pub wall_ns: u64,
}

impl Snapped {
    /// What lies in `file`.
    pub fn new(file: String, info: SnapshotInfo) -> Self {
        Self {
            file,
            stream: info.stream,
            format: info.format,
            fourcc: info.fourcc,
            width: info.width,
            height: info.height,
            rotation: info.rotation,
            bytes: info.bytes,
            serial: info.serial,
            capture_ns: info.capture_time,
            wall_ns: info.wall_time,
        }
    }
}

impl Report for Snapped {
    fn text(&self, output: &Output) -> String {
        let Self { file, stream, format, fourcc, width, height, rotation, bytes, serial, .. } = self;
        let what = if format == "raw" { fourcc } else { format };
        let mut text = format!("{file}: {what} {width}x{height}, {}, of {stream}", units::bytes(*bytes));
        if output.verbose {
            text += &format!(", frame {serial}");
        }
        text.push('\n');
        if *rotation > 0 {
            text += &format!("note: to be upright it must be turned by {rotation} degrees counter-clockwise\n");
        }
        text
    }
}
