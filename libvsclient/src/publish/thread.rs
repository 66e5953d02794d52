// SPDX-License-Identifier: Apache-2.0
//! The publisher's thread: a host, and what the program tells it.
//!
//! The channel between them has no bound of its own, for its two users have theirs: frames are
//! counted (see [`QUEUE`]), and whoever asks something waits for the answer. The thread itself
//! waits for nobody, so such a wait is as short as the machine allows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use vs_frame::Frame;
use vs_ipc::host::{Host, HostError, HostOptions, HostSnapshot};
use vs_ipc::wire::{GoodbyeReason, StreamState};

use super::{PublishError, StartError};

/// Frames that may wait for the thread before whoever publishes waits, too. One is usual; more
/// is a program that publishes as fast as it can, and each of them holds a buffer.
const QUEUE: usize = 4;

/// What the program tells the thread.
enum Order {
    Publish(Frame),
    State { state: StreamState, text: String, done: mpsc::Sender<()> },
    Snapshot(mpsc::Sender<HostSnapshot>),
    CatchUp(mpsc::Sender<()>),
    Stop { text: String },
}

/// The thread, as the program sees it.
#[derive(Debug)]
pub(super) struct Worker {
    orders: UnboundedSender<Order>,
    /// Serial that the next frame gets. Locked while a frame is sent, so that frames of
    /// several threads get their serials in the order in which they are sent.
    next_serial: Mutex<u64>,
    shared: Arc<Shared>,
    options: HostOptions,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Frames on their way.
    waiting: AtomicUsize,
    /// Why the thread has ended by itself.
    cause: OnceLock<String>,
}

/// Starts the thread; returns when the socket is there.
pub(super) fn start(options: HostOptions) -> Result<Worker, StartError> {
    let (orders, inbox) = unbounded_channel();
    let (bound, wait) = mpsc::channel();
    let shared = Arc::<Shared>::default();
    let (at_work, told) = (Arc::clone(&shared), options.clone());
    let thread = std::thread::Builder::new()
        // The kernel keeps 15 characters.
        .name(format!("pub-{}", options.stream))
        .spawn(move || run(told, inbox, &at_work, &bound))
        .map_err(StartError::Thread)?;
    let ended = |_| Err(StartError::Thread(std::io::Error::other("it ended at once")));
    wait.recv().unwrap_or_else(ended)?;
    Ok(Worker { orders, next_serial: Mutex::new(1), shared, options, thread: Some(thread) })
}

fn run(
    options: HostOptions,
    inbox: UnboundedReceiver<Order>,
    shared: &Shared,
    bound: &mpsc::Sender<Result<(), StartError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(bound.send(Err(StartError::Thread(error)))),
    };
    runtime.block_on(async {
        let host = match Host::bind(options) {
            Ok(host) => host,
            Err(error) => return drop(bound.send(Err(error.into()))),
        };
        drop(bound.send(Ok(())));
        if let Err(error) = serve(host, inbox, shared).await {
            let _ = shared.cause.set(error.to_string());
        }
    });
}

async fn serve(mut host: Host, mut inbox: UnboundedReceiver<Order>, shared: &Shared) -> Result<(), HostError> {
    loop {
        let order = tokio::select! {
            order = inbox.recv() => order,
            turned = host.turn() => {
                turned?;
                continue;
            }
        };
        match order {
            Some(Order::Publish(frame)) => {
                shared.waiting.fetch_sub(1, Ordering::Relaxed);
                host.set_state(StreamState::Running, "");
                host.publish(frame);
            }
            Some(Order::State { state, text, done }) => {
                host.set_state(state, &text);
                let _ = done.send(());
            }
            Some(Order::Snapshot(answer)) => drop(answer.send(host.snapshot())),
            Some(Order::CatchUp(done)) => drop(done.send(())),
            Some(Order::Stop { text }) => {
                host.set_state(StreamState::Stopped, &text);
                host.close(GoodbyeReason::StreamRemoved, &text);
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

impl Worker {
    pub(super) fn options(&self) -> &HostOptions {
        &self.options
    }

    pub(super) fn next_serial(&self) -> u64 {
        *self.lock_serial()
    }

    /// Sends a frame to the clients; its serial.
    pub(super) fn offer(&self, frame: Frame) -> Result<u64, PublishError> {
        let mut next = self.lock_serial();
        // Only the holder of the lock adds to it.
        if self.shared.waiting.load(Ordering::Relaxed) >= QUEUE {
            self.catch_up()?;
        }
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        self.orders.send(Order::Publish(frame)).map_err(|_| self.ended())?;
        let serial = *next;
        *next += 1;
        Ok(serial)
    }

    pub(super) fn set_state(&self, state: StreamState, text: String) -> Result<(), PublishError> {
        self.ask(|done| Order::State { state, text, done })
    }

    pub(super) fn snapshot(&self) -> Result<HostSnapshot, PublishError> {
        self.ask(Order::Snapshot)
    }

    /// Waits until every frame so far has been sent.
    pub(super) fn catch_up(&self) -> Result<(), PublishError> {
        self.ask(Order::CatchUp)
    }

    fn ask<T>(&self, order: impl FnOnce(mpsc::Sender<T>) -> Order) -> Result<T, PublishError> {
        let (sender, answer) = mpsc::channel();
        self.orders.send(order(sender)).map_err(|_| self.ended())?;
        answer.recv().map_err(|_| self.ended())
    }

    fn ended(&self) -> PublishError {
        let cause = self.shared.cause.get().cloned();
        PublishError::Ended(cause.unwrap_or_else(|| "its thread panicked".to_owned()))
    }

    fn lock_serial(&self) -> MutexGuard<'_, u64> {
        // Nothing under the lock can panic halfway.
        self.next_serial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the clients, and waits for the thread.
    pub(super) fn stop(&mut self, text: &str) {
        let Some(thread) = self.thread.take() else { return };
        // A thread that has ended needs no telling, and has said why.
        let _ = self.orders.send(Order::Stop { text: text.to_owned() });
        let _ = thread.join();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop("its program has ended it");
    }
}
