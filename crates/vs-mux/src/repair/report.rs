// SPDX-License-Identifier: Apache-2.0
//! What was kept, and what was lost.

/// What a file was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// An ordinary MP4, which is left as it is.
    Whole,
    /// A recording that was interrupted. After a repair it is an ordinary MP4.
    Unfinished,
}

/// What is in a file once it is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// What it was before.
    pub state: State,
    /// Frames in it.
    pub frames: u64,
    /// From its first presentation to the end of the last, in nanoseconds.
    pub duration_ns: i64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes behind the last frame that is kept, which are cut off: what is torn, and what there was
    /// of an index.
    pub cut_bytes: u64,
    /// What had been in the file and could not be kept. What had not come to the file yet when the
    /// recording was interrupted is nowhere, and not counted here: at most a fragment, and after a
    /// power cut what had not been synced.
    pub lost: Lost,
}

/// What had been in a file and could not be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Frames that are known to be missing.
    pub frames: u64,
    /// How long these last, and how long the gaps are where nobody knows the frames, in nanoseconds.
    pub duration_ns: i64,
    /// All bytes that are not video any more.
    pub bytes: u64,
    /// Those of them of which nothing is known: zeros that a power cut left, for one. They may stand
    /// for more frames.
    pub unknown_bytes: u64,
}

impl Lost {
    /// Whether nothing is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.duration_ns = self.duration_ns.saturating_add(other.duration_ns);
        self.bytes += other.bytes;
        self.unknown_bytes += other.unknown_bytes;
    }
}
