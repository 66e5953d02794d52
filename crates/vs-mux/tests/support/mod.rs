// SPDX-License-Identifier: Apache-2.0
//! Real streams from x264 and x265, and the judgement of ffprobe and ffmpeg on what we made of them.
// Each test file uses a part; clippy knows #[test] functions as tests, but not their helpers.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod conversion;
pub mod disk;
pub mod files;

use std::io::{self, IoSlice};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use vs_mux::Codec;
use vs_mux::mp4::{AccessUnit, FileSink, Mp4Writer, Options, Sink, Summary, TrackConfig};

/// One access unit as an encoder made it.
#[derive(Clone)]
pub struct Unit {
    pub data: Vec<u8>,
    pub pts_ns: i64,
    pub dts_ns: i64,
    pub keyframe: bool,
}

/// A coded stream, in decode order.
#[derive(Clone)]
pub struct Clip {
    pub codec: Codec,
    pub units: Vec<Unit>,
}

impl Clip {
    /// Encodes ffmpeg's test picture; see [`encode`].
    pub fn encode(codec: Codec, input: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let coded = folder.path().join("coded.mp4");
        encoder(codec, input, options).arg(&coded).succeed();
        let name = muxer(codec);
        let filter = format!("{name}_mp4toannexb,{name}_metadata=aud=insert");
        let stream =
            ffmpeg().arg("-i").arg(&coded).args(["-c", "copy", "-bsf:v", &filter, "-f", name, "-"]).succeed().stdout;
        let packets = probe(&coded).packets;
        let units = split_at_delimiters(codec, &stream);
        assert_eq!(units.len(), packets.len(), "the fixture is split wrongly");
        let units = units
            .into_iter()
            .zip(packets)
            .map(|(data, packet)| Unit {
                data,
                pts_ns: to_ns(&packet.pts_time),
                dts_ns: to_ns(&packet.dts_time),
                keyframe: packet.keyframe,
            })
            .collect();
        Self { codec, units }
    }

    /// The same pictures at other times: each presentation and decode time goes through `change`.
    pub fn retimed(mut self, change: impl Fn(i64) -> i64) -> Self {
        for unit in &mut self.units {
            unit.pts_ns = change(unit.pts_ns);
            unit.dts_ns = change(unit.dts_ns);
        }
        self
    }

    pub fn write_to<S: Sink>(&self, writer: &mut Mp4Writer<S>) {
        self.units.iter().for_each(|unit| writer.write(&unit.access_unit()).unwrap());
    }

    /// Records the clip to a finished file.
    pub fn record(&self, path: &Path, options: Options) -> Summary {
        self.record_track(path, TrackConfig::new(self.codec), options)
    }

    pub fn record_track(&self, path: &Path, track: TrackConfig, options: Options) -> Summary {
        let sink = FileSink::new(std::fs::File::create(path).unwrap()).unwrap();
        let mut writer = Mp4Writer::new(sink, track, options).unwrap();
        self.write_to(&mut writer);
        writer.finish().unwrap()
    }

    /// What a file at 90 kHz must say about each frame, in decode order, when its time 0 is `origin_ns`.
    pub fn expected(&self, origin_ns: i64) -> Vec<(i64, bool)> {
        let ticks = |ns: i64| ((ns - origin_ns) as f64 * 90_000.0 / 1e9).round() as i64;
        self.units.iter().map(|unit| (ticks(unit.pts_ns), unit.keyframe)).collect()
    }
}

impl Unit {
    pub fn access_unit(&self) -> AccessUnit<'_> {
        AccessUnit {
            data: &self.data,
            pts_ns: self.pts_ns,
            dts_ns: self.dts_ns,
            duration_ns: None,
            keyframe: self.keyframe,
        }
    }
}

/// ffmpeg's test picture as an Annex B stream. `input` is what follows `testsrc2=`, `options` are the
/// encoder's.
pub fn encode(codec: Codec, input: &str, options: &[&str]) -> Vec<u8> {
    encoder(codec, input, options).args(["-f", muxer(codec), "-"]).succeed().stdout
}

fn encoder(codec: Codec, input: &str, options: &[&str]) -> Command {
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", &format!("testsrc2={input}")]);
    command.args(["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:v"]);
    match codec {
        Codec::H264 => command.arg("libx264"),
        Codec::H265 => command.args(["libx265", "-x265-params", "log-level=none"]),
    };
    command.args(options);
    command
}

/// ffmpeg's name for the bare stream.
fn muxer(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::H265 => "hevc",
    }
}

/// Options that write without waiting for the disk, and the same bytes at any time of day.
pub fn unsynced() -> Options {
    Options { sync: None, creation_time: None, ..Options::default() }
}

/// Every access unit of a fixture begins with a delimiter in a start code of four bytes.
fn split_at_delimiters(codec: Codec, stream: &[u8]) -> Vec<Vec<u8>> {
    let delimiter: &[u8] = match codec {
        Codec::H264 => &[0, 0, 0, 1, 9],
        Codec::H265 => &[0, 0, 0, 1, 35 << 1],
    };
    let mut starts: Vec<usize> = (0..stream.len()).filter(|&at| stream[at..].starts_with(delimiter)).collect();
    starts.push(stream.len());
    starts.windows(2).map(|range| stream[range[0]..range[1]].to_vec()).collect()
}

fn to_ns(seconds: &str) -> i64 {
    (seconds.parse::<f64>().unwrap() * 1e9).round() as i64
}

pub struct Packet {
    pub pts: i64,
    pub dts: i64,
    pub duration: i64,
    pub pts_time: String,
    pub dts_time: String,
    pub keyframe: bool,
    /// An edit list cuts it away.
    pub discard: bool,
}

pub struct Probe {
    pub packets: Vec<Packet>,
    pub stream: Value,
    pub format: Value,
    /// What ffprobe had to say against the file.
    pub complaints: String,
}

impl Probe {
    pub fn frames(&self) -> Vec<(i64, bool)> {
        self.packets.iter().map(|packet| (packet.pts, packet.keyframe)).collect()
    }
}

/// What ffprobe reads in a file.
pub fn probe(path: &Path) -> Probe {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "warning",
            "-select_streams",
            "v:0",
            "-show_packets",
            "-show_streams",
            "-show_format",
            "-of",
            "json",
        ])
        .arg(path)
        .succeed();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("0").to_owned();
    let packets = json["packets"].as_array().cloned().unwrap_or_default();
    Probe {
        packets: packets
            .iter()
            .map(|packet| Packet {
                pts: packet["pts"].as_i64().unwrap(),
                dts: packet["dts"].as_i64().unwrap_or(0),
                duration: packet["duration"].as_i64().unwrap_or(0),
                pts_time: text(&packet["pts_time"]),
                dts_time: text(&packet["dts_time"]),
                keyframe: text(&packet["flags"]).starts_with('K'),
                discard: text(&packet["flags"]).contains('D'),
            })
            .collect(),
        stream: json["streams"][0].clone(),
        format: json["format"].clone(),
        complaints: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Decodes a whole file, which must succeed without a word, and returns how many pictures came out.
pub fn decode_clean(path: &Path) -> usize {
    let output =
        ffmpeg().args(["-xerror", "-i"]).arg(path).args(["-fps_mode", "passthrough", "-f", "framemd5", "-"]).succeed();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.is_empty(), "ffmpeg complains about {}:\n{complaints}", path.display());
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count()
}

/// A finished file: everybody is content, every frame is at its time, and the boxes are in order.
pub fn assert_whole(path: &Path, clip: &Clip, origin_ns: i64) -> Probe {
    let probe = probe(path);
    assert_eq!(probe.complaints, "");
    assert_eq!(probe.frames(), clip.expected(origin_ns));
    assert_eq!(decode_clean(path), clip.units.len());
    probe
}

/// Top-level boxes: name, and size in bytes.
pub fn boxes(file: &[u8]) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 8 <= file.len() {
        let word = |at: usize| u64::from(u32::from_be_bytes(file[at..at + 4].try_into().unwrap()));
        let size = if word(at) == 1 { word(at + 8) << 32 | word(at + 12) } else { word(at) };
        found.push((String::from_utf8_lossy(&file[at + 4..at + 8]).into_owned(), size));
        at += size as usize;
    }
    found
}

pub fn names(file: &[u8]) -> Vec<String> {
    boxes(file).into_iter().map(|(name, _)| name).collect()
}

pub fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-v", "warning", "-nostdin", "-y"]);
    command
}

pub trait Succeed {
    fn succeed(&mut self) -> Output;
}

impl Succeed for Command {
    fn succeed(&mut self) -> Output {
        let output = self.output().expect("the tests need ffmpeg (apt-get install ffmpeg)");
        assert!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

/// One thing the writer did to its sink.
#[derive(Debug, Clone)]
pub enum Step {
    Write(u64, Vec<u8>),
    Truncate(u64),
    Sync,
}

/// A sink that remembers every step, and may fail: from some byte of the file on, as a full disk does, or
/// at one step, of which a half is done then.
#[derive(Debug, Default)]
pub struct Journal {
    pub steps: Vec<Step>,
    pub capacity: Option<u64>,
    pub fail_sync: bool,
    pub fail_at: Option<usize>,
    /// Room is reserved within the capacity.
    pub reserves: bool,
}

impl Journal {
    /// The file after the first `count` steps.
    pub fn file_after(&self, count: usize) -> Vec<u8> {
        let mut file = Vec::new();
        for step in &self.steps[..count] {
            match step {
                Step::Write(offset, bytes) => {
                    let end = *offset as usize + bytes.len();
                    file.resize(file.len().max(end), 0);
                    file[*offset as usize..end].copy_from_slice(bytes);
                }
                Step::Truncate(length) => file.truncate(*length as usize),
                Step::Sync => {}
            }
        }
        file
    }

    pub fn file(&self) -> Vec<u8> {
        self.file_after(self.steps.len())
    }

    fn fails_now(&self) -> bool {
        self.fail_at == Some(self.steps.len())
    }
}

impl Sink for Journal {
    fn write_at(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        let half = if self.fails_now() { bytes.len() / 2 } else { usize::MAX };
        let room = self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(offset) as usize).min(half);
        let fits = bytes.len() <= room;
        bytes.truncate(room);
        self.steps.push(Step::Write(offset, bytes));
        if fits { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn rewritable(&self) -> bool {
        true
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let fails = self.fails_now();
        self.steps.push(Step::Truncate(length));
        if fails { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
    }

    fn reserve(&mut self, offset: u64, length: u64) -> io::Result<bool> {
        match self.capacity {
            Some(capacity) if self.reserves && offset + length > capacity => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(self.reserves),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let fails = self.fail_sync || self.fails_now();
        self.steps.push(Step::Sync);
        if fails { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
    }
}
