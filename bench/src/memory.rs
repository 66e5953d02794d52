// SPDX-License-Identifier: Apache-2.0
//! How much memory the daemon itself has in use: what the kernel calls resident, without the
//! pictures of its clients but with what it shares with them.

use std::fmt;

use anyhow::Context;
use serde::Serialize;
use system_tests::{Rig, eventually};

use crate::children::Children;

/// Two cameras as a board has them. The pictures are small: their memory is not what is
/// measured.
const CONFIG: &str = "
[stream.cam0]
pattern = \"bars\"
size = \"320x240\"
[stream.cam1]
pattern = \"bars\"
size = \"320x240\"
";

const STREAMS: [&str; 2] = ["cam0", "cam1"];

/// Clients of one stream, beside its first.
const CLIENTS: usize = 200;

/// More than come while this lasts.
const FRAMES: &str = "100000";

/// What it gave, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Scene {
    /// With two cameras configured, and nobody there.
    pub idle: u64,
    /// With both streaming to one client each.
    pub streaming: u64,
    /// Further clients of one of them.
    pub clients: usize,
    /// What each of these costs.
    pub per_client: u64,
}

/// Measures it with the real daemon on a bus of its own.
pub fn run() -> anyhow::Result<Scene> {
    let rig = Rig::start(CONFIG);
    let idle = resident(&rig)?;
    let mut everybody = Vec::new();
    for stream in STREAMS {
        let _ = rig.vsctl(&["start-stream", stream]).good();
        everybody.push(join(&rig, stream, 1)?);
    }
    let streaming = resident(&rig)?;
    everybody.push(join(&rig, STREAMS[0], CLIENTS)?);
    let crowded = resident(&rig)?;
    Ok(Scene { idle, streaming, clients: CLIENTS, per_client: crowded.saturating_sub(streaming) / CLIENTS as u64 })
}

/// Connects clients to a stream, and waits until all of them are welcome. The daemon is not
/// asked how many there are: its answer would need memory of which no client is the cause.
fn join(rig: &Rig, stream: &str, count: usize) -> anyhow::Result<Children> {
    let pages = || rig.daemon().mappings().iter().filter(|line| line.contains("videostream-unlocks")).count();
    let wanted = pages() + count;
    let role = ["receiver".to_owned(), rig.socket(stream).display().to_string(), FRAMES.to_owned()];
    let clients = Children::start(count, &role)?;
    eventually("every client to be welcomed", || (pages() >= wanted).then_some(()));
    Ok(clients)
}

/// The daemon's resident memory in bytes (`VmRSS` of proc_pid_status(5)).
fn resident(rig: &Rig) -> anyhow::Result<u64> {
    let path = format!("/proc/{}/status", rig.daemon().process.pid());
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    let kilobytes: u64 = line.context("the kernel does not say how much memory the daemon uses")?.trim().parse()?;
    Ok(kilobytes * 1024)
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (idle, streaming) = (mebibytes(self.idle), mebibytes(self.streaming));
        writeln!(f, "memory of the daemon: {idle:.1} MiB idle with two cameras, {streaming:.1} MiB while both stream")?;
        writeln!(f, "{:.1} KiB for each of {} further clients", self.per_client as f64 / 1024.0, self.clients)
    }
}
