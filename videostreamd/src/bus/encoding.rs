// SPDX-License-Identifier: Apache-2.0
//! What an encoder does, as a dictionary.

use vs_codec::{Effective, RateControl};
use zbus::zvariant::Value;

use super::dict::{Dict, dict};

pub(super) fn encoding(encoder: &Effective) -> Dict {
    let (rate_control, bitrate, quality) = match encoder.rate_control {
        RateControl::Vbr(bitrate) => ("vbr", bitrate.bits(), 0),
        RateControl::Cbr(bitrate) => ("cbr", bitrate.bits(), 0),
        RateControl::Quality(quality) => ("quality", 0, quality.get()),
    };
    let interval_ns = encoder.rate.offset_ns(u64::from(encoder.keyframe_interval.get()));
    let text = |known: Option<String>| Value::from(known.unwrap_or_default());
    dict([
        // The word that the option `codec` takes.
        ("codec", Value::from(encoder.codec.to_string().to_ascii_lowercase())),
        ("encoder", Value::from(encoder.name.clone())),
        ("backend", Value::from(encoder.backend.to_string())),
        ("reason", Value::from(encoder.reason.clone())),
        ("rate-control", Value::from(rate_control)),
        ("bitrate", Value::from(u64::from(bitrate))),
        ("quality", Value::from(u32::from(quality))),
        ("keyframe-interval", Value::from(interval_ns)),
        ("gop", Value::from(encoder.keyframe_interval.get())),
        ("profile", text(encoder.profile.map(|profile| profile.to_string()))),
        ("level", text(encoder.level.map(|level| level.to_string()))),
        ("imports", Value::from(encoder.imports)),
        ("width", Value::from(encoder.width)),
        ("height", Value::from(encoder.height)),
    ])
}
