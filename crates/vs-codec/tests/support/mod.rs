// SPDX-License-Identifier: Apache-2.0
//! Pattern frames for an encoder, and the judgement of ffprobe and ffmpeg on what it made.

#![allow(clippy::unwrap_used, dead_code)]

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;

use vs_codec::{AccessUnit, Choice, Encoder, EncoderConfig, FrameTag, Output, open_encoder};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_pattern::{Memories, Pattern, Stamp};

pub const NS_PER_MS: u64 = 1_000_000;

/// A camera that paints test patterns.
pub struct Camera {
    pattern: Pattern,
    pool: CpuPool,
    rate: Rate,
    /// Grain, in shades.
    noise: u8,
}

impl Camera {
    pub fn new(format: Format) -> Self {
        let pattern = Pattern::new(&format).unwrap();
        let rate = format.rate;
        Self { pattern, pool: CpuPool::new(Arc::new(format), CpuMemory::Memfd, 1, 4).unwrap(), rate, noise: 0 }
    }

    /// One whose pictures take bits: the pattern with grain in the lower half, which no
    /// encoder can predict.
    pub fn noisy(format: Format, noise: u8) -> Self {
        Self { noise, ..Self::new(format) }
    }

    pub fn frame(&self, serial: u64) -> Frame {
        let mut slot = self.pool.acquire().unwrap().unwrap();
        slot.write(|memories| {
            self.pattern.render(serial, self.time_ns(serial), memories).unwrap();
            if self.noise > 0 {
                let half = memories[0].len() / 3;
                add_noise(&mut memories[0][half..half * 2], serial, self.noise);
            }
        })
        .unwrap();
        slot.finish(FrameMeta::default()).unwrap()
    }

    pub fn time_ns(&self, serial: u64) -> u64 {
        self.rate.offset_ns(serial)
    }

    pub fn tag(&self, serial: u64) -> FrameTag {
        let time_ns = self.time_ns(serial);
        FrameTag { serial, capture_ns: time_ns + 7, pts_ns: time_ns as i64, duration_ns: self.rate.interval_ns() }
    }

    pub fn stamp(&self, serial: u64) -> Stamp {
        Stamp::new(serial, self.time_ns(serial))
    }
}

/// Marsaglia's xorshift: the same grain for the same frame.
fn add_noise(bytes: &mut [u8], serial: u64, noise: u8) {
    let mut state = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        for (byte, random) in chunk.iter_mut().zip(state.to_le_bytes()) {
            *byte = byte.saturating_add(random % noise);
        }
    }
}

pub fn format(fourcc: FourCc, width: u32, height: u32, fps: u32) -> Format {
    Format::packed(fourcc, width, height, Rate::fps(fps)).unwrap()
}

pub fn open(format: &Format, config: &EncoderConfig) -> Box<dyn Encoder> {
    open_encoder(format, config, &Choice::default()).unwrap()
}

/// Submits frames and takes the one access unit that each must give.
pub fn encode(encoder: &mut dyn Encoder, camera: &Camera, serials: std::ops::Range<u64>) -> Vec<AccessUnit> {
    let mut units = Vec::new();
    for serial in serials {
        encoder.submit(&camera.frame(serial), camera.tag(serial)).unwrap();
        let Output::Done(unit) = encoder.receive().unwrap() else { panic!("frame {serial} gave nothing") };
        assert_eq!(unit.tag, camera.tag(serial));
        assert_eq!(unit.dts_ns, unit.tag.pts_ns);
        assert_eq!(encoder.receive().unwrap(), Output::Pending);
        units.push(unit);
    }
    units
}

pub fn bytes(units: &[AccessUnit]) -> usize {
    units.iter().map(|unit| unit.data.len()).sum()
}

/// Serials of the keyframes.
pub fn keyframes(units: &[AccessUnit]) -> Vec<u64> {
    units.iter().filter(|unit| unit.keyframe).map(|unit| unit.tag.serial).collect()
}

/// The `nal_unit_type`s of an access unit, in order.
pub fn nal_types(unit: &AccessUnit) -> Vec<u8> {
    let starts = unit.data.windows(4).filter(|bytes| bytes[..3] == [0, 0, 1]);
    starts.map(|bytes| bytes[3] & 0x1f).collect()
}

/// What others say of a stream: ffprobe's fields, and the frames that ffmpeg decodes, as I420.
pub struct Judgement {
    pub fields: HashMap<String, String>,
    pub frames: Vec<Vec<u8>>,
}

impl Judgement {
    pub fn of(units: &[AccessUnit]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.h264");
        let stream: Vec<u8> = units.iter().flat_map(|unit| unit.data.iter().copied()).collect();
        std::fs::write(&path, stream).unwrap();
        let path = path.to_str().unwrap();
        let what = "stream=profile,level,width,height,pix_fmt,nb_read_frames,color_range,color_space,color_transfer,\
                    color_primaries,has_b_frames";
        let args = ["-v", "error", "-count_frames", "-show_entries", what, "-of", "default=nw=1", path];
        let fields = String::from_utf8(run("ffprobe", &args)).unwrap();
        let fields: HashMap<_, _> =
            fields.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let args = ["-v", "error", "-xerror", "-i", path, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"];
        let decoded = run("ffmpeg", &args);
        let number = |name: &str| fields[name].parse::<usize>().unwrap();
        let frame_len = number("width") * number("height") * 3 / 2;
        let frames = decoded.chunks(frame_len).map(<[u8]>::to_vec).collect();
        Self { fields, frames }
    }

    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The stamps of the decoded frames.
    pub fn stamps(&self) -> Vec<Stamp> {
        let (width, height) = (self.field("width").parse().unwrap(), self.field("height").parse().unwrap());
        let i420 = format(FourCc::YUV420, width, height, 30);
        let pattern = Pattern::new(&i420).unwrap();
        self.frames.iter().map(|frame| pattern.read(&Memories::new(&i420, &[&frame[..]])).unwrap()).collect()
    }
}

fn run(tool: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(tool).args(args).output().unwrap_or_else(|e| panic!("{tool}: {e}; scripts/setup test"));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{tool} {args:?}: {complaints}");
    output.stdout
}
