// SPDX-License-Identifier: Apache-2.0
//! The encoder of a stream or a recording.

use serde::Serialize;
use vsclient::dbus::Encoding;

use super::some_text;
use crate::units;

/// The encoder and its settings.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Encoder {
    pub codec: String,
    pub encoder: String,
    pub backend: String,
    pub reason: Option<String>,
    pub rate_control: String,
    pub bitrate: Option<u64>,
    pub quality: Option<u32>,
    pub keyframe_interval_ns: u64,
    pub gop: u32,
    /// Whether pictures are read where they lie, without a copy.
    pub imports: bool,
    pub profile: Option<String>,
    pub level: Option<String>,
    pub width: u32,
    pub height: u32,
}

impl Encoder {
    /// `null` if the daemon has not said anything.
    pub fn new(encoding: &Encoding) -> Option<Self> {
        (!encoding.codec.is_empty()).then(|| Self {
            codec: encoding.codec.clone(),
            encoder: encoding.encoder.clone(),
            backend: encoding.backend.clone(),
            reason: some_text(&encoding.reason),
            rate_control: encoding.rate_control.clone(),
            bitrate: Some(encoding.bitrate).filter(|bitrate| *bitrate > 0),
            quality: Some(encoding.quality).filter(|quality| *quality > 0),
            keyframe_interval_ns: encoding.keyframe_interval,
            gop: encoding.gop,
            imports: encoding.imports,
            profile: some_text(&encoding.profile),
            level: some_text(&encoding.level),
            width: encoding.width,
            height: encoding.height,
        })
    }

    /// The same in a line.
    pub fn text(&self) -> String {
        let Self { encoder, width, height, rate_control, gop, .. } = self;
        let amount = match (self.bitrate, self.quality) {
            (_, Some(quality)) => format!("{rate_control} {quality}"),
            (bitrate, None) => format!("{rate_control} {}", units::bitrate(bitrate.unwrap_or(0) as f64)),
        };
        let mut text = format!(
            "{encoder}, {width}x{height}, {amount}, a keyframe every {}",
            units::count(u64::from(*gop), "frame")
        );
        if let Some(profile) = &self.profile {
            text += &format!(", {profile}");
            text += &self.level.as_ref().map(|level| format!(" {level}")).unwrap_or_default();
        }
        if self.imports {
            text += ", imports";
        }
        if let Some(reason) = &self.reason {
            text += &format!(" ({reason})");
        }
        text
    }
}
