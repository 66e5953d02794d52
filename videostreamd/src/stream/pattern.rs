// SPDX-License-Identifier: Apache-2.0
//! The test pattern as a source: what a camera would do, painted.
//!
//! It keeps a camera's habits: frames come on time or not at all, a frame that was missed
//! shows as a jump in `sequence`, and `capture_ns` is the moment that the frame stands for,
//! not the moment at which somebody got round to painting it.

use std::sync::Arc;

use anyhow::Context;
use vs_frame::clock::{NS_PER_SEC, monotonic_ns};
use vs_frame::{CpuMemory, CpuPool, Format, FrameFlags, FrameMeta, MemoryKind};
use vs_pattern::Pattern;

use super::alarm::Alarm;
use super::source::{BufferCounts, Counts, Event};
use super::spec::{Shape, StreamSpec};

/// Buffers to begin with; the pool grows when readers hold more.
const INITIAL_BUFFERS: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct PatternSource {
    pattern: Pattern,
    pool: CpuPool,
    /// Buffers beyond these are spares.
    regular: usize,
    memory: MemoryKind,
    alarm: Alarm,
    /// When tick 0 was, in ns of `CLOCK_MONOTONIC`.
    start_ns: u64,
    /// The next tick to come, from 1.
    tick: u64,
    counts: Counts,
}

impl PatternSource {
    /// Must be called on the stream's runtime.
    pub fn open(shape: Shape, memory: CpuMemory, buffers: usize, spares: usize) -> anyhow::Result<Self> {
        let format = StreamSpec::pattern_format(shape).map_err(anyhow::Error::msg)?;
        let pattern = Pattern::new(&format).context("cannot paint the pattern")?;
        let kind = memory.kind();
        let pool = CpuPool::new(Arc::new(format), memory, INITIAL_BUFFERS.min(buffers), buffers + spares)?;
        let source = Self {
            pattern,
            pool,
            regular: buffers,
            memory: kind,
            alarm: Alarm::new()?,
            start_ns: monotonic_ns(),
            tick: 1,
            counts: Counts::default(),
        };
        source.arm()?;
        Ok(source)
    }

    pub fn format(&self) -> &Arc<Format> {
        self.pool.format()
    }

    pub fn memory(&self) -> MemoryKind {
        self.memory
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The most that there can be.
    pub fn max_buffers(&self) -> usize {
        self.pool.max()
    }

    pub fn buffers(&self) -> BufferCounts {
        let (all, max) = (self.pool.len(), self.pool.max());
        BufferCounts { all: all as u32, spares: all.saturating_sub(self.regular) as u32, max: max as u32 }
    }

    pub fn trim(&self) -> bool {
        self.pool.trim() > 0
    }

    /// Waits for the next tick and paints its frame. Safe to cancel: the tick is taken only
    /// when nothing is awaited any more.
    pub async fn next(&mut self, serial: u64) -> anyhow::Result<Event> {
        self.alarm.wait().await?;
        let missed = self.missed();
        let event = self.paint(serial, missed);
        self.tick += 1;
        self.arm()?;
        event
    }

    /// Skips the ticks that have already passed by, as a camera does when nobody fetches its
    /// frames; returns how many.
    fn missed(&mut self) -> u64 {
        let elapsed_ns = monotonic_ns().saturating_sub(self.start_ns);
        let rate = self.pool.format().rate;
        let due = u128::from(elapsed_ns) * u128::from(rate.num) / (u128::from(rate.den) * u128::from(NS_PER_SEC));
        let missed = u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(self.tick);
        self.tick += missed;
        self.counts.lost += missed;
        missed
    }

    fn paint(&mut self, serial: u64, missed: u64) -> anyhow::Result<Event> {
        let capture_ns = self.capture_ns(self.tick);
        // The pool has what it began with: that it cannot have more ends nothing.
        let (slot, cause) = match self.pool.acquire() {
            Ok(slot) => (slot, None),
            Err(error) => (None, Some(error)),
        };
        let Some(mut slot) = slot else {
            self.counts.no_buffer += 1;
            return Ok(Event::NoBuffer(cause));
        };
        slot.write(|memories| self.pattern.render(serial, capture_ns, memories))??;
        let format = self.pool.format();
        self.counts.captured += 1;
        let frame = slot.finish(FrameMeta {
            sequence: self.tick as u32,
            capture_ns,
            pts: i64::try_from(capture_ns - self.start_ns).ok(),
            dts: None,
            duration: format.rate.interval_ns(),
            bytes_used: format.picture_bytes(),
            flags: if missed > 0 { FrameFlags::GAP } else { FrameFlags::empty() },
        })?;
        Ok(Event::Frame(frame))
    }

    fn capture_ns(&self, tick: u64) -> u64 {
        self.start_ns + self.pool.format().rate.offset_ns(tick)
    }

    /// Sets the timer to the next tick, counted from the start: no rounding adds up.
    fn arm(&self) -> anyhow::Result<()> {
        self.alarm.set(self.capture_ns(self.tick))
    }
}
