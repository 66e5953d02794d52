// SPDX-License-Identifier: Apache-2.0
//! Between the clock of a pipeline and the kernel's monotonic clock, by which frames say when they were captured.
//!
//! Usually both are the same. A pipeline that follows a sound card or a network clock has another; then the
//! distance is measured with each frame and smoothed, so that it follows a drift and not the scheduler.

use gstreamer as gst;
use gstreamer::prelude::*;

/// One measurement in so many counts: two seconds at 30 fps, in which clocks drift by microseconds.
const SMOOTHING: i64 = 64;

/// How far the pipeline's clock is ahead of the monotonic one.
#[derive(Debug, Default)]
pub struct Distance(Option<i64>);

impl Distance {
    /// In ns, as of now.
    pub fn of(&mut self, clock: &gst::Clock) -> i64 {
        if is_monotonic(clock) {
            return 0;
        }
        let measured = measure(clock);
        let smooth = match self.0 {
            Some(known) => known + (measured - known) / SMOOTHING,
            None => measured,
        };
        self.0 = Some(smooth);
        smooth
    }
}

/// GStreamer's system clock is `CLOCK_MONOTONIC`, unless it was told otherwise.
fn is_monotonic(clock: &gst::Clock) -> bool {
    let (internal, external, rate, per) = clock.calibration();
    clock.is::<gst::SystemClock>()
        && clock.property::<gst::ClockType>("clock-type") == gst::ClockType::Monotonic
        && (internal, rate) == (external, per)
}

fn measure(clock: &gst::Clock) -> i64 {
    let before = vsclient::monotonic_ns();
    let time = clock.time().nseconds();
    let after = vsclient::monotonic_ns();
    time as i64 - (before + (after - before) / 2) as i64
}
