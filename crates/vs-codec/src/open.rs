// SPDX-License-Identifier: Apache-2.0
//! Which encoder is taken.

use std::fmt;
use std::str::FromStr;

use vs_frame::{Format, FourCc};

use crate::config::EncoderConfig;
use crate::encoder::Encoder;
use crate::session::BackendError;

/// Who is to encode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// The best that can encode these pictures.
    #[default]
    Auto,
    /// This kind or none.
    Only(BackendKind),
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

/// Why no encoder was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Nobody encodes this codec.
    #[error("there is no encoder for {codec} here: {} can be encoded", list(encodable()))]
    Codec {
        /// What was asked for.
        codec: FourCc,
    },
    /// No hardware encodes this codec.
    #[error("no device here encodes {codec}: leave the backend to be chosen, or take software")]
    NoDevice {
        /// What was asked for.
        codec: FourCc,
    },
    /// Nobody encodes pictures of this format.
    #[error("pictures in {fourcc} cannot be encoded: use one of {}", list(inputs()))]
    Input {
        /// What was asked for.
        fourcc: FourCc,
    },
    /// Rows that are not plain.
    #[error("pictures with format modifier {modifier:#x} cannot be encoded by software: only linear ones can")]
    Modifier {
        /// What was asked for.
        modifier: u64,
    },
    /// Too small or too large.
    #[error("pictures of {width}x{height} cannot be encoded: {limits}")]
    Size {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
        /// What is possible.
        limits: String,
    },
    /// The encoder does not want to.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// The codecs that can be encoded here.
#[must_use]
pub fn encodable() -> &'static [FourCc] {
    if cfg!(feature = "software-h264") { &[FourCc::H264] } else { &[] }
}

/// The pixel formats that can be encoded.
#[must_use]
pub fn inputs() -> &'static [FourCc] {
    #[cfg(feature = "software-h264")]
    return crate::software::INPUTS;
    #[cfg(not(feature = "software-h264"))]
    return &[];
}

fn list(codes: &[FourCc]) -> String {
    if codes.is_empty() {
        return "nothing".to_owned();
    }
    codes.iter().map(FourCc::to_string).collect::<Vec<_>>().join(", ")
}

/// Opens an encoder for pictures of the format `input`; [`Encoder::effective`] says which it
/// is and what it made of `config`.
///
/// # Errors
/// [`OpenError`] says what is not possible, and what is.
pub fn open_encoder(input: &Format, config: &EncoderConfig, backend: Backend) -> Result<Box<dyn Encoder>, OpenError> {
    if !encodable().contains(&config.codec) {
        return Err(OpenError::Codec { codec: config.codec });
    }
    let encoder = match backend {
        Backend::Auto | Backend::Only(BackendKind::Software) => open_software(input, config)?,
        Backend::Only(BackendKind::V4l2) => return Err(OpenError::NoDevice { codec: config.codec }),
    };
    let chosen = encoder.effective();
    tracing::info!(
        encoder = %chosen.name, backend = %chosen.backend, codec = %chosen.codec, input = %input.fourcc,
        width = chosen.width, height = chosen.height, rate_control = ?chosen.rate_control, "encoder opened"
    );
    Ok(encoder)
}

#[cfg(feature = "software-h264")]
fn open_software(input: &Format, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
    Ok(Box::new(crate::software::SoftwareH264::open(input, config)?))
}

#[cfg(not(feature = "software-h264"))]
fn open_software(_: &Format, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
    Err(OpenError::Codec { codec: config.codec })
}
