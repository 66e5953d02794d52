// SPDX-License-Identifier: Apache-2.0
//! A running stream, as the control plane sees it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use vs_codec::Effective;
use vs_frame::clock::monotonic_ns;
use vs_frame::{Format, MemoryKind};
use vs_ipc::host::{HostOptions, HostSnapshot};
use vs_ipc::wire::{GoodbyeReason, StreamState};

use super::consumer::{Consumer, FeedReceiver, queue};
use super::demand::Demand;
use super::onlooker::{Look, Seen};
use super::source::{BufferCounts, Counts, Plan};
use super::spec::StreamSpec;
use super::thread::{self, Reports};

/// How long a thread may take for an answer that needs no device. A thread that takes longer
/// hangs in a driver.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Commands that may wait; callers beyond wait in turn.
const COMMANDS: usize = 16;

/// What is known of a stream at any time.
#[derive(Debug, Clone)]
pub struct StreamStatus {
    /// What it is doing.
    pub state: StreamState,
    /// Why.
    pub text: String,
    /// Format of its frames, once known.
    pub format: Option<Arc<Format>>,
    /// Where its frames lie, once known.
    pub memory: Option<MemoryKind>,
    /// In which ways the device's answer differs from what was asked.
    pub adjustments: Vec<String>,
    /// The encoder that makes its frames, once known.
    pub encoder: Option<Arc<Effective>>,
    /// Its source is closed until somebody wants frames.
    pub idle: bool,
}

/// Names of all states that a stream can be in, as D-Bus, vsctl and the metrics have them.
pub const STATES: [&str; 5] = ["stopped", IDLE, "waiting", "running", "failed"];

/// The state of a stream that waits for nothing but users. Its clients never see it: where there
/// is one, it does not wait for any.
const IDLE: &str = "idle";

impl StreamStatus {
    /// What the stream is doing, as one of [`STATES`].
    pub fn name(&self) -> &'static str {
        if self.idle { IDLE } else { self.state.name() }
    }

    /// The stream does something else now.
    pub fn set_state(&mut self, state: StreamState, text: &str) {
        (self.state, self.idle) = (state, false);
        text.clone_into(&mut self.text);
    }

    /// Nothing runs.
    pub fn stopped() -> Self {
        Self {
            state: StreamState::Stopped,
            text: String::new(),
            format: None,
            memory: None,
            adjustments: Vec::new(),
            encoder: None,
            idle: false,
        }
    }
}

/// What a stream has counted.
#[derive(Debug, Clone)]
pub struct StreamSnapshot {
    /// The publishing side.
    pub host: HostSnapshot,
    /// The source's side, since the stream was started or got another form.
    pub source: Counts,
    /// The source's buffers.
    pub buffers: BufferCounts,
}

/// Messages to a stream's thread.
#[derive(Debug)]
pub enum Command {
    /// Open the source, or open it anew; a patient one waits for a camera that cannot be opened.
    Open { plan: Plan, patient: bool, done: oneshot::Sender<anyhow::Result<()>> },
    /// Open the source when somebody wants frames, and close it when nobody does.
    OnDemand { plan: Plan },
    /// Keep the source open, used or not.
    Hold,
    /// The source does already what this plan says; it is held.
    Replan { plan: Plan },
    /// Make a keyframe soon.
    Keyframe,
    /// Feed a consumer inside the daemon.
    Attach(Consumer),
    /// Tell somebody inside the daemon of each picture.
    LookOn(watch::Sender<Seen>),
    /// Give somebody a picture.
    Look(Look),
    /// Tell the counters.
    Snapshot(oneshot::Sender<StreamSnapshot>),
    /// Tell the clients, close, end.
    Stop { reason: GoodbyeReason, text: String },
}

/// Why a stream did not answer.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// Its thread has ended.
    #[error("the stream has stopped")]
    Stopped,
    /// Its thread is stuck.
    #[error("the stream's thread did not answer for {} s: its driver hangs", ANSWER_TIMEOUT.as_secs())]
    Hangs,
}

/// A stream's thread.
#[derive(Debug)]
pub struct StreamHandle {
    commands: mpsc::Sender<Command>,
    socket: PathBuf,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl StreamHandle {
    /// Starts the thread and publishes the socket; no source is opened yet. What the stream
    /// does is told through `status`; `idled` learns when its source was closed for want of users.
    pub async fn spawn(
        spec: &StreamSpec,
        status: watch::Sender<StreamStatus>,
        idled: Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (ready, bound) = oneshot::channel();
        // Serials begin anew with each start, not only with each start of the daemon.
        let options = HostOptions { epoch: monotonic_ns(), ..spec.host.clone() };
        let socket = options.path.clone();
        let demand = Demand::new(spec.linger);
        let thread = std::thread::Builder::new()
            // The kernel keeps 15 characters.
            .name(format!("vs-{}", spec.name))
            .spawn(move || thread::run(options, demand, receiver, Reports { status, idled }, ready))?;
        bound.await.map_err(|_| HandleError::Stopped)??;
        Ok(Self { commands, socket, thread: Mutex::new(Some(thread)) })
    }

    /// Path of the socket.
    pub fn socket(&self) -> &PathBuf {
        &self.socket
    }

    /// Opens the source, or opens it anew with another plan. Takes as long as the device. A
    /// `patient` one waits for a camera that cannot be opened.
    pub async fn open(&self, plan: Plan, patient: bool) -> anyhow::Result<()> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Open { plan, patient, done }).await?;
        answer.await.map_err(|_| HandleError::Stopped)?
    }

    /// Keeps the source open from now on, used or not.
    pub async fn hold(&self) -> Result<(), HandleError> {
        self.send(Command::Hold).await
    }

    /// Tells a source that does already what `plan` says, and keeps it open.
    pub async fn replan(&self, plan: Plan) -> Result<(), HandleError> {
        self.send(Command::Replan { plan }).await
    }

    /// Asks an encoder for a keyframe.
    pub async fn request_keyframe(&self) -> Result<(), HandleError> {
        self.send(Command::Keyframe).await
    }

    /// Leaves it to the stream's users when its source is open. Whatever stands in the way then is
    /// said in its state.
    pub async fn open_on_demand(&self, plan: Plan) -> Result<(), HandleError> {
        self.send(Command::OnDemand { plan }).await
    }

    /// Begins to feed a consumer inside the daemon.
    pub async fn attach(&self) -> Result<FeedReceiver, HandleError> {
        let (consumer, feed) = queue();
        self.send(Command::Attach(consumer)).await?;
        Ok(feed)
    }

    /// Begins to tell of each picture.
    pub(super) async fn look_on(&self, told: watch::Sender<Seen>) -> Result<(), HandleError> {
        self.send(Command::LookOn(told)).await
    }

    /// Asks for a picture.
    pub(super) async fn look(&self, look: Look) -> Result<(), HandleError> {
        self.send(Command::Look(look)).await
    }

    /// The counters of this moment.
    pub async fn snapshot(&self) -> Result<StreamSnapshot, HandleError> {
        let (sender, answer) = oneshot::channel();
        self.send(Command::Snapshot(sender)).await?;
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, answer).await.map_err(|_| HandleError::Hangs)?;
        answered.map_err(|_| HandleError::Stopped)
    }

    /// Tells the clients, closes everything and waits for the thread; a thread that hangs in
    /// its driver is left behind.
    pub async fn stop(&self, reason: GoodbyeReason, text: &str) -> Result<(), HandleError> {
        self.send(Command::Stop { reason, text: text.to_owned() }).await?;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        match tokio::time::timeout(ANSWER_TIMEOUT, joined).await {
            Ok(_) => Ok(()),
            Err(_) => Err(HandleError::Hangs),
        }
    }

    async fn send(&self, command: Command) -> Result<(), HandleError> {
        let sent = tokio::time::timeout(ANSWER_TIMEOUT, self.commands.send(command));
        sent.await.map_err(|_| HandleError::Hangs)?.map_err(|_| HandleError::Stopped)
    }
}
