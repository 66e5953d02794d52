// SPDX-License-Identifier: Apache-2.0
//! What another's H.264 encoder and decoder leave of a picture still says which frame it was.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use vs_frame::{Format, FourCc, PlaneView, Rate};
use vs_pattern::{Memories, Pattern, Stamp};

const FRAMES: u64 = 30;
const FIRST: u64 = 0xff_ffff_fff0;

fn time_ns(serial: u64) -> u64 {
    serial.wrapping_mul(33_366_666)
}

fn ffmpeg(args: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(args);
    command
}

/// Encodes raw frames to a file of the given bitrate, and hands back the decoded I420 frames.
fn through_x264(format: &Format, pixel_format: &str, bitrate: &str) -> Vec<u8> {
    let pattern = Pattern::new(format).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (raw, coded) = (folder.path().join("in.raw"), folder.path().join("out.h264"));
    let mut file = File::create(&raw).unwrap();
    let mut bytes = [vec![0; format.memory_size(0) as usize]];
    for serial in FIRST..FIRST + FRAMES {
        pattern.render(serial, time_ns(serial), &mut bytes).unwrap();
        file.write_all(&bytes[0]).unwrap();
    }
    let size = format!("{}x{}", format.width, format.height);
    let input = ["-f", "rawvideo", "-pix_fmt", pixel_format, "-s", &size, "-i", raw.to_str().unwrap()];
    let output = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", bitrate];
    let coded = coded.to_str().unwrap();
    let status = ffmpeg(&[&input[..], &output, &[coded]].concat()).status().unwrap();
    assert!(status.success(), "ffmpeg (scripts/setup test) must encode {pixel_format} {size}");

    let mut decoder = ffmpeg(&["-i", coded, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]);
    let mut decoder = decoder.stdout(Stdio::piped()).spawn().unwrap();
    let mut decoded = Vec::new();
    decoder.stdout.take().unwrap().read_to_end(&mut decoded).unwrap();
    assert!(decoder.wait().unwrap().success());
    decoded
}

fn survives(fourcc: FourCc, pixel_format: &str, width: u32, height: u32, bitrate: &str) {
    let format = Format::packed(fourcc, width, height, Rate::fps(30)).unwrap();
    let decoded = through_x264(&format, pixel_format, bitrate);
    let i420 = Format::packed(FourCc::YUV420, width, height, Rate::fps(30)).unwrap();
    let pattern = Pattern::new(&i420).unwrap();
    let frames = decoded.chunks(i420.memory_size(0) as usize);
    assert_eq!(frames.len() as u64, FRAMES);
    for (serial, frame) in (FIRST..).zip(frames) {
        let stamp = Stamp::new(serial, time_ns(serial));
        assert_eq!(pattern.read(&Memories::new(&i420, &[frame])), Ok(stamp), "{width}x{height} {pixel_format}");
        let (stride, rows) = (width as usize, height as usize);
        let luma = PlaneView { data: &frame[..stride * rows], stride, row_bytes: stride, rows };
        assert_eq!(pattern.read(&[luma][..]), Ok(stamp), "luma alone");
    }
}

#[test]
fn small_pictures_survive() {
    survives(FourCc::YUV420, "yuv420p", 320, 240, "200k");
    survives(FourCc::YUYV, "yuyv422", 640, 480, "500k");
}

#[test]
fn large_pictures_survive() {
    survives(FourCc::NV12, "nv12", 1920, 1080, "2M");
    survives(FourCc::BGRX32, "bgr0", 1280, 720, "1M");
}
