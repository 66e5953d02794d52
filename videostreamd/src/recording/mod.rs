// SPDX-License-Identifier: Apache-2.0
//! Recordings: a rendition of a stream on its way into a file.
//!
//! Each has a thread of its own, so that a slow disk is nobody else's trouble. The file was
//! opened by whoever wanted it, with that one's rights; the daemon opens no path.

mod files;
mod segment;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use vs_codec::Effective;

use crate::rendition::{Coding, Encoding, Rendition, Renditions, Session, Wishes, sink};
use crate::stream::StreamHandle;

pub use files::{Files, Part, Passed, Supply, SupplyError, passed};
pub use segment::{Segment, parse_bytes};

/// How long the first picture may take before a recording is said to have failed: a camera
/// that must start up and find its exposure needs a second or two.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordOptions {
    /// How to encode, as far as the caller has said.
    pub coding: Wishes,
    /// Ends after this many ns of pictures.
    pub duration_ns: Option<u64>,
    /// Ends after this many frames.
    pub frames: Option<u64>,
    /// Begins with what has been encoded before, up to so long ago, as far as it is kept. The limits
    /// count what comes after it.
    pub pre: Option<Duration>,
    /// When it goes on in a further file; `None`: only when it must.
    pub segment: Option<Segment>,
}

/// How far a recording has come.
#[derive(Debug, Default)]
pub struct Progress {
    frames: AtomicU64,
    bytes: AtomicU64,
    duration_ns: AtomicU64,
    /// Access units that the file was too slow for.
    late: Arc<AtomicU64>,
}

/// The same as plain numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames in the file.
    pub frames: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its duration in ns.
    pub duration_ns: u64,
    /// Frames that encoder or file were too slow for.
    pub dropped: u64,
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Somebody asked for it.
    Stopped,
    /// The limit of duration or frames was reached.
    Limit,
    /// The stream stopped.
    StreamStopped,
    /// The stream's format changed; a file holds one.
    FormatChanged,
    /// Something went wrong.
    Failed,
}

impl EndReason {
    /// The word used on D-Bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Limit => "limit",
            Self::StreamStopped => "stream-stopped",
            Self::FormatChanged => "format-changed",
            Self::Failed => "failed",
        }
    }
}

/// What became of a recording.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Why it ended.
    pub reason: EndReason,
    /// What went wrong; empty if nothing.
    pub error: String,
    /// What is in the file.
    pub counts: Counts,
    /// Whether the file is an ordinary MP4, not a fragmented one.
    pub progressive: bool,
}

/// A recording, running or ended.
#[derive(Debug)]
pub struct Recording {
    stream: String,
    progress: Arc<Progress>,
    session: Arc<Session>,
    /// What the session had dropped before this recording began.
    dropped_before: u64,
    stop: watch::Sender<bool>,
    summary: watch::Receiver<Option<Summary>>,
}

/// Why a recording could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The pictures cannot be encoded, or none come.
    #[error("cannot record: {0}")]
    Failed(String),
}

impl Recording {
    /// Begins to record a running stream; returns when the first frame is in the file.
    pub async fn begin(
        renditions: &Renditions,
        name: &str,
        stream: &StreamHandle,
        files: Box<dyn Files>,
        coding: Coding,
        options: RecordOptions,
    ) -> Result<Self, RecordError> {
        let failed = |error: anyhow::Error| RecordError::Failed(format!("{error:#}"));
        let (sink, mut units) = sink(false);
        let rendition = Rendition { stream: name.to_owned(), coding: coding.clone() };
        let pre = options.pre.unwrap_or_default();
        let joined = renditions.join_with_past(rendition, stream, sink, &mut units, pre).await;
        let session = joined.map_err(failed)?;
        let progress = Arc::new(Progress { late: Arc::clone(&units.dropped), ..Progress::default() });
        let (stop, stopped) = watch::channel(false);
        let job = writer::Job {
            name: name.to_owned(),
            session: Arc::clone(&session),
            progress: Arc::clone(&progress),
            codec: coding.config.codec,
            options,
        };
        let started = writer::start(job, files, units, stopped).map_err(failed)?;
        let dropped_before = session.dropped();
        let recording =
            Self { stream: name.to_owned(), progress, session, dropped_before, stop, summary: started.summary };
        match tokio::time::timeout(BEGIN_TIMEOUT, started.begun).await {
            Ok(Ok(())) => Ok(recording),
            Ok(Err(_)) => Err(RecordError::Failed(recording.wait().await.error)),
            Err(_) => {
                let text = format!("no picture came within {} s", BEGIN_TIMEOUT.as_secs());
                let _ = recording.stop.send(true);
                Err(RecordError::Failed(text))
            }
        }
    }

    /// Name of the stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The encoder in use.
    pub fn encoder(&self) -> Option<Arc<Effective>> {
        match &*self.session.encoding().borrow() {
            Encoding::Open(effective) => Some(Arc::clone(effective)),
            Encoding::Opening | Encoding::Failed(_) => None,
        }
    }

    /// How far it has come.
    pub fn counts(&self) -> Counts {
        match &*self.summary.borrow() {
            Some(summary) => self.complete(summary).counts,
            None => self.counts_now(),
        }
    }

    fn counts_now(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let too_fast = self.session.dropped().saturating_sub(self.dropped_before);
        Counts {
            frames: read(&self.progress.frames),
            bytes: read(&self.progress.bytes),
            duration_ns: read(&self.progress.duration_ns),
            dropped: too_fast + read(&self.progress.late),
        }
    }

    /// What became of it, if it has ended.
    pub fn summary(&self) -> Option<Summary> {
        self.summary.borrow().as_ref().map(|summary| self.complete(summary))
    }

    /// Asks it to end; [`wait`](Self::wait) tells when it has.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Summary {
        let mut summary = self.summary.clone();
        let ended = summary.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone());
        match ended {
            Some(summary) => self.complete(&summary),
            // The thread died without a word.
            None => Summary {
                reason: EndReason::Failed,
                error: "the recorder has crashed; the file plays up to there".to_owned(),
                counts: self.counts_now(),
                progressive: false,
            },
        }
    }

    /// The writer does not know what never reached it.
    fn complete(&self, summary: &Summary) -> Summary {
        let mut summary = summary.clone();
        summary.counts.dropped = summary.counts.dropped.saturating_sub(self.dropped_before);
        summary
    }
}
