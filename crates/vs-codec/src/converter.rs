// SPDX-License-Identifier: Apache-2.0
//! What every converter does, whoever stands behind it.

use std::sync::Arc;

use vs_frame::{Format, FourCc, Frame};

use crate::BackendKind;
use crate::decoder::DEFAULT_PICTURES;
use crate::session::{BackendError, FrameTag, Output, Picture, Session, SubmitError};

/// What is asked of a converter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConverterConfig {
    /// The pixel format wanted; `None` for that of the source.
    pub fourcc: Option<FourCc>,
    /// Width and height wanted; `None` for those of the source. The picture is stretched to them.
    pub size: Option<(u32, u32)>,
    /// Pictures that the caller may have in hand without the converter having to wait for them.
    pub pictures: usize,
}

impl Default for ConverterConfig {
    fn default() -> Self {
        Self { fourcc: None, size: None, pictures: DEFAULT_PICTURES }
    }
}

/// What a converter is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConverterInfo {
    /// Which kind it is.
    pub backend: BackendKind,
    /// Its name and version, for people.
    pub name: String,
    /// Why it was taken, for people; empty if there was no choice.
    pub reason: String,
    /// The format of its pictures: exactly what was asked for.
    pub output: Arc<Format>,
}

/// A converter of pictures of one format.
pub trait Converter: Session {
    /// What it is, and what it makes.
    fn info(&self) -> &ConverterInfo;

    /// Gives it a picture, which comes out converted, with the same tag.
    ///
    /// # Errors
    /// [`SubmitError`]; the picture was not taken.
    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError>;

    /// Takes the next picture, in the order in which they were submitted. Never blocks.
    ///
    /// # Errors
    /// [`BackendError`]; nothing more will come out.
    fn receive(&mut self) -> Result<Output<Picture>, BackendError>;
}
