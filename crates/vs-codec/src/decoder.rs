// SPDX-License-Identifier: Apache-2.0
//! What every decoder does, whoever stands behind it.

use std::sync::Arc;

use vs_frame::FourCc;

use crate::BackendKind;
use crate::session::{BackendError, FrameTag, Output, Picture, Session, SubmitError};

/// Pictures that the caller of a decoder or converter may have in hand, unless it says otherwise.
pub const DEFAULT_PICTURES: usize = 4;

/// The longest access unit that is taken, in bytes, unless the caller says otherwise. Level 5.2 of
/// H.264 allows no more for a picture of 4096x2304 (A.3.1: at least half of its raw size).
pub const MAX_ACCESS_UNIT: usize = 8 << 20;

/// What is asked of a decoder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecoderConfig {
    /// The codec.
    pub codec: FourCc,
    /// Width and height of the pictures, if they are known; the stream has the last word.
    pub size: Option<(u32, u32)>,
    /// Parameter sets (Annex B), if they are known: what they describe is refused at once if it
    /// cannot be decoded. The stream must have them before its keyframes all the same.
    pub parameter_sets: Arc<[u8]>,
    /// Pixel formats from the most wanted to the least. A decoder that has none of them gives its
    /// own.
    pub formats: Vec<FourCc>,
    /// Pictures that the caller may have in hand without the decoder having to wait for them.
    pub pictures: usize,
}

impl DecoderConfig {
    /// A decoder of `codec` that leaves the rest to the stream.
    #[must_use]
    pub fn new(codec: FourCc) -> Self {
        Self { codec, size: None, parameter_sets: Arc::from([]), formats: Vec::new(), pictures: DEFAULT_PICTURES }
    }
}

/// What a decoder is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecoderInfo {
    /// Which kind it is.
    pub backend: BackendKind,
    /// Its name and version, for people.
    pub name: String,
    /// Why it was taken, for people; empty if there was no choice.
    pub reason: String,
    /// The codec.
    pub codec: FourCc,
}

/// A decoder of one codec. The size of its pictures may change at any keyframe: each has its format.
pub trait Decoder: Session {
    /// What it is.
    fn info(&self) -> &DecoderInfo;

    /// Gives it an access unit, in decoding order. Its picture comes out, with the same tag, when
    /// its turn to be shown has come.
    ///
    /// # Errors
    /// [`SubmitError`]; the access unit was not taken.
    fn submit(&mut self, unit: &Arc<[u8]>, tag: FrameTag) -> Result<(), SubmitError>;

    /// Takes the next picture, in the order in which they are to be shown. Never blocks.
    ///
    /// # Errors
    /// [`BackendError`]; nothing more will come out.
    fn receive(&mut self) -> Result<Output<Picture>, BackendError>;
}
