// SPDX-License-Identifier: Apache-2.0
//! Applications of libvideostream 2.x, which speak another protocol (`docs/vsl.md`).

use std::path::Path;
use std::process::Command;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_allocators as gst_allocators;
use system_tests::Process;
use system_tests::process::End;
use vs_ipc::vsl::client::{Connection, Received};

use crate::stage::{PATIENCE, Pipeline, Stage, caps, eventually, picture, pixels, pull_from, push_into};

/// A sink with a socket for them, which waits for no clock.
fn sink(stage: &Stage) -> gst::Element {
    let socket = |name| stage.socket(name).display().to_string();
    let sink = gst::ElementFactory::make("vslsink").property("sync", false);
    sink.property("path", socket("sink")).property("vsl-path", socket("vsl")).build().unwrap()
}

/// The visible bytes of each plane.
fn rows(received: &Received) -> Vec<Vec<u8>> {
    let view = received.frame.map().unwrap();
    (0..view.plane_count()).map(|plane| view.plane(plane).unwrap().rows().flatten().copied().collect()).collect()
}

#[test]
fn they_get_every_pixel_from_the_sink() {
    for format in ["NV12", "I420", "YV12", "YUY2", "UYVY", "RGB", "BGR", "RGBA", "BGRx"] {
        let stage = Stage::new();
        let caps = caps(format, 322, 242);
        let mut harness = push_into(&sink(&stage), &caps);
        let mut client = Connection::connect(&stage.socket("vsl"), 2, PATIENCE).unwrap();
        for seed in 1..5 {
            // Rows with padding: what they are told is where the copy lies.
            let sent = picture(&caps, 24, seed);
            let wanted = pixels(&caps, &sent);
            harness.push(sent).unwrap();
            let received = client.wait(Some(PATIENCE)).unwrap().unwrap();
            assert!(rows(&received) == wanted, "{format}, frame {seed}");
        }
    }
}

#[test]
fn a_frame_that_they_lock_stays_as_it_was() {
    let stage = Stage::new();
    let caps = caps("NV12", 64, 48);
    let element = sink(&stage);
    let mut harness = push_into(&element, &caps);
    let mut client = Connection::connect(&stage.socket("vsl"), 1, PATIENCE).unwrap();
    let sent = picture(&caps, 0, 1);
    let wanted = pixels(&caps, &sent);
    harness.push(sent).unwrap();
    let locked = client.wait(Some(PATIENCE)).unwrap().unwrap();
    // More than there are buffers.
    for seed in 2..30 {
        harness.push(picture(&caps, 0, seed)).unwrap();
    }
    eventually("all to be published", || element.property::<u64>("published") == 29);
    assert!(rows(&locked) == wanted);
    drop(locked);
    // What was announced meanwhile is passed over.
    let later = (30..=u8::MAX).find_map(|seed| {
        harness.push(picture(&caps, 0, seed)).unwrap();
        client.wait(Some(PATIENCE / 100)).unwrap()
    });
    let later = later.unwrap();
    assert!(rows(&later) == pixels(&caps, &picture(&caps, 0, later.serial as u8)));
}

#[test]
fn a_program_of_theirs_reads_a_pipeline() {
    let stage = Stage::new();
    let vsl = stage.socket("vsl");
    let _sink = Pipeline::play(&format!(
        "videotestsrc ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 ! vslsink path={} vsl-path={}",
        stage.socket("s").display(),
        vsl.display()
    ));
    // It was written from the protocol's page alone.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/vsl.py");
    let mut program = Process::start("vsl.py", Command::new("python3").arg(script).arg(&vsl).args(["--frames", "30"]));
    assert_eq!(program.wait(), End::Exit(0), "{}", program.stderr);
    let frames = program.stdout.lines().iter().filter(|line| line.contains("NV12 320x240")).count();
    assert_eq!(frames, 30);
    // Readers of the stream's own protocol beside them.
    Pipeline::play(&format!("vslsrc path={} num-frames=10 ! fakesink", stage.socket("s").display())).finish();
}

/// Reads a sink's pictures by way of the ancestor's protocol, and compares them.
fn read_by_the_element(stage: &Stage, protocol: &str) {
    let caps = caps("NV12", 322, 242);
    let element = sink(stage);
    let mut harness = push_into(&element, &caps);
    let vsl = stage.socket("vsl").display().to_string();
    let source = gst::ElementFactory::make("vslsrc").property("path", vsl);
    let source = source.property_from_str("protocol", protocol).build().unwrap();
    let mut reader = pull_from(&source, true);
    eventually("the reader", || element.property::<u32>("clients") == 1);
    let mut held = Vec::new();
    for seed in 1..=3 {
        let mut sent = picture(&caps, 24, seed);
        sent.make_mut().set_duration(gst::ClockTime::SECOND / 30);
        let wanted = pixels(&caps, &sent);
        harness.push(sent).unwrap();
        let buffer = reader.pull().unwrap();
        let seen = reader.sinkpad().unwrap().current_caps().unwrap();
        assert!(seen.can_intersect(&caps) && pixels(&seen, &buffer) == wanted, "{seen}");
        assert!(buffer.peek_memory(0).is_memory_type::<gst_allocators::FdMemory>());
        held.push((buffer, wanted));
    }
    // All are locked while their buffers live, and none is written to.
    let locked = || element.property::<gst::Structure>("stats").get::<u32>("held").unwrap();
    assert_eq!(locked(), 3);
    for seed in 4..30 {
        harness.push(picture(&caps, 0, seed)).unwrap();
    }
    let seen = reader.sinkpad().unwrap().current_caps().unwrap();
    assert!(held.iter().all(|(buffer, wanted)| pixels(&seen, buffer) == *wanted));
    held.clear();
    // At most the frame that was taken when there was room for one more.
    eventually("them to be unlocked", || locked() <= 2);
    let stats = source.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("copied"), Ok(0), "{stats}");
}

#[test]
fn what_they_publish_is_read_and_locked() {
    for protocol in ["auto", "vsl"] {
        read_by_the_element(&Stage::new(), protocol);
    }
}

#[test]
fn a_host_of_theirs_says_no_rate_but_how_long_a_frame_lasts() {
    let stage = Stage::new();
    let vsl = stage.socket("vsl");
    let _sink = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=64,height=48,framerate=25/1 ! vslsink path={} vsl-path={}",
        stage.socket("s").display(),
        vsl.display()
    ));
    let source = gst::ElementFactory::make("vslsrc").property("path", vsl.to_str().unwrap()).build().unwrap();
    let mut reader = pull_from(&source, true);
    let _ = reader.pull().unwrap();
    let seen = reader.sinkpad().unwrap().current_caps().unwrap();
    assert_eq!(seen.structure(0).unwrap().get::<gst::Fraction>("framerate"), Ok(gst::Fraction::new(25, 1)));
    assert_eq!(reader.query_latency(), Some(gst::ClockTime::from_mseconds(40)));
}

#[test]
fn hosts_of_either_kind_may_follow_each_other() {
    let stage = Stage::new();
    let (one, other) = (stage.socket("one"), stage.socket("other"));
    let (one, other) = (one.display(), other.display());
    let source = "videotestsrc is-live=true ! video/x-raw,format=NV12,width=64,height=48,framerate=60/1";
    let theirs = |path| Pipeline::play(&format!("{source} ! vslsink path={other} vsl-path={path}"));
    let ours = || Pipeline::play(&format!("{source} ! vslsink path={one}"));
    let reader = Pipeline::play(&format!("vslsrc name=r path={one} ! fakesink sync=false"));
    let sent = || reader.element("r").property::<gst::Structure>("stats").get::<u64>("sent").unwrap();
    for round in 0..3 {
        let host = if round == 1 { ours() } else { theirs(&one) };
        let before = sent();
        eventually("frames", || sent() > before + 10);
        drop(host);
        reader.message("videostream-state", |state| state.get::<&str>("state") == Ok("waiting"));
    }
}

#[test]
fn a_reader_that_does_not_wait_ends_with_their_host() {
    let stage = Stage::new();
    let (one, other) = (stage.socket("one"), stage.socket("other"));
    let sink = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=64,height=48 ! vslsink path={} vsl-path={}",
        other.display(),
        one.display()
    ));
    let reader = Pipeline::play(&format!("vslsrc name=r path={} reconnect=false ! fakesink", one.display()));
    let stats = || reader.element("r").property::<gst::Structure>("stats");
    eventually("frames", || stats().get::<u64>("sent").unwrap() > 3);
    drop(sink);
    reader.finish();
    // Told to speak one protocol, it does not try the other.
    let _sink = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=64,height=48 ! vslsink path={} vsl-path={}",
        other.display(),
        one.display()
    ));
    let strict = gst::parse::launch(&format!("vslsrc path={} protocol=videostream ! fakesink", one.display())).unwrap();
    let strict = Pipeline(strict.downcast().unwrap());
    let _ = strict.0.set_state(gst::State::Playing);
    assert!(strict.error().contains("libvideostream"));
}

#[test]
fn the_socket_lies_where_they_look_for_it() {
    let _stage = Stage::new();
    let thread = std::thread::spawn(|| {
        let sink = gst::ElementFactory::make("vslsink").name("cam").build().unwrap();
        let thread = std::fs::read_link("/proc/thread-self").unwrap();
        (sink, thread.file_name().unwrap().to_str().unwrap().to_owned())
    });
    let (sink, tid) = thread.join().unwrap();
    // Whoever asks, and even before it is there.
    assert_eq!(sink.property::<String>("path"), format!("/tmp/cam.{tid}"));
}
