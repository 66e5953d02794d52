// SPDX-License-Identifier: Apache-2.0
//! Recordings: a rendition of a stream on its way into a file.
//!
//! Each has a thread of its own, so that a slow disk is nobody else's trouble. Its [`Files`] come one
//! after the other from whoever wanted it.

mod closing;
mod end;
mod files;
mod movie;
pub mod policy;
mod progress;
mod recorder;
mod segment;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use vs_codec::Effective;

use self::movie::Form;
use self::progress::Progress;
use crate::rendition::{Coding, Encoding, Rendition, Renditions, SinkReceiver, Wishes, sink};
use crate::stream::StreamHandle;

pub use self::files::{Files, Part, Supply, SupplyError, passed};
pub use self::progress::{Counts, Entry, Ledger};
pub use self::segment::{Segment, parse_bytes};

/// How long the first picture may take before a recording is said to have failed: a camera
/// that must start up and find its exposure needs a second or two.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest fragment that a file may have.
pub use vs_mux::mp4::limits::MAX_FRAGMENT;

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
    /// The longest fragment, at most [`MAX_FRAGMENT`]: what a crash loses. `None`: what the container does by itself.
    pub fragment: Option<Duration>,
    /// How long a frame may wait to be on the disk: what a power cut loses. `None`: what the container does by itself.
    pub sync: Option<Duration>,
    /// What it is called in the configuration; empty if it is not from there.
    pub name: String,
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
    /// The stream's format changed; a file holds one, and there was no further one.
    FormatChanged,
    /// There is no room for more: on the disk, within the quota, or in a file of this file system.
    DiskFull,
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
            Self::DiskFull => "disk-full",
            Self::Failed => "failed",
        }
    }

    /// Whether something is not as it should be.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::DiskFull | Self::Failed)
    }
}

/// What became of a recording.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Why it ended.
    pub reason: EndReason,
    /// What went wrong; empty if nothing.
    pub error: String,
    /// What is in its files.
    pub counts: Counts,
    /// How many those are.
    pub segments: u64,
    /// Whether all of them are ordinary MP4s, not fragmented ones.
    pub progressive: bool,
}

/// A recording, running or ended.
#[derive(Debug)]
pub struct Recording {
    stream: String,
    name: String,
    pre_ns: u64,
    progress: Arc<Progress>,
    ledger: watch::Receiver<Ledger>,
    stop: watch::Sender<bool>,
    summary: watch::Receiver<Option<Summary>>,
}

/// Why a recording could not begin: the file is no good, the pictures cannot be encoded, or none come.
#[derive(Debug, thiserror::Error)]
#[error("cannot record: {0}")]
pub struct RecordError(String);

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
        let failed = |error: anyhow::Error| RecordError(format!("{error:#}"));
        let form = Form::new(coding.config.codec, &options).map_err(failed)?;
        // Where the next file is never far away, another encoder may take over.
        let (sink, mut units) = sink(options.segment.is_some());
        let rendition = Rendition { stream: name.to_owned(), coding };
        let pre = options.pre.unwrap_or_default();
        let joined = renditions.join_with_past(rendition, stream, sink, &mut units, pre).await;
        let session = joined.map_err(failed)?;
        let progress = Arc::new(Progress::new(session, Arc::clone(&units.dropped)));
        let (stop, stopped) = watch::channel(false);
        let (own_name, pre_ns) = (options.name.clone(), past_ns(&units));
        let job = writer::Job { stream: name.to_owned(), progress: Arc::clone(&progress), form, options };
        let started = writer::start(job, files, units, stopped).map_err(failed)?;
        let recording = Self {
            stream: name.to_owned(),
            name: own_name,
            pre_ns,
            progress,
            ledger: started.ledger,
            stop,
            summary: started.summary,
        };
        match tokio::time::timeout(BEGIN_TIMEOUT, started.begun).await {
            Ok(Ok(())) => Ok(recording),
            Ok(Err(_)) => Err(RecordError(recording.wait().await.error)),
            Err(_) => {
                let text = format!("no picture came within {} s", BEGIN_TIMEOUT.as_secs());
                let _ = recording.stop.send(true);
                Err(RecordError(text))
            }
        }
    }

    /// Name of the stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Its own name; empty if it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long before it was asked for it begins, in ns.
    pub fn pre_ns(&self) -> u64 {
        self.pre_ns
    }

    /// Its files, and every change.
    pub fn ledger(&self) -> watch::Receiver<Ledger> {
        self.ledger.clone()
    }

    /// The encoder in use.
    pub fn encoder(&self) -> Option<Arc<Effective>> {
        match &*self.progress.session().encoding().borrow() {
            Encoding::Open(effective) => Some(Arc::clone(effective)),
            Encoding::Opening | Encoding::Failed(_) => None,
        }
    }

    /// How far it has come.
    pub fn counts(&self) -> Counts {
        let ended = self.summary.borrow().as_ref().map(|summary| summary.counts);
        ended.unwrap_or_else(|| self.progress.counts())
    }

    /// What became of it, if it has ended.
    pub fn summary(&self) -> Option<Summary> {
        self.summary.borrow().clone()
    }

    /// Asks it to end; [`wait`](Self::wait) tells when it has.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Summary {
        let mut summary = self.summary.clone();
        let ended = summary.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone());
        // Otherwise the thread died without a word.
        ended.unwrap_or_else(|| Summary {
            reason: EndReason::Failed,
            error: "the recorder has crashed; the file plays up to there".to_owned(),
            counts: self.progress.counts(),
            segments: self.ledger.borrow().begun,
            progressive: false,
        })
    }
}

/// From the first of what comes first to the last of it.
fn past_ns(units: &SinkReceiver) -> u64 {
    let shown = || units.past().map(|coded| coded.unit.tag.pts_ns);
    let ns = shown().min().zip(shown().max()).map_or(0, |(first, last)| last.saturating_sub(first));
    u64::try_from(ns).unwrap_or(0)
}
