// SPDX-License-Identifier: Apache-2.0
//! What one may ask of an encoder. What it makes of it is [`Effective`](crate::Effective).

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::str::FromStr;

use vs_frame::clock::NS_PER_SEC;
use vs_frame::{FourCc, Rate};

use crate::bitrate::Bitrate;

/// The frame rate that is reckoned with where the source does not know its own.
pub const ASSUMED_FPS: u32 = 30;

/// How many bits go where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RateControl {
    /// This many on average; difficult pictures may take more than easy ones.
    Vbr(Bitrate),
    /// As near to this many at each moment as the encoder can without padding.
    Cbr(Bitrate),
    /// As many as it takes to keep the quality constant.
    Quality(Quality),
}

/// A constant quality from 1 (smallest) to 100 (best), as V4L2 counts it
/// (`V4L2_CID_MPEG_VIDEO_CONSTANT_QUALITY`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Quality(u8);

impl Quality {
    /// A quality; `None` if out of range.
    #[must_use]
    pub const fn new(quality: u8) -> Option<Self> {
        if matches!(quality, 1..=100) { Some(Self(quality)) } else { None }
    }

    /// The quality on a scale of quantisers from `best` to `worst`, where a codec knows no other.
    pub(crate) fn to_quantiser(self, best: i64, worst: i64) -> i64 {
        worst - i64::from(self.0 - 1) * (worst - best) / 99
    }

    /// The lowest quality that has this quantiser, on the same scale.
    pub(crate) fn of_quantiser(quantiser: i64, best: i64, worst: i64) -> Self {
        let range = (worst - best).max(1);
        let steps = ((worst - quantiser).clamp(0, range) * 99 + range - 1) / range;
        Self(u8::try_from(steps).unwrap_or(0) + 1)
    }

    /// From 1 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// How far keyframes are apart at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyframeInterval {
    /// Each so many frames; 1 makes every frame a keyframe.
    Frames(NonZeroU32),
    /// Each so many nanoseconds, rounded to whole frames of the nominal rate.
    Time(u64),
}

impl KeyframeInterval {
    /// The same in frames of `rate` ([`ASSUMED_FPS`] if that is unknown), at least 1.
    #[must_use]
    pub fn frames(self, rate: Rate) -> NonZeroU32 {
        match self {
            Self::Frames(frames) => frames,
            Self::Time(ns) => {
                let rate = if rate.is_known() { rate } else { Rate::fps(ASSUMED_FPS) };
                let second = u128::from(NS_PER_SEC) * u128::from(rate.den);
                let frames = (u128::from(ns) * u128::from(rate.num) + second / 2) / second;
                NonZeroU32::new(u32::try_from(frames).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
            }
        }
    }
}

impl Default for KeyframeInterval {
    /// Two seconds: what players need to seek, and clients to begin, without a forced one.
    fn default() -> Self {
        Self::Time(2 * NS_PER_SEC)
    }
}

/// Sets of tools of H.264 that a decoder must know. H.265 has [`Main`](Self::Main) only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Constrained Baseline: everyone decodes it, and it is the quickest to encode.
    Baseline,
    /// Main: CABAC, about a tenth fewer bits.
    Main,
    /// High.
    High,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Baseline => "baseline",
            Self::Main => "main",
            Self::High => "high",
        })
    }
}

/// Why a text is not a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a profile: there are baseline, main and high")]
pub struct ParseProfileError(String);

impl FromStr for Profile {
    type Err = ParseProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Baseline, Self::Main, Self::High];
        let named = known.into_iter().find(|profile| profile.to_string().eq_ignore_ascii_case(text));
        named.ok_or_else(|| ParseProfileError(text.to_owned()))
    }
}

/// How much a decoder must be able to do: a level of H.264 or H.265, such as 4.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Level(u8);

/// The levels of ITU-T H.264, table A-1, times ten; level 1b is not offered.
const LEVELS: [u8; 19] = [10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62];

impl Level {
    /// The level with this `level_idc` of H.264 (ten times its number); `None` if there is none.
    #[must_use]
    pub fn from_idc(idc: u8) -> Option<Self> {
        LEVELS.contains(&idc).then_some(Self(idc))
    }

    /// Ten times its number.
    #[must_use]
    pub const fn idc(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// Why a text is not a level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a level: write one from 1.0 to 6.2, such as 4.1")]
pub struct ParseLevelError(String);

impl FromStr for Level {
    type Err = ParseLevelError;

    /// Reads `4.1`, or `4` for 4.0.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = LEVELS.into_iter().map(Self).find(|level| {
            let full = level.to_string();
            full == text || full.strip_suffix(".0") == Some(text)
        });
        named.ok_or_else(|| ParseLevelError(text.to_owned()))
    }
}

/// What is asked of an encoder; size, rate and colour come from the format of its pictures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncoderConfig {
    /// The codec.
    pub codec: FourCc,
    /// Where the bits go; `None` for [`RateControl::Vbr`] of [`Bitrate::default_for`] the
    /// pictures.
    pub rate_control: Option<RateControl>,
    /// How far keyframes are apart at most.
    pub keyframe_interval: KeyframeInterval,
    /// The profile; `None` leaves it to the encoder.
    pub profile: Option<Profile>,
    /// The level; `None` for the lowest that suffices. An encoder raises one that does not.
    pub level: Option<Level>,
    /// B-frames between two others. They save bits, and each makes a picture wait for a later one.
    /// An encoder that has none uses none.
    pub b_frames: u8,
    /// CPU threads of a software encoder. One suffices for most, and leaves the other cores
    /// to other streams.
    pub threads: NonZeroU8,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            codec: FourCc::H264,
            rate_control: None,
            keyframe_interval: KeyframeInterval::default(),
            profile: None,
            level: None,
            b_frames: 0,
            threads: NonZeroU8::MIN,
        }
    }
}

/// What to change of a running encoder; `None` leaves it as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Where the bits go.
    pub rate_control: Option<RateControl>,
    /// How far keyframes are apart at most.
    pub keyframe_interval: Option<KeyframeInterval>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_become_whole_frames() {
        let seconds = |s: u64| KeyframeInterval::Time(s * NS_PER_SEC);
        assert_eq!(seconds(2).frames(Rate::fps(30)).get(), 60);
        assert_eq!(seconds(2).frames(Rate { num: 30000, den: 1001 }).get(), 60);
        assert_eq!(seconds(2).frames(Rate::UNKNOWN).get(), 60);
        assert_eq!(seconds(0).frames(Rate::fps(30)).get(), 1);
        assert_eq!(KeyframeInterval::Time(u64::MAX).frames(Rate::fps(u32::MAX)).get(), u32::MAX);
    }

    #[test]
    fn qualities_and_quantisers_tell_each_other() {
        let quality = |quality| Quality::new(quality).unwrap();
        assert_eq!((quality(100).to_quantiser(1, 31), quality(1).to_quantiser(1, 31)), (1, 31));
        for quantiser in 10..=42 {
            assert_eq!(Quality::of_quantiser(quantiser, 10, 42).to_quantiser(10, 42), quantiser);
        }
        assert_eq!(Quality::of_quantiser(51, 10, 42), quality(1));
        assert_eq!(Quality::of_quantiser(0, 10, 42), quality(100));
    }

    #[test]
    fn levels_and_profiles_are_read_as_written() {
        for idc in LEVELS {
            let level = Level::from_idc(idc).unwrap();
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!("4".parse::<Level>().unwrap().idc(), 40);
        assert!("4.3".parse::<Level>().is_err() && "".parse::<Level>().is_err() && "41".parse::<Level>().is_err());
        assert_eq!("High".parse(), Ok(Profile::High));
        assert!("hi10".parse::<Profile>().is_err());
        assert!(Quality::new(0).is_none() && Quality::new(101).is_none());
    }
}
