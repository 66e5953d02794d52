// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a file, one enum per operation.

use std::fmt;

use super::TrackCodec;
use crate::mp4::IoFailure;
use vs_bitstream::{AccessUnitTooLarge, ParameterSetsError};

/// A place in a file that is not as the standard has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong there.
    pub what: &'static str,
    /// The byte of the file.
    pub at: u64,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.what, self.at)
    }
}

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum OpenMovieError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// The file is of no kind that is read here.
    #[error("neither MP4 or MOV nor a bare H.264 or H.265 stream{}; convert it with `ffmpeg -i FILE -c copy FILE.mp4`", looks_like.map(|name| format!(", but {name}")).unwrap_or_default())]
    NotAMovie {
        /// What it seems to be.
        looks_like: Option<&'static str>,
    },
    /// An MP4 file without a description of its frames: one that was not finished.
    #[error(
        "there is no `moov` that says where the frames lie: the recording was not finished, or the file is cut off"
    )]
    NoMovieHeader,
    /// The description itself is compressed, as some QuickTime files have it.
    #[error("the movie header is compressed (`cmov`); convert it with `ffmpeg -i FILE -c copy FILE.mp4`")]
    CompressedHeader,
    /// No track is of video.
    #[error("there is no video track among its {tracks}")]
    NoVideo {
        /// How many tracks there are.
        tracks: usize,
    },
    /// The video is coded in a way that is not read here.
    #[error("the video is {name}; only H.264, H.265, VP8 and VP9 are read")]
    Codec {
        /// The codec's name, or its four letters.
        name: String,
    },
    /// The video is encrypted.
    #[error("the video is encrypted{}", scheme.as_ref().map(|scheme| format!(" ({scheme})")).unwrap_or_default())]
    Encrypted {
        /// The four letters of the scheme, if they are there.
        scheme: Option<String>,
    },
    /// The parameter sets do not describe a picture.
    #[error("the {codec} parameter sets are unusable: {reason}")]
    ParameterSets {
        /// The codec.
        codec: TrackCodec,
        /// Why.
        #[source]
        reason: ParameterSetsError,
    },
    /// The edit list does more than delay the track and cut its ends.
    #[error("the edit list rearranges the track; render it with `ffmpeg -i FILE FILE.mp4` first")]
    Edits,
    /// The file contradicts itself or the standard.
    #[error("the file is broken: {0}")]
    Broken(Broken),
}

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] IoFailure),
    /// What stands at the place of this frame is none. The next call goes on behind it.
    #[error("frame {frame} is damaged: its NAL units reach beyond it")]
    Damaged {
        /// Its place in decoding order, from 0.
        frame: u64,
    },
    /// The file ends before this frame does: it is cut off.
    #[error("the file is cut off: frame {frame} would end at byte {end} of {length}")]
    CutOff {
        /// Its place in decoding order, from 0.
        frame: u64,
        /// Where it would end.
        end: u64,
        /// Bytes in the file.
        length: u64,
    },
    /// Larger than [`MAX_ACCESS_UNIT`](vs_bitstream::MAX_ACCESS_UNIT). The next call goes on behind it.
    #[error("frame {frame} has {bytes} bytes, more than a picture can have")]
    TooLarge {
        /// Its place in decoding order, from 0.
        frame: u64,
        /// Its size.
        bytes: u64,
    },
    /// The bare stream has a picture without end.
    #[error(transparent)]
    Endless(#[from] AccessUnitTooLarge),
    /// The file contradicts itself or the standard.
    #[error("the file is broken: {0}")]
    Broken(Broken),
}

impl ReadError {
    /// Whether the next call may succeed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::TooLarge { .. } | Self::Endless(_))
    }
}

/// What reading a part of the file can run into.
#[derive(Debug)]
pub(crate) enum Trouble {
    Io(IoFailure),
    Broken(Broken),
}

impl Trouble {
    pub fn broken(what: &'static str, at: u64) -> Self {
        Self::Broken(Broken { what, at })
    }
}

impl From<Trouble> for OpenMovieError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Io(failure) => Self::Io(failure),
            Trouble::Broken(broken) => Self::Broken(broken),
        }
    }
}

impl From<Trouble> for ReadError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Io(failure) => Self::Io(failure),
            Trouble::Broken(broken) => Self::Broken(broken),
        }
    }
}
