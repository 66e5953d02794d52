// SPDX-License-Identifier: Apache-2.0
//! Who does it.
//!
//! Hardware before software, and a device that takes the pictures as they are before one that needs
//! them [converted](crate::ConverterConfig) first. Who cannot, or has no session left, is passed
//! over; why, the one that was taken says ([`Effective::reason`](crate::Effective::reason)), or the
//! [error](OpenError) if nobody could.

mod converter;
mod decoder;
mod encoder;
mod error;
mod ways;

use std::fmt;
use std::str::FromStr;

use vs_frame::FourCc;
use vs_v4l2::DeviceKind;

use crate::hardware::{Device, Priority};

pub use converter::{OnceError, convert_once, open_converter};
pub use decoder::open_decoder;
pub use encoder::open_encoder;
pub use error::{OpenError, Refusal};

/// Who is to do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// The best that can.
    #[default]
    Auto,
    /// This kind or none.
    Only(BackendKind),
}

impl Backend {
    fn allows(self, kind: BackendKind) -> bool {
        self == Self::Auto || self == Self::Only(kind)
    }
}

/// The kinds of sessions there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackendKind {
    /// A device, through V4L2.
    V4l2,
    /// A library on the CPU.
    Software,
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4l2 => "v4l2",
            Self::Software => "software",
        })
    }
}

/// Why a text names no backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a backend: there are auto, v4l2 and software")]
pub struct ParseBackendError(String);

impl FromStr for Backend {
    type Err = ParseBackendError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "v4l2" => Ok(Self::Only(BackendKind::V4l2)),
            "software" => Ok(Self::Only(BackendKind::Software)),
            _ => Err(ParseBackendError(text.to_owned())),
        }
    }
}

/// Among whom there is a choice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// Which kinds.
    pub backend: Backend,
    /// The hardware, from the most wanted to the least.
    pub devices: &'a [Device],
    /// How much the session matters.
    pub priority: Priority,
}

impl<'a> Choice<'a> {
    /// Among everything, for the machine's own purposes.
    #[must_use]
    pub const fn auto(devices: &'a [Device]) -> Self {
        Self { backend: Backend::Auto, devices, priority: Priority::Owner }
    }

    /// The devices of this kind, if hardware may be taken.
    fn of_kind(&self, kind: DeviceKind) -> impl Iterator<Item = &'a Device> + use<'a> {
        let devices = if self.backend.allows(BackendKind::V4l2) { self.devices } else { &[] };
        devices.iter().filter(move |device| device.function.kind == kind)
    }

    fn allows_software(&self) -> bool {
        self.backend.allows(BackendKind::Software)
    }
}

/// The codecs that software encodes here.
#[must_use]
pub fn encodable() -> &'static [FourCc] {
    if cfg!(feature = "software-h264") { &[FourCc::H264] } else { &[] }
}

/// The codecs that one of these devices encodes, or software, each once.
#[must_use]
pub fn encodable_by(devices: &[Device]) -> Vec<FourCc> {
    let coded = |device: &Device| device.function.formats.clone();
    codecs(encodable(), devices, DeviceKind::Encoder, coded)
}

/// The codecs that one of these devices decodes, or software, each once.
#[must_use]
pub fn decodable_by(devices: &[Device]) -> Vec<FourCc> {
    let coded = |device: &Device| device.function.output_formats.clone();
    codecs(decodable(), devices, DeviceKind::Decoder, coded)
}

fn codecs(
    software: &[FourCc],
    devices: &[Device],
    kind: DeviceKind,
    coded: impl Fn(&Device) -> Vec<vs_v4l2::FormatDesc>,
) -> Vec<FourCc> {
    let mut all = software.to_vec();
    let of_kind = devices.iter().filter(|device| device.function.kind == kind);
    for format in of_kind.flat_map(coded).filter(vs_v4l2::FormatDesc::is_coded) {
        if !all.contains(&format.fourcc) {
            all.push(format.fourcc);
        }
    }
    all
}

/// The codecs that software decodes here.
#[must_use]
pub fn decodable() -> &'static [FourCc] {
    #[cfg(feature = "software-h264")]
    return crate::software::DECODABLE;
    #[cfg(not(feature = "software-h264"))]
    return &[];
}

/// The pixel formats that software encodes.
#[must_use]
pub fn inputs() -> &'static [FourCc] {
    #[cfg(feature = "software-h264")]
    return vs_convert::FORMATS;
    #[cfg(not(feature = "software-h264"))]
    return &[];
}
