// SPDX-License-Identifier: Apache-2.0
//! What encoders, decoders and converters have in common.
//!
//! The life of a session: inputs are submitted and outputs received, in any rhythm;
//! [`drain`](Session::drain) brings out what is still inside; then inputs may be submitted again.
//! Hardware works on its own time, so what was submitted may come out later, and the handle of an
//! input is kept until it has been read. Software works within `submit`. A caller that treats both
//! as the slower kind need not know which it has.

use std::fmt;
use std::os::fd::BorrowedFd;

use vs_frame::{Frame, MapError};

/// What an input is known by, on both sides of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameTag {
    /// Serial of the frame in its stream.
    pub serial: u64,
    /// When it was taken, in ns of `CLOCK_MONOTONIC`.
    pub capture_ns: u64,
    /// Presentation time in ns.
    pub pts_ns: i64,
    /// How long it is to be shown, in ns; `None` if unknown.
    pub duration_ns: Option<u64>,
}

/// What `receive` of a session found: each input that was taken comes back once, made into a `T`
/// or lost, unless [`Session::flush`] comes between.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output<T> {
    /// What was made of an input.
    Done(T),
    /// Nothing was made of the input with this tag; the session goes on.
    Lost(FrameTag, Loss),
    /// Nothing yet.
    Pending,
    /// Everything that was submitted before [`Session::drain`] has come out. Said once.
    Drained,
}

/// A picture that a decoder or a converter has made.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The picture; dropping the last handle gives the buffer back to the session. Its times are
    /// those of the tag.
    pub frame: Frame,
    /// What it was made from.
    pub tag: FrameTag,
}

/// Why nothing was made of an input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loss {
    /// It is damaged, or came out damaged.
    Corrupt,
    /// It shows no picture (parameter sets alone), or refers to one that is missing.
    NoPicture,
    /// The device did not take it, for this reason.
    Refused(String),
    /// The device stood still while it had it, and was repaired.
    Stalled,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => f.write_str("it is damaged"),
            Self::NoPicture => f.write_str("there is no picture in it, or one that it needs is missing"),
            Self::Refused(reason) => write!(f, "the device did not take it: {reason}"),
            Self::Stalled => f.write_str("the device stood still while it had it"),
        }
    }
}

/// The session has failed. Close it and open another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{session}: {call} failed: {reason}")]
pub struct BackendError {
    /// Which encoder, decoder or converter.
    pub session: String,
    /// What was asked of it.
    pub call: &'static str,
    /// What it said.
    pub reason: String,
}

/// Why an input was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The session has its hands full: receive, then submit the same again. A session that waits
    /// for its caller to drop pictures says so when it can go on, by its descriptor.
    #[error("the session holds as much as it can: receive what it has made first")]
    Full,
    /// A drain is under way: receive until [`Output::Drained`].
    #[error("the session is being drained: receive until it is empty before submitting again")]
    Draining,
    /// Not the pictures it was opened for.
    #[error("the session was opened for {expected} and got {got}: open another one for the new format")]
    Format {
        /// What it was opened for.
        expected: String,
        /// What came.
        got: String,
    },
    /// The picture's bytes are not all there.
    #[error("a plane of the picture lies outside of its memory")]
    Incomplete,
    /// More bytes than the session takes at once.
    #[error("an access unit of {len} bytes is too long: at most {max} are taken")]
    TooLong {
        /// Bytes that came.
        len: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// The picture cannot be read.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The session failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// What every session does. It belongs to one thread.
pub trait Session: Send {
    /// The descriptor to wait on until it is readable, before receiving, or submitting what did
    /// not fit; `None` if whatever can be done can be done at once. It stays the same for the
    /// session's life.
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>>;

    /// When to receive even if the descriptor is not readable, in ns of `CLOCK_MONOTONIC`; `None`
    /// if nothing is owed. It changes with each call.
    fn deadline(&self) -> Option<u64>;

    /// Asks for everything that is still inside; [`Output::Drained`] says that it was all.
    /// After that, inputs may be submitted again, beginning with a keyframe.
    ///
    /// # Errors
    /// [`BackendError`]; nothing more will come out.
    fn drain(&mut self) -> Result<(), BackendError>;

    /// Forgets everything that is still inside, also an end of a drain that has not been received.
    /// The next access unit that is made, or submitted, begins with a keyframe.
    ///
    /// # Errors
    /// [`BackendError`]; nothing more will come out.
    fn flush(&mut self) -> Result<(), BackendError>;
}
