// SPDX-License-Identifier: Apache-2.0
//! Settings as the controls of a device, and back.
//!
//! A device has some of the controls and none of the others (kernel doc, "Codec Control
//! Reference"), and works with what it makes of a value. So what it does is always read from it.

use std::num::NonZeroU32;

use vs_frame::{FourCc, Rate};
use vs_v4l2::m2m::EncoderControl;

use crate::bitrate::Bitrate;
use crate::config::{ASSUMED_FPS, EncoderConfig, Level, Profile, Quality, RateControl};

use EncoderControl as C;

/// `V4L2_MPEG_VIDEO_BITRATE_MODE_…`.
const MODE_VBR: i64 = 0;
const MODE_CBR: i64 = 1;
const MODE_QUALITY: i64 = 2;

/// How much more than on average a picture's second may take where the rate is variable. Devices
/// begin with a peak of their own, which can be below the average asked for.
const PEAK_FACTOR: i64 = 2;

/// `V4L2_MPEG_VIDEO_H264_PROFILE_…`, from the least wanted to the most: the last one that a device
/// has in its menu is taken.
fn profile_numbers(codec: FourCc, profile: Profile) -> &'static [i64] {
    match (codec, profile) {
        (FourCc::H264, Profile::Baseline) => &[0, 1],
        (FourCc::H264, Profile::Main) => &[2],
        (FourCc::H264, Profile::High) => &[4],
        // V4L2_MPEG_VIDEO_HEVC_PROFILE_MAIN.
        (FourCc::HEVC, _) => &[0],
        _ => &[],
    }
}

/// `V4L2_MPEG_VIDEO_H264_LEVEL_…` in its order; level 1b, the second, is not offered.
const H264_LEVELS: [u8; 20] = [10, 0, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62];
/// `V4L2_MPEG_VIDEO_HEVC_LEVEL_…` in its order.
const HEVC_LEVELS: [u8; 13] = [10, 20, 21, 30, 31, 40, 41, 50, 51, 52, 60, 61, 62];
/// `V4L2_MPEG_VIDEO_VP9_LEVEL_…` in its order.
const VP9_LEVELS: [u8; 14] = [10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 52, 60, 61, 62];

fn levels(codec: FourCc) -> &'static [u8] {
    match codec {
        FourCc::H264 => &H264_LEVELS,
        FourCc::HEVC => &HEVC_LEVELS,
        FourCc::VP9 => &VP9_LEVELS,
        _ => &[],
    }
}

/// The best and the worst quantiser worth using; outside of them pictures get larger and not
/// better, or fall apart.
fn quantisers(codec: FourCc) -> (i64, i64) {
    match codec {
        FourCc::VP8 | FourCc::VP9 => (4, 63),
        FourCc::FWHT => (1, 31),
        _ => (10, 42),
    }
}

/// How a device that has no constant quality of its own is to keep it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum QualityBy {
    /// By its own rate control.
    Device,
    /// By quantisers that stay as they are.
    Quantiser,
}

/// The settings of `rate_control`, in the order in which they are to be made.
pub(super) fn rate_controls(codec: FourCc, rate_control: RateControl, by: QualityBy) -> Vec<(C, i64)> {
    let bits = |bitrate: Bitrate| i64::from(bitrate.bits());
    match (rate_control, by) {
        (RateControl::Vbr(bitrate), _) => vec![
            (C::RateControl, 1),
            (C::RateMode, MODE_VBR),
            (C::PeakBitrate, bits(bitrate).saturating_mul(PEAK_FACTOR)),
            (C::Bitrate, bits(bitrate)),
        ],
        (RateControl::Cbr(bitrate), _) => {
            vec![(C::RateControl, 1), (C::RateMode, MODE_CBR), (C::Bitrate, bits(bitrate))]
        }
        (RateControl::Quality(quality), QualityBy::Device) => {
            vec![(C::RateControl, 1), (C::RateMode, MODE_QUALITY), (C::Quality, i64::from(quality.get()))]
        }
        (RateControl::Quality(quality), QualityBy::Quantiser) => {
            let (best, worst) = quantisers(codec);
            let quantiser = quality.to_quantiser(best, worst);
            vec![(C::RateControl, 0), (C::KeyQp, quantiser), (C::PredictedQp, quantiser)]
        }
    }
}

/// All settings of an encoder, in the order in which they are to be made.
pub(super) fn controls(config: &EncoderConfig, wanted: RateControl, rate: Rate, by: QualityBy) -> Vec<(C, i64)> {
    let codec = config.codec;
    let mut all = Vec::new();
    if let Some(profile) = config.profile {
        all.extend(profile_numbers(codec, profile).iter().map(|number| (C::Profile, *number)));
    }
    if let Some(level) = config.level {
        // The lowest that suffices: not each codec has each level.
        let at = levels(codec).iter().position(|known| *known >= level.idc());
        all.extend(at.map(|at| (C::Level, at as i64)));
    }
    all.extend(rate_controls(codec, wanted, by));
    all.push((C::BFrames, i64::from(config.b_frames)));
    all.push((C::Gop, i64::from(config.keyframe_interval.frames(rate).get())));
    all
}

/// What is asked for where nothing is said.
pub(super) fn wanted(config: &EncoderConfig, (width, height): (u32, u32), rate: Rate) -> RateControl {
    config.rate_control.unwrap_or_else(|| RateControl::Vbr(Bitrate::default_for(width, height, rate, ASSUMED_FPS)))
}

/// What a device does, as far as it tells (`read`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Settings {
    pub(super) rate_control: RateControl,
    /// `None` if it has no such control.
    pub(super) gop: Option<NonZeroU32>,
    pub(super) b_frames: u8,
    pub(super) profile: Option<Profile>,
    pub(super) level: Option<Level>,
}

impl Settings {
    pub(super) fn of(codec: FourCc, wanted: RateControl, read: impl Fn(C) -> Option<i64>) -> Self {
        let number = |control| read(control).and_then(|value| u32::try_from(value).ok());
        let level =
            read(C::Level).and_then(|at| usize::try_from(at).ok()).and_then(|at| levels(codec).get(at).copied());
        Self {
            rate_control: rate_control(codec, wanted, &read),
            gop: number(C::Gop).and_then(NonZeroU32::new),
            b_frames: number(C::BFrames).and_then(|frames| u8::try_from(frames).ok()).unwrap_or(0),
            profile: read(C::Profile).and_then(|number| profile_of(codec, number)),
            level: level.and_then(Level::from_idc),
        }
    }
}

fn profile_of(codec: FourCc, number: i64) -> Option<Profile> {
    let all = [Profile::Baseline, Profile::Main, Profile::High];
    match codec {
        FourCc::HEVC => (number == 0).then_some(Profile::Main),
        _ => all.into_iter().find(|profile| profile_numbers(codec, *profile).contains(&number)),
    }
}

/// Where the bits go. A device that tells nothing is taken by its word: it was asked.
fn rate_control(codec: FourCc, wanted: RateControl, read: &impl Fn(C) -> Option<i64>) -> RateControl {
    let quality = |value| u8::try_from(value).ok().and_then(Quality::new);
    let bitrate = read(C::Bitrate).and_then(|bits| u32::try_from(bits).ok()).and_then(Bitrate::new);
    let quantiser = read(C::KeyQp).map(|quantiser| {
        let (best, worst) = quantisers(codec);
        match wanted {
            // Several qualities share a quantiser.
            RateControl::Quality(quality) if quality.to_quantiser(best, worst) == quantiser => wanted,
            _ => RateControl::Quality(Quality::of_quantiser(quantiser, best, worst)),
        }
    });
    let is_off = read(C::RateControl) == Some(0);
    let by_rate = bitrate.filter(|_| !is_off);
    match (read(C::RateMode), by_rate) {
        (Some(MODE_QUALITY), _) => read(C::Quality).and_then(quality).map_or(wanted, RateControl::Quality),
        (Some(MODE_CBR), Some(bitrate)) => RateControl::Cbr(bitrate),
        (Some(_), Some(bitrate)) => RateControl::Vbr(bitrate),
        (None, Some(bitrate)) => match wanted {
            RateControl::Cbr(_) => RateControl::Cbr(bitrate),
            RateControl::Vbr(_) | RateControl::Quality(_) => RateControl::Vbr(bitrate),
        },
        (_, None) => quantiser.unwrap_or(wanted),
    }
}

/// Whether a device has what `rate_control` is made of.
pub(super) fn is_possible(rate_control: RateControl, by: QualityBy, has: impl Fn(C) -> bool) -> bool {
    match (rate_control, by) {
        (RateControl::Vbr(_) | RateControl::Cbr(_), _) => has(C::Bitrate),
        (RateControl::Quality(_), QualityBy::Device) => has(C::RateMode) && has(C::Quality),
        (RateControl::Quality(_), QualityBy::Quantiser) => has(C::KeyQp),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn bitrate(bits: u32) -> Bitrate {
        Bitrate::new(bits).unwrap()
    }

    fn asked(config: &EncoderConfig) -> HashMap<C, i64> {
        let wanted = wanted(config, (1920, 1080), Rate::fps(30));
        controls(config, wanted, Rate::fps(30), QualityBy::Device).into_iter().collect()
    }

    #[test]
    fn settings_become_the_kernels_numbers() {
        let config = EncoderConfig {
            rate_control: Some(RateControl::Cbr(bitrate(5_000_000))),
            profile: Some(Profile::High),
            level: Level::from_idc(41),
            ..EncoderConfig::default()
        };
        let got = asked(&config);
        let wanted = [
            (C::RateMode, 1),
            (C::RateControl, 1),
            (C::Bitrate, 5_000_000),
            (C::Profile, 4),
            (C::Level, 12),
            (C::BFrames, 0),
            (C::Gop, 60),
        ];
        assert_eq!(got, wanted.into_iter().collect());
        let hevc = asked(&EncoderConfig { codec: FourCc::HEVC, ..config });
        assert_eq!((hevc[&C::Profile], hevc[&C::Level]), (0, 6));
        // H.265 has no level 1.1: 2 suffices.
        let low = EncoderConfig { codec: FourCc::HEVC, level: Level::from_idc(11), ..EncoderConfig::default() };
        assert_eq!(asked(&low)[&C::Level], 1);
    }

    #[test]
    fn what_a_device_says_is_what_it_does() {
        let wanted = RateControl::Cbr(bitrate(5_000_000));
        let of = |values: &[(C, i64)]| {
            let values: HashMap<C, i64> = values.iter().copied().collect();
            Settings::of(FourCc::H264, wanted, |control| values.get(&control).copied())
        };
        let said = of(&[(C::RateMode, 0), (C::Bitrate, 1_000_000), (C::Gop, 16), (C::Profile, 1), (C::Level, 1)]);
        assert_eq!((said.rate_control, said.gop), (RateControl::Vbr(bitrate(1_000_000)), NonZeroU32::new(16)));
        // Level 1b cannot be asked for.
        assert_eq!((said.profile, said.level, said.b_frames), (Some(Profile::Baseline), None, 0));
        assert_eq!(of(&[]).rate_control, wanted);
        assert_eq!(of(&[(C::Bitrate, 64_000)]).rate_control, RateControl::Cbr(bitrate(64_000)));
        let best = Quality::new(100).unwrap();
        assert_eq!(of(&[(C::KeyQp, 5)]).rate_control, RateControl::Quality(best));
        assert_eq!(of(&[(C::RateControl, 0), (C::Bitrate, 9), (C::KeyQp, 5)]).rate_control, RateControl::Quality(best));
        assert_eq!(of(&[(C::RateMode, 2), (C::Quality, 100)]).rate_control, RateControl::Quality(best));
    }

    #[test]
    fn each_level_that_can_be_asked_for_is_found_again() {
        for codec in [FourCc::H264, FourCc::HEVC, FourCc::VP9] {
            for idc in levels(codec).iter().filter(|idc| **idc > 0) {
                let level = Level::from_idc(*idc);
                let config = EncoderConfig { codec, level, ..EncoderConfig::default() };
                let number = asked(&config)[&C::Level];
                let read = |control| (control == C::Level).then_some(number);
                let wanted = RateControl::Vbr(bitrate(1));
                assert_eq!(Settings::of(codec, wanted, read).level, level, "{codec} {idc}");
            }
        }
    }
}
