// SPDX-License-Identifier: Apache-2.0
//! How far a recording has come, for whoever looks.

use std::collections::VecDeque;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Part;
use crate::rendition::Session;

/// Finished files that are remembered for those who are told of each: enough for one who looks some seconds late.
const REMEMBERED: usize = 16;

/// What a recording, or one of its files, amounts to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames in it.
    pub frames: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its duration in ns.
    pub duration_ns: u64,
    /// Frames that encoder or file were too slow for, or that a file did not take any more.
    pub dropped: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            bytes: self.bytes + other.bytes,
            duration_ns: self.duration_ns.saturating_add(other.duration_ns),
            dropped: self.dropped + other.dropped,
        }
    }
}

/// What the thread writes and others read.
#[derive(Debug)]
pub(super) struct Progress {
    session: Arc<Session>,
    /// What the session had dropped before the first frame.
    before: AtomicU64,
    /// Access units that did not fit into the queue.
    late: Arc<AtomicU64>,
    /// Access units that were taken out of it and are in no file.
    lost: AtomicU64,
    frames: AtomicU64,
    bytes: AtomicU64,
    duration_ns: AtomicU64,
}

impl Progress {
    /// Nothing yet. `late` counts what does not fit into the queue.
    pub(super) fn new(session: Arc<Session>, late: Arc<AtomicU64>) -> Self {
        let before = AtomicU64::new(session.dropped());
        let [lost, frames, bytes, duration_ns] = Default::default();
        Self { session, before, late, lost, frames, bytes, duration_ns }
    }

    /// There is a first frame: what was dropped until now is not missing.
    pub(super) fn begin(&self) {
        self.before.store(self.session.dropped(), Ordering::Relaxed);
    }

    /// The session whose access units these are.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Frames that are in no file.
    pub(super) fn dropped(&self) -> u64 {
        let too_fast = self.session.dropped().saturating_sub(self.before.load(Ordering::Relaxed));
        too_fast + self.late.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed)
    }

    /// Counts frames that were taken out of the queue in vain.
    pub(super) fn lose(&self, frames: u64) {
        self.lost.fetch_add(frames, Ordering::Relaxed);
    }

    /// Takes over what is in the files.
    pub(super) fn show(&self, counts: Counts) {
        self.frames.store(counts.frames, Ordering::Relaxed);
        self.bytes.store(counts.bytes, Ordering::Relaxed);
        self.duration_ns.store(counts.duration_ns, Ordering::Relaxed);
    }

    /// All of it.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            frames: self.frames.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            duration_ns: self.duration_ns.load(Ordering::Relaxed),
            dropped: self.dropped(),
        }
    }
}

/// A file that is complete.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The how-manieth of its recording, from 1.
    pub number: u64,
    /// What it is called; empty if that is not known.
    pub name: String,
    /// What became of it.
    pub part: Part,
}

/// The files of a recording.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Those that have a first frame.
    pub begun: u64,
    /// What the last one is called; empty if that is not known.
    pub name: String,
    /// Those that were finished last, in their order.
    pub finished: VecDeque<Entry>,
}

impl Ledger {
    pub(super) fn finish(&mut self, entry: Entry) {
        if self.finished.len() == REMEMBERED {
            self.finished.pop_front();
        }
        self.finished.push_back(entry);
    }
}
