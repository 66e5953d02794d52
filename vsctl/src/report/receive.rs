// SPDX-License-Identifier: Apache-2.0
//! What arrived, how fast, and what did not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Rate;
use crate::latency::Latency;
use crate::output::{Output, Report};
use crate::units;

/// The result of receiving.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Received {
    pub stream: String,
    pub socket: String,
    /// `leased` or `notify`.
    pub mode: &'static str,
    /// Frames that may be held at once, as agreed.
    pub credits: u32,
    /// How long a lease lasts, as agreed.
    pub lease_ns: u64,
    pub format: Option<Format>,
    pub frames: u64,
    pub bytes: u64,
    /// From the first frame to the last.
    pub duration_ns: u64,
    pub fps: Option<f64>,
    pub mbit_per_s: Option<f64>,
    /// From publication to receipt.
    pub latency_us: Option<Latency>,
    /// Serials that did not come.
    pub lost: u64,
    pub skipped: BTreeMap<String, u64>,
    /// Frames before which the source had lost something.
    pub source_gaps: u64,
    pub revoked: u64,
    pub connections: u64,
    pub verify: Option<Verified>,
    /// Why it ended: `frames`, `duration`, `interrupted`, `timeout` or `disconnected`.
    pub ended: &'static str,
    /// Everything that was asked for has come.
    pub complete: bool,
}

/// The last format seen.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Format {
    pub fourcc: String,
    pub width: u32,
    pub height: u32,
    pub rate: Option<Rate>,
}

impl From<&vsclient::Format> for Format {
    fn from(format: &vsclient::Format) -> Self {
        Self {
            fourcc: format.fourcc.to_string(),
            width: format.width,
            height: format.height,
            rate: super::rate((format.rate.num, format.rate.den)),
        }
    }
}

/// What comparing test patterns has found, in frames.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verified {
    /// Compared, and every byte was right.
    pub good: u64,
    /// Of two or more frames, or altered.
    pub torn: u64,
    /// Without a readable stamp.
    pub unreadable: u64,
    /// An older picture under a newer serial.
    pub stale: u64,
    /// Not to be judged: the right to read it ended too early.
    pub ended: u64,
    /// What was wrong with the first bad one.
    pub first_error: Option<String>,
}

impl Verified {
    /// Frames that are not what they should be.
    pub fn bad(&self) -> u64 {
        self.torn + self.unreadable + self.stale
    }
}

impl Report for Received {
    fn text(&self, output: &Output) -> String {
        let mut lines = Vec::new();
        let format =
            self.format.as_ref().map(|Format { fourcc, width, height, .. }| format!("{fourcc} {width}x{height}"));
        lines.push(("stream", format!("{} {}", self.stream, format.unwrap_or_default()).trim_end().to_owned()));
        if output.verbose {
            let lease = units::duration(self.lease_ns);
            lines.push(("socket", self.socket.clone()));
            lines.push((
                "mode",
                format!("{}, {}, lease {lease}", self.mode, units::count(self.credits.into(), "credit")),
            ));
        }
        let duration = units::duration(self.duration_ns);
        lines.push(("frames", format!("{} in {duration}, {}", self.frames, units::bytes(self.bytes))));
        if let (Some(fps), Some(mbit)) = (self.fps, self.mbit_per_s) {
            lines.push(("rate", format!("{fps:.2} fps, {}", units::bitrate(mbit * 1e6))));
        }
        if let Some(Latency { min, mean, p50, p95, p99, max }) = self.latency_us {
            let values = [("min", min), ("avg", mean), ("p50", p50), ("p95", p95), ("p99", p99), ("max", max)];
            let values: Vec<_> = values.iter().map(|(name, us)| format!("{name} {us:.0}")).collect();
            lines.push(("latency", format!("{} µs", values.join("  "))));
        }
        lines.push(("lost", self.lost.to_string()));
        lines.push(("skipped", units::by_reason(&self.skipped)));
        if self.source_gaps > 0 {
            lines.push(("gaps", format!("{} at the source", self.source_gaps)));
        }
        if self.revoked > 0 {
            lines.push(("revoked", self.revoked.to_string()));
        }
        if let Some(Verified { good, torn, unreadable, stale, ended, .. }) = &self.verify {
            let pictures = format!("{good} good, {torn} torn, {unreadable} unreadable, {stale} stale, {ended} ended");
            lines.push(("verified", pictures));
        }
        lines.iter().map(|(name, value)| format!("{name:<9} {value}\n")).collect()
    }
}
