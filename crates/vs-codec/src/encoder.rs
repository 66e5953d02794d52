// SPDX-License-Identifier: Apache-2.0
//! What every encoder does, whoever stands behind it.

use std::num::NonZeroU32;
use std::sync::Arc;

use vs_frame::{Colorimetry, FourCc, Frame, Rate};

use crate::BackendKind;
use crate::config::{Changes, Level, Profile, RateControl};
use crate::session::{BackendError, FrameTag, Output, Session, SubmitError};

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

/// What an encoder really does, after clamping to what it can.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// Which kind of encoder it is.
    pub backend: BackendKind,
    /// Its name and version, for people.
    pub name: String,
    /// Why it was taken rather than another, for people; empty if it was the first choice.
    pub reason: String,
    /// The codec.
    pub codec: FourCc,
    /// Width of the coded picture: that of the source, or of software rounded up to even (4:2:0
    /// has no odd ones; the last column is repeated).
    pub width: u32,
    /// Height of the coded picture, likewise.
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
    /// B-frames between two others.
    pub b_frames: u8,
    /// CPU threads; 0 for hardware.
    pub threads: u8,
    /// Whether pictures are read where they lie, without a copy. Of hardware that is known with the
    /// first access unit.
    pub imports: bool,
    /// Parameter sets as they come with each keyframe (Annex B). Those of hardware are known with
    /// the first access unit, and empty until then.
    pub parameter_sets: Arc<[u8]>,
    /// No access unit is larger, in bytes.
    pub largest_access_unit: u32,
}

/// Why a running encoder was not changed; it goes on as before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconfigureError {
    /// The encoder refused.
    #[error("the encoder keeps its settings: {0}")]
    Backend(#[from] BackendError),
}

/// An encoder for pictures of one format.
pub trait Encoder: Session {
    /// What it really does. Changes with [`reconfigure`](Self::reconfigure), and when the first
    /// access unit of hardware brings its parameter sets.
    fn effective(&self) -> &Effective;

    /// Gives it a picture, which comes out as one access unit with the same tag.
    ///
    /// # Errors
    /// [`SubmitError`]; the picture was not taken.
    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError>;

    /// Takes what has come out. Never blocks.
    ///
    /// # Errors
    /// [`BackendError`]; nothing more will come out.
    fn receive(&mut self) -> Result<Output<AccessUnit>, BackendError>;

    /// Makes the next picture that is submitted a keyframe.
    fn force_keyframe(&mut self);

    /// Changes settings from the next picture on, possibly by starting over with a keyframe.
    ///
    /// # Errors
    /// [`ReconfigureError`]; then everything is as it was.
    fn reconfigure(&mut self, changes: &Changes) -> Result<(), ReconfigureError>;
}
