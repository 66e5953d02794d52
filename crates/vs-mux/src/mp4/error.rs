// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, one enum per operation.

use std::fmt;
use std::io;

use super::Summary;
use crate::Codec;
use vs_bitstream::ParameterSetsError;

/// Why a writer cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The timescale is too coarse for video or too fine for 32-bit durations.
    #[error("a timescale of {0} ticks per second is outside {min}..={max}", min = super::limits::MIN_TIMESCALE, max = super::limits::MAX_TIMESCALE)]
    Timescale(u32),
    /// Fragments would be longer than a recorder may hold back.
    #[error("a fragment length of {0:?} is outside 0..={max:?}", max = super::limits::MAX_FRAGMENT)]
    Fragment(std::time::Duration),
    /// The parameter sets given do not describe a picture.
    #[error("the {codec} parameter sets given are unusable: {reason}")]
    ParameterSets {
        /// The codec.
        codec: Codec,
        /// Why.
        #[source]
        reason: ParameterSetsError,
    },
}

/// A system call on the file that failed.
#[derive(Debug)]
pub struct IoFailure {
    /// What was tried.
    pub action: &'static str,
    /// At which byte of the file.
    pub offset: u64,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for IoFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} failed: {}", self.action, self.offset, self.source)?;
        match self.source.kind() {
            io::ErrorKind::StorageFull => f.write_str("; free space or record to another disk"),
            io::ErrorKind::QuotaExceeded => f.write_str("; free space within the quota"),
            io::ErrorKind::FileTooLarge => f.write_str("; this file system ends files here: record in segments"),
            io::ErrorKind::BrokenPipe => f.write_str("; the reader went away"),
            _ => Ok(()),
        }
    }
}

/// What the system said is part of the message already.
impl std::error::Error for IoFailure {}

impl From<IoFailure> for WriteError {
    fn from(failure: IoFailure) -> Self {
        Self::Io(failure)
    }
}

/// Why an access unit was not taken. Nothing of it is in the file, and the writer goes on with the
/// next. [`Io`](Self::Io) is the exception: frames that waited are lost, too, the writer takes no
/// more, and [`finish`](super::Mp4Writer::finish) ends the file with what it has.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no NAL unit in it.
    #[error("the access unit holds no NAL unit between Annex B start codes")]
    NotAnnexB,
    /// A file begins with a keyframe.
    #[error("waiting for a keyframe to begin the file with")]
    NoKeyframe,
    /// The first keyframe came without usable parameter sets, and none were given before.
    #[error("the stream cannot be described: {0}")]
    ParameterSets(#[from] ParameterSetsError),
    /// The stream changed its parameter sets. Unless [everything](super::SampleContent::Everything) is kept, `avc1` and `hvc1` keep them at the file's beginning, so
    /// a new file must begin with this access unit.
    #[error("the stream's parameter sets changed; finish this file and begin another")]
    ParameterSetsChanged,
    /// Decode times must grow by at least a tick.
    #[error("decode time {dts_ns} ns does not follow {last_ns} ns")]
    NotIncreasing {
        /// This one's.
        dts_ns: i64,
        /// The one's before.
        last_ns: i64,
    },
    /// A frame cannot be shown before it is decoded.
    #[error("presentation time {pts_ns} ns is before decode time {dts_ns} ns")]
    ShownBeforeDecoded {
        /// Presentation time.
        pts_ns: i64,
        /// Decode time.
        dts_ns: i64,
    },
    /// Longer than [`limits::MAX_TICKS`](super::limits::MAX_TICKS), 6.6 hours at 90 kHz.
    #[error("a gap of {ticks} ticks is too long for MP4; finish this file and begin another")]
    GapTooLong {
        /// The gap or composition offset, in ticks.
        ticks: u64,
    },
    /// Larger than any picture of the codecs' highest levels.
    #[error("an access unit of {bytes} bytes exceeds {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The file holds as many frames as its tables can list.
    #[error("the file holds {frames} frames, its limit; finish it and begin another")]
    Full {
        /// The limit.
        frames: u64,
    },
    /// The file could not be written. What had been complete before is kept.
    #[error("recording stopped: {0}")]
    Io(IoFailure),
    /// A write failed earlier.
    #[error("recording stopped at an earlier error; finish the file")]
    Stopped,
}

/// The file is not as it should be: the last frames are missing, or it stayed fragmented, or it is
/// not known to be on the disk. What it holds plays as it lies.
#[derive(Debug, thiserror::Error)]
#[error("the file is not properly finished: {failure}")]
pub struct FinishError {
    /// What failed.
    #[source]
    pub failure: IoFailure,
    /// What is in the file all the same.
    pub summary: Summary,
}
