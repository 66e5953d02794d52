// SPDX-License-Identifier: Apache-2.0
//! How long a frame takes to its readers, and what sending it costs.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::args::Plan;
use crate::contest::{self, Entrant, Figures, ratio};
use crate::side::Side;
use bench::stats::Summary;

/// What one number of clients gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    pub clients: usize,
    pub fps: u32,
    pub bare: Figures,
    pub leased: Figures,
    pub notify: Figures,
    pub leased_over_bare: Ratios,
    pub notify_over_bare: Ratios,
}

/// Ours in units of the bare limit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratios {
    pub p50: Summary,
    pub p99: Summary,
    pub sender_cpu: Summary,
}

/// Measures it for so many clients on each side.
pub fn run(plan: &Plan, clients: usize, dir: &Path) -> anyhow::Result<Scene> {
    let entrants = [Side::Bare, Side::Leased, Side::Notify].map(Entrant::usual);
    let figures = contest::run(plan, clients, &entrants, dir)?;
    let Ok([bare, leased, notify]) = <[Figures; 3]>::try_from(figures) else {
        anyhow::bail!("a side of the contest is missing");
    };
    let (leased_over_bare, notify_over_bare) = (Ratios::of(&leased, &bare), Ratios::of(&notify, &bare));
    Ok(Scene { clients, fps: plan.fps, bare, leased, notify, leased_over_bare, notify_over_bare })
}

impl Ratios {
    fn of(ours: &Figures, bare: &Figures) -> Self {
        Self {
            p50: ratio(ours, bare, |round| round.p50),
            p99: ratio(ours, bare, |round| round.p99),
            sender_cpu: ratio(ours, bare, |round| round.sender_cpu),
        }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clients, fps) = (self.clients, self.fps);
        let plural = if clients == 1 { "" } else { "s" };
        writeln!(f, "publish → receive, {clients} client{plural}, {fps} fps; µs, median of rounds (quartiles)")?;
        writeln!(f, "{:8}{:>7} {:16} {:>7} {:16} {:>7}", "", "p50", "", "p99", "", "sender CPU per frame and client")?;
        for figures in [&self.bare, &self.leased, &self.notify] {
            writeln!(f, "{:8}{figures}", figures.entrant.side.name())?;
        }
        for (side, ratios) in [(Side::Leased, &self.leased_over_bare), (Side::Notify, &self.notify_over_bare)] {
            writeln!(f, "{:8}{}  {}  {}  × bare", side.name(), ratios.p50, ratios.p99, ratios.sender_cpu)?;
        }
        Ok(())
    }
}
