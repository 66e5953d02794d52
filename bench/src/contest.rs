// SPDX-License-Identifier: Apache-2.0
//! A contest: some sides publish to as many clients each, in turns.
//!
//! All receivers of all sides are there from the start; while it is another side's turn they
//! sleep in their receive call. Round 0 warms up and does not count. Every second round goes
//! backwards, so that nobody is always first.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;

use crate::args::Plan;
use crate::bad::Bad;
use crate::children::Children;
use crate::pacer::{Burst, Pacer};
use crate::side::Side;
use crate::side::bare::BareSender;
use crate::side::host::HostSender;
use bench::stats::{Summary, percentile};

/// A thousand processes need a while to start on a small board.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Entrant {
    pub side: Side,
    /// Size of the pictures; nothing to the bare side.
    pub width: u32,
    pub height: u32,
    /// Beside its clients it has some that misbehave.
    pub beset: bool,
}

impl Entrant {
    /// Publishes a usual picture.
    pub fn usual(side: Side) -> Self {
        Self { side, width: 640, height: 480, beset: false }
    }
}

/// What a side has come to. Latencies from publication to reception over all clients of a
/// round, then summed up over the rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    #[serde(flatten)]
    pub entrant: Entrant,
    pub p50_us: Summary,
    pub p99_us: Summary,
    /// Processor time of the sending thread for each frame and client.
    pub sender_cpu_us: Summary,
    /// Frames that should have been received.
    pub expected: u64,
    /// Those that were not.
    pub lost: u64,
    /// The rounds themselves, for ratios between neighbours.
    #[serde(skip)]
    pub rounds: Vec<Round>,
}

/// One burst, in µs.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub p50: f64,
    pub p99: f64,
    pub sender_cpu: f64,
}

enum Sender {
    Bare(BareSender, Pacer),
    Host(Box<HostSender>),
}

struct Contestant {
    entrant: Entrant,
    sender: Sender,
    receivers: Children,
    _bad: Option<Bad>,
    /// Processor time of each round in ns.
    cpu_ns: Vec<u64>,
}

/// Holds the contest; the figures are in the order of the entrants.
pub fn run(plan: &Plan, clients: usize, entrants: &[Entrant], dir: &Path) -> anyhow::Result<Vec<Figures>> {
    let dir = tempfile::tempdir_in(dir).context("cannot make a folder for the sockets")?;
    let start = |(number, entrant): (usize, &Entrant)| {
        let socket = dir.path().join(format!("{}-{number}", entrant.side.name()));
        Contestant::start(plan, clients, *entrant, &socket)
    };
    let mut contestants: Vec<Contestant> = entrants.iter().enumerate().map(start).collect::<Result<_, _>>()?;
    for round in 0..=plan.rounds {
        let burst = Burst::of_round(round, plan.frames);
        if round % 2 == 0 {
            contestants.iter_mut().try_for_each(|contestant| contestant.burst(burst))?;
        } else {
            contestants.iter_mut().rev().try_for_each(|contestant| contestant.burst(burst))?;
        }
    }
    contestants.into_iter().map(|contestant| contestant.finish(plan)).collect()
}

impl Contestant {
    fn start(plan: &Plan, clients: usize, entrant: Entrant, socket: &Path) -> anyhow::Result<Self> {
        let frames = Burst::of_round(plan.rounds, plan.frames).counted().end.to_string();
        let mut role = vec![String::new(), socket.display().to_string(), frames];
        let bare = entrant.side == Side::Bare;
        role[0] = if bare { "bare-receiver" } else { "receiver" }.into();
        if entrant.side == Side::Notify {
            role.push("--notify".into());
        }
        let mut bad = None;
        let (sender, receivers) = if bare {
            let mut sender = BareSender::bind(socket)?;
            let mut receivers = Children::start(clients, &role)?;
            sender.accept(clients, &mut receivers, PATIENCE)?;
            (Sender::Bare(sender, Pacer::new(plan.fps, true)?), receivers)
        } else {
            let mut sender = HostSender::bind(socket, (entrant.width, entrant.height), plan.fps)?;
            let mut receivers = Children::start(clients, &role)?;
            sender.accept(clients, &mut receivers, PATIENCE)?;
            if entrant.beset {
                bad = Some(Bad::join(&mut sender, socket, PATIENCE)?);
            }
            (Sender::Host(Box::new(sender)), receivers)
        };
        Ok(Self { entrant, sender, receivers, _bad: bad, cpu_ns: Vec::new() })
    }

    fn burst(&mut self, burst: Burst) -> anyhow::Result<()> {
        self.cpu_ns.push(match &mut self.sender {
            Sender::Bare(sender, pacer) => sender.burst(burst, pacer)?,
            Sender::Host(sender) => sender.burst(burst)?,
        });
        Ok(())
    }

    fn finish(self, plan: &Plan) -> anyhow::Result<Figures> {
        let Self { entrant, sender, receivers, cpu_ns, .. } = self;
        // The receivers tell what they saw when their connection ends.
        drop(sender);
        let logs = receivers.finish()?;
        let clients = logs.len() as f64;
        let mut rounds = Vec::new();
        let (mut expected, mut lost) = (0, 0);
        for (round, cpu_ns) in (0..).zip(cpu_ns).skip(1) {
            let counted = Burst::of_round(round, plan.frames).counted();
            let latencies = logs.iter().filter_map(|log| log.get(counted.clone())).flatten().copied();
            let mut seen: Vec<u32> = latencies.filter(|latency| *latency > 0).collect();
            let should = u64::from(plan.frames) * logs.len() as u64;
            expected += should;
            lost += should - seen.len() as u64;
            ensure!(!seen.is_empty(), "no frame arrived in round {round} of {}", entrant.side.name());
            seen.sort_unstable();
            rounds.push(Round {
                p50: percentile(&seen, 50) / 1e3,
                p99: percentile(&seen, 99) / 1e3,
                sender_cpu: cpu_ns as f64 / f64::from(plan.frames) / clients / 1e3,
            });
        }
        Ok(Figures {
            entrant,
            p50_us: Summary::of(rounds.iter().map(|round| round.p50)),
            p99_us: Summary::of(rounds.iter().map(|round| round.p99)),
            sender_cpu_us: Summary::of(rounds.iter().map(|round| round.sender_cpu)),
            expected,
            lost,
            rounds,
        })
    }
}

/// What `ours` costs in units of `limit`: the median over the rounds, each compared with its
/// neighbour.
pub fn ratio(ours: &Figures, limit: &Figures, of: impl Fn(&Round) -> f64) -> Summary {
    Summary::of(ours.rounds.iter().zip(&limit.rounds).map(|(ours, limit)| of(ours) / of(limit)))
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.p50_us, self.p99_us, self.sender_cpu_us)?;
        if self.lost > 0 {
            write!(f, "  {} of {} frames lost", self.lost, self.expected)?;
        }
        Ok(())
    }
}
