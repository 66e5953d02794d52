// SPDX-License-Identifier: Apache-2.0
//! Why nobody does it.

use std::fmt;

use vs_frame::FourCc;

use super::{encodable, inputs};
use crate::session::BackendError;

/// Who was passed over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A device by its name, or "software".
    pub who: String,
    /// Why.
    pub why: OpenError,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.who, self.why)
    }
}

/// Refusals as one text; empty if there are none.
pub(super) fn say(refusals: &[Refusal]) -> String {
    refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ")
}

/// Why no session was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Software does not encode this codec.
    #[error("there is no encoder for {codec} here: {} can be encoded", list(encodable()))]
    Codec {
        /// What was asked for.
        codec: FourCc,
    },
    /// Software does not decode this codec.
    #[error("there is no software for {codec} here")]
    NoSoftware {
        /// What was asked for.
        codec: FourCc,
    },
    /// No hardware knows this codec.
    #[error("no device here does {codec}: leave the backend to be chosen, or take software")]
    NoDevice {
        /// What was asked for.
        codec: FourCc,
    },
    /// Nobody makes the one of the other.
    #[error("nobody here makes {to} of {from}: take pictures of another format")]
    NoConverter {
        /// The pixel format of the source.
        from: FourCc,
        /// The pixel format asked for.
        to: FourCc,
    },
    /// Software does not encode pictures of this format.
    #[error("pictures in {fourcc} cannot be encoded: use one of {}", list(inputs()))]
    Input {
        /// What was asked for.
        fourcc: FourCc,
    },
    /// Rows that are not plain.
    #[error("pictures with format modifier {modifier:#x} cannot be read here: only linear ones can")]
    Modifier {
        /// What was asked for.
        modifier: u64,
    },
    /// Too small or too large.
    #[error("pictures of {width}x{height} are not possible: {limits}")]
    Size {
        /// Width asked for.
        width: u32,
        /// Height asked for.
        height: u32,
        /// What is possible.
        limits: String,
    },
    /// All places at the device are taken that this session may have.
    #[error("all of its sessions are in use")]
    Taken,
    /// The device does not want to, for this reason.
    #[error("{0}")]
    Device(String),
    /// Several were asked, and none could.
    #[error("nobody here {wish}: {}", say(refusals))]
    Nobody {
        /// What was asked for, such as "encodes H264 from NV12 640x480".
        wish: String,
        /// Who was asked, in this order.
        refusals: Vec<Refusal>,
    },
    /// Software decodes the codec, but not what the parameter sets describe.
    #[error("the software decoder cannot decode {reason}")]
    Stream {
        /// What it is, and what can be decoded.
        reason: String,
    },
    /// Software does not convert these pictures.
    #[error("software does not convert that: {reason}")]
    Conversion {
        /// What into what, and what is possible.
        reason: String,
    },
    /// The session does not want to.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl From<vs_v4l2::m2m::OpenSessionError> for OpenError {
    fn from(error: vs_v4l2::m2m::OpenSessionError) -> Self {
        match error {
            vs_v4l2::m2m::OpenSessionError::Busy(_) => Self::Taken,
            other => Self::Device(other.to_string()),
        }
    }
}

pub(super) fn list(codes: &[FourCc]) -> String {
    if codes.is_empty() {
        return "nothing".to_owned();
    }
    codes.iter().map(FourCc::to_string).collect::<Vec<_>>().join(", ")
}
