// SPDX-License-Identifier: Apache-2.0
//! Pools of every size.

use gstreamer::prelude::*;

use crate::numbers::{Numbers, Witness, assert_shows, serial};
use crate::stage::{Stage, pull_from};

#[test]
fn the_smallest_pools_serve_readers_that_hold_what_they_can() {
    for asked in [1, 2, 3] {
        let stage = Stage::new();
        let mut numbers = Numbers::new(&stage, asked);
        assert_eq!(numbers.sink.property::<u32>("pool-size"), 3, "asked for {asked}");
        let mut witness = Witness::of(&stage);
        numbers.readers(1);
        for number in 0..100 {
            numbers.publish();
            witness.sees(number);
            // With one frame for all readers, the next passes by who has not given back the last.
            numbers.none_held();
        }
        // One that never gives back takes the frame that readers may hold, and the pipeline still goes on.
        let mut holder = pull_from(&stage.source(), true);
        let held = holder.pull().unwrap();
        for _ in 0..100 {
            numbers.publish();
        }
        assert_shows(&held, serial(&held));
        numbers.assert_published(200);
    }
}
