// SPDX-License-Identifier: Apache-2.0
//! Whether a large frame takes longer than a small one. It must not: nobody touches its
//! bytes.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::args::Plan;
use crate::contest::{self, Entrant, Figures, ratio};
use crate::side::Side;
use bench::stats::Summary;

const SMALL: (u32, u32) = (320, 240);
const LARGE: (u32, u32) = (3840, 2160);

/// What it gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    pub small: Figures,
    pub large: Figures,
    pub p50_large_over_small: Summary,
}

/// Measures it with one leased client each.
pub fn run(plan: &Plan, dir: &Path) -> anyhow::Result<Scene> {
    let entrants = [SMALL, LARGE].map(|(width, height)| Entrant { width, height, ..Entrant::usual(Side::Leased) });
    let figures = contest::run(plan, 1, &entrants, dir)?;
    let Ok([small, large]) = <[Figures; 2]>::try_from(figures) else {
        anyhow::bail!("a side of the contest is missing");
    };
    let p50_large_over_small = ratio(&large, &small, |round| round.p50);
    Ok(Scene { small, large, p50_large_over_small })
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "publish → receive by frame size, 1 leased client; µs, median of rounds (quartiles)")?;
        writeln!(f, "{:10}{:>7} {:16} {:>7} {:16} {:>7}", "", "p50", "", "p99", "", "sender CPU per frame")?;
        for figures in [&self.small, &self.large] {
            let Entrant { width, height, .. } = figures.entrant;
            writeln!(f, "{:10}{figures}", format!("{width}×{height}"))?;
        }
        writeln!(f, "{:10}{}  large over small", "ratio", self.p50_large_over_small)
    }
}
