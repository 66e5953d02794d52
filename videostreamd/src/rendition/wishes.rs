// SPDX-License-Identifier: Apache-2.0
//! What somebody says of an encoder: in the configuration, or over D-Bus.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use vs_codec::{Backend, Bitrate, EncoderConfig, KeyframeInterval, Level, Profile, Quality, RateControl};
use vs_frame::FourCc;

use super::Coding;

/// How bits are to be spent, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateMode {
    /// A bitrate on average.
    Vbr,
    /// A bitrate at each moment.
    Cbr,
    /// A quality, whatever it takes.
    Quality,
}

impl fmt::Display for RateMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vbr => "vbr",
            Self::Cbr => "cbr",
            Self::Quality => "quality",
        })
    }
}

impl FromStr for RateMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Vbr, Self::Cbr, Self::Quality];
        let named = known.into_iter().find(|mode| mode.to_string() == text);
        named.ok_or_else(|| format!("'{text}' is no way to control the rate: there are vbr, cbr and quality"))
    }
}

/// See the module. What is `None` was not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// The codec.
    pub codec: Option<FourCc>,
    /// How bits are spent.
    pub rate_mode: Option<RateMode>,
    /// Bits per second.
    pub bitrate: Option<Bitrate>,
    /// From 1 to 100.
    pub quality: Option<Quality>,
    /// How far keyframes are apart at most.
    pub keyframe_interval: Option<KeyframeInterval>,
    /// The same in frames, in the field's own word.
    pub gop: Option<NonZeroU32>,
    /// B-frames between two others.
    pub b_frames: Option<u8>,
    /// The profile.
    pub profile: Option<Profile>,
    /// The level.
    pub level: Option<Level>,
    /// Who encodes.
    pub backend: Option<Backend>,
}

impl Wishes {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is to be, where `before` stands for what was not said.
    ///
    /// # Errors
    /// What contradicts itself, and how to put it right.
    pub fn over(&self, before: &Coding) -> Result<Coding, String> {
        let EncoderConfig { codec, keyframe_interval, profile, level, .. } = before.config.clone();
        let interval = match (self.keyframe_interval, self.gop) {
            (Some(_), Some(_)) => return Err("keyframe-interval and gop say the same: give one of them".to_owned()),
            (interval, gop) => interval.or(gop.map(KeyframeInterval::Frames)).unwrap_or(keyframe_interval),
        };
        let config = EncoderConfig {
            codec: self.codec.unwrap_or(codec),
            rate_control: self.rate_control(before.config.rate_control)?,
            keyframe_interval: interval,
            b_frames: self.b_frames.unwrap_or(before.config.b_frames),
            profile: self.profile.or(profile),
            level: self.level.or(level),
            ..before.config.clone()
        };
        Ok(Coding { config, backend: self.backend.unwrap_or(before.backend) })
    }

    fn rate_control(&self, before: Option<RateControl>) -> Result<Option<RateControl>, String> {
        let (bitrate_before, mode_before) = match before {
            Some(RateControl::Vbr(bitrate)) => (Some(bitrate), RateMode::Vbr),
            Some(RateControl::Cbr(bitrate)) => (Some(bitrate), RateMode::Cbr),
            Some(RateControl::Quality(_)) => (None, RateMode::Quality),
            None => (None, RateMode::Vbr),
        };
        let said = match (self.bitrate, self.quality) {
            (Some(_), Some(_)) => return Err("bitrate and quality exclude each other: give one of them".to_owned()),
            (Some(_), None) if mode_before == RateMode::Quality => Some(RateMode::Vbr),
            (None, Some(_)) => Some(RateMode::Quality),
            (_, None) => None,
        };
        let mode = self.rate_mode.or(said).unwrap_or(mode_before);
        let bitrate = self.bitrate.or(bitrate_before);
        match (mode, bitrate, self.quality) {
            (RateMode::Vbr, bitrate, None) => Ok(bitrate.map(RateControl::Vbr)),
            (RateMode::Cbr, Some(bitrate), None) => Ok(Some(RateControl::Cbr(bitrate))),
            (RateMode::Cbr, None, None) => Err("a constant bitrate must be said: give bitrate as well".to_owned()),
            (RateMode::Vbr | RateMode::Cbr, _, Some(_)) => {
                Err(format!("quality is for rate-control quality, not {mode}"))
            }
            (RateMode::Quality, _, Some(quality)) => Ok(Some(RateControl::Quality(quality))),
            (RateMode::Quality, _, None) => match before {
                Some(before @ RateControl::Quality(_)) => Ok(Some(before)),
                _ => Err("a constant quality must be said: give quality as well, from 1 to 100".to_owned()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(bits: u32) -> Option<Bitrate> {
        Bitrate::new(bits)
    }

    #[test]
    fn what_is_not_said_stays() {
        let first = Wishes { bitrate: bits(5000), gop: NonZeroU32::new(7), ..Wishes::default() };
        let coding = first.over(&Coding::default()).unwrap();
        assert_eq!(coding.config.rate_control, bits(5000).map(RateControl::Vbr));
        let cbr = Wishes { rate_mode: Some(RateMode::Cbr), ..Wishes::default() }.over(&coding).unwrap();
        assert_eq!(cbr.config.rate_control, bits(5000).map(RateControl::Cbr));
        assert_eq!(cbr.config.keyframe_interval, coding.config.keyframe_interval);
        let slower = Wishes { bitrate: bits(80), ..Wishes::default() }.over(&cbr).unwrap();
        assert_eq!(slower.config.rate_control, bits(80).map(RateControl::Cbr));
        let fine = Wishes { quality: Quality::new(80), ..Wishes::default() }.over(&slower).unwrap();
        assert_eq!(fine.config.rate_control, Quality::new(80).map(RateControl::Quality));
        let back = Wishes { bitrate: bits(9), ..Wishes::default() }.over(&fine).unwrap();
        assert_eq!(back.config.rate_control, bits(9).map(RateControl::Vbr));
        assert_eq!(Wishes::default().over(&back).unwrap(), back);
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |wishes: Wishes| wishes.over(&Coding::default()).unwrap_err();
        assert!(refused(Wishes { rate_mode: Some(RateMode::Cbr), ..Wishes::default() }).contains("give bitrate"));
        assert!(refused(Wishes { rate_mode: Some(RateMode::Quality), ..Wishes::default() }).contains("1 to 100"));
        let both = Wishes { bitrate: bits(1), quality: Quality::new(1), ..Wishes::default() };
        assert!(refused(both).contains("exclude"));
        let gop = NonZeroU32::new(1);
        let interval = Some(KeyframeInterval::Time(1));
        assert!(refused(Wishes { gop, keyframe_interval: interval, ..Wishes::default() }).contains("one of them"));
    }
}
