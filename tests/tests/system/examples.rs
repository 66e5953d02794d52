// SPDX-License-Identifier: Apache-2.0
//! The examples of libvsclient do what they say.

use std::process::Command;

use system_tests::vsctl::Outcome;
use system_tests::{Process, Rig, binaries, video};

const STREAMS: &str = "\
[stream.cam0]
pattern = \"bars\"
size = \"320x240\"
rate = 60
always-on = true

[stream.cam0-h264]
from = \"cam0\"
codec = \"h264\"
";

/// Begins an example of that name with these arguments.
fn begin(rig: &Rig, name: &str, arguments: &[&str]) -> Process {
    let mut command = Command::new(binaries::path(&format!("examples/{name}")));
    command.args(arguments);
    command.env("VIDEOSTREAM_BUS", &rig.place().bus).env("VIDEOSTREAM_DIR", rig.socket("cam0").parent().unwrap());
    Process::start(name, &mut command)
}

/// What an example says that ends well.
fn said(rig: &Rig, name: &str, arguments: &[&str]) -> String {
    Outcome::of(&mut begin(rig, name, arguments)).good().stdout.clone()
}

#[test]
fn show_says_what_arrives() {
    let rig = Rig::start(STREAMS);
    let lines = said(&rig, "show", &["cam0", "20"]);
    assert_eq!(lines.lines().filter(|line| line.starts_with("frame ")).count(), 20, "{lines}");
    assert!(lines.contains("320x240 at 60 fps"), "{lines}");
}

#[test]
fn save_makes_a_png() {
    let rig = Rig::start(STREAMS);
    let file = rig.path("picture.png");
    let line = said(&rig, "save", &["cam0", file.to_str().unwrap(), "160x120"]);
    assert!(line.ends_with("of cam0, 160x120\n"), "{line}");
    let picture = video::probe(&file);
    assert_eq!((picture.codec.as_str(), picture.size), ("png", (160, 120)));
}

#[test]
fn a_slow_model_has_new_pictures_and_skips_the_rest() {
    let rig = Rig::start(STREAMS);
    let lines = said(&rig, "infer", &["cam0", "10", "100"]);
    assert_eq!(lines.lines().filter(|line| line.starts_with("brightness ")).count(), 10, "{lines}");
    let last = lines.lines().last().unwrap();
    let skipped: u64 = last.split_whitespace().nth(3).and_then(|count| count.parse().ok()).unwrap();
    // Six go by while it thinks, on an idle machine; on a busy one it may be the camera that is late.
    assert!(skipped >= 10, "{last}");
}

#[test]
fn publish_is_a_camera() {
    let rig = Rig::start(STREAMS);
    let mut publisher = begin(&rig, "publish", &["mine"]);
    publisher.stdout.until("the socket", |line| line.starts_with("publishing at "));
    let lines = said(&rig, "show", &["mine", "5"]);
    assert_eq!(lines.lines().filter(|line| line.starts_with("frame ")).count(), 5, "{lines}");
    publisher.kill();
}

#[test]
fn encode_and_decode_make_files() {
    let rig = Rig::start(STREAMS);
    let (coded, raw) = (rig.path("out.h264"), rig.path("out.yuv"));
    said(&rig, "encode", &["cam0", coded.to_str().unwrap(), "30"]);
    video::decodes(&coded);
    assert_eq!(video::probe(&coded).frames, 30);
    said(&rig, "decode", &["cam0-h264", raw.to_str().unwrap(), "30"]);
    assert_eq!(raw.metadata().unwrap().len(), 30 * 320 * 240 * 3 / 2);
}
