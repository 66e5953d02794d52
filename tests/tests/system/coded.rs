// SPDX-License-Identifier: Apache-2.0
//! Coded streams: one encoder, each access unit a frame, and everybody begins at a keyframe.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use system_tests::client::{builder, next};
use system_tests::{PATIENCE, Rig, eventually, video};
use vsclient::publish::FrameFlags;
use vsclient::{Client, Event, Frame, Mode, StreamState};

const CONFIG: &str = "\
[defaults]
linger = \"200ms\"
[stream.raw]
pattern = \"bars\"
size = \"320x240\"
rate = 30
[stream.h264]
from = \"raw\"
bitrate = \"1M\"
keyframe-interval = \"1min\"
";

fn connect(rig: &Rig, mode: Mode) -> Client {
    builder(&rig.socket("h264")).mode(mode).connect().unwrap()
}

fn is_keyframe(frame: &Frame) -> bool {
    frame.meta().flags.contains(FrameFlags::KEYFRAME)
}

fn unit(frame: &Frame) -> Vec<u8> {
    let used = frame.meta().bytes_used[0] as usize;
    frame.read(|view| view.plane(0).map(|plane| plane.data[..used].to_vec())).unwrap().unwrap()
}

/// Serials that others' decoder finds in the pictures of a bare stream.
fn pictures(rig: &Rig, units: &[Vec<u8>]) -> Vec<u64> {
    let file = rig.path("units.h264");
    std::fs::write(&file, units.concat()).unwrap();
    video::decodes(&file);
    video::serials(&file)
}

/// The sessions that encode, by their threads.
fn encoders(rig: &Rig) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", rig.daemon().process.pid())).unwrap();
    let name = |path: &Path| std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    tasks.filter(|task| name(&task.as_ref().unwrap().path()).starts_with("enc-")).count()
}

#[test]
fn access_units_are_frames_and_what_they_show_is_what_was_painted() {
    let rig = Rig::start(CONFIG);
    assert_eq!(rig.stream("h264").state, "idle");
    let mut client = connect(&rig, Mode::Leased);
    let mut units = Vec::new();
    let mut sequences = Vec::new();
    for number in 0..45 {
        let frame = next(&mut client);
        assert!(number > 0 || is_keyframe(&frame), "it begins in the middle");
        assert_eq!(frame.skipped().total(), 0);
        sequences.push(u64::from(frame.meta().sequence));
        units.push(unit(&frame));
        if number == 0 {
            let format = frame.format();
            assert_eq!((format.fourcc.to_string().as_str(), format.width, format.height), ("H264", 320, 240));
            let sets = &format.parameter_sets;
            assert!(
                !sets.is_empty() && units[0].windows(sets.len()).any(|part| part == &sets[..]),
                "no parameter sets"
            );
        }
    }
    assert_eq!(pictures(&rig, &units), sequences, "others see other pictures");
    let status = rig.ask(&["status", "h264"]);
    let stream = &status["streams"][0];
    assert_eq!((&stream["source"], &stream["from"]), (&json!("coded"), &json!("raw")), "{stream:#}");
    drop(client);
    for stream in ["h264", "raw"] {
        eventually(&format!("{stream} to be idle"), || (rig.stream(stream).state == "idle").then_some(()));
    }
    eventually("the encoder to be closed", || (encoders(&rig) == 0).then_some(()));
}

#[test]
fn whoever_comes_later_or_loses_its_place_begins_at_a_keyframe() {
    let rig = Rig::start(CONFIG);
    let mut first = connect(&rig, Mode::Leased);
    for _ in 0..20 {
        let _ = next(&mut first);
    }
    // Keyframes are a minute apart: this one is made for the newcomer.
    for mode in [Mode::Leased, Mode::Notify] {
        let mut late = connect(&rig, mode);
        let frame = next(&mut late);
        assert!(is_keyframe(&frame));
        let mut units = vec![unit(&frame)];
        units.extend((0..10).map(|_| unit(&next(&mut late))));
        assert_eq!(pictures(&rig, &units).len(), 11);
    }
    // One that holds all it may misses some, and goes on with one that needs none of those.
    let mut held = Vec::new();
    let mut slow = builder(&rig.socket("h264")).credits(2).name("slow").connect().unwrap();
    held.extend([next(&mut slow), next(&mut slow)]);
    rig.client_that("h264", "slow", |client| client.skipped["no-credit"] >= 5);
    held.clear();
    let frame = next(&mut slow);
    assert!(is_keyframe(&frame) && frame.skipped().total() >= 5, "it cannot be decoded");
}

#[test]
fn clients_and_recordings_of_one_rendition_share_an_encoder() {
    let rig = Rig::start(CONFIG);
    let mut clients: Vec<_> = (0..2).map(|_| connect(&rig, Mode::Leased)).collect();
    clients.iter_mut().for_each(|client| drop(next(client)));
    let out = rig.path("out.mp4");
    let out = out.to_str().unwrap();
    let mut recording = rig.vsctl_beside(&["record", "h264", out, "--frames", "30"]);
    eventually("the recording", || rig.objects().recordings.first().map(|_| ()));
    assert_eq!(encoders(&rig), 1);
    while recording.is_running() {
        clients.iter_mut().for_each(|client| drop(client.next_frame(Duration::from_millis(50)).unwrap()));
    }
    let probe = video::probe(Path::new(out));
    assert_eq!((probe.codec.as_str(), probe.frames), ("h264", 30));
    rig.vsctl(&["record", "h264", rig.path("o.mp4").to_str().unwrap(), "--bitrate", "3M"])
        .refused(1, &["coded already", "record 'raw'"]);
}

#[test]
fn it_waits_while_there_is_nothing_to_encode() {
    let rig = Rig::start(CONFIG);
    let mut client = connect(&rig, Mode::Leased);
    let before = next(&mut client);
    let _ = rig.ask(&["stop-stream", "raw"]);
    eventually("it to wait", || {
        let _ = client.next_event(Duration::from_millis(20));
        (client.state().state == StreamState::Waiting).then_some(())
    });
    assert!(client.state().reason.contains("'raw'"), "{}", client.state());
    let _ = rig.ask(&["start-stream", "raw", "--size", "176x144"]);
    let frame = loop {
        let frame = client.next_frame(PATIENCE).unwrap().expect("no frame comes");
        if frame.format().width == 176 {
            break frame;
        }
    };
    assert!(is_keyframe(&frame) && frame.meta().flags.contains(FrameFlags::GAP));
    assert!(frame.serial() > before.serial() && client.counters().connections == 1);
}

#[test]
fn why_nothing_is_encoded_stays_said_while_it_is_tried_again() {
    // The source is idle again before each attempt.
    let config = CONFIG.replace("200ms", "1ms").replace("bitrate", "backend = \"v4l2\"\nbitrate");
    let rig = Rig::start(&config);
    let mut client = connect(&rig, Mode::Leased);
    let attempts =
        || rig.daemon().process.stderr.lines().iter().filter(|line| line.contains("encoding failed")).count();
    let state = |client: &mut Client| {
        let _ = client.next_event(Duration::from_millis(1));
        client.state().state
    };
    eventually("it to fail", || (state(&mut client) == StreamState::Failed).then_some(()));
    let before = attempts();
    eventually("three more attempts", || (attempts() >= before + 3).then_some(()));
    while let Some(event) = client.next_event(Duration::from_millis(1)).unwrap() {
        assert!(!matches!(event, Event::State(_)), "{event:?}");
    }
    assert_eq!(rig.stream("h264").state, "failed");
}
