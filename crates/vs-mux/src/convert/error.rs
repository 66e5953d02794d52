// SPDX-License-Identifier: Apache-2.0
//! Why something cannot be converted.

use std::io;

use crate::mp4::{ConfigError, FinishError, WriteError};
use crate::read::{OpenMovieError, ReadError, TrackCodec};
use vs_bitstream::AccessUnitTooLarge;

/// Why a conversion came to no good end.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The input is of no kind that is read.
    #[error(transparent)]
    Open(#[from] OpenMovieError),
    /// The input is an MP4, whose index may be anywhere.
    #[error("an MP4 cannot be read from a pipe, for its index may stand behind the pictures; save it to a file first")]
    PipedMovie,
    /// Input and output are bare streams.
    #[error("the input is a bare stream already: there is nothing to convert")]
    NothingToDo,
    /// The codec has no bare stream, or an MP4 of it is not written.
    #[error("{codec} is not converted, only H.264 and H.265 are")]
    Codec {
        /// The codec.
        codec: TrackCodec,
    },
    /// The input is of another codec than was said.
    #[error("the video is {codec}, not what was asked for")]
    OtherCodec {
        /// What it is.
        codec: TrackCodec,
    },
    /// A bare stream has no times.
    #[error("a bare stream carries no times: a frame rate would be lost")]
    RateOfStream,
    /// The stream says nothing about time, and no rate was given.
    #[error("the stream does not say how many frames it has in a second: give a frame rate")]
    NoTiming,
    /// What the stream says about time is hardly meant.
    #[error("the stream says that a picture lasts {duration_ns} ns ({units}/{scale} s a tick): give a frame rate")]
    ImplausibleTiming {
        /// num_units_in_tick
        units: u32,
        /// time_scale
        scale: u32,
        /// How long a picture would last.
        duration_ns: i64,
    },
    /// There is no picture at which decoding can begin.
    #[error("there is no keyframe among {units} pictures: nothing can be decoded")]
    NoKeyframe {
        /// How many pictures there are.
        units: u64,
    },
    /// Type 1 of picture order counts with pictures that are reordered, which hardly any encoder has ever made.
    #[error("the stream reorders its pictures by counts of type 1 (H.264 8.2.1.2), which are not followed")]
    PictureOrder,
    /// The stream shows pictures later than its beginning said, and cannot be begun anew.
    #[error("pictures are more out of order than the beginning of the stream said; convert from a file to a file")]
    OutOfOrder,
    /// Pictures that wait for others are larger than any decoder could hold.
    #[error("pictures of more than {limit} bytes wait for one that is shown before them")]
    TooMuchWaiting {
        /// The limit.
        limit: usize,
    },
    /// The input could not be read.
    #[error("reading the input failed: {0}")]
    Input(#[source] io::Error),
    /// The bare stream has a picture without end.
    #[error(transparent)]
    Endless(#[from] AccessUnitTooLarge),
    /// The MP4 could not be read on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The MP4 cannot be written.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The MP4 cannot hold a picture.
    #[error("frame {frame} cannot be written: {reason}")]
    Frame {
        /// Which, from 0.
        frame: u64,
        /// Why.
        #[source]
        reason: WriteError,
    },
    /// The MP4 could not be ended.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// The output could not be written.
    #[error("writing the output failed: {0}")]
    Output(#[source] io::Error),
    /// The caller ended it.
    #[error("interrupted after {frames} frames")]
    Interrupted {
        /// Frames written before.
        frames: u64,
    },
}
