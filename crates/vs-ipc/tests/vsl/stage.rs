// SPDX-License-Identifier: Apache-2.0
//! A host in a thread of its own, with an endpoint for libvideostream's clients, that
//! publishes what a test tells it to.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use vs_frame::clock::{NS_PER_MS, monotonic_ns};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, FrameMeta, Rate};
use vs_ipc::host::{ClientSnapshot, Dialect, Host, HostOptions, HostSnapshot, VslOptions};
use vs_ipc::wire::StreamState;

use crate::raw::Raw;

/// Far beyond anything that happens here, so that a fault is a failure and not a hang.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Long enough for every test that does not want a lifespan to end.
pub const LONG_NS: u64 = 60_000 * NS_PER_MS;

pub const WIDTH: u32 = 64;
pub const HEIGHT: u32 = 32;

type Job = Box<dyn FnOnce(&mut Host, &CpuPool) + Send>;
type Condition = Box<dyn Fn(&HostSnapshot) -> bool + Send>;

enum Order {
    Do(Job),
    Until(Condition, mpsc::Sender<()>),
}

pub struct Stage {
    dir: tempfile::TempDir,
    orders: Option<UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

pub fn format(fourcc: FourCc) -> Format {
    // The rate is not told, and bounds how long a lifespan the host can afford.
    Format::packed(fourcc, WIDTH, HEIGHT, Rate::UNKNOWN).unwrap()
}

pub fn pool(fourcc: FourCc, memory: CpuMemory) -> CpuPool {
    CpuPool::new(Arc::new(format(fourcc)), memory, 1, 64).unwrap()
}

impl Stage {
    /// A stream of NV12 pictures whose frames stay for longer than any test lasts.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut HostOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = HostOptions::new("cam0", dir.path().join("cam0"));
        options.lifespan_ns = LONG_NS;
        options.lease_max_ns = LONG_NS;
        options.frames = 32;
        options.vsl = Some(VslOptions { path: dir.path().join("cam0.vsl"), mode: 0o600, group: None });
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

    pub fn native_path(&self) -> PathBuf {
        self.dir.path().join("cam0")
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("cam0.vsl")
    }

    /// A client that the host knows already.
    pub fn raw(&self) -> Raw {
        let before = self.run(|host, _| host.snapshot().clients.len());
        let client = Raw::connect(&self.path());
        self.until(move |host| host.clients.len() > before);
        client
    }

    /// Does something with the host, in its thread.
    pub fn run<R: Send + 'static>(&self, job: impl FnOnce(&mut Host, &CpuPool) -> R + Send + 'static) -> R {
        let (reply, answer) = mpsc::channel();
        let job: Job = Box::new(move |host, pool| drop(reply.send(job(host, pool))));
        assert!(self.orders.as_ref().unwrap().send(Order::Do(job)).is_ok());
        answer.recv_timeout(TIMEOUT).expect("the host does not answer")
    }

    /// Publishes a picture filled with `value`; its serial.
    pub fn publish(&self, value: u8) -> i64 {
        self.run(move |host, pool| publish(host, pool, value))
    }

    /// Waits until the host says that it is so.
    pub fn until(&self, condition: impl Fn(&HostSnapshot) -> bool + Send + 'static) {
        let (reply, answer) = mpsc::channel();
        assert!(self.orders.as_ref().unwrap().send(Order::Until(Box::new(condition), reply)).is_ok());
        if answer.recv_timeout(TIMEOUT).is_err() {
            panic!("it did not happen: {:?}", self.run(|host, _| host.snapshot()));
        }
    }

    pub fn client(&self) -> ClientSnapshot {
        let clients = self.run(|host, _| host.snapshot()).clients;
        let [client] = &clients[..] else { panic!("not one client: {clients:?}") };
        assert_eq!(client.dialect, Dialect::Vsl);
        client.clone()
    }
}

impl Drop for Stage {
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

async fn serve(options: HostOptions, mut inbox: UnboundedReceiver<Order>, begun: mpsc::Sender<()>) {
    let pool = pool(FourCc::NV12, CpuMemory::WritableMemfd);
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

pub fn publish(host: &mut Host, pool: &CpuPool, value: u8) -> i64 {
    let mut slot = pool.acquire().unwrap().expect("the pool is empty");
    slot.write(|memories| memories[0].fill(value)).unwrap();
    let meta = FrameMeta { capture_ns: monotonic_ns(), pts: Some(7), duration: Some(33), ..FrameMeta::default() };
    host.publish(slot.finish(meta).unwrap()) as i64
}
