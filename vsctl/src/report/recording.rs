// SPDX-License-Identifier: Apache-2.0
//! Recordings.

use serde::Serialize;
use vsclient::dbus::{Encoding, RecordingInfo, Summary};

use super::encoder::Encoder;
use super::some_text;
use crate::output::{Output, Report};
use crate::table::{Align, Table};
use crate::units;

/// A recording that is under way, or that ended a short time ago.
#[derive(Debug, Serialize)]
pub struct Recording {
    pub recording: u64,
    pub stream: String,
    pub state: String,
    pub error: Option<String>,
    pub encoding: Option<Encoder>,
    pub frames: u64,
    pub dropped: u64,
    pub duration_ns: u64,
    pub bytes: u64,
}

impl Recording {
    /// Recording `number`.
    pub fn new(number: u64, info: &RecordingInfo) -> Self {
        Self {
            recording: number,
            stream: info.stream.clone(),
            state: info.state.clone(),
            error: some_text(&info.error),
            encoding: Encoder::new(&info.encoding),
            frames: info.progress.frames,
            dropped: info.progress.dropped,
            duration_ns: info.progress.duration,
            bytes: info.progress.bytes,
        }
    }
}

/// The recordings, one in a row.
pub fn table(recordings: &[Recording], output: &Output) -> String {
    let mut table = Table::new([
        ("RECORDING", Align::Left),
        ("STREAM", Align::Left),
        ("STATE", Align::Left),
        ("CODEC", Align::Left),
        ("DURATION", Align::Right),
        ("FRAMES", Align::Right),
        ("DROPPED", Align::Right),
        ("BYTES", Align::Right),
    ]);
    for recording in recordings {
        table.row([
            recording.recording.to_string(),
            recording.stream.clone(),
            recording.state.clone(),
            recording.encoding.as_ref().map(|encoder| encoder.codec.clone()).unwrap_or_default(),
            units::duration(recording.duration_ns),
            recording.frames.to_string(),
            recording.dropped.to_string(),
            units::bytes(recording.bytes),
        ]);
        if let Some(error) = &recording.error {
            table.note(error);
        }
        if let Some(encoder) = &recording.encoding
            && output.verbose
        {
            table.note(encoder.text());
        }
    }
    table.text(output.headings())
}

/// A recording that has begun and goes on without us.
#[derive(Debug, Serialize)]
pub struct Detached {
    pub recording: u64,
    pub stream: String,
    pub file: String,
    pub state: &'static str,
    pub encoding: Option<Encoder>,
}

impl Report for Detached {
    fn text(&self, _: &Output) -> String {
        let Self { recording, stream, file, .. } = self;
        format!("recording {recording} of {stream} into {file}: end it with `vsctl stop-recording {recording}`\n")
    }
}

/// A recording that has ended.
#[derive(Debug, Serialize)]
pub struct Ended {
    pub recording: u64,
    pub stream: String,
    pub file: Option<String>,
    pub state: String,
    /// Why it ended.
    pub reason: String,
    pub error: Option<String>,
    pub encoding: Option<Encoder>,
    pub frames: u64,
    pub dropped: u64,
    pub duration_ns: u64,
    pub bytes: u64,
    /// An ordinary MP4, not a fragmented one.
    pub progressive: bool,
    /// Files before this one, in other formats.
    pub earlier: Vec<Ended>,
}

impl Ended {
    /// Recording `number` of `stream`.
    pub fn new(number: u64, stream: &str, file: Option<String>, encoding: &Encoding, summary: Summary) -> Self {
        Self {
            recording: number,
            stream: stream.to_owned(),
            file,
            error: some_text(&summary.error),
            encoding: Encoder::new(encoding),
            state: summary.state,
            reason: summary.reason,
            frames: summary.frames,
            dropped: summary.dropped,
            duration_ns: summary.duration,
            bytes: summary.bytes,
            progressive: summary.progressive,
            earlier: Vec::new(),
        }
    }
}

impl Report for Ended {
    fn text(&self, output: &Output) -> String {
        let file = self.file.clone().unwrap_or_else(|| format!("recording {}", self.recording));
        let (duration, frames) = (units::duration(self.duration_ns), units::count(self.frames, "frame"));
        let mut text: String = self.earlier.iter().map(|earlier| earlier.text(output)).collect();
        text += &format!("{file}: {duration}, {frames}, {}", units::bytes(self.bytes));
        if self.duration_ns > 0 {
            let bits = self.bytes as f64 * 8e9 / self.duration_ns as f64;
            text += &format!(", {}", units::bitrate(bits));
        }
        if let Some(Encoder { codec, width, height, encoder, .. }) = &self.encoding {
            text += &format!(", {codec} {width}x{height}");
            if output.verbose {
                text += &format!(" by {encoder}");
            }
        }
        text.push('\n');
        if self.dropped > 0 {
            text += &format!(
                "note: {} dropped: the encoder or the file was too slow\n",
                units::count(self.dropped, "frame")
            );
        }
        if !self.progressive && self.frames > 0 {
            text += "note: the file is a fragmented MP4: it plays, but was not finished to an ordinary one\n";
        }
        text
    }
}
