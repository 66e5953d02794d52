// SPDX-License-Identifier: Apache-2.0
//! Numbered pictures from the sink's own pool: every byte of one says which it is.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_check::Harness;

use crate::stage::{Stage, caps, eventually, pull_from};

/// Small, for what counts is who gets which.
const SIZE: (u32, u32) = (64, 48);

/// Publishes one number after another.
pub struct Numbers {
    harness: Harness,
    pool: gst::BufferPool,
    pub sink: gst::Element,
    next: u64,
}

impl Numbers {
    /// With a sink of so many buffers.
    pub fn new(stage: &Stage, pool_size: u32) -> Self {
        let caps = caps("GRAY8", SIZE.0, SIZE.1);
        let (harness, sink) = stage.sink_with(&caps, |sink| sink.set_property("pool-size", pool_size));
        let mut query = gst::query::Allocation::new(Some(&caps), true);
        assert!(sink.static_pad("sink").unwrap().query(&mut query));
        let pool = query.allocation_pools().next().and_then(|(pool, ..)| pool).unwrap();
        pool.set_active(true).unwrap();
        Self { harness, pool, sink, next: 0 }
    }

    /// Fills a buffer of the sink's pool and publishes it. Waits if the pool has none, as a source would.
    pub fn publish(&mut self) {
        let mut buffer = self.pool.acquire_buffer(None).unwrap();
        buffer.make_mut().map_writable().unwrap().fill(byte(self.next));
        self.harness.push(buffer).unwrap();
        self.next += 1;
    }

    /// Waits until so many readers are there.
    pub fn readers(&self, count: u32) {
        eventually(&format!("{count} readers"), || self.sink.property::<u32>("clients") == count);
    }

    /// Waits until readers have given everything back.
    pub fn none_held(&self) {
        let held = || self.sink.property::<gst::Structure>("stats").get::<u32>("held").unwrap();
        eventually("readers to give back", || held() == 0);
    }

    /// All that were published, and none of them copied.
    pub fn assert_published(&self, count: u64) {
        let counted = (self.sink.property::<u64>("published"), self.sink.property::<u64>("copied"));
        assert_eq!(counted, (count, 0), "published and copied");
    }
}

/// A reader that misses nothing, and looks at all of it.
pub struct Witness(Harness);

impl Witness {
    pub fn of(stage: &Stage) -> Self {
        Self(pull_from(&stage.source(), true))
    }

    /// The next picture is this one.
    pub fn sees(&mut self, number: u64) {
        let buffer = self.0.pull().unwrap();
        assert_eq!(serial(&buffer), number, "the next picture");
        assert_shows(&buffer, number);
    }
}

/// Which picture a buffer of `vslsrc` is, by what the host says.
pub fn serial(buffer: &gst::BufferRef) -> u64 {
    buffer.offset() - FIRST_SERIAL
}

/// Hosts count from here.
const FIRST_SERIAL: u64 = 1;

/// The same by what it shows.
pub fn assert_shows(buffer: &gst::BufferRef, number: u64) {
    let bytes = buffer.map_readable().unwrap();
    let other = bytes.iter().position(|shown| *shown != byte(number));
    assert!(other.is_none(), "picture {number} shows {} at byte {other:?}", bytes[other.unwrap_or(0)]);
}

/// Another one for as many pictures as any pool has buffers.
fn byte(number: u64) -> u8 {
    (number % 251) as u8
}
