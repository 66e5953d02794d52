// SPDX-License-Identifier: Apache-2.0
//! Nothing is written to while somebody reads it, and nobody is held up by who reads.

use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use vsclient::Client;

use crate::stage::{PATIENCE, Pipeline, Stage, caps, eventually, picture, pixels, pull_from};

#[test]
fn a_frame_that_is_held_stays_as_it_was_and_the_pipeline_goes_on() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    // A picture that moves: frames differ.
    let sink = Pipeline::play(&format!(
        "videotestsrc pattern=ball ! video/x-raw,format=GRAY8,width=320,height=240,framerate=60/1 ! vslsink name=s path={}",
        socket.display()
    ));
    let element = sink.element("s");
    let mut client = Client::builder(socket.to_str().unwrap()).credits(3).connect_or_wait().unwrap();
    let sum = |frame: &vsclient::Frame| frame.read(|view| view.memory(0).to_vec()).unwrap();
    for _ in 0..10 {
        let held: Vec<_> = (0..3).map(|_| client.next_frame(PATIENCE).unwrap().unwrap()).collect();
        let before: Vec<_> = held.iter().map(sum).collect();
        let published = element.property::<u64>("published");
        // 300 ms of the pipeline's time, and more than its pool has.
        eventually("it to go on", || element.property::<u64>("published") >= published + 18);
        let after: Vec<_> = held.iter().map(sum).collect();
        assert!(before == after, "a frame was overwritten");
    }
    assert_eq!(element.property::<u64>("copied"), 0);
}

#[test]
fn the_buffer_upstream_is_held_until_the_last_lease_ends() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    // One frame, the next in an hour: after an end of the stream there is none for those who come.
    let sink = Pipeline::play(&format!(
        "videotestsrc ! video/x-raw,format=NV12,width=64,height=48,framerate=1/3600 ! vslsink name=s path={}",
        socket.display()
    ));
    let source = gst::ElementFactory::make("vslsrc").property("path", socket.to_str().unwrap()).build().unwrap();
    let mut harness = pull_from(&source, true);
    let buffer = harness.pull().unwrap();
    let held = || {
        let stats = sink.element("s").property::<gst::Structure>("stats");
        stats.get::<u32>("held").unwrap()
    };
    eventually("the lease", || held() == 1);
    // Another buffer with the same memory holds it as well.
    let copy = buffer.copy();
    drop(buffer);
    assert_eq!(held(), 1);
    drop(copy);
    eventually("it to be given back", || held() == 0);
}

#[test]
fn what_downstream_writes_into_is_a_copy() {
    let stage = Stage::new();
    let caps = caps("GRAY8", 64, 48);
    let (mut sink, _) = stage.sink(&caps);
    let sent = picture(&caps, 0, 9);
    let wanted = pixels(&caps, &sent);
    sink.push(sent).unwrap();
    let (mut first, mut second) = (pull_from(&stage.source(), true), pull_from(&stage.source(), true));
    let mut scribbled = first.pull().unwrap();
    scribbled.make_mut().map_writable().unwrap().fill(0);
    let seen = second.pull().unwrap();
    assert!(pixels(&caps, &seen) == wanted);
}

#[test]
fn what_is_taken_back_is_told() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    let _sink = Pipeline::play(&format!(
        "videotestsrc ! video/x-raw,format=NV12,width=64,height=48,framerate=30/1 ! vslsink path={} lease=50 lease-max=50",
        socket.display()
    ));
    // The queue is never emptied: its sink waits for a time that does not come.
    let reader = Pipeline::play(&format!(
        "vslsrc path={} ! queue ! fakesink sync=true ts-offset={}",
        socket.display(),
        Duration::from_secs(3600).as_nanos()
    ));
    reader.message("videostream-revoked", |structure| structure.get::<u64>("serial").is_ok());
}

#[test]
fn frames_may_be_copied_instead_of_held() {
    let stage = Stage::new();
    let caps = caps("NV12", 64, 48);
    let (mut sink, element) = stage.sink(&caps);
    let source = stage.source();
    source.set_property_from_str("mode", "notify");
    let mut reader = pull_from(&source, true);
    eventually("the reader", || element.property::<u32>("clients") == 1);
    let sent = picture(&caps, 0, 3);
    let wanted = pixels(&caps, &sent);
    sink.push(sent).unwrap();
    let buffer = reader.pull().unwrap();
    let stats = element.property::<gst::Structure>("stats");
    assert!(pixels(&caps, &buffer) == wanted && stats.get::<u32>("held") == Ok(0), "{stats}");
}
