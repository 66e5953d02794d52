// SPDX-License-Identifier: Apache-2.0
//! What others' players say of a file, and which frames they show.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use vs_frame::{Format, FourCc, PlaneView, Rate};
use vs_pattern::{Pattern, ReadError, Stamp};

/// What `ffprobe` says of the video in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Codec.
    pub codec: String,
    /// Width and height in pixels.
    pub size: (u64, u64),
    /// Frames, counted by decoding all of them.
    pub frames: u64,
    /// Duration in seconds; 0 if the file does not say, as bare streams do not.
    pub duration: f64,
}

fn run(tool: &str, arguments: &[&str], file: &Path, more: &[&str]) -> Output {
    let output = Command::new(tool).args(arguments).arg(file).args(more).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {tool}: {error}; `scripts/setup test` installs it"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{tool} about {}: {}, {said}", file.display(), output.status);
    output
}

/// Asks `ffprobe`.
///
/// # Panics
/// If it does not like the file.
#[must_use]
pub fn probe(file: &Path) -> Probe {
    let entries = "stream=codec_name,width,height,nb_read_frames:format=duration";
    let arguments = ["-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", entries, "-of", "json"];
    let answer: Value = serde_json::from_slice(&run("ffprobe", &arguments, file, &[]).stdout).unwrap();
    let [stream] = answer["streams"].as_array().unwrap().as_slice() else { panic!("not one stream: {answer}") };
    let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    Probe {
        codec: stream["codec_name"].as_str().unwrap().to_owned(),
        size: (stream["width"].as_u64().unwrap(), stream["height"].as_u64().unwrap()),
        frames: number(&stream["nb_read_frames"]).unwrap() as u64,
        duration: number(&answer["format"]["duration"]).unwrap_or(0.0),
    }
}

/// When each frame of a file is shown, in seconds, as `ffprobe` reads it.
///
/// # Panics
/// If it does not like the file.
#[must_use]
pub fn times(file: &Path) -> Vec<f64> {
    let arguments = ["-v", "error", "-select_streams", "v", "-show_entries", "frame=pts_time", "-of", "csv=p=0"];
    let answer = String::from_utf8(run("ffprobe", &arguments, file, &[]).stdout).unwrap();
    answer.lines().map(|line| line.trim_end_matches(',').parse().unwrap()).collect()
}

/// A frame as it lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// When it is shown, in ticks of the file's clock.
    pub pts: u64,
    /// How long, in the same ticks; 0 where `ffprobe` does not say, as of fragments.
    pub duration: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Decoding can begin here.
    pub keyframe: bool,
}

/// The frames of a file in the order in which they lie there, as `ffprobe` lists them.
///
/// # Panics
/// If it does not like the file.
#[must_use]
pub fn packets(file: &Path) -> Vec<Packet> {
    let arguments =
        ["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts,duration,size,flags", "-of", "json"];
    let answer: Value = serde_json::from_slice(&run("ffprobe", &arguments, file, &[]).stdout).unwrap();
    let packet = |packet: &Value| Packet {
        pts: packet["pts"].as_u64().unwrap(),
        duration: packet["duration"].as_u64().unwrap_or(0),
        size: packet["size"].as_str().unwrap().parse().unwrap(),
        keyframe: packet["flags"].as_str().unwrap().starts_with('K'),
    };
    answer["packets"].as_array().unwrap().iter().map(packet).collect()
}

/// Lets `ffmpeg` decode the whole file and complain about anything.
///
/// # Panics
/// If it complains.
pub fn decodes(file: &Path) {
    // Passed through: what a constant rate would make of a gap is no concern of the file's.
    let arguments = ["-nostdin", "-v", "warning", "-xerror", "-i"];
    run("ffmpeg", &arguments, file, &["-fps_mode", "passthrough", "-f", "null", "-"]);
}

/// Serials of the test pattern in a file, read from the barcodes of the decoded pictures.
///
/// # Panics
/// If a picture cannot be read.
#[must_use]
pub fn serials(file: &Path) -> Vec<u64> {
    stamps(file).into_iter().map(|stamp| stamp.serial).collect()
}

/// The same with the times of the frames.
///
/// # Panics
/// If a picture cannot be read.
#[must_use]
pub fn stamps(file: &Path) -> Vec<Stamp> {
    let Probe { size: (width, height), .. } = probe(file);
    let (width, height) = (width as u32, height as u32);
    let arguments = ["-nostdin", "-v", "error", "-xerror", "-i"];
    let decoded =
        run("ffmpeg", &arguments, file, &["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"]);
    let pictures = decoded.stdout.chunks(width as usize * height as usize).enumerate();
    pictures
        .map(|(index, data)| read(data, width, height).unwrap_or_else(|error| panic!("picture {index}: {error}")))
        .collect()
}

/// Reads the barcode of a picture of which there is the luma, or any of its primaries.
///
/// # Errors
/// What is wrong with it.
pub fn read(luma: &[u8], width: u32, height: u32) -> Result<Stamp, ReadError> {
    // A decoder's luma is all that the barcode needs.
    let pattern = Pattern::new(&Format::packed(FourCc::YUV420, width, height, Rate::fps(30)).unwrap()).unwrap();
    let (stride, rows) = (width as usize, height as usize);
    pattern.read(&[PlaneView { data: luma, stride, row_bytes: stride, rows }][..])
}
