// SPDX-License-Identifier: Apache-2.0
//! How long the newest frame lasts, which only the next one will tell.

use std::num::NonZeroU32;

use super::config::limits;
use super::timeline::to_ticks;

/// Assumed where nothing is known: a single frame whose stream states no rate.
const NOMINAL_FRAME_NS: i64 = 33_333_333;

/// Follows the distances between frames.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// What the stream says, or the nominal duration.
    stated: u32,
    /// The last two distances, the later one first.
    seen: [Option<u32>; 2],
}

impl Pace {
    pub fn new(stated_ns: Option<i64>, timescale: NonZeroU32) -> Self {
        let stated = to_duration(stated_ns.unwrap_or(NOMINAL_FRAME_NS), timescale);
        Self { stated, seen: [None; 2] }
    }

    pub fn saw(&mut self, distance: u32) {
        self.seen = [Some(distance), self.seen[0]];
    }

    /// The shorter of the last two distances: a gap before the last frame says nothing about how long
    /// that frame lasts.
    pub fn expected(&self) -> u32 {
        self.seen.iter().flatten().copied().min().unwrap_or(self.stated)
    }
}

/// A duration in ticks: at least one, and no longer than a file can say.
pub(super) fn to_duration(ns: i64, timescale: NonZeroU32) -> u32 {
    to_ticks(i128::from(ns), timescale).clamp(1, limits::MAX_TICKS as i64) as u32
}
