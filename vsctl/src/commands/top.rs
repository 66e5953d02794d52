// SPDX-License-Identifier: Apache-2.0
//! `vsctl top`

use std::io;
use std::time::Duration;

use clap::Args;
use tokio::time::{Interval, MissedTickBehavior};
use vsclient::dbus::{Bus, Daemon};

use crate::daemon;
use crate::interrupt::Interrupts;
use crate::output::Output;
use crate::report::top::Top as Report;
use crate::terminal::{self, Screen, Wish};
use crate::top::layout::{self, Style};
use crate::top::{Sample, Sort};
use crate::values;

/// Watch streams and their clients: rates, latency, skips, CPU
///
/// A table that is brought up to date every second: per stream and client, frames per second (of a client: delivered to it), frames
/// skipped per second, leases held (of a client: of those that it may hold), and what is usual (P50) and what one frame in a hundred
/// exceeds (P99). For a stream these are times from capture to publication, for a client how long it holds a frame, from its
/// sending to the unlock. CPU% is of one processor: of a stream its threads, encoder and decoder included.
///
/// Keys: q ends, s sorts by the next column. Into a pipe, or with -n, it is plain text, one table after the other; with --json one
/// object per line.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl top
  vsctl top cam0 cam1 --interval 5s
  vsctl top --sort skips            who loses frames?
  vsctl top --once                  one table, over one second
  vsctl top -n 60 --json >> top.jsonl")]
pub struct Top {
    /// Only these streams
    #[arg(value_name = "STREAM")]
    names: Vec<String>,

    /// Time between two looks
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = values::duration)]
    interval: Duration,

    /// End after so many tables, which are written as plain text
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Write one table and end
    #[arg(long, conflicts_with = "count")]
    once: bool,

    /// What comes first
    #[arg(short, long, value_enum, default_value = "name", value_name = "COLUMN")]
    sort: Sort,
}

impl Top {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let first = Sample::take(&daemon).await?;
        for name in &self.names {
            if daemon::stream(first.objects(), name).is_none() {
                return Err(daemon::no_such_stream(first.objects(), name).into());
            }
        }
        let mut ticks = tokio::time::interval(self.interval);
        // The interval is what rates are reckoned over: after a delay it begins anew.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let count = if self.once { Some(1) } else { self.count };
        if count.is_none() && !output.is_json() && terminal::is_live() {
            self.live(&daemon, first, ticks).await
        } else {
            self.batch(&daemon, first, ticks, count, output).await
        }
    }

    fn wants(&self, stream: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == stream)
    }

    fn between(&self, before: &Sample, now: &Sample, sort: Sort) -> Report {
        now.since(before, |name| self.wants(name), sort)
    }

    async fn batch(
        &self,
        daemon: &Daemon,
        mut before: Sample,
        mut ticks: Interval,
        count: Option<u64>,
        output: &Output,
    ) -> anyhow::Result<()> {
        let mut interrupts = Interrupts::new()?;
        let mut shown = 0;
        while count.is_none_or(|count| shown < count) {
            let now = tokio::select! {
                now = next(daemon, &mut ticks) => now?,
                () = interrupts.next() => break,
            };
            if shown > 0 && !output.is_json() {
                output.blank()?;
            }
            output.event(&self.between(&before, &now, self.sort))?;
            before = now;
            shown += 1;
        }
        Ok(())
    }

    async fn live(&self, daemon: &Daemon, mut before: Sample, mut ticks: Interval) -> anyhow::Result<()> {
        let mut interrupts = Interrupts::new()?;
        let mut screen = Screen::open()?;
        let mut view = View { table: Err("the first interval is under way".to_owned()), sort: self.sort };
        let mut latest: Option<Sample> = None;
        loop {
            view.draw()?;
            tokio::select! {
                sample = next(daemon, &mut ticks) => match sample {
                    Ok(now) => {
                        view.table = Ok(self.between(latest.as_ref().unwrap_or(&before), &now, view.sort));
                        if let Some(latest) = latest.replace(now) {
                            before = latest;
                        }
                    }
                    Err(error) => view.table = Err(format!("{error:#}")),
                },
                wish = screen.next() => match wish {
                    Wish::End => return Ok(()),
                    Wish::Key('s') => {
                        view.sort = view.sort.next();
                        if let (Ok(table), Some(now)) = (&mut view.table, &latest) {
                            *table = self.between(&before, now, view.sort);
                        }
                    }
                    Wish::Key(_) | Wish::Resized => {}
                },
                () = interrupts.next() => return Ok(()),
            }
        }
    }
}

/// The next sample, when it is time. It may be given up and asked for again: at worst an interval becomes longer.
async fn next(daemon: &Daemon, ticks: &mut Interval) -> anyhow::Result<Sample> {
    ticks.tick().await;
    Sample::take(daemon).await
}

/// What is on the screen.
struct View {
    /// Or why there is none.
    table: Result<Report, String>,
    sort: Sort,
}

impl View {
    fn draw(&self) -> io::Result<()> {
        let (width, height) = terminal::size();
        let style = Style { width, color: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
        let mut lines = match &self.table {
            Ok(table) => layout::lines(table, style),
            Err(why) => vec![layout::fit(why, width)],
        };
        let room = height.saturating_sub(1).max(1);
        lines = layout::cut(lines, room, style);
        lines.resize(room, String::new());
        if height > 1 {
            lines.push(layout::help(self.sort, style));
        }
        terminal::draw(&lines)
    }
}
