// SPDX-License-Identifier: Apache-2.0
//! `vsctl monitor`

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::time::sleep;
use vsclient::dbus::{self, Bus, Change, Daemon, ManagerInfo, Objects};

use crate::daemon::{self, answer};
use crate::interrupt::Interrupts;
use crate::monitor::Book;
use crate::output::Output;
use crate::report::event::{Event, What};
use crate::values;

/// Tell what happens, as it happens
///
/// One line for each event, with the time: devices plugged in and unplugged, controls, streams and their states and formats, recordings and
/// their files, clients that come and go (and why the daemon dismissed them), and counters that should not grow: frames skipped, leases
/// revoked, outages of a camera. Such a counter is told of when it begins to grow, and once more with the sum when it has come to rest.
///
/// Clients and counters are looked at once in an interval, everything else is told by the daemon at once. If the daemon is restarted,
/// that is an event, and it goes on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl monitor
  vsctl monitor cam0                       what concerns this one
  vsctl monitor --json | jq 'select(.event == \"client-left\")'
  vsctl monitor -n 1 cam0                  wait until something happens to it")]
pub struct Monitor {
    /// Only what concerns these streams, and devices of the same name
    #[arg(value_name = "STREAM")]
    names: Vec<String>,

    /// How often clients and counters are looked at; 0 for never
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = values::duration_or_zero)]
    interval: Duration,

    /// End after so many events
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End after this time
    #[arg(short = 't', long, value_name = "SECS", value_parser = values::duration)]
    duration: Option<Duration>,
}

/// How long a daemon that has just come and does not answer is left alone.
const RETRY: Duration = Duration::from_millis(200);

/// What is under way: a look at the daemon.
type Look = Pin<Box<dyn Future<Output = anyhow::Result<Seen>>>>;

enum Seen {
    /// Of a daemon that has just come.
    All(ManagerInfo, Objects),
    /// Clients and counters.
    Some(Objects),
}

impl Monitor {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let mut interrupts = Interrupts::new()?;
        // First of the two, so that nothing is missed in between.
        let mut changes = dbus::changes(bus).await?;
        let daemon = daemon::connect(bus).await?;
        let mut book = Book::begin(&daemon::objects(&daemon).await?);
        output.note("listening: Ctrl-C ends it");
        let mut look = self.later(&daemon);
        let mut end: Pin<Box<dyn Future<Output = ()>>> = match self.duration {
            Some(time) => Box::pin(sleep(time)),
            None => Box::pin(pending()),
        };
        let mut told = 0;
        loop {
            let mut news = VecDeque::new();
            tokio::select! {
                change = changes.next() => match change {
                    Some(Change::Appeared) => look = first(&daemon),
                    Some(Change::Gone) => {
                        book.forget();
                        news.push_back(What::DaemonGone {});
                        look = Box::pin(pending());
                    }
                    Some(change) => news.extend(book.change(change)),
                    None => bail!("the bus has gone"),
                },
                seen = &mut look => {
                    match seen {
                        Ok(Seen::All(info, objects)) => {
                            news.push_back(What::DaemonAppeared { version: info.version, epoch: info.epoch });
                            news.extend(book.all(&objects));
                            news.extend(book.look(&objects));
                        }
                        Ok(Seen::Some(objects)) => news.extend(book.look(&objects)),
                        // It has gone, which the bus tells, or it is busy: there will be another look.
                        Err(_) => {}
                    }
                    look = self.later(&daemon);
                },
                () = interrupts.next() => return Ok(()),
                () = &mut end => return Ok(()),
            }
            for what in news.into_iter().filter(|what| self.wants(what)) {
                output.event(&Event::now(what))?;
                told += 1;
                if self.count.is_some_and(|count| told >= count) {
                    return Ok(());
                }
            }
        }
    }

    fn wants(&self, what: &What) -> bool {
        let Some(name) = what.stream().or(what.device()) else { return true };
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    fn later(&self, daemon: &Daemon) -> Look {
        if self.interval.is_zero() {
            return Box::pin(pending());
        }
        let (daemon, interval) = (daemon.clone(), self.interval);
        Box::pin(async move {
            sleep(interval).await;
            Ok(Seen::Some(daemon::objects(&daemon).await?))
        })
    }
}

/// A look at a daemon that has just come, and may not have all its objects yet, or go again: until there is an answer.
fn first(daemon: &Daemon) -> Look {
    let daemon = daemon.clone();
    Box::pin(async move {
        loop {
            let info = answer(daemon.info()).await;
            let objects = daemon::objects(&daemon).await;
            if let (Ok(info), Ok(objects)) = (info, objects) {
                return Ok(Seen::All(info, objects));
            }
            sleep(RETRY).await;
        }
    })
}
