// SPDX-License-Identifier: Apache-2.0
//! `vsctl stop-stream`

use clap::Args;
use vsclient::dbus::{Bus, StopOptions};

use crate::daemon::{self, answer};
use crate::output::Output;
use crate::report::stream::Stopped;

/// Stop a stream
///
/// Its recordings are finished, its clients are told, and its socket is removed: nobody can use it
/// before `vsctl start-stream`, `vsctl record` or the daemon's next start.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl stop-stream cam0")]
pub struct StopStream {
    /// Name of the stream
    #[arg(value_name = "STREAM")]
    name: String,
}

impl StopStream {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let manager = daemon.manager().await?;
        answer(daemon::call(manager.stop_stream(&self.name, &StopOptions::default()))).await?;
        output.done(&Stopped { stream: self.name, state: "stopped" })
    }
}
