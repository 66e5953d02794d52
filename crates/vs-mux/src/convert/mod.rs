// SPDX-License-Identifier: Apache-2.0
//! From one kind of file to another without touching a picture: bare H.264 and H.265 streams (Annex B) become MP4,
//! MP4 becomes a bare stream, and any MP4 an ordinary one.
//!
//! **The access units stay what they are.** There and back, each has the same NAL units in the same order: slices,
//! SEI messages, delimiters, parameter sets. Only what no decoder sees may differ: the length of start codes (four
//! bytes behind a conversion, so that a stream which had those is the same to the byte), zero bytes between NAL
//! units, and NAL units without any picture at the end.
//!
//! Parameter sets are where the two kinds differ. `avc1` and `hvc1` keep them apart, every player understands them, and
//! on the way back each keyframe is given its sets. That is exactly what most encoders write, and it is tried on each
//! access unit, with the reader's own code. At the first that would come back different (sets that
//! change, that stand elsewhere, or not everywhere) the file becomes `avc3` or `hev1`, in which the sets stay among
//! the frames. A file is begun anew for that; where that cannot be (a pipe), it is `avc3` or `hev1` from its beginning.
//!
//! **Times** of a bare stream are its own (VUI, VPS, timing messages) or those of a [`Rate`]; in which order pictures
//! are shown is read from their slices. Of an MP4 they are kept, to the tick.
//!
//! Memory does not grow with the file, but for 16 bytes a frame of an MP4's tables: pictures wait only for those
//! that are shown before them.

mod clock;
mod display;
mod error;
mod file;
mod report;
mod source;
mod stream;

use std::io::{Read, Seek, Write};
use std::ops::ControlFlow;

use crate::Codec;
use crate::mp4::Sink;

pub use clock::Rate;
pub use error::ConvertError;
pub use report::{Note, Progress, Report};

/// What can be read at any place.
pub trait ReadSeek: Read + Seek {}

impl<T: Read + Seek + ?Sized> ReadSeek for T {}

/// What is converted.
pub enum Input<'a> {
    /// A file, which must stay as it is meanwhile.
    File(&'a mut dyn ReadSeek),
    /// What comes once, and must be a bare stream.
    Pipe(&'a mut dyn Read),
}

/// What it becomes.
pub enum Output<'a> {
    /// An MP4, fragmented if the sink is not rewritable. The sink must be empty.
    Mp4(&'a mut dyn Sink),
    /// A bare stream. It is written to in small pieces.
    AnnexB(&'a mut dyn Write),
}

/// Where parameter sets go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sets {
    /// Where they stand. In a bare stream from an MP4 that keeps them apart, before each keyframe.
    #[default]
    AsTheyAre,
    /// MP4: apart, once (`avc1`, `hvc1`); they must not change. Bare stream: before the first keyframe, and where they
    /// change.
    Once,
    /// MP4: among the frames (`avc3`, `hev1`). Bare stream: before each keyframe.
    InBand,
}

/// How to convert.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Frames per second, in place of the input's own times. Only for an MP4.
    pub rate: Option<Rate>,
    /// The codec of a bare stream; `None` to recognise it.
    pub codec: Option<Codec>,
    /// Where parameter sets go.
    pub sets: Sets,
}

/// Converts `input`.
///
/// `watch` is told of every frame, and may end the work: then, and after an error, what has been written is
/// incomplete.
pub fn convert(
    input: Input<'_>,
    output: Output<'_>,
    options: &Options,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Report, ConvertError> {
    match output {
        Output::Mp4(sink) => file::write(input, sink, options, watch),
        Output::AnnexB(out) => stream::write(input, out, options, watch),
    }
}
