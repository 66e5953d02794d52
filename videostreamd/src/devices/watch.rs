// SPDX-License-Identifier: Apache-2.0
//! The thread that asks udev and the nodes which devices there are, again and again.
//!
//! An event of udev is a reason to look, never an answer: the list in sysfs is complete, events
//! may be lost. Only what is new is opened, each node by a thread of its own, so that a driver
//! that hangs keeps nobody else from being found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout, timeout_at};
use vs_v4l2::{DeviceInfo, Monitor, Node, NodeError};

/// How long a node may take to say what it is. Drivers that boot firmware when they are opened
/// take a second or two.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Nodes of one piece of hardware come one after the other: they are looked at together.
const SETTLE: Duration = Duration::from_millis(20);

/// How soon a change is seen of which udev says nothing: it does not run, an event was lost, or
/// a node that could not be opened has other permissions now.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// A device that is there.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it is.
    pub info: Arc<DeviceInfo>,
    /// Another number each time that it has come.
    pub arrival: u64,
}

/// Starts the thread. It tells what there is: at once, and after each change, in the order of
/// the devices' places on the buses. It ends when nobody listens any more.
pub fn start() -> anyhow::Result<UnboundedReceiver<Vec<Found>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (lists, found) = unbounded_channel();
    let mut watcher = Watcher { known: BTreeMap::new(), arrivals: 0, deaf: false, lists: lists.clone() };
    let thread = std::thread::Builder::new().name("vs-udev".to_owned());
    let run = move || {
        runtime.block_on(async {
            tokio::select! {
                () = watcher.run() => {}
                () = lists.closed() => {}
            }
        });
    };
    thread.spawn(run).context("cannot start the thread that looks for devices")?;
    Ok(found)
}

struct Watcher {
    /// By folder in sysfs.
    known: BTreeMap<PathBuf, Found>,
    arrivals: u64,
    /// udev could not be asked the last time.
    deaf: bool,
    lists: UnboundedSender<Vec<Found>>,
}

impl Watcher {
    async fn run(&mut self) {
        // Before the first look, so that nothing is missed between the two.
        let monitor = listen().inspect_err(|error| {
            let error = format!("{error:#}");
            tracing::error!(error, "udev does not tell of new devices: they are found with some delay");
        });
        let mut told = false;
        let (mut arrived, mut touched) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let changed = self.look(&arrived, &touched).await;
            if (changed || !told) && self.lists.send(self.list()).is_err() {
                return;
            }
            told = true;
            (arrived, touched) = match &monitor {
                Ok(monitor) => events(monitor).await,
                Err(_) => {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                    Default::default()
                }
            };
        }
    }

    fn list(&self) -> Vec<Found> {
        let mut list: Vec<_> = self.known.values().cloned().collect();
        list.sort_by_cached_key(|found| found.info.node.order_key());
        list
    }

    /// Compares what there is with what is known. Returns whether that differs.
    async fn look(&mut self, arrived: &BTreeSet<PathBuf>, touched: &BTreeSet<PathBuf>) -> bool {
        let nodes = match vs_v4l2::nodes() {
            Ok(nodes) => nodes,
            Err(error) => {
                if !std::mem::replace(&mut self.deaf, true) {
                    tracing::error!(%error, "no devices");
                }
                return false;
            }
        };
        self.deaf = false;
        let there: BTreeSet<_> = nodes.iter().map(|node| &node.sysfs).collect();
        let before = self.known.len();
        self.known.retain(|sysfs, _| there.contains(sysfs));
        let mut changed = self.known.len() != before;
        let to_ask = nodes.into_iter().filter(|node| {
            let known = self.known.get(&node.sysfs);
            let as_before = known.is_some_and(|known| known.info.node == *node && known.info.function.is_ok());
            !as_before || arrived.contains(&node.sysfs) || touched.contains(&node.sysfs)
        });
        for info in ask(to_ask.collect()).await {
            let sysfs = info.node.sysfs.clone();
            let known = self.known.get(&sysfs).filter(|_| !arrived.contains(&sysfs));
            // One that is busy for a moment is still what it was.
            let info = match known {
                Some(known) if info.function.is_err() && known.info.function.is_ok() => {
                    DeviceInfo { function: known.info.function.clone(), ..info }
                }
                _ => info,
            };
            if known.is_some_and(|known| *known.info == info) {
                continue;
            }
            let arrival = known.map_or(self.arrivals + 1, |known| known.arrival);
            self.arrivals = self.arrivals.max(arrival);
            self.known.insert(sysfs, Found { info: Arc::new(info), arrival });
            changed = true;
        }
        changed
    }
}

fn listen() -> anyhow::Result<AsyncFd<Monitor>> {
    let monitor = Monitor::new()?;
    // SAFETY: a `Monitor` has one socket until it is dropped, and the `AsyncFd` owns it.
    let registered = unsafe { AsyncFd::register_with_interest(monitor, Interest::READABLE) };
    registered.map_err(std::io::Error::from).context("cannot watch udev's socket")
}

/// Waits for events, or for the time to look without one. Nodes that have come, and those that
/// something else has happened to.
async fn events(monitor: &AsyncFd<Monitor>) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let (mut arrived, mut touched) = (BTreeSet::new(), BTreeSet::new());
    let Ok(Ok(mut ready)) = timeout(LOOK_INTERVAL, monitor.readable()).await else { return (arrived, touched) };
    let until = Instant::now() + SETTLE;
    loop {
        for event in monitor.get_ref().events() {
            if event.added {
                arrived.insert(event.sysfs)
            } else {
                touched.insert(event.sysfs)
            };
        }
        ready.clear_ready();
        match timeout_at(until, monitor.readable()).await {
            Ok(Ok(more)) => ready = more,
            Ok(Err(_)) | Err(_) => return (arrived, touched),
        }
    }
}

/// Asks nodes what they do, all at the same time.
async fn ask(nodes: Vec<Node>) -> Vec<DeviceInfo> {
    let until = Instant::now() + ASK_TIMEOUT;
    let mut asked = Vec::new();
    for node in nodes {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("vs-ask".to_owned());
        let asking = node.clone();
        // Nobody waits any more for an answer that comes too late. Without a thread none comes.
        let _ = thread.spawn(move || drop(answer.send(DeviceInfo::ask(asking))));
        asked.push((node, answered));
    }
    let mut answers = Vec::new();
    for (node, answered) in asked {
        let hangs = |node: Node| {
            let devnode = node.devnode.clone();
            DeviceInfo { node, function: Err(NodeError::Hangs { devnode }) }
        };
        answers.push(match timeout_at(until, answered).await {
            Ok(Ok(info)) => info,
            Ok(Err(_)) | Err(_) => hangs(node),
        });
    }
    answers
}
