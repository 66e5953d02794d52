// SPDX-License-Identifier: Apache-2.0
//! The command line.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::role::Role;

/// Measures what the data plane costs beside what the kernel alone would cost.
#[derive(Parser, Debug)]
#[command(version)]
pub struct Args {
    /// Fewer and shorter rounds: for trying a change, not for figures to be shown
    #[arg(long)]
    quick: bool,
    /// Run these only
    #[arg(long, value_enum, value_delimiter = ',', value_name = "BENCH,...")]
    only: Vec<Bench>,
    /// Numbers of clients to measure the latency for
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256", value_name = "N,...")]
    pub clients: Vec<usize>,
    /// Frames per second
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1000))]
    fps: u32,
    /// Rounds; at least 5 for figures to be shown [default: 9, quick: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Where the figures go
    #[arg(long, default_value = "target/bench/ipc.json", value_name = "PATH")]
    pub json: PathBuf,
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// One benchmark.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bench {
    /// Publish to receive, and what the sender pays
    Latency,
    /// The same for small and large frames
    Size,
    /// Lock request to lock response
    Lock,
    /// Latency of honest clients beside one that is stopped and one that hoards
    Bad,
    /// Processor time of the sender at 30, 60 and 240 fps
    Rates,
    /// A thousand clients at 30 fps
    Crowd,
    /// 1080p through an encoder of the daemon
    Encode,
    /// Access units into a file
    Recorder,
    /// A JPEG of a 1080p stream that runs
    Snapshot,
    /// A reader in Rust, in C and in Python
    Languages,
    /// Memory of the daemon, idle and for each client
    Memory,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub fps: u32,
    pub rounds: u32,
    /// Length of a burst.
    burst_ms: u32,
    /// Frames of a burst that count.
    pub frames: u32,
    /// Lock round trips of a burst.
    pub locks: u32,
}

impl Args {
    /// Whether a benchmark is to be run.
    pub fn wants(&self, bench: Bench) -> bool {
        self.only.is_empty() || self.only.contains(&bench)
    }

    /// Where the figures go, which is on a disk, as a temporary folder often is not. Made if it is not there.
    pub fn folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.json.parent().map_or_else(PathBuf::new, Path::to_owned);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }

    /// Bursts of a second and a half are long beside a scheduler's moods, and short enough
    /// that both sides of a round see the same machine.
    pub fn plan(&self) -> Plan {
        let (rounds, burst_ms, locks) = if self.quick { (3, 500, 500) } else { (9, 1500, 2000) };
        Plan { fps: self.fps, rounds: self.rounds.unwrap_or(rounds), burst_ms, frames: 0, locks }.at(self.fps)
    }
}

impl Plan {
    /// As much at another pace.
    pub fn at(&self, fps: u32) -> Self {
        Self { fps, frames: (fps * self.burst_ms / 1000).max(10), ..*self }
    }
}
