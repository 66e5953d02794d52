// SPDX-License-Identifier: Apache-2.0
//! `vsctl info`

use clap::Args;
use vsclient::dbus::{Bus, NoOptions};

use crate::daemon::{self, answer};
use crate::output::Output;
use crate::report::info::{Finding, Info as Report};

/// Say what this machine can do, what is missing and how to fix it
///
/// Cameras, codecs by direction and backend, DmaBuf heaps, kernel, bus and permissions: all as
/// the daemon sees them, with its rights and not with yours.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl info
  vsctl info -q                  only what is not as it should be
  vsctl info --encoders          who encodes here?
  vsctl info --json | jq -r '.findings[] | select(.state == \"denied\").remedy'")]
pub struct Info {
    /// Only cameras
    #[arg(long)]
    cameras: bool,

    /// Only encoders
    #[arg(long)]
    encoders: bool,

    /// Only decoders
    #[arg(long)]
    decoders: bool,
}

impl Info {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let about = answer(daemon.info()).await?;
        let manager = answer(daemon.manager()).await?;
        let findings = answer(daemon::call(manager.inspect(&NoOptions::default()))).await?;
        let findings = findings.iter().filter(|finding| self.wants(&finding.topic)).map(Finding::from).collect();
        output.answer(&Report { version: about.version, bus: bus.to_string(), findings })
    }

    fn wants(&self, topic: &str) -> bool {
        let chosen = [(self.cameras, "camera"), (self.encoders, "encoder"), (self.decoders, "decoder")];
        chosen.iter().all(|(wanted, _)| !wanted) || chosen.contains(&(true, topic))
    }
}
