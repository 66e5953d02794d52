// SPDX-License-Identifier: Apache-2.0
//! From nanoseconds on somebody's clock to ticks of the file.
//!
//! Every timestamp is converted by itself from its distance to the origin, never by adding up
//! durations, so rounding (half a tick at most) does not accumulate however long the file becomes.

use std::num::NonZeroU32;

const NS_PER_SECOND: i128 = 1_000_000_000;

/// `ns` in ticks, rounded to the nearest.
pub(crate) fn to_ticks(ns: i128, timescale: NonZeroU32) -> i64 {
    let doubled = 2 * ns * i128::from(timescale.get()) + NS_PER_SECOND;
    saturate(doubled.div_euclid(2 * NS_PER_SECOND))
}

/// `ticks` in nanoseconds, rounded down.
pub(crate) fn to_ns(ticks: i64, timescale: NonZeroU32) -> i64 {
    saturate((i128::from(ticks) * NS_PER_SECOND).div_euclid(i128::from(timescale.get())))
}

/// A length of so many ticks in nanoseconds, rounded down.
pub(crate) fn duration_ns(ticks: u64, timescale: NonZeroU32) -> i64 {
    to_ns(i64::try_from(ticks).unwrap_or(i64::MAX), timescale)
}

/// Timestamps are `i64`; only differences at the ends of their range can exceed it.
fn saturate(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// The file's time: where it begins, and how the track's own time lies in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    pub timescale: NonZeroU32,
    origin_ns: i64,
    /// Decode time of the first frame, in ticks after the origin.
    first_dts: i64,
    /// Presentation time of the first frame, in ticks after the origin.
    first_pts: i64,
}

/// How the presentation begins (8.6.6): what an edit list must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Ticks with no picture before the first frame.
    pub delay: u64,
    /// Where in the track's own time the presentation begins.
    pub media_time: u64,
}

impl Edit {
    /// Whether the track simply begins at its beginning.
    pub fn is_trivial(self) -> bool {
        self == Self { delay: 0, media_time: 0 }
    }

    /// The same presentation of a track of which everything before `dts` is missing, and whose first
    /// frame is now shown `composition` after that.
    pub fn without_beginning(self, dts: u64, composition: u64) -> Self {
        let shown = i128::from(self.delay) + i128::from(dts) + i128::from(composition) - i128::from(self.media_time);
        let at = |ticks: i128| u64::try_from(ticks).unwrap_or(0);
        Self { delay: at(shown), media_time: at(i128::from(composition) - shown.min(0)) }
    }

    /// How much of a track whose own time ends at `end` is shown, in ticks.
    pub fn shown(self, end: u64) -> u64 {
        end.saturating_sub(self.media_time)
    }
}

impl Timeline {
    /// A time whose zero is `origin_ns`, or the first frame's presentation.
    pub fn new(timescale: NonZeroU32, origin_ns: Option<i64>, pts_ns: i64, dts_ns: i64) -> Self {
        let origin_ns = origin_ns.unwrap_or(pts_ns);
        let at = |ns: i64| to_ticks(i128::from(ns) - i128::from(origin_ns), timescale);
        Self { timescale, origin_ns, first_dts: at(dts_ns), first_pts: at(pts_ns) }
    }

    /// Ticks from the first frame's decoding to `ns`; negative before it.
    pub fn media_ticks(&self, ns: i64) -> i64 {
        to_ticks(i128::from(ns) - i128::from(self.origin_ns), self.timescale).saturating_sub(self.first_dts)
    }

    /// How long the presentation lasts, in nanoseconds, if the track's own time ends at `end`.
    pub fn shown_ns(&self, end: u64) -> i64 {
        duration_ns(self.edit().shown(end), self.timescale)
    }

    /// Frames presented before the origin are decoded but not shown; one that comes later waits.
    pub fn edit(&self) -> Edit {
        let composition = self.first_pts.saturating_sub(self.first_dts);
        Edit {
            delay: self.first_pts.max(0).unsigned_abs(),
            media_time: composition.saturating_sub(self.first_pts.min(0)).max(0).unsigned_abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTP_CLOCK: NonZeroU32 = NonZeroU32::new(90_000).unwrap();

    #[test]
    fn edits() {
        let edit = |origin, pts, dts| Timeline::new(RTP_CLOCK, origin, pts, dts).edit();
        assert!(edit(None, 77_000, 77_000).is_trivial());
        // B-frames: decoding begins a frame before presentation does.
        assert_eq!(edit(None, 0, -20_000_000), Edit { delay: 0, media_time: 1800 });
        // The first frame comes 2 s after the origin.
        assert_eq!(edit(Some(0), 2_000_000_000, 2_000_000_000), Edit { delay: 180_000, media_time: 0 });
        // A lead-in of 1 s before what was asked for.
        assert_eq!(edit(Some(0), -1_000_000_000, -1_000_000_000), Edit { delay: 0, media_time: 90_000 });
    }

    #[test]
    fn edits_without_the_beginning() {
        let first = |edit: Edit| edit.delay as i64 - edit.media_time as i64;
        for edit in
            [(0, 0), (0, 1800), (180_000, 900), (0, 90_000)].map(|(delay, media_time)| Edit { delay, media_time })
        {
            for dts in [0, 9000, 900_000] {
                let cut = edit.without_beginning(dts, 1800);
                assert_eq!(first(cut), first(edit) + dts as i64, "{edit:?} {dts}");
                assert!(cut.media_time >= 1800 && (cut.delay == 0 || cut.media_time == 1800));
            }
        }
    }

    proptest! {
        #[test]
        fn rounding_is_half_a_tick_and_monotonic(ns in -1_000_000_000_000_000i64..1_000_000_000_000_000, more in 0i64..100_000) {
            let ticks = to_ticks(i128::from(ns), RTP_CLOCK);
            prop_assert!((to_ns(ticks, RTP_CLOCK) - ns).abs() <= 5556);
            prop_assert!(to_ticks(i128::from(ns + more), RTP_CLOCK) >= ticks);
        }

        #[test]
        fn any_clock_is_survived(origin: Option<i64>, pts: i64, dts: i64, ns: i64, scale: NonZeroU32) {
            let timeline = Timeline::new(scale, origin, pts, dts);
            timeline.media_ticks(ns);
            timeline.edit();
        }
    }
}
