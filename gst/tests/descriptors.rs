// SPDX-License-Identifier: Apache-2.0
//! Descriptors over many lives of either side: in a process of its own, for nobody else may open any meanwhile.

#![allow(clippy::unwrap_used)]

#[path = "elements/stage.rs"]
#[allow(dead_code)]
mod stage;

use gstreamer as gst;
use gstreamer::prelude::*;

use stage::{Stage, caps, eventually, picture, pull_from};

/// Descriptors that this process has.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn either_side_may_come_and_go_and_nothing_is_left_behind() {
    const TIMES: usize = 50;
    let stage = Stage::new();
    let caps = caps("NV12", 64, 48);
    let source = stage.source();
    let mut reader = pull_from(&source, true);
    let mut before = 0;
    for time in 0..TIMES {
        let (mut sink, element) = stage.sink(&caps);
        eventually("the reader to come back", || element.property::<u32>("clients") == 1);
        sink.push(picture(&caps, 0, time as u8)).unwrap();
        drop(reader.pull().unwrap());
        drop(sink);
        element.set_state(gst::State::Null).unwrap();
        // What is opened once for all is open by then.
        if time == TIMES / 10 {
            before = descriptors();
        }
    }
    // One of a life here and there is not closed yet; one of each would be far more.
    assert!(descriptors() <= before + TIMES / 10, "{before} descriptors, then {}", descriptors());

    let (mut sink, element) = stage.sink(&caps);
    sink.push(picture(&caps, 0, 1)).unwrap();
    for _ in 0..TIMES {
        let mut other = pull_from(&stage.source(), true);
        drop(other.pull().unwrap());
    }
    drop(reader);
    drop(source);
    eventually("all to be gone", || element.property::<u32>("clients") == 0);
    sink.push(picture(&caps, 0, 2)).unwrap();
}
