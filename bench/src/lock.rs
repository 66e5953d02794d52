// SPDX-License-Identifier: Apache-2.0
//! How long a client in notify mode waits for its lease, with one request in flight.
//!
//! The bare limit is the same two records, LOCK_REQUEST and LOCK_RESPONSE by length, between
//! two processes that both wait in a blocking receive call.
//!
//! Everybody runs on one processor. A round trip has one process at work at any time, and
//! whether the scheduler wakes the next one here or on another processor, which may have to be
//! woken itself, makes a factor of five and is no one's merit.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::ChildStdout;
use std::time::Duration;

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::args::Plan;
use crate::children::{Children, numbers};
use crate::side::bare::BareSender;
use crate::side::host::HostSender;
use bench::stats::{Summary, percentile};

/// For one process to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    /// Round trips of a round.
    pub locks: u32,
    pub bare_p50_us: Summary,
    pub bare_p99_us: Summary,
    pub lock_p50_us: Summary,
    pub lock_p99_us: Summary,
    pub p50_over_bare: Summary,
    pub p99_over_bare: Summary,
}

/// Measures it, the sides in turns.
pub fn run(plan: &Plan, dir: &Path) -> anyhow::Result<Scene> {
    let _pinned = Pinned::here()?;
    let mut bare = Bare::start(plan, &dir.join("bare-lock"))?;
    let mut ours = Ours::start(plan, &dir.join("lock"))?;
    let mut rounds = Vec::new();
    for round in 0..=plan.rounds {
        let pair = if round % 2 == 0 {
            let bare = bare.round()?;
            (bare, ours.round()?)
        } else {
            let ours = ours.round()?;
            (bare.round()?, ours)
        };
        // Round 0 warms up.
        if round > 0 {
            rounds.push(pair);
        }
    }
    let over = |percent| {
        let at = move |(bare, ours): &(Trips, Trips)| (bare.us(percent), ours.us(percent));
        let pairs: Vec<(f64, f64)> = rounds.iter().map(at).collect();
        let bare = Summary::of(pairs.iter().map(|(bare, _)| *bare));
        let ours = Summary::of(pairs.iter().map(|(_, ours)| *ours));
        (bare, ours, Summary::of(pairs.iter().map(|(bare, ours)| ours / bare)))
    };
    let (bare_p50_us, lock_p50_us, p50_over_bare) = over(50);
    let (bare_p99_us, lock_p99_us, p99_over_bare) = over(99);
    Ok(Scene { locks: plan.locks, bare_p50_us, bare_p99_us, lock_p50_us, lock_p99_us, p50_over_bare, p99_over_bare })
}

/// This thread, and the processes that it starts, run on one processor until this is dropped.
struct Pinned(CpuSet);

impl Pinned {
    fn here() -> anyhow::Result<Self> {
        let before = sched_getaffinity(None).context("cannot tell which processors there are")?;
        let first = (0..CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu)).context("there is no processor")?;
        let mut one = CpuSet::new();
        one.set(first);
        sched_setaffinity(None, &one).context("cannot stay on one processor")?;
        Ok(Self(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What was allowed before is allowed now.
        let _ = sched_setaffinity(None, &self.0);
    }
}

/// The round trips of one round in ns, sorted.
struct Trips(Vec<u32>);

impl Trips {
    fn of(mut trips: Vec<u32>) -> Self {
        trips.sort_unstable();
        Self(trips)
    }

    fn us(&self, percent: usize) -> f64 {
        percentile(&self.0, percent) / 1e3
    }
}

struct Bare {
    sender: BareSender,
    output: ChildStdout,
    locks: usize,
    _requester: Children,
}

impl Bare {
    fn start(plan: &Plan, socket: &Path) -> anyhow::Result<Self> {
        let mut sender = BareSender::bind(socket)?;
        let mut requester = start("bare-locker", plan, socket)?;
        sender.accept(1, &mut requester, PATIENCE)?;
        let output = requester.take_output()?;
        Ok(Self { sender, output, locks: plan.locks as usize, _requester: requester })
    }

    fn round(&mut self) -> anyhow::Result<Trips> {
        self.sender.answer(self.locks)?;
        let mut bytes = vec![0; self.locks * size_of::<u32>()];
        self.output.read_exact(&mut bytes).context("the bare requester says nothing")?;
        Ok(Trips::of(numbers(&bytes)))
    }
}

struct Ours {
    sender: HostSender,
    output: pipe::Receiver,
    locks: usize,
    _client: Children,
}

impl Ours {
    fn start(plan: &Plan, socket: &Path) -> anyhow::Result<Self> {
        let mut sender = HostSender::bind(socket, (640, 480), plan.fps)?;
        let mut client = start("locker", plan, socket)?;
        sender.accept(1, &mut client, PATIENCE)?;
        let output = client.take_output()?;
        let output = sender.on_runtime(|| pipe::Receiver::from_owned_fd(output.into()))?;
        Ok(Self { sender, output, locks: plan.locks as usize, _client: client })
    }

    fn round(&mut self) -> anyhow::Result<Trips> {
        let Self { sender, output, locks, .. } = self;
        let told = async {
            let mut bytes = vec![0; *locks * size_of::<u32>()];
            output.read_exact(&mut bytes).await.context("the client says nothing")?;
            Ok(bytes)
        };
        Ok(Trips::of(numbers(&sender.serve(told)?)))
    }
}

fn start(role: &str, plan: &Plan, socket: &Path) -> anyhow::Result<Children> {
    Children::start(1, &[role.into(), socket.display().to_string(), plan.locks.to_string()])
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lock round trip, 1 client, {} per round; µs, median of rounds (quartiles)", self.locks)?;
        writeln!(f, "{:8}{:>7} {:16} {:>7}", "", "p50", "", "p99")?;
        writeln!(f, "{:8}{}  {}", "bare", self.bare_p50_us, self.bare_p99_us)?;
        writeln!(f, "{:8}{}  {}", "lock", self.lock_p50_us, self.lock_p99_us)?;
        writeln!(f, "{:8}{}  {}  × bare", "ratio", self.p50_over_bare, self.p99_over_bare)
    }
}
