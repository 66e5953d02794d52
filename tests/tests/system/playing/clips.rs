// SPDX-License-Identifier: Apache-2.0
//! Files made by other people's encoders, and what other people's decoders make of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use system_tests::Rig;

/// A picture that moves and has detail.
pub const SCENE: &str = "testsrc2";

/// The software decoder's B-frames are not exact; nobody's eyes see it.
pub const ALIKE_DB: f64 = 35.0;

/// Runs a tool; what it writes to standard output.
fn run(tool: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(tool).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {tool}: {error}; `scripts/setup test` installs it"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {said}");
    output.stdout
}

/// Lets `ffmpeg` make a file with these options.
pub fn make(rig: &Rig, name: &str, options: &str) -> PathBuf {
    let path = rig.path(name);
    let mut arguments = vec!["-nostdin", "-v", "error", "-y"];
    arguments.extend(options.split_whitespace());
    arguments.push(path.to_str().unwrap());
    run("ffmpeg", &arguments);
    path
}

/// The same of so many frames of a scene, encoded by x264.
pub fn x264(rig: &Rig, name: &str, size: &str, frames: u32, options: &str) -> PathBuf {
    let scene = format!("-f lavfi -i {SCENE}=size={size}:rate=30 -frames:v {frames} -c:v libx264");
    make(rig, name, &format!("{scene} -pix_fmt yuv420p -threads 1 {options}"))
}

/// The pictures of a file as NV12, in the order in which they are shown.
pub fn pictures(file: &Path, (width, height): (u32, u32)) -> Vec<Vec<u8>> {
    let path = file.to_str().unwrap();
    let options = ["-nostdin", "-v", "error", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough"];
    let raw = run("ffmpeg", &[&options[..], &["-f", "rawvideo", "-pix_fmt", "nv12", "-"]].concat());
    let bytes = width * height + 2 * width.div_ceil(2) * height.div_ceil(2);
    raw.chunks(bytes as usize).map(<[u8]>::to_vec).collect()
}

/// When they are shown, in ns.
pub fn times(file: &Path) -> Vec<i64> {
    let path = file.to_str().unwrap();
    let entries = "frame=pts:stream=time_base";
    let options = ["-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "json", path];
    let answer: Value = serde_json::from_slice(&run("ffprobe", &options)).unwrap();
    let base = answer["streams"][0]["time_base"].as_str().unwrap();
    let (num, den) = base.split_once('/').unwrap();
    let (num, den): (i128, i128) = (num.parse().unwrap(), den.parse().unwrap());
    let frames = answer["frames"].as_array().unwrap();
    frames.iter().map(|frame| (i128::from(frame["pts"].as_i64().unwrap()) * num * 1_000_000_000 / den) as i64).collect()
}

/// How alike two pictures are in luma, in dB; infinite if they are the same.
pub fn psnr(one: &[u8], other: &[u8]) -> f64 {
    let squares: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    10.0 * (255.0 * 255.0 * one.len() as f64 / squares as f64).log10()
}
