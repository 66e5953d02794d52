// SPDX-License-Identifier: Apache-2.0
//! Frame rates as exact fractions: 30000/1001 is not 29.97.

use std::fmt;
use std::str::FromStr;

use crate::clock::NS_PER_SEC;

/// Frames per second as a fraction. `0/1` means "unknown or variable".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Rate {
    /// Frames in `den` seconds.
    pub num: u32,
    /// Seconds in which `num` frames pass; never 0.
    pub den: u32,
}

impl Rate {
    /// No fixed rate is known.
    pub const UNKNOWN: Self = Self { num: 0, den: 1 };

    /// A rate of `num / den` frames per second; `None` if `den` is 0.
    #[must_use]
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        if den == 0 { None } else { Some(Self { num, den }) }
    }

    /// A whole number of frames per second.
    #[must_use]
    pub const fn fps(fps: u32) -> Self {
        Self { num: fps, den: 1 }
    }

    /// Whether the rate is known, that is, not zero.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.num != 0
    }

    /// The time from one frame to the next in ns, rounded down; `None` if unknown.
    #[must_use]
    pub fn interval_ns(self) -> Option<u64> {
        (self.num != 0).then(|| self.offset_ns(1))
    }

    /// When frame `index` comes, in ns after frame 0. Exact for any index: rounding does
    /// not add up. 0 if the rate is unknown.
    #[must_use]
    pub fn offset_ns(self, index: u64) -> u64 {
        if self.num == 0 {
            return 0;
        }
        let ns = u128::from(index) * u128::from(self.den) * u128::from(NS_PER_SEC);
        (ns / u128::from(self.num)) as u64
    }

    /// Frames per second as a float, for display only.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den.max(1))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 { write!(f, "{}", self.num) } else { write!(f, "{}/{}", self.num, self.den) }
    }
}

/// Why a text is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a frame rate: write frames per second as 30, 29.97 or 30000/1001")]
pub struct ParseRateError(String);

impl FromStr for Rate {
    type Err = ParseRateError;

    /// Reads `30`, `29.97` (at most three decimals) or `30000/1001`; zero is refused.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseRateError(text.to_owned());
        let rate = if let Some((num, den)) = text.split_once('/') {
            Self::new(num.parse().map_err(|_| bad())?, den.parse().map_err(|_| bad())?)
        } else if let Some((whole, decimals)) = text.split_once('.') {
            if decimals.is_empty() || decimals.len() > 3 {
                return Err(bad());
            }
            let den = 10u32.pow(decimals.len() as u32);
            let whole: u32 = whole.parse().map_err(|_| bad())?;
            let part: u32 = decimals.parse().map_err(|_| bad())?;
            whole.checked_mul(den).and_then(|n| n.checked_add(part)).and_then(|n| Self::new(n, den))
        } else {
            Self::new(text.parse().map_err(|_| bad())?, 1)
        };
        rate.filter(|rate| rate.is_known()).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("30".parse(), Ok(Rate::fps(30)));
        assert_eq!("29.97".parse(), Ok(Rate { num: 2997, den: 100 }));
        assert_eq!("30000/1001".parse(), Ok(Rate { num: 30000, den: 1001 }));
        for bad in ["", "0", "1/0", "-3", "1.", "1.2345", "x", "99999999999"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_hour_of_ntsc_does_not_drift() {
        let ntsc = Rate { num: 30000, den: 1001 };
        assert_eq!(ntsc.offset_ns(30000), 1001 * NS_PER_SEC);
        assert_eq!(ntsc.interval_ns(), Some(33_366_666));
        assert_eq!(Rate::UNKNOWN.interval_ns(), None);
    }
}
