// SPDX-License-Identifier: Apache-2.0
//! Converted streams: another stream's pictures in another size or pixel format.

use serde_json::json;
use system_tests::client::{builder, next};
use system_tests::{PATIENCE, Rig, eventually};
use vs_frame::{FourCc, Rate};
use vs_pattern::Pattern;
use vsclient::publish::FrameFlags;
use vsclient::{Client, Frame, StreamState};

const CONFIG: &str = "\
[defaults]
linger = \"200ms\"
[stream.raw]
pattern = \"bars\"
size = \"640x480\"
rate = 30
[stream.small]
from = \"raw\"
size = \"320x240\"
format = \"RGB3\"
[stream.packed]
from = \"raw\"
format = \"YUYV\"
[stream.coded]
from = \"small\"
bitrate = \"1M\"
";

fn connect(rig: &Rig, stream: &str) -> Client {
    builder(&rig.socket(stream)).connect().unwrap()
}

/// The mean of each colour of an RGB picture's row, a third of the way down: nothing but bars is there.
fn row(frame: &Frame) -> Vec<[u8; 3]> {
    let pixels = |view: &vs_frame::FrameView<'_>| {
        let plane = view.plane(0)?;
        let row = plane.rows().nth(plane.rows / 3)?;
        Some(row.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect())
    };
    frame.read(pixels).unwrap().unwrap()
}

#[test]
fn pictures_come_in_the_size_and_format_that_was_asked_for() {
    let rig = Rig::start(CONFIG);
    let mut client = connect(&rig, "small");
    let mut upstream = connect(&rig, "raw");
    let first = next(&mut client);
    let format = first.format();
    assert_eq!((format.fourcc, format.width, format.height), (FourCc::RGB24, 320, 240));
    assert_eq!(format.rate, Rate::fps(30));
    let mut last = first.meta().sequence;
    for _ in 0..30 {
        let frame = next(&mut client);
        assert!(frame.meta().sequence > last, "pictures come in order");
        last = frame.meta().sequence;
        // Of the same picture, the larger one says when it was taken.
        let original = loop {
            let original = next(&mut upstream);
            if original.serial() >= u64::from(last) {
                break original;
            }
        };
        if original.serial() == u64::from(last) {
            assert_eq!(original.meta().capture_ns, frame.meta().capture_ns);
        }
    }
    // Bars stand side by side: neighbours in the row are alike, but for a few edges.
    let row = row(&next(&mut client));
    let differ = |pair: &[[u8; 3]]| pair[0].iter().zip(pair[1]).any(|(a, b)| a.abs_diff(b) > 24);
    let edges = row.windows(2).filter(|pair| differ(pair)).count();
    assert!((4..40).contains(&edges), "{edges} edges in a row of bars: {row:?}");
    let stream = rig.ask(&["status", "small"])["streams"][0].clone();
    assert_eq!((&stream["source"], &stream["from"]), (&json!("converted"), &json!("raw")), "{stream:#}");
    drop((client, upstream, first));
    for name in ["small", "raw"] {
        eventually(&format!("{name} to be idle"), || (rig.stream(name).state == "idle").then_some(()));
    }
}

#[test]
fn what_is_written_in_the_picture_survives_another_format() {
    let rig = Rig::start(CONFIG);
    let mut client = connect(&rig, "packed");
    for _ in 0..10 {
        let frame = next(&mut client);
        let pattern = Pattern::new(frame.format()).unwrap();
        let stamp = frame.read(|view| pattern.read(view)).unwrap().expect("no barcode can be read");
        assert_eq!(stamp.serial, u64::from(frame.meta().sequence));
    }
}

#[test]
fn what_is_converted_can_be_encoded_and_changed_while_it_runs() {
    let rig = Rig::start(CONFIG);
    let mut client = connect(&rig, "coded");
    let unit = next(&mut client);
    assert_eq!((unit.format().fourcc, unit.format().width), (FourCc::H264, 320));
    assert!(unit.meta().flags.contains(FrameFlags::KEYFRAME));
    let _ = rig.ask(&["start-stream", "small", "--size", "160x120", "--format", "NV12"]);
    let unit = loop {
        let unit = client.next_frame(PATIENCE).unwrap().expect("no frame comes");
        if unit.format().width == 160 {
            break unit;
        }
    };
    assert!(unit.meta().flags.contains(FrameFlags::KEYFRAME));
    assert_eq!(client.counters().connections, 1);
    rig.vsctl(&["start-stream", "small", "--rate", "10"]).refused(1, &["rate is chosen there"]);
    rig.vsctl(&["start-stream", "small", "--format", "H264"]).refused(1, &["H264"]);
    // It waits while there is nothing to convert, and goes on.
    let _ = rig.ask(&["stop-stream", "raw"]);
    let mut converted = connect(&rig, "small");
    eventually("it to wait", || {
        let _ = converted.next_event(std::time::Duration::from_millis(20));
        (converted.state().state == StreamState::Waiting).then_some(())
    });
    assert!(converted.state().reason.contains("'raw'"), "{}", converted.state());
    let _ = rig.ask(&["start-stream", "raw"]);
    let frame = converted.next_frame(PATIENCE).unwrap().expect("no frame comes");
    assert_eq!(frame.format().width, 160);
}

#[test]
fn a_converter_that_is_too_slow_has_time_for_clients() {
    // It never catches up with its source.
    let rig = Rig::start(
        "[stream.fast]\npattern = \"bars\"\nrate = 500\n\
         [stream.huge]\nfrom = \"fast\"\nsize = \"4096x3072\"\nformat = \"RGB3\"\nbuffers = 4\n",
    );
    for _ in 0..3 {
        let mut client = connect(&rig, "huge");
        for _ in 0..3 {
            assert_eq!(next(&mut client).format().width, 4096);
        }
    }
    let lost = rig.stream("huge").counters.source["lost"];
    assert!(lost > 0, "the converter keeps up: the test shows nothing");
}
