// SPDX-License-Identifier: Apache-2.0
//! When pictures of a bare stream are shown: one behind the other, each as long as the stream or a rate says.

use std::num::NonZeroU32;

use vs_bitstream::{PictureTime, Tick};

use super::error::ConvertError;
use crate::mp4::{DEFAULT_TIMESCALE, limits};

const NS_PER_SECOND: i128 = 1_000_000_000;
/// A stream that says its pictures last less counts its clock's ticks, not pictures: some encoders write 90000.
const SHORTEST_PICTURE_NS: i64 = 500_000;
/// A stream that says its pictures last longer means something else.
const LONGEST_PICTURE_NS: i64 = 100_000_000_000;
/// Timescales are finer than this, in ticks per second: other containers round to milliseconds.
const FINE_TIMESCALE: u32 = 10_000;

/// Frames per second: `frames / seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Frames.
    pub frames: NonZeroU32,
    /// In so many seconds.
    pub seconds: NonZeroU32,
}

impl Rate {
    /// `frames / seconds`; `None` if either is 0.
    pub fn new(frames: u32, seconds: u32) -> Option<Self> {
        Some(Self { frames: NonZeroU32::new(frames)?, seconds: NonZeroU32::new(seconds)? })
    }
}

/// Counts pictures in the order in which they are shown.
#[derive(Debug)]
pub(super) struct Clock {
    rate: Option<Rate>,
    /// The tick that is counted in, in force since `since_ns`.
    tick: Option<Tick>,
    since_ns: i64,
    ticks: i64,
}

impl Clock {
    pub fn new(rate: Option<Rate>) -> Self {
        let tick = rate.map(|rate| Tick { units: rate.seconds, scale: rate.frames });
        Self { rate, tick, since_ns: 0, ticks: 0 }
    }

    /// When the next picture is shown, and for how long, in nanoseconds.
    pub fn show(&mut self, picture: &PictureTime) -> Result<(i64, i64), ConvertError> {
        let ticks = if self.rate.is_some() { 1 } else { i64::from(picture.ticks) };
        if self.rate.is_none() && picture.tick.is_some() && picture.tick != self.tick {
            self.since_ns = self.now_ns();
            (self.tick, self.ticks) = (picture.tick, 0);
        }
        let tick = self.tick.ok_or(ConvertError::NoTiming)?;
        let begin = self.now_ns();
        self.ticks += ticks;
        let duration = self.now_ns() - begin;
        if self.rate.is_none() && !(SHORTEST_PICTURE_NS..=LONGEST_PICTURE_NS).contains(&duration) {
            let (units, scale) = (tick.units.get(), tick.scale.get());
            return Err(ConvertError::ImplausibleTiming { units, scale, duration_ns: duration });
        }
        Ok((begin, duration))
    }

    fn now_ns(&self) -> i64 {
        let Some(Tick { units, scale }) = self.tick else { return self.since_ns };
        let ns = i128::from(self.ticks) * i128::from(units.get()) * NS_PER_SECOND;
        self.since_ns.saturating_add(i64::try_from(ns / i128::from(scale.get())).unwrap_or(i64::MAX))
    }

    /// Ticks per second of a file in which all times are exact, if there are such.
    pub fn timescale(&self) -> NonZeroU32 {
        let Some(Tick { units, scale }) = self.tick else { return DEFAULT_TIMESCALE };
        let whole = scale.get() / gcd(units.get(), scale.get());
        fine(whole).filter(|scale| scale.get() <= limits::MAX_TIMESCALE).unwrap_or(DEFAULT_TIMESCALE)
    }
}

/// The smallest multiple of `scale` that is fine enough.
pub(super) fn fine(scale: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(scale.checked_mul(FINE_TIMESCALE.div_ceil(scale.max(1)).max(1))?)
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timescales_in_which_frames_are_whole() {
        let scale = |frames, seconds| Clock::new(Rate::new(frames, seconds)).timescale().get();
        assert_eq!(scale(25, 1), 10_000);
        assert_eq!(scale(30_000, 1001), 30_000);
        assert_eq!(scale(24_000, 1001), 24_000);
        assert_eq!(scale(2997, 100), 11_988);
        assert_eq!(scale(90, 3), 10_020);
        assert_eq!(scale(u32::MAX, 2), 90_000);
    }
}
