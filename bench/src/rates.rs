// SPDX-License-Identifier: Apache-2.0
//! What the sender pays for a frame at the paces of slow and fast cameras. The slower they
//! are, the more of it is what waking up costs.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::args::Plan;
use crate::contest::{self, Entrant, Figures, ratio};
use crate::side::Side;
use bench::stats::Summary;

const CLIENTS: usize = 16;

const RATES: [u32; 3] = [30, 60, 240];

/// What it gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    pub clients: usize,
    pub rates: Vec<Rate>,
}

/// What one pace gave.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    pub fps: u32,
    pub bare: Figures,
    pub leased: Figures,
    pub sender_cpu_over_bare: Summary,
}

/// Measures it, one pace after the other.
pub fn run(plan: &Plan, dir: &Path) -> anyhow::Result<Scene> {
    let rate = |fps| {
        let figures = contest::run(&plan.at(fps), CLIENTS, &[Side::Bare, Side::Leased].map(Entrant::usual), dir)?;
        let Ok([bare, leased]) = <[Figures; 2]>::try_from(figures) else {
            anyhow::bail!("a side of the contest is missing");
        };
        let sender_cpu_over_bare = ratio(&leased, &bare, |round| round.sender_cpu);
        Ok(Rate { fps, bare, leased, sender_cpu_over_bare })
    };
    Ok(Scene { clients: CLIENTS, rates: RATES.into_iter().map(rate).collect::<Result<_, _>>()? })
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sender CPU per frame and client, {} clients; µs, median of rounds (quartiles)", self.clients)?;
        writeln!(f, "{:8}{:>7} {:16} {:>7} {:16} {:>7}", "", "bare", "", "leased", "", "ratio")?;
        for rate in &self.rates {
            let fps = format!("{} fps", rate.fps);
            let (bare, leased) = (rate.bare.sender_cpu_us, rate.leased.sender_cpu_us);
            writeln!(f, "{fps:8}{bare}  {leased}  {}", rate.sender_cpu_over_bare)?;
        }
        Ok(())
    }
}
