// SPDX-License-Identifier: Apache-2.0
//! How far a conversion is, and what became of it.

use std::fmt;

use crate::Codec;

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Frames written.
    pub frames: u64,
    /// Bytes of the input that were read. A conversion that begins anew begins here anew, too.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The codec.
    pub codec: Codec,
    /// Width in pixels of the first picture; 0 if the input does not say it beforehand.
    pub width: u16,
    /// Height, likewise.
    pub height: u16,
    /// Frames written.
    pub frames: u64,
    /// How long they are shown, in nanoseconds; `None` in a bare stream.
    pub duration_ns: Option<i64>,
    /// Size of the output in bytes.
    pub bytes: u64,
    /// The output is an ordinary MP4, neither a fragmented one nor a bare stream.
    pub progressive: bool,
    /// Parameter sets stand among the frames.
    pub sets_in_band: bool,
    /// What is not as it was, or not as one may expect.
    pub notes: Vec<Note>,
}

/// What is not in the output as it was in the input, or not as one may expect it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Tracks that were left out.
    OtherTracks(Vec<String>),
    /// NAL units of the file's description that are no parameter sets, such as SEI of its encoder, were left out.
    OtherUnits(u64),
    /// Pictures before the first keyframe, which nobody can decode, were left out.
    BeforeKeyframe(u64),
    /// Pictures that follow the first keyframe, are shown before it and need others from before it, are there, but
    /// not shown.
    Leading(u64),
    /// Decoding begins at a recovery point, for there is no keyframe: the first frames, so many, may be incomplete.
    Recovery(u32),
    /// Pictures whose place in the order of showing could not be read: they are shown as they came.
    Unordered(u64),
    /// Frames that are damaged were left out.
    Damaged(u64),
    /// The input is cut off; everything before is there.
    CutOff,
    /// Bytes behind the last picture that are no picture were left out.
    Behind(u64),
    /// Parameter sets change or do not stand at each keyframe, or may do so in what comes from a pipe: they stay among
    /// the frames (`avc3`, `hev1`).
    SetsInBand,
    /// Frames that an edit list hides are shown.
    Hidden(u64),
    /// Frames are not evenly distributed in time, and a bare stream has no times.
    TimesLost,
    /// The picture is to be turned, and a bare stream does not say so.
    RotationLost,
    /// The MP4 is fragmented, for what is written cannot be changed any more.
    Fragmented,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = |count: &u64, one: &str| if *count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
        match self {
            Self::OtherTracks(kinds) => {
                write!(f, "{} left out: {}", many(&(kinds.len() as u64), "track"), kinds.join(", "))
            }
            Self::OtherUnits(count) => {
                write!(f, "{} beside the parameter sets left out (SEI of the file's description)", many(count, "NAL unit"))
            }
            Self::BeforeKeyframe(count) => {
                write!(f, "{} before the first keyframe left out: nothing can decode them", many(count, "picture"))
            }
            Self::Leading(count) => {
                write!(f, "{} before the first keyframe not shown: what they need is missing", many(count, "picture"))
            }
            Self::Recovery(frames) => {
                write!(f, "the stream begins with a recovery point: up to {frames} frames may be incomplete")
            }
            Self::Unordered(count) => {
                write!(f, "{} shown as they came, for their order cannot be read", many(count, "picture"))
            }
            Self::Damaged(count) => write!(f, "{} left out: damaged", many(count, "frame")),
            Self::CutOff => f.write_str("the input is cut off: everything before is there"),
            Self::Behind(bytes) => write!(f, "{} behind the last picture left out", many(bytes, "byte")),
            Self::SetsInBand => f.write_str(
                "parameter sets stay among the frames (`avc3`, `hev1`), for they change or do not stand at each keyframe, or \
                 because it cannot be known beforehand; some players do not read that",
            ),
            Self::Hidden(count) => write!(f, "{} shown that the edit list hides", many(count, "frame")),
            Self::TimesLost => f.write_str("frames come at uneven times, of which a bare stream knows nothing"),
            Self::RotationLost => f.write_str("the picture is to be turned, of which a bare stream knows nothing"),
            Self::Fragmented => f.write_str("the MP4 is fragmented, for what was written cannot be changed there"),
        }
    }
}
