// SPDX-License-Identifier: Apache-2.0
//! What every encoder does, whoever stands behind it.
//!
//! The life of a session: [`submit`](Encoder::submit) pictures and [`receive`](Encoder::receive)
//! access units, in any rhythm; [`drain`](Encoder::drain) to get what is still inside;
//! submit again to go on. Hardware works on its own time, so a submitted picture may come
//! out later; the frame handle is kept until it has been read. Software encodes within
//! `submit`. A caller that treats both as the slower kind need not know which it has.

use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_frame::{Colorimetry, FourCc, Frame, MapError, Rate};

use crate::BackendKind;
use crate::config::{Changes, Level, Profile, RateControl};

/// What a picture is known by, on both sides of the encoder.
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

/// One coded picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessUnit {
    /// H.264 and H.265: NAL units with start codes (Annex B), parameter sets before every
    /// keyframe.
    pub data: Arc<[u8]>,
    /// The picture it came from.
    pub tag: FrameTag,
    /// Decoding time in ns; `pts_ns` unless pictures are reordered.
    pub dts_ns: i64,
    /// Whether decoding can start here.
    pub keyframe: bool,
}

/// What [`Encoder::receive`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// The next access unit, in decoding order.
    AccessUnit(AccessUnit),
    /// Nothing yet.
    Pending,
    /// Every picture that was submitted before [`Encoder::drain`] has come out. Said once.
    Drained,
}

/// What an encoder really does, after clamping to what it can.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// Which kind of encoder it is.
    pub backend: BackendKind,
    /// Its name and version, for people.
    pub name: String,
    /// The codec.
    pub codec: FourCc,
    /// Width of the coded picture: that of the source, rounded up to even (4:2:0 has no
    /// odd ones; the last column is repeated).
    pub width: u32,
    /// Height of the coded picture, rounded up as well.
    pub height: u32,
    /// Nominal frame rate of the source.
    pub rate: Rate,
    /// Colour of the coded picture.
    pub color: Colorimetry,
    /// Degrees by which the picture is to be turned counter-clockwise to be upright.
    pub rotation: u16,
    /// Where the bits go.
    pub rate_control: RateControl,
    /// How many frames keyframes are apart at most.
    pub keyframe_interval: NonZeroU32,
    /// The profile; `None` if it is not one that can be asked for.
    pub profile: Option<Profile>,
    /// The level; `None` if the encoder writes one that cannot be asked for.
    pub level: Option<Level>,
    /// CPU threads; 0 for hardware.
    pub threads: u8,
    /// Parameter sets as they come with each keyframe (Annex B).
    pub parameter_sets: Arc<[u8]>,
    /// No access unit is larger, in bytes.
    pub largest_access_unit: u32,
}

/// The encoder itself failed. Close it and open another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{encoder}: {call} failed: {reason}")]
pub struct BackendError {
    /// Which encoder.
    pub encoder: String,
    /// What was asked of it.
    pub call: &'static str,
    /// What it said.
    pub reason: String,
}

/// Why a picture was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The encoder has its hands full: receive, then submit the same picture again.
    #[error("the encoder holds as many pictures as it can: receive access units first")]
    Full,
    /// A drain is under way: receive until [`Output::Drained`].
    #[error("the encoder is being drained: receive until it is empty before submitting again")]
    Draining,
    /// Not the pictures it was opened for.
    #[error("the encoder was opened for {expected} and got {got}: open another one for the new format")]
    Format {
        /// What it was opened for.
        expected: String,
        /// What came.
        got: String,
    },
    /// The picture's bytes are not all there.
    #[error("a plane of the picture lies outside of its memory")]
    Incomplete,
    /// The picture cannot be read.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The encoder failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Why there is no access unit and will be none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The encoder failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Why draining or flushing is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// The encoder failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Why a running encoder was not changed; it goes on as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconfigureError {
    /// The encoder refused.
    #[error("the encoder keeps its settings: {0}")]
    Backend(#[from] BackendError),
}

/// An encoder for pictures of one format.
pub trait Encoder: Send {
    /// What it really does. Changes with [`reconfigure`](Self::reconfigure) only.
    fn effective(&self) -> &Effective;

    /// Gives it a picture. Each one that is taken comes out as exactly one access unit with
    /// the same tag, unless [`flush`](Self::flush) comes between.
    ///
    /// # Errors
    /// [`SubmitError`]; the picture was not taken.
    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError>;

    /// Takes what has come out. Never blocks.
    ///
    /// # Errors
    /// [`ReceiveError`]; nothing more will come out.
    fn receive(&mut self) -> Result<Output, ReceiveError>;

    /// The descriptor to poll for `POLLIN | POLLPRI | POLLOUT` before receiving or submitting
    /// again; `None` if whatever can be received can be received at once.
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Asks for everything that is still inside; [`Output::Drained`] says that it was all.
    /// After that, pictures may be submitted again, beginning with a keyframe.
    ///
    /// # Errors
    /// [`DrainError`] if the encoder failed.
    fn drain(&mut self) -> Result<(), DrainError>;

    /// Forgets everything that is still inside. The next picture becomes a keyframe.
    ///
    /// # Errors
    /// [`DrainError`] if the encoder failed.
    fn flush(&mut self) -> Result<(), DrainError>;

    /// Makes the next picture that is submitted a keyframe.
    fn force_keyframe(&mut self);

    /// Changes settings from the next picture on, possibly by starting over with a keyframe.
    ///
    /// # Errors
    /// [`ReconfigureError`]; then everything is as it was.
    fn reconfigure(&mut self, changes: &Changes) -> Result<(), ReconfigureError>;
}
