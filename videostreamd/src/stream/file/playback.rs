// SPDX-License-Identifier: Apache-2.0
//! How far a file has been played, and how it ended: what those see who wanted it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The file is.
    End,
    /// Somebody has stopped it.
    Stopped,
    /// It could not go on.
    Failed,
}

impl EndReason {
    /// The word used on D-Bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: EndReason,
    /// The same in words.
    pub text: String,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pictures published.
    pub frames: u64,
    /// Pictures that are missing, for they or others that they need are damaged.
    pub damaged: u64,
    /// Pictures that came too late to be shown.
    pub late: u64,
    /// Times that the file has begun anew.
    pub loops: u64,
    /// Where in the file it is, in ns.
    pub position_ns: u64,
    /// How long the file is, in ns; 0 if it does not say.
    pub duration_ns: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Playback {
    frames: AtomicU64,
    damaged: AtomicU64,
    late: AtomicU64,
    loops: AtomicU64,
    position_ns: AtomicU64,
    duration_ns: AtomicU64,
    ending: watch::Sender<Option<Ending>>,
}

impl Default for Playback {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            frames: zero(),
            damaged: zero(),
            late: zero(),
            loops: zero(),
            position_ns: zero(),
            duration_ns: zero(),
            ending: watch::Sender::new(None),
        }
    }
}

impl Playback {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Progress {
            frames: read(&self.frames),
            damaged: read(&self.damaged),
            late: read(&self.late),
            loops: read(&self.loops),
            position_ns: read(&self.position_ns),
            duration_ns: read(&self.duration_ns),
        }
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Ending {
        let mut ending = self.ending.subscribe();
        let ended = ending.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone());
        ended.unwrap_or_else(|| Ending { reason: EndReason::Stopped, text: String::new() })
    }

    /// It is over, if it was not already.
    pub fn end(&self, reason: EndReason, text: &str) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            if first {
                *ending = Some(Ending { reason, text: text.to_owned() });
            }
            first
        });
    }

    /// How long the file is.
    pub(super) fn set_duration(&self, ns: i64) {
        self.duration_ns.store(u64::try_from(ns).unwrap_or(0), Ordering::Relaxed);
    }

    /// A picture has been published.
    pub(super) fn shown(&self, position_ns: i64, loops: u64) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.position_ns.store(u64::try_from(position_ns).unwrap_or(0), Ordering::Relaxed);
        self.loops.store(loops, Ordering::Relaxed);
    }

    /// Pictures are missing.
    pub(super) fn miss(&self, damaged: u64, late: u64) {
        self.damaged.fetch_add(damaged, Ordering::Relaxed);
        self.late.fetch_add(late, Ordering::Relaxed);
    }
}
