// SPDX-License-Identifier: Apache-2.0
//! Streams of other people's encoders, and what comes out of a decoder.

#![allow(dead_code)]

use std::process::Command;
use std::sync::Arc;

use vs_bitstream::nal_units;
use vs_codec::{AccessUnit, Decoder, FrameTag, Loss, Output, SubmitError};
use vs_frame::Frame;

pub fn tag(serial: u64) -> FrameTag {
    FrameTag { serial, capture_ns: serial * 3, pts_ns: serial as i64 * 5, duration_ns: None }
}

/// The pixels of a picture without padding, plane after plane.
pub fn picture_bytes(frame: &Frame) -> Vec<u8> {
    let view = frame.map().unwrap();
    (0..view.plane_count()).flat_map(|plane| view.plane(plane).unwrap().rows()).flatten().copied().collect()
}

/// A picture, or why there is none.
pub type Shown = (FrameTag, Result<Vec<u8>, Loss>);

/// Receives until there is nothing more; whether the end of a drain was said.
pub fn collect(decoder: &mut dyn Decoder) -> (Vec<Shown>, bool) {
    let mut shown = Vec::new();
    loop {
        match decoder.receive().unwrap() {
            Output::Done(picture) => shown.push((picture.tag, Ok(picture_bytes(&picture.frame)))),
            Output::Lost(tag, loss) => shown.push((tag, Err(loss))),
            Output::Pending => return (shown, false),
            Output::Drained => return (shown, true),
        }
    }
}

/// Submits everything, receiving when it must.
pub fn submit_all(decoder: &mut dyn Decoder, units: &[AccessUnit]) -> Vec<Shown> {
    let mut shown = Vec::new();
    for unit in units {
        while let Err(error) = decoder.submit(&unit.data, unit.tag) {
            assert!(matches!(error, SubmitError::Full), "{error}");
            let (more, _) = collect(decoder);
            assert!(!more.is_empty());
            shown.extend(more);
        }
    }
    shown
}

/// Submits everything, and drains.
pub fn decode_all(decoder: &mut dyn Decoder, units: impl Iterator<Item = (Arc<[u8]>, FrameTag)>) -> Vec<Shown> {
    let mut shown = Vec::new();
    for (unit, tag) in units {
        decoder.submit(&unit, tag).unwrap();
        shown.extend(collect(decoder).0);
    }
    decoder.drain().unwrap();
    let (rest, drained) = collect(decoder);
    assert!(drained);
    shown.extend(rest);
    shown
}

/// A stream and its pictures as ffmpeg decodes them, in I420.
pub struct Encoded {
    pub units: Vec<Arc<[u8]>>,
    pub pictures: Vec<Vec<u8>>,
}

impl Encoded {
    /// `frames` of ffmpeg's own test picture by x264.
    pub fn x264(source: &str, frames: u32, options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.h264");
        let path = path.to_str().unwrap();
        let source = format!("testsrc2={source}");
        let frames = frames.to_string();
        let mut args = vec!["-v", "error", "-f", "lavfi", "-i", &source, "-frames:v", &frames, "-c:v", "libx264"];
        if !options.contains("pix_fmt") {
            args.extend(["-pix_fmt", "yuv420p"]);
        }
        args.extend(options.split_whitespace());
        args.extend(["-bsf:v", "h264_metadata=aud=insert", "-f", "h264", path]);
        ffmpeg(&args);
        let units = split(&std::fs::read(path).unwrap());
        let raw = ffmpeg(&[
            "-v",
            "error",
            "-i",
            path,
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-",
        ]);
        let len = raw.len() / units.len().max(1);
        let pictures = raw.chunks(len.max(1)).map(<[u8]>::to_vec).collect();
        Self { units, pictures }
    }
}

/// Access units of a stream with delimiters.
fn split(stream: &[u8]) -> Vec<Arc<[u8]>> {
    const DELIMITER: u8 = 9;
    let mut units: Vec<Vec<u8>> = Vec::new();
    for nal in nal_units(stream) {
        if nal[0] & 0x1f == DELIMITER {
            units.push(Vec::new());
        }
        let unit = units.last_mut().unwrap();
        unit.extend_from_slice(&[0, 0, 0, 1]);
        unit.extend_from_slice(nal);
    }
    units.into_iter().map(Arc::from).collect()
}

fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let output =
        Command::new("ffmpeg").args(args).output().unwrap_or_else(|e| panic!("ffmpeg: {e}; scripts/setup test"));
    assert!(output.status.success(), "ffmpeg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
