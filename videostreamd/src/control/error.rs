// SPDX-License-Identifier: Apache-2.0
//! Why a request was refused, in words that say what to do.

use crate::stream::file::{Refusal, Trouble};
use crate::stream::handle::HandleError;
use crate::stream::spec::NotForVsl;

/// Why a request was refused. Each variant is a D-Bus error of its own.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nothing has that name.
    #[error("there is no stream '{name}': {known}")]
    NoSuchStream {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The configuration has no recording of that name.
    #[error("there is no recording '{name}': {known}")]
    NoSuchRecording {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The stream's camera is not there.
    #[error("stream '{stream}' shows the camera '{device}', which is not there: {known}")]
    NoSuchDevice {
        /// The stream.
        stream: String,
        /// Its camera.
        device: String,
        /// What there is.
        known: String,
    },
    /// The request needs a running stream.
    #[error("stream '{0}' does not run: start it with `vsctl start-stream {0}`")]
    NotRunning(String),
    /// The stream runs, but its source has nothing to show.
    #[error("stream '{stream}' has no frames at present: {text}")]
    NoFrames {
        /// The stream.
        stream: String,
        /// What it waits for.
        text: String,
    },
    /// No picture came in time.
    #[error("{0}")]
    NoPicture(String),
    /// Others are first.
    #[error("{0}")]
    Busy(String),
    /// The source cannot do that.
    #[error("{0}")]
    BadFormat(String),
    /// The file cannot be used.
    #[error("{0}")]
    BadFile(String),
    /// The device has no control of that name.
    #[error("{0}")]
    NoSuchControl(String),
    /// The control cannot have that value, or not now.
    #[error("{0}")]
    BadControl(String),
    /// The device has been unplugged.
    #[error("{0}")]
    DeviceGone(String),
    /// Something failed on the way.
    #[error("{0}")]
    Failed(String),
}

impl From<HandleError> for ControlError {
    fn from(error: HandleError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        match refusal.trouble {
            Trouble::Missing | Trouble::File => Self::BadFile(refusal.text),
            Trouble::Format => Self::BadFormat(refusal.text),
        }
    }
}

impl From<vs_v4l2::ControlError> for ControlError {
    fn from(error: vs_v4l2::ControlError) -> Self {
        use vs_v4l2::{ControlError as Refusal, NodeError};
        let text = error.to_string();
        match error {
            Refusal::Unknown { .. } => Self::NoSuchControl(text),
            Refusal::Node(NodeError::Gone { .. }) => Self::DeviceGone(text),
            Refusal::Node(_) | Refusal::Refused { .. } | Refusal::Partly { .. } => Self::Failed(text),
            _ => Self::BadControl(text),
        }
    }
}

/// Why a source was not opened.
pub(super) fn open_error(error: &anyhow::Error) -> ControlError {
    let text = format!("{error:#}");
    match error.downcast_ref::<vs_v4l2::OpenError>() {
        Some(vs_v4l2::OpenError::NotOffered { .. }) => ControlError::BadFormat(text),
        _ if error.is::<NotForVsl>() => ControlError::BadFormat(text),
        _ => ControlError::Failed(text),
    }
}

/// From here on one name may have been meant for another one: 1 is the same, `cam1` and `cam0` have 0.88. vsctl takes
/// the same.
const LIKENESS: f64 = 0.8;

/// What there is in place of `name`, and what may have been meant.
pub(super) fn known<'a>(name: &str, names: impl Iterator<Item = &'a str>, none: &str) -> String {
    let names: Vec<_> = names.collect();
    let all = list(if names.len() == 1 { "there is" } else { "there are" }, names.iter().copied(), none);
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    match names.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        Some(near) if likeness(&near) > LIKENESS => format!("did you mean '{near}'? ({all})"),
        _ => all,
    }
}

/// Names to choose from.
pub(super) fn list<'a>(intro: &str, names: impl Iterator<Item = &'a str>, none: &str) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { none.to_owned() } else { format!("{intro} {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_mistypes_is_asked_what_was_meant() {
        let streams = ["door", "garden", "pattern0"];
        let known = |name| known(name, streams.into_iter(), "none");
        assert_eq!(known("gardn"), "did you mean 'garden'? (there are door, garden, pattern0)");
        assert_eq!(known("cellar"), "there are door, garden, pattern0");
        assert_eq!(super::known("dor", ["door"].into_iter(), "none"), "did you mean 'door'? (there is door)");
        assert_eq!(super::known("door", std::iter::empty(), "none"), "none");
    }
}
