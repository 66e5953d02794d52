// SPDX-License-Identifier: Apache-2.0
//! What a writer is told: the track, the options, and each access unit.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use super::error::ConfigError;
use crate::{Codec, Colour};
use vs_bitstream::{NalKind, ParameterSets};

/// What a file can hold, and how much a writer will hold back.
pub mod limits {
    use std::time::Duration;

    /// Coarsest timescale, in ticks per second: the milliseconds of other containers.
    pub const MIN_TIMESCALE: u32 = 1_000;
    /// Finest timescale: the microseconds V4L2 counts in. Durations have 31 usable bits, so finer ticks
    /// would not reach over a gap of half an hour.
    pub const MAX_TIMESCALE: u32 = 1_000_000;
    /// Longest fragment: what is held back in memory and lost if the process dies.
    pub const MAX_FRAGMENT: Duration = Duration::from_secs(10);
    /// Largest access unit in bytes.
    pub const MAX_ACCESS_UNIT: usize = vs_bitstream::MAX_ACCESS_UNIT;
    /// A fragment that holds this many bytes ends early, so that memory stays bounded at any bitrate.
    pub const MAX_FRAGMENT_BYTES: usize = 16 << 20;
    /// A fragment that lists this many frames ends early, too. It bounds what a reader must hold.
    pub const MAX_FRAGMENT_FRAMES: usize = 1 << 16;
    /// Most frames in one file: their tables fill at most 44 bytes each, so the `moov` stays within the
    /// 32 bits of its size. 25 days at 30 frames per second.
    pub const MAX_FRAMES: u64 = 1 << 26;
    /// Longest duration or composition offset in ticks: players read the 32 bits as signed. 6.6 hours
    /// at 90 kHz.
    pub const MAX_TICKS: u64 = i32::MAX as u64;
}

/// The customary video clock. Frames of 24, 25, 30, 50, 60, 23.976 and 29.97 Hz last a whole number
/// of its ticks, anything else is rounded by at most 5.6 µs without adding up, and it is the clock
/// of RTP and MPEG-TS.
pub const DEFAULT_TIMESCALE: NonZeroU32 = NonZeroU32::new(90_000).unwrap();

/// The video track of a file.
#[derive(Debug, Clone)]
pub struct TrackConfig {
    /// How the pictures are coded.
    pub codec: Codec,
    /// Parameter sets, if they are known before the first keyframe. Those that come with it take
    /// their place. The picture size is read from them.
    pub parameter_sets: Option<ParameterSets>,
    /// The colours, if they are known better than from the parameter sets.
    pub colour: Option<Colour>,
    /// How players shall turn the picture.
    pub rotation: Rotation,
    /// Which NAL units are kept.
    pub content: SampleContent,
    /// Ticks per second, [`limits::MIN_TIMESCALE`]`..=`[`limits::MAX_TIMESCALE`];
    /// [`DEFAULT_TIMESCALE`] if there is no reason for another.
    pub timescale: NonZeroU32,
}

impl TrackConfig {
    /// A track of `codec` about which everything else is in the stream.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            parameter_sets: None,
            colour: None,
            rotation: Rotation::None,
            content: SampleContent::Pictures,
            timescale: DEFAULT_TIMESCALE,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let timescale = self.timescale.get();
        if !(limits::MIN_TIMESCALE..=limits::MAX_TIMESCALE).contains(&timescale) {
            return Err(ConfigError::Timescale(timescale));
        }
        if let Some(sets) = &self.parameter_sets {
            sets.format(self.codec).map_err(|reason| ConfigError::ParameterSets { codec: self.codec, reason })?;
        }
        Ok(())
    }
}

/// Which NAL units of an access unit a file keeps, and so what kind of file it is (ISO/IEC 14496-15).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SampleContent {
    /// Those of the pictures. Parameter sets stand in the file's description (`avc1`, `hvc1`), which every player
    /// understands, and may not change; delimiters are left out.
    #[default]
    Pictures,
    /// The same with delimiters.
    Delimited,
    /// All, parameter sets among them, which may change (`avc3`, `hev1`). The first are in the description, too.
    Everything,
}

impl SampleContent {
    pub(super) fn keeps(self, kind: NalKind) -> bool {
        match self {
            Self::Pictures => !kind.is_parameter_set() && kind != NalKind::Delimiter,
            Self::Delimited => !kind.is_parameter_set(),
            Self::Everything => true,
        }
    }
}

/// How players turn the picture to show it upright (8.3.2, the matrix).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// Not at all.
    #[default]
    None,
    /// A quarter turn clockwise.
    Clockwise90,
    /// Upside down.
    Half,
    /// A quarter turn counter-clockwise.
    Clockwise270,
}

/// How to write.
#[derive(Debug, Clone)]
pub struct Options {
    /// Longest fragment, `0..=`[`limits::MAX_FRAGMENT`]; with 0 each frame is one. What a killed
    /// process loses at most, and 150 bytes of file per fragment.
    pub fragment: Duration,
    /// How long a written frame may wait for `fdatasync`: what a power cut loses at most, apart from
    /// the time the disk itself takes. Zero syncs each fragment; `None` leaves it to the kernel,
    /// which by default waits up to 30 s.
    pub sync: Option<Duration>,
    /// The timestamp that is the file's time 0; `None` for the presentation of the first frame. A
    /// first frame after it is shown after that delay; frames before it are decoded, not shown.
    pub origin_ns: Option<i64>,
    /// What the file says about when it was made; `None` says nothing.
    pub creation_time: Option<SystemTime>,
}

impl Default for Options {
    /// Fragments of 100 ms, synced every second, beginning with the first frame, made now.
    fn default() -> Self {
        Self {
            fragment: Duration::from_millis(100),
            sync: Some(Duration::from_secs(1)),
            origin_ns: None,
            creation_time: Some(SystemTime::now()),
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.fragment > limits::MAX_FRAGMENT {
            return Err(ConfigError::Fragment(self.fragment));
        }
        Ok(())
    }
}

/// One coded picture.
#[derive(Debug, Clone, Copy)]
pub struct AccessUnit<'a> {
    /// Its NAL units as an Annex B byte stream.
    pub data: &'a [u8],
    /// When it is shown, in nanoseconds on any clock.
    pub pts_ns: i64,
    /// When it is decoded, on the same clock: growing, and not after `pts_ns`. Equal to it unless
    /// the stream has B-frames.
    pub dts_ns: i64,
    /// How long it is shown, in nanoseconds, if known. The distance to the next frame counts; this is
    /// for the last one.
    pub duration_ns: Option<i64>,
    /// Decoding can begin here; see [`is_keyframe`](vs_bitstream::is_keyframe).
    pub keyframe: bool,
}
