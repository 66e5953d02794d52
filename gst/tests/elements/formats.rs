// SPDX-License-Identifier: Apache-2.0
//! Every pixel of every format arrives, wherever it lay; caps say what the pictures are.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_allocators as gst_allocators;

use crate::stage::{Pipeline, Stage, caps, eventually, picture, pixels, pull_from};

const FORMATS: [&str; 16] = [
    "NV12", "NV21", "NV16", "I420", "YV12", "YUY2", "UYVY", "YVYU", "VYUY", "RGB", "BGR", "BGRx", "BGRA", "RGBx",
    "RGBA", "GRAY8",
];

#[test]
fn every_pixel_arrives() {
    for format in FORMATS {
        for (width, height, padding, meta) in
            [(64, 48, 0, false), (63, 47, 0, true), (321, 241, 52, false), (321, 241, 52, true)]
        {
            let stage = Stage::new();
            let caps = caps(format, width, height);
            let (mut sink, _) = stage.sink(&caps);
            let sent = picture(&caps, padding, width as u8);
            let wanted = pixels(&caps, &sent);
            sink.push(sent).unwrap();
            let mut source = pull_from(&stage.source(), meta);
            let got = source.pull().unwrap();
            let seen = source.sinkpad().unwrap().current_caps().unwrap();
            assert!(seen.can_intersect(&caps), "{seen}");
            assert!(pixels(&seen, &got) == wanted, "{format} {width}x{height} padding {padding}");
        }
    }
}

#[test]
fn what_is_written_into_the_sinks_memory_is_what_readers_have() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    let socket = socket.display();
    for format in ["NV12", "RGB"] {
        let sink = Pipeline::play(&format!(
            "videotestsrc ! video/x-raw,format={format},width=322,height=241,framerate=60/1 ! vslsink name=s path={socket}"
        ));
        let source = gst::ElementFactory::make("vslsrc").property("path", socket.to_string()).build().unwrap();
        let mut harness = pull_from(&source, true);
        for _ in 0..20 {
            let buffer = harness.pull().unwrap();
            assert!(buffer.peek_memory(0).is_memory_type::<gst_allocators::FdMemory>());
        }
        assert_eq!(sink.element("s").property::<u64>("copied"), 0);
        let stats = source.property::<gst::Structure>("stats");
        assert_eq!(stats.get::<u64>("copied"), Ok(0), "{stats}");
    }
}

#[test]
fn the_first_frame_is_not_lost_for_its_caps() {
    let stage = Stage::new();
    let caps: gst::Caps =
        "video/x-raw,format=I420,width=64,height=48,framerate=30000/1001,colorimetry=bt709".parse().unwrap();
    let source = stage.source();
    let mut harness = pull_from(&source, true);
    let (mut sink, _) = stage.sink(&caps);
    sink.push(picture(&caps, 0, 1)).unwrap();
    let first = harness.pull().unwrap();
    assert_eq!(first.offset(), 1, "serial of the first frame");
    let seen = harness.sinkpad().unwrap().current_caps().unwrap();
    let structure = seen.structure(0).unwrap();
    assert_eq!(structure.get::<gst::Fraction>("framerate"), Ok(gst::Fraction::new(30000, 1001)));
    assert_eq!(structure.get::<String>("colorimetry").as_deref(), Ok("bt709"));
}

#[test]
fn another_format_in_mid_stream_is_another_format_downstream() {
    let stage = Stage::new();
    let (small, large) = (caps("NV12", 64, 48), caps("RGB", 320, 240));
    let (mut sink, _) = stage.sink(&small);
    let mut source = pull_from(&stage.source(), true);
    sink.push(picture(&small, 0, 1)).unwrap();
    assert_eq!(source.pull().unwrap().offset(), 1);
    sink.set_src_caps(large.clone());
    let sent = picture(&large, 0, 2);
    let wanted = pixels(&large, &sent);
    sink.push(sent).unwrap();
    let got = source.pull().unwrap();
    let seen = source.sinkpad().unwrap().current_caps().unwrap();
    assert!(seen.can_intersect(&large) && pixels(&seen, &got) == wanted);
}

#[test]
fn access_units_arrive_from_a_keyframe_on() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    let socket = socket.display();
    let _sink = Pipeline::play(&format!(
        "videotestsrc ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! x264enc tune=zerolatency key-int-max=10 ! \
         h264parse ! video/x-h264,stream-format=byte-stream,alignment=au ! vslsink path={socket} sync=false"
    ));
    let source = gst::ElementFactory::make("vslsrc").property("path", socket.to_string()).build().unwrap();
    let mut harness = pull_from(&source, false);
    let first = harness.pull().unwrap();
    assert!(!first.flags().contains(gst::BufferFlags::DELTA_UNIT));
    let decoded = Pipeline::play(&format!(
        "vslsrc path={socket} num-frames=30 ! h264parse ! avdec_h264 ! fakesink name=f sync=false"
    ));
    decoded.finish();
}

#[test]
fn downstream_that_cannot_take_it_is_told_what_there_is() {
    let stage = Stage::new();
    let caps = caps("NV12", 64, 48);
    let (mut sink, element) = stage.sink(&caps);
    sink.push(picture(&caps, 0, 1)).unwrap();
    eventually("it to be published", || element.property::<u64>("published") == 1);
    let socket = stage.socket("sink");
    let reader = Pipeline::play(&format!("vslsrc path={} ! video/x-raw,format=RGB ! fakesink", socket.display()));
    let error = reader.error();
    assert!(error.contains("NV12") && error.contains("converter"), "{error}");
}
