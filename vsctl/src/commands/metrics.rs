// SPDX-License-Identifier: Apache-2.0
//! `vsctl metrics`

use clap::Args;
use vsclient::dbus::Bus;

use crate::daemon::{self, answer};
use crate::output::Output;
use crate::report::metrics::Metrics as Report;

/// Write all counters and histograms for Prometheus
///
/// The text format 0.0.4, as the daemon's own endpoint gives it (section "metrics" of its configuration).
/// This needs no endpoint: a node exporter's textfile collector takes the output as a file.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl metrics
  vsctl metrics | grep -v '^#' | grep skipped
  vsctl metrics > /var/lib/node-exporter/videostream.prom.new &&
    mv /var/lib/node-exporter/videostream.prom.new /var/lib/node-exporter/videostream.prom")]
pub struct Metrics {}

impl Metrics {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let manager = answer(daemon.manager()).await?;
        let text = answer(daemon::call(manager.metrics())).await?;
        output.answer(&Report { format: "prometheus-text-0.0.4", text })
    }
}
