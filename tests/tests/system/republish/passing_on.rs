// SPDX-License-Identifier: Apache-2.0
//! What a program publishes is what the daemon's clients get: the same memory, not a copy.

use std::collections::HashSet;
use std::os::fd::AsFd;

use serde_json::json;
use system_tests::Rig;
use system_tests::client::{builder, next};
use system_tests::process::End;
use vsclient::StreamState;
use vsclient::publish::FrameFlags;

use super::stage::{Stage, check, format, inode, publish, publish_with, until, until_state};

#[test]
fn frames_are_passed_on_whole_and_in_the_same_memory() {
    let stage = Stage::new();
    let publisher = stage.publisher(|builder| builder);
    let mut client = stage.client();
    let mut direct = builder(&stage.upstream()).connect().unwrap();
    let mut buffers = HashSet::new();
    for round in 1..=60u64 {
        assert_eq!(publish(&publisher), round);
        let (frame, original) = (next(&mut client), next(&mut direct));
        assert_eq!((check(&frame), check(&original)), (round, round));
        assert_eq!(frame.format(), original.format());
        assert_eq!(frame.meta(), original.meta(), "everything that is known of it is passed on");
        for (memory, original) in frame.memories().iter().zip(original.memories()) {
            assert_eq!(inode(memory), inode(original), "frame {round} was copied");
            assert!(memory.is_read_only() && rustix::io::write(memory.as_fd(), b"x").is_err());
        }
        buffers.insert(frame.buffer().id());
    }
    assert_eq!(client.counters().source_gaps, 0);
    // A client gets the descriptors of a buffer once: it knows no more buffers than there are.
    assert!(buffers.len() <= 12, "{} buffers", buffers.len());
    // The daemon neither mapped a frame nor keeps one that nobody reads, but for the newest.
    let is_frame = |line: &&String| line.contains("memfd:") && !line.contains("memfd:videostream-unlocks");
    assert_eq!(stage.rig.daemon().mappings().iter().find(is_frame), None);
    until(&publisher, "the frames to come back", |now| now.clients.iter().all(|client| client.held <= 1));
    stage.end();
}

#[test]
fn a_new_format_is_passed_on() {
    let stage = Stage::new();
    let mut publisher = stage.publisher(|builder| builder);
    let mut client = stage.client();
    publish(&publisher);
    assert_eq!(next(&mut client).format().width, 320);
    publisher.set_format(format(640)).unwrap();
    publish(&publisher);
    let frame = next(&mut client);
    assert_eq!((frame.format().width, check(&frame)), (640, 2));
    assert_eq!(stage.rig.ask(&["status", "lib0"])["streams"][0]["format"]["width"], json!(640));
}

#[test]
fn states_are_passed_on() {
    let stage = Stage::new();
    let publisher = stage.publisher(|builder| builder);
    let mut client = stage.client();
    publish(&publisher);
    until_state(&mut client, StreamState::Running);
    publisher.set_state(StreamState::Waiting, "the sun is down").unwrap();
    until_state(&mut client, StreamState::Waiting);
    assert_eq!(client.state().reason, "the sun is down");
    publisher.set_state(StreamState::Failed, "the lens is broken").unwrap();
    until_state(&mut client, StreamState::Failed);
    publish(&publisher);
    until_state(&mut client, StreamState::Running);
    publisher.set_state(StreamState::Stopped, "").unwrap();
    until_state(&mut client, StreamState::Stopped);
}

#[test]
fn what_is_lost_before_the_host_shows() {
    let stage = Stage::new();
    let publisher = stage.publisher(|builder| builder);
    let mut client = stage.client();
    for lost in [false, true, false] {
        publish_with(&publisher, if lost { FrameFlags::GAP } else { FrameFlags::empty() });
        assert_eq!(next(&mut client).meta().flags.contains(FrameFlags::GAP), lost);
    }
}

#[test]
fn a_stream_of_another_daemon_is_taken_over() {
    let mut first = Rig::start("[stream.bars]\npattern = \"bars\"\nsize = \"320x240\"\nalways-on = true\n");
    let config = format!("[stream.again]\nipc = \"{}\"\nalways-on = true\n", first.socket("bars").display());
    let mut second = Rig::start(&config);
    let mut of_first = builder(&first.socket("bars")).connect().unwrap();
    let mut of_second = builder(&second.socket("again")).connect().unwrap();
    let (mut originals, mut passed_on) = (HashSet::new(), HashSet::new());
    let mut last = 0;
    for _ in 0..60 {
        originals.extend(next(&mut of_first).memories().iter().map(inode));
        let frame = next(&mut of_second);
        passed_on.extend(frame.memories().iter().map(inode));
        let serial = check(&frame);
        assert!(serial > last, "frame {serial} came after {last}");
        last = serial;
    }
    assert!(originals.intersection(&passed_on).count() > 0, "nothing is shared: {originals:?} {passed_on:?}");
    // Which of them ends first does not matter.
    assert_eq!((first.terminate(), second.terminate()), (End::Exit(0), End::Exit(0)));
}

#[test]
fn a_taken_over_stream_is_recorded_like_any_other() {
    let first = Rig::start("[stream.bars]\npattern = \"bars\"\nsize = \"320x240\"\nalways-on = true\n");
    let config = format!("[stream.again]\nipc = \"{}\"\nalways-on = true\n", first.socket("bars").display());
    let second = Rig::start(&config);
    let _ = next(&mut builder(&second.socket("again")).connect().unwrap());
    let file = second.path("out.mp4");
    let _ = second.vsctl(&["record", "again", file.to_str().unwrap(), "--frames", "30"]).good();
    assert!(file.metadata().unwrap().len() > 1000);
}

#[test]
fn vsctl_says_what_fills_the_stream_and_what_it_waits_for() {
    let stage = Stage::new();
    let waits = |status: &serde_json::Value| {
        let stream = &status["streams"][0];
        assert_eq!((&stream["source"], &stream["device"]), (&json!("ipc"), &json!(null)), "{stream:#}");
        let text = stream["state_text"].as_str().unwrap_or_default();
        stream["state"] == json!("waiting") && text.contains(stage.upstream().to_str().unwrap())
    };
    system_tests::eventually("the reason", || waits(&stage.rig.ask(&["status", "lib0"])).then_some(()));
    // Starting it again disturbs nothing; its shape is not ours to choose.
    assert_eq!(stage.rig.ask(&["start-stream", "lib0"])["stream"]["state"], json!("waiting"));
    stage.rig.vsctl(&["start-stream", "lib0", "-r", "30"]).refused(1, &["chosen there"]);
    // It can be stopped while it waits, and started again.
    let _ = stage.rig.ask(&["stop-stream", "lib0"]);
    let _ = stage.rig.ask(&["start-stream", "lib0"]);
    let publisher = stage.publisher(|builder| builder);
    let mut client = stage.client();
    publish(&publisher);
    check(&next(&mut client));
    stage.end();
}
