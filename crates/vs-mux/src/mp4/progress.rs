// SPDX-License-Identifier: Apache-2.0
//! Where each frame lies in the track's time, and how far the track has come.

use std::time::Duration;

use super::config::{AccessUnit, limits};
use super::error::WriteError;
use super::fragment::Sample;
use super::pace::{Pace, to_duration};
use super::timeline::{Timeline, to_ticks};

#[derive(Debug, Clone)]
pub(super) struct Progress {
    timeline: Timeline,
    pace: Pace,
    newest: Option<Newest>,
    /// Latest presentation so far, in ticks of the track.
    last_pts: u64,
}

/// The frame taken last.
#[derive(Debug, Clone, Copy)]
struct Newest {
    dts_ns: i64,
    dts: u64,
    /// Ticks, as far as one can tell before the next frame.
    duration: u32,
}

impl Progress {
    pub fn new(timeline: Timeline, stated_duration_ns: Option<i64>) -> Self {
        let pace = Pace::new(stated_duration_ns, timeline.timescale);
        Self { timeline, pace, newest: None, last_pts: 0 }
    }

    /// Places the next frame, or says why it has no place. Its size is left to the caller.
    pub fn place(&mut self, unit: &AccessUnit<'_>) -> Result<Sample, WriteError> {
        let AccessUnit { pts_ns, dts_ns, .. } = *unit;
        if pts_ns < dts_ns {
            return Err(WriteError::ShownBeforeDecoded { pts_ns, dts_ns });
        }
        let dts = self.timeline.media_ticks(dts_ns);
        let composition = self.timeline.media_ticks(pts_ns).abs_diff(dts);
        let distance = match self.newest {
            None => 0,
            Some(newest) => dts
                .checked_sub_unsigned(newest.dts)
                .and_then(|distance| u64::try_from(distance).ok())
                .filter(|&distance| distance > 0)
                .ok_or(WriteError::NotIncreasing { dts_ns, last_ns: newest.dts_ns })?,
        };
        let ticks = composition.max(distance);
        if ticks > limits::MAX_TICKS {
            return Err(WriteError::GapTooLong { ticks });
        }

        let dts = self.newest.map_or(0, |newest| newest.dts + distance);
        if distance > 0 {
            self.pace.saw(distance as u32);
        }
        let duration = unit.duration_ns.map_or(self.pace.expected(), |ns| to_duration(ns, self.timeline.timescale));
        self.newest = Some(Newest { dts_ns, dts, duration });
        self.last_pts = self.last_pts.max(dts + composition);
        Ok(Sample { dts, duration, composition_offset: composition as u32, size: 0, keyframe: unit.keyframe })
    }

    /// How long the newest frame lasts, in ticks, as far as one can tell.
    pub fn last_duration(&self) -> u32 {
        self.newest.map_or(0, |newest| newest.duration)
    }

    /// From the file's first presentation to the end of the last.
    pub fn shown_ns(&self) -> i64 {
        self.timeline.shown_ns(self.last_pts + u64::from(self.last_duration()))
    }

    pub fn ticks(&self, duration: Duration) -> u64 {
        let ns = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX / 4);
        to_ticks(ns, self.timeline.timescale).unsigned_abs()
    }
}
