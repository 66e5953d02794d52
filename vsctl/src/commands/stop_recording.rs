// SPDX-License-Identifier: Apache-2.0
//! `vsctl stop-recording`

use clap::Args;
use vsclient::dbus::{Bus, CallError};

use crate::daemon::{self, answer};
use crate::output::Output;
use crate::report::recording::Ended;

/// End a recording
///
/// Comes back when the file is complete. For recordings that were started with `vsctl record
/// --detach`, but works with all of them.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl status                  which recordings are there?
  vsctl stop-recording 3")]
pub struct StopRecording {
    /// Number of the recording
    recording: u64,
}

impl StopRecording {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let number = self.recording;
        let daemon = daemon::connect(bus).await?;
        let objects = daemon::objects(&daemon).await?;
        let known = objects.recordings.iter().find(|(known, _)| *known == number);
        let (_, info) = known.ok_or_else(|| {
            CallError::NoSuchObject(format!("there is no recording {number}: `vsctl status` lists them"))
        })?;
        let recording = daemon.recording(number).await?;
        let summary = answer(daemon::call(recording.stop())).await?;
        let failed = (summary.state == "failed").then(|| CallError::Failed(summary.error.clone()));
        output.done(&Ended::new(number, &info.stream, None, &info.encoding, summary))?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}
