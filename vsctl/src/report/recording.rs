// SPDX-License-Identifier: Apache-2.0
//! Recordings.

use std::path::PathBuf;

use serde::Serialize;
use vsclient::dbus::{Encoding, RecordedFile, RecordingInfo, Summary};

use super::encoder::Encoder;
use super::policy::{self, Policy};
use super::some_text;
use crate::output::{Output, Report};
use crate::table::{Align, Table};
use crate::units;

/// A recording that is under way, or that ended a short time ago.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recording {
    pub recording: u64,
    /// In the configuration.
    pub name: Option<String>,
    pub stream: String,
    /// What is written, as far as it is known.
    pub file: Option<String>,
    /// Files begun.
    pub segments: u64,
    /// How long before it was asked for it begins.
    pub pre_ns: u64,
    /// `recording`, `finished` or `failed`.
    pub state: String,
    pub error: Option<String>,
    pub encoding: Option<Encoder>,
    pub frames: u64,
    pub dropped: u64,
    pub duration_ns: u64,
    pub bytes: u64,
    /// On average, in bits per second.
    pub bitrate: Option<u64>,
}

impl Recording {
    /// Recording `number`.
    pub fn new(number: u64, info: &RecordingInfo) -> Self {
        Self {
            recording: number,
            name: some_text(&info.name),
            stream: info.stream.clone(),
            file: some_text(&info.file),
            segments: info.segments,
            pre_ns: info.pre,
            state: info.state.clone(),
            error: some_text(&info.error),
            encoding: Encoder::new(&info.encoding),
            frames: info.progress.frames,
            dropped: info.progress.dropped,
            duration_ns: info.progress.duration,
            bytes: info.progress.bytes,
            bitrate: bitrate(info.progress.bytes, info.progress.duration),
        }
    }
}

/// Bits per second on average; `None` if there is no time yet.
fn bitrate(bytes: u64, ns: u64) -> Option<u64> {
    u64::try_from(u128::from(bytes) * 8_000_000_000 / u128::from(ns).max(1)).ok().filter(|_| ns > 0)
}

/// All of them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recordings {
    pub recordings: Vec<Recording>,
    /// Those of the configuration, running or not.
    pub policies: Vec<Policy>,
}

impl Report for Recordings {
    fn text(&self, output: &Output) -> String {
        let policies = policy::table(&self.policies, output);
        if self.recordings.is_empty() && output.headings() {
            return format!("no recordings: `vsctl record cam0 out.mp4` begins one\n{policies}");
        }
        format!("{}{policies}", table(&self.recordings, output))
    }
}

/// The recordings, one in a row.
pub fn table(recordings: &[Recording], output: &Output) -> String {
    let mut table = Table::new([
        ("RECORDING", Align::Left),
        ("NAME", Align::Left),
        ("STREAM", Align::Left),
        ("STATE", Align::Left),
        ("CODEC", Align::Left),
        ("DURATION", Align::Right),
        ("FRAMES", Align::Right),
        ("DROPPED", Align::Right),
        ("BYTES", Align::Right),
        ("BITRATE", Align::Right),
        ("FILES", Align::Right),
        ("FILE", Align::Left),
    ]);
    for recording in recordings {
        table.row([
            recording.recording.to_string(),
            recording.name.clone().unwrap_or_default(),
            recording.stream.clone(),
            recording.state.clone(),
            recording.encoding.as_ref().map(|encoder| encoder.codec.clone()).unwrap_or_default(),
            units::duration(recording.duration_ns),
            recording.frames.to_string(),
            recording.dropped.to_string(),
            units::bytes(recording.bytes),
            recording.bitrate.map(|bits| units::bitrate(bits as f64)).unwrap_or_default(),
            recording.segments.to_string(),
            recording.file.clone().unwrap_or_default(),
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// A file that is complete.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileDone {
    /// The how-manieth of its recording, from 1.
    pub number: u64,
    pub file: String,
    /// What is wrong with it.
    pub error: Option<String>,
    pub frames: u64,
    pub dropped: u64,
    pub duration_ns: u64,
    pub bytes: u64,
    /// An ordinary MP4, not a fragmented one.
    pub progressive: bool,
}

impl FileDone {
    /// The `number`th file, which lies at `path`.
    pub fn new(number: u64, path: PathBuf, file: &RecordedFile) -> Self {
        Self {
            number,
            file: path.display().to_string(),
            error: some_text(&file.error),
            frames: file.frames,
            dropped: file.dropped,
            duration_ns: file.duration,
            bytes: file.bytes,
            progressive: file.progressive,
        }
    }

    /// The only file of a recording.
    pub fn whole(path: PathBuf, summary: &Summary) -> Self {
        Self {
            number: 1,
            file: path.display().to_string(),
            error: some_text(&summary.error),
            frames: summary.frames,
            dropped: summary.dropped,
            duration_ns: summary.duration,
            bytes: summary.bytes,
            progressive: summary.progressive,
        }
    }
}

impl Report for FileDone {
    fn text(&self, _: &Output) -> String {
        let mut text = format!("{}: {}", self.file, amount(self.duration_ns, self.frames, self.bytes));
        if self.dropped > 0 {
            text += &format!(", {} dropped", self.dropped);
        }
        if let Some(error) = &self.error {
            text += &format!("\nnote: {error}");
        }
        text + "\n"
    }
}

/// How much there is.
fn amount(duration_ns: u64, frames: u64, bytes: u64) -> String {
    let (duration, count) = (units::duration(duration_ns), units::count(frames, "frame"));
    let bitrate = units::average_bitrate(bytes, duration_ns).map(|bitrate| format!(", {bitrate}")).unwrap_or_default();
    format!("{duration}, {count}, {}{bitrate}", units::bytes(bytes))
}

/// A recording that has ended.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ended {
    pub recording: u64,
    pub stream: String,
    pub file: Option<String>,
    pub state: String,
    /// Why it ended: `limit`, `stopped`, `stream-stopped`, `format-changed`, `disk-full` or `failed`.
    pub reason: String,
    pub error: Option<String>,
    pub encoding: Option<Encoder>,
    pub frames: u64,
    pub dropped: u64,
    pub duration_ns: u64,
    pub bytes: u64,
    /// How long before it was asked for it begins; 0 from `stop-recording`.
    pub pre_ns: u64,
    /// An ordinary MP4, not a fragmented one.
    pub progressive: bool,
    /// How many files there are.
    pub segments: u64,
    /// Those that this program has seen finished.
    pub files: Vec<FileDone>,
    /// Recordings before this one, in other formats.
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
            pre_ns: 0,
            progressive: summary.progressive,
            segments: summary.segments,
            files: Vec::new(),
            earlier: Vec::new(),
        }
    }
}

impl Report for Ended {
    fn text(&self, output: &Output) -> String {
        let file = self.file.clone().unwrap_or_else(|| format!("recording {}", self.recording));
        let mut text: String = self.earlier.iter().map(|earlier| earlier.text(output)).collect();
        text += &format!("{file}: ");
        if self.segments > 1 {
            text += &format!("{} files, ", self.segments);
        }
        text += &amount(self.duration_ns, self.frames, self.bytes);
        if let Some(Encoder { codec, width, height, encoder, .. }) = &self.encoding {
            text += &format!(", {codec} {width}x{height}");
            if output.verbose {
                text += &format!(" by {encoder}");
            }
        }
        text.push('\n');
        if self.dropped > 0 {
            text += &format!(
                "note: {} dropped: the encoder, the file or the disk had no room for them in time\n",
                units::count(self.dropped, "frame")
            );
        }
        if !self.progressive && self.frames > 0 {
            text += "note: the file is a fragmented MP4: it plays, but was not finished to an ordinary one\n";
        }
        text
    }
}

/// Recordings that were ended together.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EndedAll {
    pub recordings: Vec<Ended>,
}

impl Report for EndedAll {
    fn text(&self, output: &Output) -> String {
        self.recordings.iter().map(|ended| ended.text(output)).collect()
    }
}
