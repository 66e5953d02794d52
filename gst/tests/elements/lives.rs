// SPDX-License-Identifier: Apache-2.0
//! Beginnings and ends: of streams, of either side, of waits.

use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;
use vsclient::publish::Publisher;

use crate::stage::{PATIENCE, Pipeline, Stage, eventually, pull_from};

#[test]
fn an_end_of_the_stream_is_one_for_readers_that_do_not_wait_for_another() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    let socket = socket.display();
    let sink = Pipeline::play(&format!(
        "videotestsrc num-buffers=30 ! video/x-raw,width=64,height=48,framerate=30/1 ! vslsink path={socket}"
    ));
    let reader = Pipeline::play(&format!("vslsrc path={socket} reconnect=false ! fakesink"));
    reader.finish();
    drop(sink);
}

#[test]
fn a_stream_that_is_not_there_is_an_error_or_waited_for() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    let socket = socket.display();
    let pipeline = gst::parse::launch(&format!("vslsrc path={socket} reconnect=false ! fakesink")).unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(crate::stage::clock_time(PATIENCE), &[gst::MessageType::Error]).unwrap();
    let gst::MessageView::Error(error) = message.view() else { panic!("{message:?}") };
    assert!(error.error().to_string().contains(&socket.to_string()), "{error:?}");
    pipeline.set_state(gst::State::Null).unwrap();

    let reader = Pipeline::play(&format!("vslsrc path={socket} num-frames=3 ! fakesink"));
    let _sink = Pipeline::play(&format!("videotestsrc ! video/x-raw,width=64,height=48 ! vslsink path={socket}"));
    reader.finish();

    let silent = Pipeline::play(&format!("vslsrc path={socket}x timeout=1 ! fakesink"));
    assert!(silent.error().contains("no frame for 1 s"));
}

#[test]
fn waits_end_when_the_pipeline_does() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    // Nobody is there; somebody is there and says nothing.
    for host in [false, true] {
        let publisher = host.then(|| Publisher::builder(socket.to_str().unwrap()).start().unwrap());
        let reader = Pipeline::play(&format!("vslsrc name=r path={} ! fakesink", socket.display()));
        if let Some(publisher) = &publisher {
            eventually("the reader", || publisher.snapshot().unwrap().clients.len() == 1);
        }
        let begun = Instant::now();
        reader.0.set_state(gst::State::Null).unwrap();
        assert!(begun.elapsed() < PATIENCE / 10, "{:?}", begun.elapsed());
    }
}

#[test]
fn times_are_those_of_the_capture() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    let _sink = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=GRAY8,width=64,height=48,framerate=50/1 ! vslsink path={}",
        socket.display()
    ));
    let source = gst::ElementFactory::make("vslsrc").property("path", socket.to_str().unwrap()).build().unwrap();
    let mut harness = pull_from(&source, true);
    let buffers: Vec<_> = (0..25).map(|_| harness.pull().unwrap()).collect();
    for pair in buffers.windows(2).skip(2) {
        let frames = pair[1].offset() - pair[0].offset();
        let apart = (pair[1].pts().unwrap() - pair[0].pts().unwrap()).nseconds();
        // What the source has stamped, whenever the frames came.
        assert!(apart.abs_diff(frames * 20_000_000) < 1_000_000, "{frames} frames are {apart} ns apart");
    }
    assert_eq!(harness.query_latency(), Some(gst::ClockTime::from_mseconds(20)));
}

#[test]
fn what_the_stream_does_is_told() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    let reader = Pipeline::play(&format!("vslsrc path={} ! fakesink", socket.display()));
    let sink =
        Pipeline::play(&format!("videotestsrc ! video/x-raw,width=64,height=48 ! vslsink path={}", socket.display()));
    reader.message("videostream-state", |state| state.get::<&str>("state") == Ok("running"));
    sink.0.set_state(gst::State::Paused).unwrap();
    reader.message("videostream-state", |state| state.get::<&str>("state") == Ok("waiting"));
    drop(sink);
    reader.message("videostream-state", |state| state.get::<&str>("text").is_ok_and(|text| text.contains("stopped")));
}
