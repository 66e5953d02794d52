// SPDX-License-Identifier: Apache-2.0
//! The thread that writes a recording's files.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{oneshot, watch};

use super::movie::Form;
use super::progress::{Ledger, Progress};
use super::recorder::Recorder;
use super::{Files, RecordOptions, Summary};
use crate::rendition::SinkReceiver;

/// What the thread needs to know.
pub(super) struct Job {
    pub(super) stream: String,
    pub(super) progress: Arc<Progress>,
    pub(super) form: Form,
    pub(super) options: RecordOptions,
}

/// What it tells.
pub(super) struct Started {
    /// When the first frame is in; dropped if it never is.
    pub(super) begun: oneshot::Receiver<()>,
    /// Its files.
    pub(super) ledger: watch::Receiver<Ledger>,
    /// At the end.
    pub(super) summary: watch::Receiver<Option<Summary>>,
}

pub(super) fn start(
    job: Job,
    files: Box<dyn Files>,
    units: SinkReceiver,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Started> {
    let name = format!("rec-{}", job.stream);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .thread_name(&name)
        .build()
        .context("cannot start the recording's event loop")?;
    let (begun_sender, begun) = oneshot::channel();
    let (ledger_sender, ledger) = watch::channel(Ledger::default());
    let (summary_sender, summary) = watch::channel(None);
    std::thread::Builder::new()
        .name(name)
        .spawn(move || {
            let recorder = Recorder::new(job, files, units.past(), begun_sender, ledger_sender);
            let summary = runtime.block_on(recorder.run(units, stop));
            summary_sender.send_replace(Some(summary));
        })
        .context("cannot start a thread for the recording")?;
    Ok(Started { begun, ledger, summary })
}
