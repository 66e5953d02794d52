// SPDX-License-Identifier: Apache-2.0
//! A reader that works on each picture for long.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gstreamer::prelude::*;

use crate::numbers::{Numbers, Witness, assert_shows, serial};
use crate::stage::{Stage, pull_from};

/// Far longer than a frame's time.
const HOLD: Duration = Duration::from_millis(300);

/// A camera's pace.
const INTERVAL: Duration = Duration::from_millis(10);

/// Time for several holds, and many times what the pool has.
const PICTURES: u64 = 200;

#[test]
fn pictures_that_are_held_for_300_ms_are_not_overwritten_and_hold_up_nobody() {
    let stage = Stage::new();
    let mut numbers = Numbers::new(&stage, 8);
    let mut witness = Witness::of(&stage);
    let source = stage.source();
    // Longer than any machine is busy: what is looked at is not how leases end.
    source.set_property("lease", 10_000u32);
    let mut slow = pull_from(&source, true);
    numbers.readers(2);

    let mut held = VecDeque::new();
    let mut let_go = 0;
    for number in 0..PICTURES {
        // Were the sink to wait for the slow one, or to leave out a picture, it would show here.
        numbers.publish();
        witness.sees(number);
        while let Some(buffer) = slow.try_pull() {
            assert_shows(&buffer, serial(&buffer));
            held.push_back((Instant::now(), buffer));
        }
        while let Some((_, buffer)) = held.pop_front_if(|(since, _)| since.elapsed() >= HOLD) {
            assert_shows(&buffer, serial(&buffer));
            let_go += 1;
        }
        std::thread::sleep(INTERVAL);
    }
    assert!(let_go >= 2 && !held.is_empty(), "{let_go} pictures were held to their end, {} are", held.len());
    numbers.assert_published(PICTURES);
}
