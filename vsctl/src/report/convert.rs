// SPDX-License-Identifier: Apache-2.0
//! Files that were converted.

use serde::Serialize;
use vs_mux::Codec;
use vs_mux::convert::Report as Outcome;

use crate::output::{Output, Report};
use crate::units;

/// A file that was converted.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Converted {
    pub input: String,
    pub output: String,
    /// `mp4` or `annexb`
    pub format: &'static str,
    pub codec: &'static str,
    pub width: u16,
    pub height: u16,
    pub frames: u64,
    /// `null` of a bare stream.
    pub duration_ns: Option<i64>,
    pub bytes: u64,
    pub progressive: bool,
    /// `apart` or `in-band`
    pub sets: &'static str,
    pub notes: Vec<String>,
}

impl Converted {
    pub fn new(input: String, output: String, format: &'static str, outcome: Outcome) -> Self {
        let Outcome { codec, width, height, frames, duration_ns, bytes, progressive, sets_in_band, notes } = outcome;
        let codec = match codec {
            Codec::H264 => "h264",
            Codec::H265 => "h265",
        };
        let sets = if sets_in_band { "in-band" } else { "apart" };
        let notes = notes.iter().map(ToString::to_string).collect();
        Self { input, output, format, codec, width, height, frames, duration_ns, bytes, progressive, sets, notes }
    }
}

impl Report for Converted {
    fn text(&self, _: &Output) -> String {
        let Self { input, output, codec, width, height, .. } = self;
        let codec = match *codec {
            "h264" => "H.264",
            _ => "H.265",
        };
        let size = if *width > 0 { format!(" {width}x{height}") } else { String::new() };
        let mut text = format!("{input} -> {output}: {codec}{size}, {}", units::count(self.frames, "frame"));
        if let Some(ns) = self.duration_ns.and_then(|ns| u64::try_from(ns).ok()) {
            text += &format!(", {}", units::duration(ns));
        }
        format!("{text}, {}\n", units::bytes(self.bytes))
    }
}
