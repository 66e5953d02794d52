// SPDX-License-Identifier: Apache-2.0
//! When each picture is shown, on a timeline that goes on when the file begins anew.

use vs_frame::Rate;
use vs_frame::clock::NS_PER_SEC;
use vs_mux::read::Track;

/// How long a picture is shown of which nobody says it: 25 frames per second, as players have it.
const UNTOLD_FRAME_NS: i64 = 40_000_000;

/// Frames that last longer are no rate.
const LONGEST_FRAME_NS: u64 = 1000 * NS_PER_SEC;

/// See the module. All times are in ns.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// Where the present run through the file begins.
    offset: i64,
    /// The end of the last picture so far, in the file's own time.
    end: i64,
    /// How long a picture is shown unless it says so.
    frame: i64,
    /// How long the file says that it lasts.
    declared: i64,
    /// Pictures of a file without times, lost ones included.
    count: i64,
    /// The file has times.
    timed: bool,
}

/// A picture's place in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In the stream.
    pub pts_ns: i64,
    /// In the file.
    pub position_ns: i64,
    /// How long it is shown, if that is known.
    pub duration_ns: Option<u64>,
}

impl Timeline {
    /// Of a track.
    pub fn new(track: &Track) -> Self {
        let frame = track.frame_duration_ns.filter(|ns| *ns > 0).unwrap_or(UNTOLD_FRAME_NS);
        let declared = track.duration_ns.unwrap_or(0);
        Self { offset: 0, end: 0, frame, declared, count: 0, timed: track.timescale.is_some() }
    }

    /// Places the next picture to be shown, with the times that the file has for it.
    pub fn place(&mut self, pts_ns: i64, duration_ns: Option<u64>) -> Place {
        let (position, duration) = if self.timed {
            (pts_ns, duration_ns.filter(|ns| *ns > 0))
        } else {
            self.count += 1;
            ((self.count - 1).saturating_mul(self.frame), u64::try_from(self.frame).ok())
        };
        let lasts = duration.and_then(|ns| i64::try_from(ns).ok()).unwrap_or(self.frame);
        self.end = self.end.max(position.saturating_add(lasts));
        Place { pts_ns: self.offset.saturating_add(position), position_ns: position, duration_ns: duration }
    }

    /// A picture is missing here.
    pub fn lose(&mut self) {
        self.count += 1;
    }

    /// Where the present run ends, in the stream's time.
    pub fn end(&self) -> i64 {
        self.offset.saturating_add(self.end.max(self.declared))
    }

    /// The file begins anew.
    pub fn turn(&mut self) {
        self.offset = self.end();
        (self.end, self.count) = (0, 0);
    }

    /// The file is read from its beginning, as if nothing had been shown of this run.
    pub fn restart(&mut self) {
        (self.end, self.count) = (0, 0);
    }
}

/// The rate of frames that are so long on the average: whole, or of NTSC's kind, if it is that to the
/// accuracy of a file's ticks.
pub fn rate_of(frame_ns: i64) -> Rate {
    let Some(ns) = u64::try_from(frame_ns).ok().filter(|ns| (1..=LONGEST_FRAME_NS).contains(ns)) else {
        return Rate::UNKNOWN;
    };
    let usual = |den: u64, unit: u64| {
        let num = (NS_PER_SEC * den + ns * unit / 2) / (ns * unit) * unit;
        let apart = (NS_PER_SEC * den).checked_div(num)?;
        // A tick of 1/600 s, QuickTime's coarsest, averages to better than a thousandth over a second.
        (apart.abs_diff(ns) <= ns / 2000).then_some((num, den))
    };
    let (num, den) = usual(1, 1).or_else(|| usual(1001, 1000)).unwrap_or((NS_PER_SEC, ns));
    u32::try_from(num).ok().zip(u32::try_from(den).ok()).map_or(Rate::UNKNOWN, |(num, den)| Rate { num, den })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(timed: bool, declared: i64) -> Timeline {
        Timeline { offset: 0, end: 0, frame: 10, declared, count: 0, timed }
    }

    #[test]
    fn time_goes_on_at_the_seam() {
        let mut time = timeline(true, 0);
        // As they are shown: the last one lasts longer.
        for (pts, lasts) in [(0, 10), (10, 10), (20, 30)] {
            assert_eq!(time.place(pts, Some(lasts)).pts_ns, pts);
        }
        time.turn();
        assert_eq!(time.place(0, Some(10)), Place { pts_ns: 50, position_ns: 0, duration_ns: Some(10) });
        time.place(20, None);
        time.turn();
        assert_eq!(time.place(0, None).pts_ns, 80);
    }

    #[test]
    fn a_file_that_shows_nothing_at_its_end_keeps_that_pause() {
        let mut time = timeline(true, 100);
        time.place(0, Some(10));
        assert_eq!(time.end(), 100);
        time.turn();
        assert_eq!(time.place(5, Some(10)).pts_ns, 105);
    }

    #[test]
    fn without_times_each_picture_takes_its_turn_lost_ones_too() {
        let mut time = timeline(false, 0);
        assert_eq!(time.place(777, None).pts_ns, 0);
        time.lose();
        assert_eq!(time.place(777, None).pts_ns, 20);
        time.turn();
        assert_eq!(time.place(777, None).pts_ns, 30);
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let mut time = timeline(true, i64::MAX);
        time.place(i64::MAX, Some(u64::MAX));
        time.turn();
        time.place(i64::MAX, None);
        time.place(i64::MIN, None);
        time.turn();
    }

    #[test]
    fn rates_are_those_that_people_write() {
        assert_eq!(rate_of(33_333_333), Rate::fps(30));
        assert_eq!(rate_of(33_366_666), Rate { num: 30_000, den: 1001 });
        assert_eq!(rate_of(40_000_000), Rate::fps(25));
        assert_eq!(rate_of(70_123_456), Rate { num: 1_000_000_000, den: 70_123_456 });
        for absurd in [i64::MIN, 0, i64::MAX] {
            assert_eq!(rate_of(absurd), Rate::UNKNOWN);
        }
    }
}
