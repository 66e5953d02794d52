// SPDX-License-Identifier: Apache-2.0
//! How to encode: what `record` and `start-stream` have in common.

use std::time::Duration;

use clap::{Args, ValueEnum};
use vsclient::dbus::CodingOptions;

use crate::values;

/// What the daemon is asked of its encoder. What is left out it decides, or stays as it is.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "How to encode")]
pub struct Coding {
    /// Codec: h264, or what hardware has, such as hevc [default: h264]
    #[arg(long, value_name = "CODEC")]
    codec: Option<String>,

    /// Bits per second: 5M, 800k or 5000000 (a plain number is bit/s, where libvideostream's
    /// record took kbit/s) [default: by size and rate]
    #[arg(short, long, value_name = "RATE", value_parser = values::bitrate)]
    bitrate: Option<u64>,

    /// How bits are spent: vbr (on average), cbr (at each moment), quality [default: vbr]
    #[arg(long, value_name = "HOW")]
    rate_control: Option<RateControl>,

    /// Constant quality, from 1 (smallest) to 100 (best), in place of a bitrate
    #[arg(long, value_name = "N", conflicts_with = "bitrate", value_parser = clap::value_parser!(u32).range(1..=100))]
    quality: Option<u32>,

    /// Longest time between keyframes [default: 2s]
    #[arg(long, value_name = "SECS", value_parser = values::duration)]
    keyframe_interval: Option<Duration>,

    /// The same in frames
    #[arg(long, value_name = "FRAMES", conflicts_with = "keyframe_interval", value_parser = clap::value_parser!(u32).range(1..))]
    gop: Option<u32>,

    /// B-frames between two others, of encoders that have them: fewer bits, and more delay [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=16))]
    b_frames: Option<u8>,

    /// Profile: baseline, main or high [default: the encoder's]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Level, such as 4.1 [default: the lowest that suffices]
    #[arg(long, value_name = "N")]
    level: Option<String>,

    /// Who works: auto (hardware if it can), v4l2 (hardware or nobody), software [default: auto]
    #[arg(long, value_name = "WHO")]
    backend: Option<Backend>,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum RateControl {
    Vbr,
    Cbr,
    Quality,
}

/// Who encodes, converts or decodes.
#[derive(ValueEnum, Debug, Clone, Copy)]
pub enum Backend {
    Auto,
    V4l2,
    Software,
}

impl Backend {
    /// The daemon's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::V4l2 => "v4l2",
            Self::Software => "software",
        }
    }
}

impl Coding {
    /// The same for the daemon.
    pub fn options(&self) -> CodingOptions {
        let word = |rate_control| match rate_control {
            RateControl::Vbr => "vbr",
            RateControl::Cbr => "cbr",
            RateControl::Quality => "quality",
        };
        CodingOptions {
            codec: self.codec.clone(),
            bitrate: self.bitrate,
            rate_control: self.rate_control.map(|rate_control| word(rate_control).to_owned()),
            quality: self.quality,
            keyframe_interval: self.keyframe_interval.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
            gop: self.gop,
            b_frames: self.b_frames,
            profile: self.profile.clone(),
            level: self.level.clone(),
            backend: self.backend.map(|backend| backend.word().to_owned()),
        }
    }
}
