// SPDX-License-Identifier: Apache-2.0
//! Refusals as D-Bus errors.

use zbus::DBusError;

use crate::codec_session::{OpenFailure, SessionError};
use crate::control::ControlError;
use crate::recording::SupplyError;

/// `org.videostream.VideoStream1.Error.*`
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.videostream.VideoStream1.Error")]
pub(super) enum Error {
    #[zbus(error)]
    ZBus(zbus::Error),
    NoSuchStream(String),
    NoSuchRecording(String),
    NoSuchDevice(String),
    NotRunning(String),
    BadOption(String),
    BadFormat(String),
    BadFile(String),
    NoSuchControl(String),
    BadControl(String),
    Busy(String),
    Failed(String),
}

impl From<ControlError> for Error {
    fn from(error: ControlError) -> Self {
        let text = error.to_string();
        match error {
            ControlError::NoSuchStream { .. } => Self::NoSuchStream(text),
            ControlError::NoSuchRecording { .. } => Self::NoSuchRecording(text),
            ControlError::NoSuchControl(_) => Self::NoSuchControl(text),
            ControlError::BadControl(_) => Self::BadControl(text),
            ControlError::DeviceGone(_) | ControlError::NoSuchDevice { .. } => Self::NoSuchDevice(text),
            ControlError::NotRunning(_) | ControlError::NoFrames { .. } | ControlError::NoPicture(_) => {
                Self::NotRunning(text)
            }
            ControlError::BadFormat(_) => Self::BadFormat(text),
            ControlError::BadFile(_) => Self::BadFile(text),
            ControlError::Busy(_) => Self::Busy(text),
            ControlError::Failed(_) => Self::Failed(text),
        }
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        let text = error.to_string();
        match error {
            SessionError::Busy(_) | SessionError::Open(OpenFailure::Taken(_)) => Self::Busy(text),
            SessionError::Open(OpenFailure::Unsupported(_)) => Self::BadFormat(text),
            SessionError::Open(OpenFailure::Failed(_)) | SessionError::System(_) => Self::Failed(text),
        }
    }
}

impl From<SupplyError> for Error {
    fn from(error: SupplyError) -> Self {
        let text = error.to_string();
        match error {
            SupplyError::BadFile(_) => Self::BadFile(text),
            SupplyError::Full => Self::Busy(text),
            SupplyError::Ended => Self::NotRunning(text),
        }
    }
}
