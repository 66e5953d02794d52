// SPDX-License-Identifier: Apache-2.0
//! What honest clients notice of bad ones: nothing.
//!
//! The same number of clients on two hosts, one of which also has a client that is stopped
//! while it is connected, and one that gives no frame back and comes again when it is thrown
//! out. Only the honest ones are measured.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::args::Plan;
use crate::children::Children;
use crate::contest::{self, Entrant, Figures, ratio};
use crate::side::Side;
use crate::side::host::HostSender;
use bench::stats::Summary;

/// Honest clients on each side.
const HONEST: usize = 16;

/// What it gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    pub honest: usize,
    pub alone: Figures,
    pub beset: Figures,
    pub p50_beset_over_alone: Summary,
}

/// The bad ones. Dropping them ends them.
#[derive(Debug)]
pub struct Bad {
    _stopped: Children,
    _hoarder: Children,
}

impl Bad {
    /// Connects them to a host.
    pub fn join(sender: &mut HostSender, socket: &Path, patience: Duration) -> anyhow::Result<Self> {
        let before = sender.client_count();
        let role = |name: &str| vec![name.to_owned(), socket.display().to_string()];
        let mut hoarder = Children::start(1, &role("hoarder"))?;
        sender.accept(before + 1, &mut hoarder, patience)?;
        let mut stopped = Children::start(1, &role("hoarder"))?;
        sender.accept(before + 2, &mut stopped, patience)?;
        stopped.stop()?;
        Ok(Self { _stopped: stopped, _hoarder: hoarder })
    }
}

/// Measures it, the sides in turns.
pub fn run(plan: &Plan, dir: &Path) -> anyhow::Result<Scene> {
    let alone = Entrant::usual(Side::Leased);
    let figures = contest::run(plan, HONEST, &[alone, Entrant { beset: true, ..alone }], dir)?;
    let Ok([alone, beset]) = <[Figures; 2]>::try_from(figures) else {
        anyhow::bail!("a side of the contest is missing");
    };
    let p50_beset_over_alone = ratio(&beset, &alone, |round| round.p50);
    Ok(Scene { honest: HONEST, alone, beset, p50_beset_over_alone })
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "publish → receive, {} honest clients; µs, median of rounds (quartiles)", self.honest)?;
        writeln!(f, "{:10}{:>7} {:16} {:>7} {:16} {:>7}", "", "p50", "", "p99", "", "sender CPU per frame and client")?;
        writeln!(f, "{:10}{}", "alone", self.alone)?;
        writeln!(f, "{:10}{}  beside a stopped one and a hoarder", "beset", self.beset)?;
        writeln!(f, "{:10}{}  beset over alone", "ratio", self.p50_beset_over_alone)
    }
}
