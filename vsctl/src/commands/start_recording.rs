// SPDX-License-Identifier: Apache-2.0
//! `vsctl start-recording`

use clap::Args;
use vsclient::dbus::{Bus, NoOptions, recording_number};

use crate::daemon::{self, answer};
use crate::output::Output;
use crate::report::policy::Started;

/// Begin a recording of the configuration
///
/// For one that `vsctl stop-recording` has ended, or that does not begin by itself (enabled = false). Comes back when its
/// first picture is in the file.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl start-recording garage    as [recording.garage] of the configuration says
  vsctl recordings                what do they do?
  vsctl record cam0 out.mp4       to record into a file of your own")]
pub struct StartRecording {
    /// Name of the recording
    #[arg(value_name = "RECORDING")]
    name: String,
}

impl StartRecording {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let manager = daemon.manager().await?;
        let path = answer(daemon::call(manager.start_recording(&self.name, &NoOptions::default()))).await?;
        output.done(&Started { name: self.name, recording: recording_number(&path), state: "recording" })
    }
}
