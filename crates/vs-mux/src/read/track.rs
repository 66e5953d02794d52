// SPDX-License-Identifier: Apache-2.0
//! The video track: what a player must know before the first frame.

use std::fmt;
use std::num::NonZeroU32;

use crate::mp4::Rotation;
use crate::{Codec, Colour, VideoFormat};
use vs_bitstream::ParameterSets;

/// How the pictures of a file are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackCodec {
    /// H.264, ISO/IEC 14496-10 (`avc1`, `avc3`).
    H264,
    /// H.265, ISO/IEC 23008-2 (`hvc1`, `hev1`).
    H265,
    /// VP8, RFC 6386 (`vp08`).
    Vp8,
    /// VP9 (`vp09`).
    Vp9,
}

impl TrackCodec {
    /// The codec as one whose streams consist of NAL units, if it is.
    pub fn bitstream(self) -> Option<Codec> {
        match self {
            Self::H264 => Some(Codec::H264),
            Self::H265 => Some(Codec::H265),
            Self::Vp8 | Self::Vp9 => None,
        }
    }
}

impl From<Codec> for TrackCodec {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::H264,
            Codec::H265 => Self::H265,
        }
    }
}

impl fmt::Display for TrackCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
        })
    }
}

/// The video track of a file.
#[derive(Debug, Clone)]
pub struct Track {
    /// How the pictures are coded.
    pub codec: TrackCodec,
    /// Width in pixels after cropping; 0 if only the frames themselves say it.
    pub width: u16,
    /// Height in pixels after cropping; 0 if only the frames themselves say it.
    pub height: u16,
    /// What the first sequence parameter set says of the picture; `None` if it is among the frames.
    pub format: Option<VideoFormat>,
    /// The parameter sets known beforehand; empty for codecs without.
    pub parameter_sets: ParameterSets,
    /// Width and height of one pixel relative to each other; `None` when not said.
    pub pixel_aspect: Option<(u16, u16)>,
    /// NAL units that stand beside the parameter sets (SEI, 8.3.3.1.2 of ISO/IEC 14496-15): they are not read.
    pub other_units: u64,
    /// There are parameter sets among the frames, too, or may be (`avc3`, `hev1`, a bare stream).
    pub sets_in_band: bool,
    /// What the file's other tracks are of, such as `audio`: they are not read.
    pub other_tracks: Vec<String>,
    /// The colours; `None` when not said.
    pub colour: Option<Colour>,
    /// How the picture is to be turned.
    pub rotation: Rotation,
    /// Ticks per second of the track's times; `None` in a bare stream, whose frames have no times.
    pub timescale: Option<NonZeroU32>,
    /// How long the presentation lasts, in nanoseconds; `None` if the file does not say.
    pub duration_ns: Option<i64>,
    /// How long a frame lasts, in nanoseconds: on the average, or in a bare stream what it says of
    /// itself. `None` if nothing is known.
    pub frame_duration_ns: Option<i64>,
    /// How many frames there are; `None` unless the file lists them.
    pub frames: Option<u64>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// H.264 and H.265: an Annex B access unit, in which parameter sets precede each keyframe. Other
    /// codecs: the frame as it is.
    pub data: Vec<u8>,
    /// When it is decoded and shown; `None` in a bare stream.
    pub times: Option<Times>,
    /// Decoding can begin here, by the file's word; in a bare stream, by the slices.
    pub keyframe: bool,
    /// The picture is part of the presentation. One that an edit list cuts away is decoded, because
    /// others need it, and then thrown away.
    pub shown: bool,
}

/// A frame's times in nanoseconds after the beginning of the presentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it is shown.
    pub pts_ns: i64,
    /// When it is decoded: not after it is shown, and before 0 where the first frames are shown late.
    pub dts_ns: i64,
    /// How long after it the next frame is decoded; 0 if nobody knows.
    pub duration_ns: i64,
}
