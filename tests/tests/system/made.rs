// SPDX-License-Identifier: Apache-2.0
//! Streams made from others while the daemon runs, and changed while they run.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::client::{builder, next};
use system_tests::{Rig, eventually};
use vsclient::publish::FrameFlags;
use vsclient::{Client, Frame};

const CONFIG: &str = "\
[defaults]
linger = \"200ms\"
[stream.raw]
pattern = \"bars\"
size = \"320x240\"
rate = 60
";

fn connect(rig: &Rig, stream: &str) -> Client {
    builder(&rig.socket(stream)).connect().unwrap()
}

fn status(rig: &Rig, stream: &str) -> Value {
    rig.ask(&["status", stream])["streams"][0].clone()
}

fn bytes(frame: &Frame) -> u64 {
    u64::from(frame.meta().bytes_used[0])
}

/// The mean of so many access units.
fn mean(client: &mut Client, units: u64) -> u64 {
    (0..units).map(|_| bytes(&next(client))).sum::<u64>() / units
}

#[test]
fn a_coded_stream_is_made_and_goes_when_it_is_stopped() {
    let rig = Rig::start(CONFIG);
    let line = ["start-stream", "small", "--from", "raw", "--bitrate", "300k", "--gop", "10", "--profile", "baseline"];
    let started = rig.ask(&line)["stream"].clone();
    assert_eq!((&started["source"], &started["from"]), (&json!("coded"), &json!("raw")));
    let mut client = connect(&rig, "small");
    assert!(next(&mut client).meta().flags.contains(FrameFlags::KEYFRAME));
    let encoding =
        eventually("the encoder", || Some(status(&rig, "small")["encoding"].clone()).filter(|e| !e.is_null()));
    assert_eq!(
        [&encoding["bitrate"], &encoding["gop"], &encoding["backend"], &encoding["profile"], &encoding["rate_control"]],
        [&json!(300_000), &json!(10), &json!("software"), &json!("baseline"), &json!("vbr")],
        "{encoding:#}"
    );
    assert_eq!(status(&rig, "small")["adjustments"], json!([]));
    // Once more is what it is already; another source is another matter.
    let _ = rig.ask(&["start-stream", "small", "--from", "raw"]);
    rig.vsctl(&["start-stream", "small", "--from", "elsewhere"]).refused(1, &["already", "elsewhere"]);
    // What the encoder does not do is said.
    let _ = rig.ask(&["start-stream", "small", "--b-frames", "2", "--level", "1.1"]);
    eventually("the encoder to say so", || {
        let _ = client.next_frame(Duration::from_millis(50));
        let said = status(&rig, "small")["adjustments"].to_string();
        (said.contains("B-frames: 2 was asked for") && said.contains("level 1.1")).then_some(())
    });
    let _ = rig.ask(&["stop-stream", "small"]);
    rig.vsctl(&["status", "small"]).refused(4, &["small"]);
    drop(client);
    assert!(!rig.socket("small").exists());
    // The name is free again.
    let started = rig.ask(&["start-stream", "small", "--from", "raw", "--size", "160x120"])["stream"].clone();
    assert_eq!(started["source"], json!("converted"));
}

#[test]
fn what_cannot_be_made_is_refused_and_leaves_nothing() {
    let rig = Rig::start(CONFIG);
    let refused = |line: &[&str], words: &[&str]| rig.vsctl(&[&["start-stream"], line].concat()).refused(1, words);
    rig.vsctl(&["start-stream", "x", "--from", "nobody"]).refused(4, &["nobody", "there is raw"]);
    refused(&["x", "--from", "raw", "--size", "64x64", "--bitrate", "1M"], &["not both"]);
    refused(&["x", "--from", "raw", "-r", "5"], &["rate is chosen there"]);
    refused(&["x", "--from", "raw", "--rate-control", "cbr"], &["give bitrate"]);
    refused(&["../x", "--from", "raw"], &["../x"]);
    refused(&["raw", "--bitrate", "1M"], &["not encoded"]);
    refused(&["x", "--from", "raw", "--codec", "hevc"], &["HEVC"]);
    refused(&["x", "--from", "raw", "--backend", "v4l2"], &["H264"]);
    refused(&["x", "--from", "raw", "--size", "65535x65535"], &["65535"]);
    let _ = rig.ask(&["start-stream", "coded", "--from", "raw"]);
    refused(&["x", "--from", "coded"], &["name a stream of pictures"]);
    assert_eq!(rig.objects().streams.len(), 2);
    // What runs goes on as it was.
    let mut client = connect(&rig, "coded");
    let _ = next(&mut client);
    refused(&["coded", "--codec", "hevc"], &["HEVC"]);
    refused(&["coded", "--backend", "v4l2"], &["H264"]);
    let _ = rig.ask(&["start-stream", "small", "--from", "raw", "--size", "64x64"]);
    refused(&["small", "--size", "65535x65535"], &["65535"]);
    (0..30).for_each(|_| drop(next(&mut client)));
    assert_eq!(next(&mut connect(&rig, "small")).format().width, 64);
    let codec = status(&rig, "coded")["encoding"]["codec"].clone();
    assert_eq!((codec, rig.stream("coded").state.as_str()), (json!("h264"), "running"));
}

#[test]
fn bitrate_and_keyframes_change_while_clients_and_recordings_go_on() {
    let rig = Rig::start(CONFIG);
    let _ =
        rig.ask(&["start-stream", "h264", "--from", "raw", "--bitrate", "2M", "--rate-control", "cbr", "--gop", "600"]);
    let mut client = connect(&rig, "h264");
    let out = rig.path("out.mp4");
    let mut recording = rig.vsctl_beside(&["record", "h264", out.to_str().unwrap()]);
    eventually("the recording", || {
        assert!(recording.is_running(), "it ended");
        rig.objects().recordings.first().map(|_| ())
    });
    for _ in 0..60 {
        let _ = next(&mut client);
    }
    let before = mean(&mut client, 60);
    let epoch = next(&mut client).serial();
    let _ = rig.ask(&["start-stream", "h264", "--bitrate", "100k"]);
    let encoding = eventually("the change", || {
        let _ = client.next_frame(Duration::from_millis(50));
        Some(status(&rig, "h264")["encoding"].clone()).filter(|encoding| encoding["bitrate"] == json!(100_000))
    });
    assert_eq!(encoding["rate_control"], json!("cbr"));
    for _ in 0..60 {
        assert!(!next(&mut client).meta().flags.contains(FrameFlags::GAP));
    }
    let after = mean(&mut client, 60);
    assert!(after * 5 < before * 4, "{before} bytes a frame before, {after} after");
    assert!(next(&mut client).serial() > epoch && client.counters().connections == 1);

    // Keyframes are ten seconds apart; this one is asked for.
    let path = async {
        let stream = rig.control().stream("h264").await.unwrap();
        stream.request_keyframe().await.unwrap();
    };
    rig.wait(path);
    let keyframe = (0..60).any(|_| next(&mut client).meta().flags.contains(FrameFlags::KEYFRAME));
    assert!(keyframe, "no keyframe comes");
    // One file holds it all: the encoder is the same.
    assert!(recording.is_running());
    let encoders = rig.objects().recordings.iter().filter(|(_, recording)| recording.state == "recording").count();
    assert_eq!(encoders, 1);
    recording.signal(Signal::INT);
    recording.wait();
    assert_eq!(system_tests::video::probe(&out).codec, "h264");
}

#[test]
fn coded_and_converted_streams_come_and_go_without_a_trace() {
    let rig = Rig::start(CONFIG);
    let (files, threads) = (rig.daemon().open_files().len(), rig.daemon().threads().len());
    let lines: [&[&str]; 2] = [&["--bitrate", "1M"], &["--size", "160x120", "--format", "RGB3"]];
    for line in lines {
        for _ in 0..20 {
            let _ = rig.ask(&[&["start-stream", "made", "--from", "raw"], line].concat());
            let _ = next(&mut connect(&rig, "made"));
            let _ = rig.ask(&["stop-stream", "made"]);
        }
    }
    assert_eq!(rig.objects().streams.len(), 1);
    eventually("the daemon to be as before", || {
        let now = (rig.daemon().open_files().len(), rig.daemon().threads().len());
        (now.0 <= files && now.1 <= threads).then_some(())
    });
}
