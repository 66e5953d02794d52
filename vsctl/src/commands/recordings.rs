// SPDX-License-Identifier: Apache-2.0
//! `vsctl recordings`

use clap::Args;
use vsclient::dbus::Bus;

use crate::daemon;
use crate::output::Output;
use crate::report::policy::Policy;
use crate::report::recording::{Recording, Recordings as Report};

/// List the recordings
///
/// Those that are under way, and for a minute those that have ended; and what those of the configuration do, which
/// begin by themselves.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl recordings
  vsctl --json recordings         for programs
  vsctl stop-recording 3          end one of them")]
pub struct Recordings {}

impl Recordings {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let objects = daemon::objects(&daemon).await?;
        let recordings = objects.recordings.iter().map(|(number, info)| Recording::new(*number, info)).collect();
        let policies = daemon::call(daemon.manager().await?.policies()).await?;
        output.answer(&Report { recordings, policies: policies.iter().map(Policy::new).collect() })
    }
}
