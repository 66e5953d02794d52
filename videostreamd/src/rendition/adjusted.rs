// SPDX-License-Identifier: Apache-2.0
//! Where an encoder does something else than it was asked for.

use vs_codec::{Effective, EncoderConfig, RateControl};

/// The differences, as sentences.
pub fn adjustments(wanted: &EncoderConfig, got: &Effective) -> Vec<String> {
    let mut said = Vec::new();
    let mut differ = |what: &str, wanted: String, got: String| {
        if wanted != got {
            said.push(format!("{what} {wanted} was asked for, and the encoder has {got}"));
        }
    };
    if let Some(rate_control) = wanted.rate_control {
        differ("a rate of", spoken(rate_control), spoken(got.rate_control));
    }
    let interval = wanted.keyframe_interval.frames(got.rate);
    differ("a keyframe every so many frames:", interval.to_string(), got.keyframe_interval.to_string());
    if let Some(profile) = wanted.profile {
        differ("profile", profile.to_string(), got.profile.map_or("another".to_owned(), |got| got.to_string()));
    }
    if let Some(level) = wanted.level {
        differ("level", level.to_string(), got.level.map_or("another".to_owned(), |got| got.to_string()));
    }
    differ("B-frames:", wanted.b_frames.to_string(), got.b_frames.to_string());
    said
}

fn spoken(rate_control: RateControl) -> String {
    match rate_control {
        RateControl::Vbr(bitrate) => format!("{bitrate} bit/s on average"),
        RateControl::Cbr(bitrate) => format!("{bitrate} bit/s at each moment"),
        RateControl::Quality(quality) => format!("quality {}", quality.get()),
    }
}
