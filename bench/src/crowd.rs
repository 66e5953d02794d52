// SPDX-License-Identifier: Apache-2.0
//! As many clients as a stream may have. What counts here is not how fast it is, but that
//! nobody misses a frame for another reason than being slow itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use vs_ipc::wire::SkipReason;

use crate::args::Plan;
use crate::children::Children;
use crate::pacer::Burst;
use crate::side::host::HostSender;
use bench::stats::percentile;

const CLIENTS: usize = 1000;

const FPS: u32 = 30;

/// A thousand processes need a while to start on a small board.
const PATIENCE: Duration = Duration::from_secs(120);

/// What it gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    pub clients: usize,
    pub fps: u32,
    pub frames: u32,
    /// Frames sent, to all clients together.
    pub delivered: u64,
    /// Frames not sent, by reason. *no-credit* is a client's own doing.
    pub skipped: BTreeMap<&'static str, u64>,
    pub p50_us: f64,
    pub p99_us: f64,
    pub sender_cpu_us: f64,
}

/// Measures it: one burst of ten times the usual length.
pub fn run(plan: &Plan, dir: &Path) -> anyhow::Result<Scene> {
    let frames = plan.at(FPS).frames * 10;
    let burst = Burst::of_round(0, frames);
    let socket = dir.join("crowd");
    let mut sender = HostSender::bind(&socket, (640, 480), FPS)?;
    let role = ["receiver".to_owned(), socket.display().to_string(), burst.counted().end.to_string()];
    let mut receivers = Children::start(CLIENTS, &role)?;
    sender.accept(CLIENTS, &mut receivers, PATIENCE)?;
    let cpu_ns = sender.burst(burst)?;
    let seen = sender.snapshot();
    drop(sender);
    let logs = receivers.finish()?;
    let counted = logs.iter().filter_map(|log| log.get(burst.counted())).flatten().copied();
    let mut latencies: Vec<u32> = counted.filter(|latency| *latency > 0).collect();
    latencies.sort_unstable();
    let skipped = SkipReason::ALL.iter().map(|reason| (reason.name(), seen.skipped.by(*reason)));
    let per_delivery = u64::from(frames) * CLIENTS as u64;
    Ok(Scene {
        clients: CLIENTS,
        fps: FPS,
        frames,
        delivered: seen.delivered,
        skipped: skipped.filter(|(_, count)| *count > 0).collect(),
        p50_us: percentile(&latencies, 50) / 1e3,
        p99_us: percentile(&latencies, 99) / 1e3,
        sender_cpu_us: cpu_ns as f64 / per_delivery as f64 / 1e3,
    })
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, fps, frames, delivered, skipped, .. } = self;
        writeln!(f, "{clients} clients, {fps} fps, {frames} frames: {delivered} delivered, skipped {skipped:?}")?;
        let Self { p50_us, p99_us, sender_cpu_us, .. } = self;
        writeln!(f, "p50 {p50_us:.0} µs, p99 {p99_us:.0} µs, sender CPU per frame and client {sender_cpu_us:.2} µs")
    }
}
