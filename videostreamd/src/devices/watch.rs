// SPDX-License-Identifier: Apache-2.0
//! The thread that asks udev and the nodes which devices there are, again and again.
//!
//! An event of udev is a reason to look, never an answer: the list in sysfs is complete, events
//! may be lost. Only what is new is opened, each node by a thread of its own. A driver that hangs
//! delays the others once, by [`ASK_TIMEOUT`]: names are given to all that are new together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
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
    let mut watcher = Watcher::new(DeviceInfo::ask, ASK_TIMEOUT, lists.clone());
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
    /// Asks a node what it does; may take for ever.
    question: fn(Node) -> DeviceInfo,
    /// How long it may take until the node is said to hang.
    patience: Duration,
    /// By folder in sysfs.
    known: BTreeMap<PathBuf, Found>,
    /// Nodes that have not answered in time, and whose answer may still come.
    hanging: BTreeMap<PathBuf, oneshot::Receiver<DeviceInfo>>,
    arrivals: u64,
    /// udev could not be asked the last time.
    deaf: bool,
    lists: UnboundedSender<Vec<Found>>,
}

impl Watcher {
    fn new(question: fn(Node) -> DeviceInfo, patience: Duration, lists: UnboundedSender<Vec<Found>>) -> Self {
        Self { question, patience, known: BTreeMap::new(), hanging: BTreeMap::new(), arrivals: 0, deaf: false, lists }
    }

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
        self.hanging.retain(|sysfs, _| there.contains(sysfs) && !arrived.contains(sysfs));
        let mut changed = self.known.len() != before;
        let to_ask = nodes.into_iter().filter(|node| {
            let known = self.known.get(&node.sysfs);
            let as_before = known.is_some_and(|known| known.info.node == *node && known.info.function.is_ok());
            !as_before || arrived.contains(&node.sysfs) || touched.contains(&node.sysfs)
        });
        let to_ask = to_ask.collect();
        for info in self.ask(to_ask).await {
            let sysfs = info.node.sysfs.clone();
            if matches!(info.function, Err(NodeError::Gone { .. })) && !sysfs.exists() {
                // It went while it was asked. That is no device with a problem, but none.
                changed |= self.known.remove(&sysfs).is_some();
                continue;
            }
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

    /// Asks nodes what they do, all at the same time. One that has not answered yet is not asked
    /// again: each question costs a thread for as long as the driver hangs.
    async fn ask(&mut self, nodes: Vec<Node>) -> Vec<DeviceInfo> {
        let now = Instant::now();
        let mut asked = Vec::new();
        for node in nodes {
            let question = || (now + self.patience, question(self.question, node.clone()));
            let (until, answer) = self.hanging.remove(&node.sysfs).map_or_else(question, |answer| (now, answer));
            asked.push((node, until, answer));
        }
        let mut answers = Vec::new();
        for (node, until, mut answer) in asked {
            let function = match timeout_at(until, &mut answer).await {
                Ok(Ok(info)) => info.function,
                late => {
                    if late.is_err() {
                        self.hanging.insert(node.sysfs.clone(), answer);
                    }
                    Err(NodeError::Hangs { devnode: node.devnode.clone() })
                }
            };
            answers.push(DeviceInfo { node, function });
        }
        answers
    }
}

/// Asks one node, on a thread of its own.
fn question(ask: fn(Node) -> DeviceInfo, node: Node) -> oneshot::Receiver<DeviceInfo> {
    let (answer, answered) = oneshot::channel();
    let thread = std::thread::Builder::new().name("vs-ask".to_owned());
    // The node may be gone when the answer comes. Without a thread none comes.
    let _ = thread.spawn(move || drop(answer.send(ask(node))));
    answered
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static QUESTIONS: AtomicUsize = AtomicUsize::new(0);
    static HANGS: Mutex<()> = Mutex::new(());

    /// A driver that hangs as long as the test wants.
    fn hang(node: Node) -> DeviceInfo {
        QUESTIONS.fetch_add(1, Ordering::Relaxed);
        drop(HANGS.lock());
        DeviceInfo::ask(node)
    }

    #[tokio::test]
    async fn a_driver_that_hangs_is_asked_once() {
        let (lists, _lists) = unbounded_channel();
        let mut watcher = Watcher::new(hang, Duration::from_millis(1), lists);
        let node = Node { devnode: "/nonexistent/video0".into(), ..Node::default() };
        let hanging = HANGS.lock();
        for _ in 0..10 {
            let answers = watcher.ask(vec![node.clone()]).await;
            assert!(matches!(answers[0].function, Err(NodeError::Hangs { .. })), "{answers:?}");
        }
        drop(hanging);
        // Its answer counts when it comes at last.
        while !watcher.hanging.is_empty() {
            watcher.ask(vec![node.clone()]).await;
        }
        assert_eq!(QUESTIONS.load(Ordering::Relaxed), 1);
    }
}
