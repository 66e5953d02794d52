// SPDX-License-Identifier: Apache-2.0
//! Recordings that begin before somebody asked for them.

use std::path::Path;

use serde_json::json;
use system_tests::client::{builder, next};
use system_tests::{Rig, eventually, video};

/// 30 frames per second, a keyframe every half second, two seconds kept.
const CONFIG: &str = "\
[stream.raw]
pattern = \"bars\"
size = \"320x240\"
rate = 30
buffers = 32
[stream.h264]
from = \"raw\"
keyframe-interval = \"500ms\"
pre = \"2s\"
[stream.unkept]
from = \"raw\"
bitrate = \"1M\"
";

/// What was encoded in the last two seconds, at 30 frames per second.
const KEPT: u64 = 60;
/// From one keyframe to the next.
const GOP: u64 = 15;

/// Returns when a stream has shown so many frames more.
fn go_on(rig: &Rig, stream: &str, frames: u32) {
    let mut client = builder(&rig.socket(stream)).connect().unwrap();
    let first = next(&mut client).meta().sequence;
    while next(&mut client).meta().sequence < first + frames {}
}

/// How many frames a recording has, and would have if a busy machine had encoded all of them.
fn frames(rig: &Rig, file: &Path) -> (u64, u64) {
    video::decodes(file);
    let serials = video::serials(file);
    assert!(serials.is_sorted_by(|one, next| one < next), "{serials:?}");
    let shown = serials.len() as u64;
    assert_eq!(shown, video::probe(file).frames);
    let span = serials[serials.len() - 1] - serials[0] + 1;
    let lost: u64 =
        ["h264", "unkept"].iter().filter_map(|name| rig.stream(name).counters.source.get("lost").copied()).sum();
    assert!(span - shown <= lost, "{} are missing, and {lost} were not encoded: {serials:?}", span - shown);
    (shown, span)
}

#[test]
fn it_begins_with_what_has_just_been() {
    let rig = Rig::start(CONFIG);
    eventually("it to run although nobody looks", || (rig.stream("h264").state == "running").then_some(()));
    go_on(&rig, "h264", 90);
    // By the name of the pictures, or of their coded form: it is the same encoder.
    for (stream, name) in [("raw", "a.mp4"), ("h264", "b.mp4")] {
        let file = rig.path(name);
        let report = rig.ask(&["record", stream, file.to_str().unwrap(), "--pre", "2", "-f", "10"]);
        assert_eq!(report["reason"], json!("limit"), "{report:#}");
        assert!(report["pre_ns"].as_u64().unwrap() > 1_900_000_000, "{report:#}");
        let (shown, span) = frames(&rig, &file);
        let past = span - 10;
        // One that was not encoded may have been a keyframe, or the newest.
        let lost = span - shown;
        assert!((KEPT - 1..=KEPT + GOP + 2 * lost).contains(&past), "{past} frames from before, {lost} lost");
    }
    let status = rig.ask(&["status", "h264"]);
    let past = &status["streams"][0]["past"];
    assert!(past["duration_ns"].as_u64().unwrap() >= 2_000_000_000, "{past}");
    assert!((1..64 << 20).contains(&past["memory"].as_u64().unwrap()), "{past}");
    // Less than is kept, and a limit of time.
    let file = rig.path("c.mp4");
    let _ = rig.ask(&["record", "raw", file.to_str().unwrap(), "--pre", "500ms", "-t", "1"]);
    let (shown, span) = frames(&rig, &file);
    assert!((15 + 28..=15 + GOP + 32 + 2 * (span - shown)).contains(&span), "{span} frames");
    // Without the wish it begins now.
    let file = rig.path("d.mp4");
    let _ = rig.ask(&["record", "h264", file.to_str().unwrap(), "-f", "10"]);
    assert_eq!(frames(&rig, &file).0, 10);
}

#[test]
fn what_nobody_keeps_is_refused_with_the_remedy() {
    let rig = Rig::start(CONFIG);
    let file = rig.path("out.mp4");
    let file = file.to_str().unwrap();
    let remedy = ["nothing is kept", "pre = \"10s\"", "--pre 10s"];
    rig.vsctl(&["record", "unkept", file, "--pre", "2"]).refused(1, &remedy);
    rig.vsctl(&["record", "raw", file, "--pre", "2", "-b", "3M"]).refused(1, &remedy);
    rig.vsctl(&["start-stream", "raw", "--pre", "2"]).refused(1, &["not encoded"]);

    // While it runs, in the encoder that there is.
    let _ = rig.ask(&["start-stream", "unkept", "--pre", "1"]);
    go_on(&rig, "unkept", 45);
    let _ = rig.ask(&["record", "raw", file, "--pre", "1", "-b", "1M", "-f", "1"]);
    // Its keyframes are two seconds apart: it may have begun with the only one.
    let (_, span) = frames(&rig, Path::new(file));
    assert!(span > 30, "{span} frames");
}
