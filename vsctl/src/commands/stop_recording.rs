// SPDX-License-Identifier: Apache-2.0
//! `vsctl stop-recording`

use clap::Args;
use vsclient::dbus::{Bus, CallError, Daemon, NoOptions, RecordingInfo};

use crate::daemon::{self, answer};
use crate::output::Output;
use crate::report::policy::Parked;
use crate::report::recording::{Ended, EndedAll};

/// End a recording
///
/// Comes back when the file is complete. For recordings that were started with `vsctl record
/// --detach`, but works with all of them. One of the configuration stays ended until the daemon's next
/// start or `vsctl start-recording`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl recordings              which recordings are there?
  vsctl stop-recording 3
  vsctl stop-recording garage   the one of the configuration, also if it only waits
  vsctl stop-recording --all")]
pub struct StopRecording {
    /// Number of the recording, or its name in the configuration
    #[arg(value_name = "RECORDING|NUMBER", required_unless_present = "all", conflicts_with = "all")]
    recording: Option<String>,

    /// End all that are under way
    #[arg(long)]
    all: bool,
}

impl StopRecording {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let recordings = daemon::objects(&daemon).await?.recordings;
        let Some(recording) = self.recording else {
            return stop_all(&daemon, &recordings, output).await;
        };
        let Ok(number) = recording.parse::<u64>() else {
            let manager = daemon.manager().await?;
            answer(daemon::call(manager.stop_recording(&recording, &NoOptions::default()))).await?;
            return output.done(&Parked { name: recording, state: "stopped" });
        };
        let known = recordings.iter().find(|(known, _)| *known == number);
        let (_, info) = known.ok_or_else(|| {
            CallError::NoSuchObject(format!("there is no recording {number}: `vsctl recordings` lists them"))
        })?;
        let ended = stop(&daemon, number, info).await?;
        output.done(&ended)?;
        verdict([&ended])
    }
}

async fn stop_all(daemon: &Daemon, recordings: &[(u64, RecordingInfo)], output: &Output) -> anyhow::Result<()> {
    let under_way = recordings.iter().filter(|(_, info)| info.state == "recording");
    let stops = under_way.map(|(number, info)| stop(daemon, *number, info));
    // All are asked before any is waited for: they share a disk, and its syncs.
    let ended: Result<Vec<_>, _> = futures_util::future::join_all(stops).await.into_iter().collect();
    let all = EndedAll { recordings: ended? };
    output.done(&all)?;
    verdict(&all.recordings)
}

async fn stop(daemon: &Daemon, number: u64, info: &RecordingInfo) -> anyhow::Result<Ended> {
    let recording = daemon.recording(number).await?;
    let summary = answer(daemon::call(recording.stop())).await?;
    let file = Some(info.file.clone()).filter(|file| !file.is_empty());
    Ok(Ended::new(number, &info.stream, file, &info.encoding, summary))
}

/// Whether all went well.
fn verdict<'a>(ended: impl IntoIterator<Item = &'a Ended>) -> anyhow::Result<()> {
    match ended.into_iter().find(|ended| ended.state == "failed") {
        Some(failed) => Err(CallError::Failed(failed.error.clone().unwrap_or_default()).into()),
        None => Ok(()),
    }
}
