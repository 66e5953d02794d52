// SPDX-License-Identifier: Apache-2.0
//! What the sink's pool is made of.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_allocators as gst_allocators;

use crate::stage::{Pipeline, Stage, caps, picture, pixels, pull_from, push_into};

/// Whether this machine gives DmaBufs to this user.
fn has_dmabufs() -> bool {
    let opens = |path: &str| std::fs::OpenOptions::new().read(true).write(true).open(Path::new(path)).is_ok();
    opens("/dev/dma_heap/system") || opens("/dev/udmabuf")
}

#[test]
fn dmabufs_where_there_are_any() {
    let stage = Stage::new();
    let socket = stage.socket("s");
    let sink = Pipeline::play(&format!(
        "videotestsrc ! video/x-raw,format=NV12,width=322,height=242,framerate=60/1 ! vslsink name=s memory=dmabuf path={}",
        socket.display()
    ));
    let source = gst::ElementFactory::make("vslsrc").property("path", socket.to_str().unwrap()).build().unwrap();
    let mut reader = pull_from(&source, true);
    let mut held = Vec::new();
    for _ in 0..20 {
        let buffer = reader.pull().unwrap();
        let is_dmabuf = buffer.peek_memory(0).is_memory_type::<gst_allocators::DmaBufMemory>();
        assert_eq!(is_dmabuf, has_dmabufs());
        // A pool of the sink's own grows, whatever is held.
        held.push(buffer);
        if held.len() > 2 {
            drop(held.remove(0));
        }
    }
    assert_eq!(sink.element("s").property::<u64>("copied"), 0);
    if !has_dmabufs() {
        eprintln!(
            "skipped: neither /dev/dma_heap/system nor /dev/udmabuf can be opened here, only the way without was seen"
        );
    }
}

#[test]
fn what_is_copied_is_of_the_same_kind() {
    let stage = Stage::new();
    let caps = caps("I420", 64, 48);
    let path = stage.socket("sink").display().to_string();
    let sink = gst::ElementFactory::make("vslsink").property("sync", false).property("path", path);
    let mut harness = push_into(&sink.property("memory", "dmabuf").build().unwrap(), &caps);
    let sent = picture(&caps, 8, 5);
    let wanted = pixels(&caps, &sent);
    harness.push(sent).unwrap();
    let mut reader = pull_from(&stage.source(), true);
    let buffer = reader.pull().unwrap();
    assert!(pixels(&caps, &buffer) == wanted);
    assert_eq!(buffer.peek_memory(0).is_memory_type::<gst_allocators::DmaBufMemory>(), has_dmabufs());
}

#[test]
fn memory_that_there_is_not_is_an_error() {
    let stage = Stage::new();
    for (memory, word) in [("heap", "dma-heap:NAME"), ("dma-heap:none", "/dev/dma_heap/none")] {
        let path = stage.socket("s").display().to_string();
        let sink = gst::ElementFactory::make("vslsink").property("path", path);
        let sink = sink.property("memory", memory).build().unwrap();
        let pipeline = Pipeline(gst::Pipeline::new());
        pipeline.0.add(&sink).unwrap();
        assert!(pipeline.0.set_state(gst::State::Paused).is_err());
        let error = pipeline.error();
        assert!(error.contains(word), "{error}");
    }
}
