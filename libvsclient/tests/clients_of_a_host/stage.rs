// SPDX-License-Identifier: Apache-2.0
//! A host in a thread of its own, that publishes what a test tells it to.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, FrameMeta, Rate, clock::monotonic_ns};
use vs_ipc::host::{Host, HostOptions, HostSnapshot};
use vs_ipc::wire::StreamState;
use vsclient::{Client, ClientBuilder, Frame};

/// Far beyond anything that happens here, so that a fault is a failure and not a hang.
pub const TIMEOUT: Duration = Duration::from_secs(20);

type Job = Box<dyn FnOnce(&mut Host, &CpuPool) + Send>;
type Condition = Box<dyn Fn(&HostSnapshot) -> bool + Send>;

enum Order {
    Do(Job),
    Until(Condition, mpsc::Sender<()>),
}

pub struct Stage {
    pub dir: Arc<tempfile::TempDir>,
    orders: Option<UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    /// A stream `cam0` in a directory of its own.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut HostOptions)) -> Self {
        Self::at(Arc::new(tempfile::tempdir().unwrap()), change)
    }

    pub fn at(dir: Arc<tempfile::TempDir>, change: impl FnOnce(&mut HostOptions)) -> Self {
        let mut options = HostOptions::new("cam0", dir.path().join("cam0"));
        change(&mut options);
        let (orders, inbox) = unbounded_channel();
        let (begun, wait) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(options, inbox, begun));
        });
        wait.recv_timeout(TIMEOUT).expect("the host could not start");
        Self { dir, orders: Some(orders), thread: Some(thread) }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("cam0")
    }

    pub fn client(&self) -> ClientBuilder {
        Client::builder("cam0").socket_dir(self.dir.path()).name("tester")
    }

    fn order(&self, order: Order) {
        assert!(self.orders.as_ref().unwrap().send(order).is_ok(), "the host has gone");
    }

    /// Does something with the host, in its thread.
    pub fn run<R: Send + 'static>(&self, job: impl FnOnce(&mut Host, &CpuPool) -> R + Send + 'static) -> R {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Do(Box::new(move |host, pool| drop(reply.send(job(host, pool))))));
        answer.recv_timeout(TIMEOUT).expect("the host does not answer")
    }

    /// Publishes a picture filled with `value`; its serial.
    pub fn publish(&self, value: u8) -> u64 {
        self.run(move |host, pool| publish(host, pool, value))
    }

    /// Publishes one picture for each value.
    pub fn publish_all(&self, values: std::ops::RangeInclusive<u8>) {
        for value in values {
            self.publish(value);
        }
    }

    /// Waits until the host says that it is so.
    pub fn until(&self, condition: impl Fn(&HostSnapshot) -> bool + Send + 'static) {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Until(Box::new(condition), reply));
        if answer.recv_timeout(TIMEOUT).is_err() {
            panic!("it did not happen: {:?}", self.run(|host, _| host.snapshot()));
        }
    }

    /// Waits until no client holds anything.
    pub fn until_all_is_returned(&self) {
        self.until(|host| host.clients.iter().all(|client| client.held == 0));
    }
}

impl Drop for Stage {
    /// The host goes without a word, as if it had been killed.
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the host panicked");
        }
    }
}

/// Buffers of the pool. The host keeps one frame, so a client with credits for all others
/// can be starved by itself only.
pub const BUFFERS: usize = 12;

async fn serve(options: HostOptions, mut inbox: UnboundedReceiver<Order>, begun: mpsc::Sender<()>) {
    let format = Format::packed(FourCc::GREY, 320, 240, Rate::fps(30)).unwrap();
    let pool = CpuPool::new(Arc::new(format), CpuMemory::Memfd, 2, BUFFERS).unwrap();
    let mut host = Host::bind(options).unwrap();
    host.set_state(StreamState::Running, "");
    begun.send(()).unwrap();
    let mut conditions: Vec<(Condition, mpsc::Sender<()>)> = Vec::new();
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Do(job)) => job(&mut host, &pool),
                Some(Order::Until(condition, reply)) => conditions.push((condition, reply)),
                None => return,
            },
            turned = host.turn() => turned.unwrap(),
        }
        let snapshot = host.snapshot();
        conditions.retain(|(condition, reply)| {
            let met = condition(&snapshot);
            if met {
                // Nobody waits any more if the test has failed meanwhile.
                let _ = reply.send(());
            }
            !met
        });
    }
}

pub fn publish(host: &mut Host, pool: &CpuPool, value: u8) -> u64 {
    let mut slot = pool.acquire().unwrap().expect("the pool is empty");
    slot.write(|memories| memories[0].fill(value)).unwrap();
    let meta = FrameMeta { capture_ns: monotonic_ns(), sequence: value.into(), ..FrameMeta::default() };
    host.publish(slot.finish(meta).unwrap())
}

/// The value that every pixel of a frame has.
pub fn value(frame: &Frame) -> u8 {
    let whole = |view: &vsclient::FrameView<'_>| {
        let plane = view.plane(0).unwrap();
        let first = plane.data[0];
        assert!(plane.rows().all(|row| row.iter().all(|pixel| *pixel == first)), "a torn picture");
        first
    };
    frame.read(whole).unwrap()
}
