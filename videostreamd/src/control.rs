// SPDX-License-Identifier: Apache-2.0
//! The control plane: what can be asked of the daemon, whoever asks.
//!
//! It holds the streams and recordings and says no in words. It knows nothing of D-Bus;
//! [`bus`](crate::bus) translates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc, watch};
use vs_codec::EncoderConfig;
use vs_ipc::wire::{GoodbyeReason, StreamState};

use crate::config::load::Loaded;
use crate::controls::ControlBook;
use crate::devices::Devices;
use crate::devices::watch::Found;
use crate::recording::{RecordError, RecordOptions, Recording};
use crate::rendition::{Rendition, Renditions};
use crate::stream::camera::CameraPlan;
use crate::stream::coded::CodedPlan;
use crate::stream::directory::{Directory, Published};
use crate::stream::handle::{HandleError, StreamSnapshot};
use crate::stream::ipc::Subscription;
use crate::stream::source::Plan;
use crate::stream::spec::{NotForVsl, Shape, SourceSpec, StreamSpec};
use crate::stream::{StreamHandle, StreamStatus};

/// How long recordings may take to be completed when the daemon ends. systemd's default
/// patience for a stopping unit is 90 s.
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request was refused. Each variant is a D-Bus error of its own.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nothing has that name.
    #[error("there is no stream '{name}': {known}")]
    NoSuchStream {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The stream's camera is not there.
    #[error("stream '{stream}' shows the camera '{device}', which is not there: {known}")]
    NoSuchDevice {
        /// The stream.
        stream: String,
        /// Its camera.
        device: String,
        /// What there is.
        known: String,
    },
    /// The request needs a running stream.
    #[error("stream '{0}' does not run: start it with `vsctl start-stream {0}`")]
    NotRunning(String),
    /// The stream runs, but its source has nothing to show.
    #[error("stream '{stream}' has no frames at present: {text}")]
    NoFrames {
        /// The stream.
        stream: String,
        /// What it waits for.
        text: String,
    },
    /// The source cannot do that.
    #[error("{0}")]
    BadFormat(String),
    /// The file cannot be used.
    #[error("{0}")]
    BadFile(String),
    /// The device has no control of that name.
    #[error("{0}")]
    NoSuchControl(String),
    /// The control cannot have that value, or not now.
    #[error("{0}")]
    BadControl(String),
    /// The device has been unplugged.
    #[error("{0}")]
    DeviceGone(String),
    /// Something failed on the way.
    #[error("{0}")]
    Failed(String),
}

impl From<HandleError> for ControlError {
    fn from(error: HandleError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<vs_v4l2::ControlError> for ControlError {
    fn from(error: vs_v4l2::ControlError) -> Self {
        use vs_v4l2::{ControlError as Refusal, NodeError};
        let text = error.to_string();
        match error {
            Refusal::Unknown { .. } => Self::NoSuchControl(text),
            Refusal::Node(NodeError::Gone { .. }) => Self::DeviceGone(text),
            Refusal::Node(_) | Refusal::Refused { .. } | Refusal::Partly { .. } => Self::Failed(text),
            _ => Self::BadControl(text),
        }
    }
}

/// A stream, running or not.
#[derive(Debug)]
pub struct StreamEntry {
    /// What it is to be.
    pub spec: StreamSpec,
    status: watch::Sender<StreamStatus>,
    running: Mutex<Option<Running>>,
    /// Whether it is there only because its camera is.
    implicit: bool,
    /// Held while it is started or stopped, which can take as long as a driver likes.
    changing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Running {
    handle: Arc<StreamHandle>,
    plan: Plan,
}

impl StreamEntry {
    fn new(spec: StreamSpec, implicit: bool) -> Arc<Self> {
        let status = watch::Sender::new(StreamStatus::stopped());
        Arc::new(Self { spec, status, running: Mutex::new(None), implicit, changing: tokio::sync::Mutex::default() })
    }

    /// What it is doing, and every change of it.
    pub fn status(&self) -> watch::Receiver<StreamStatus> {
        self.status.subscribe()
    }

    /// Path of its socket while there is one.
    pub fn socket(&self) -> Option<PathBuf> {
        self.running().as_ref().map(|running| running.handle.socket().clone())
    }

    /// Path of its socket for clients of libvideostream while there is one.
    pub fn vsl_socket(&self) -> Option<PathBuf> {
        let running = self.running().is_some();
        self.spec.host.vsl.as_ref().filter(|_| running).map(|vsl| vsl.path.clone())
    }

    /// Its counters; `None` while it is stopped.
    pub async fn snapshot(&self) -> Option<StreamSnapshot> {
        let handle = self.handle()?;
        handle.snapshot().await.ok()
    }

    fn handle(&self) -> Option<Arc<StreamHandle>> {
        self.running().as_ref().map(|running| Arc::clone(&running.handle))
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it was before. Those that are made from it are told.
    fn set_running(&self, running: Option<Running>, directory: &Directory) -> Option<Running> {
        let published =
            running.as_ref().map(|running| Published { handle: Arc::clone(&running.handle), status: self.status() });
        let before = std::mem::replace(&mut *self.running(), running);
        directory.note(&self.spec.name, published);
        before
    }

    /// What it is doing now.
    fn say(&self, state: StreamState, text: &str) {
        self.status.send_modify(|status| status.set_state(state, text));
    }

    fn state(&self) -> StreamState {
        self.status.borrow().state
    }

    /// The same as a word, one of [`STATES`](crate::stream::handle::STATES).
    pub fn state_name(&self) -> &'static str {
        self.status.borrow().name()
    }

    fn no_frames(&self) -> ControlError {
        ControlError::NoFrames { stream: self.spec.name.clone(), text: self.status.borrow().text.clone() }
    }

    /// Whether it has no users, and its source is closed for that reason, or because it is stopped.
    fn is_unused(&self) -> bool {
        self.running().is_none() || self.status.borrow().idle
    }

    async fn spawn(&self, idled: &Arc<Notify>) -> anyhow::Result<Arc<StreamHandle>> {
        StreamHandle::spawn(&self.spec, self.status.clone(), Arc::clone(idled)).await.map(Arc::new)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Control {
    loaded: Loaded,
    socket_dir: PathBuf,
    epoch: u64,
    devices: Arc<Devices>,
    /// Learns which objects have come, gone or changed.
    objects: mpsc::UnboundedSender<Changed>,
    controls: ControlBook,
    /// Streams that somebody has stopped, by name: they are there for nobody until somebody starts
    /// them, also if their camera goes and comes back.
    switched_off: Mutex<BTreeSet<String>>,
    /// Woken when a stream has lost its last user.
    idled: Arc<Notify>,
    streams: Mutex<BTreeMap<String, Arc<StreamEntry>>>,
    renditions: Arc<Renditions>,
    /// Streams that others can be made from.
    directory: Directory,
    recordings: Mutex<BTreeMap<u64, Arc<Recording>>>,
    /// Never given twice: a late word about an old recording must not hit a new one.
    next_recording: AtomicU64,
}

/// What is to be looked at again: it has come, gone or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The device of this name.
    Device(String),
    /// The stream of this name.
    Stream(String),
}

impl Control {
    /// Nothing runs yet, and no device is known. `objects` learns what comes and goes.
    pub fn new(
        loaded: Loaded,
        socket_dir: PathBuf,
        state_dir: Option<PathBuf>,
        epoch: u64,
        objects: mpsc::UnboundedSender<Changed>,
    ) -> Self {
        let entries = loaded.streams.iter().map(|spec| (spec.name.clone(), StreamEntry::new(spec.clone(), false)));
        let streams = Mutex::new(entries.collect());
        let devices = &loaded.config.device;
        let configured =
            devices.iter().map(|(name, device)| (name.as_str().to_owned(), device.get_ref().matching.clone()));
        let wanted = loaded.streams.iter().filter_map(|spec| match &spec.source {
            SourceSpec::Camera { device } => Some(device.clone()),
            SourceSpec::Pattern | SourceSpec::Ipc { .. } | SourceSpec::Coded { .. } => None,
        });
        let devices = Arc::new(Devices::new(configured.collect(), wanted, state_dir.clone()));
        let controls = ControlBook::new(state_dir);
        Self {
            loaded,
            socket_dir,
            epoch,
            devices,
            objects,
            controls,
            switched_off: Mutex::default(),
            idled: Arc::default(),
            streams,
            renditions: Arc::default(),
            directory: Directory::default(),
            recordings: Mutex::default(),
            next_recording: AtomicU64::new(1),
        }
    }

    /// Takes over which devices there are now. Cameras that no stream of the configuration
    /// shows have one of their own for as long as they are there, or are used. Writes a file; what
    /// is to run is [offered](Self::offer) apart.
    pub fn update_devices(&self, found: &[Found]) {
        let changed = self.devices.update(found);
        self.tell(changed.into_iter().map(Changed::Device));
        let cameras = self.devices.cameras();
        let mut streams = self.lock_streams();
        let mut changed = Vec::new();
        for camera in &cameras {
            if !streams.contains_key(camera)
                && let Some(spec) = self.loaded.implicit(camera, &self.socket_dir)
            {
                streams.insert(camera.clone(), StreamEntry::new(spec, true));
                changed.push(camera.clone());
            }
        }
        drop(streams);
        self.tell(changed.into_iter().map(Changed::Stream));
    }

    /// Publishes every stream that nobody has stopped: its source is opened on demand. Forgets
    /// those that are there only because of a camera that has gone, and have no users.
    pub async fn offer(&self) {
        join_all(self.streams().into_iter().map(async |entry| {
            if self.is_orphaned(&entry) {
                // Whoever comes now is told that there is nothing.
                let _ = self.stop(&entry, GoodbyeReason::StreamRemoved, "the camera is gone", false).await;
            } else if !entry.spec.always_on {
                self.publish(&entry).await;
            }
        }))
        .await;
        self.forget_unused();
    }

    /// Waits until a stream has lost its last user.
    pub async fn idled(&self) {
        self.idled.notified().await;
    }

    /// Whether nothing is left that it could show, and nobody that it could show it to.
    fn is_orphaned(&self, entry: &StreamEntry) -> bool {
        entry.implicit && entry.is_unused() && !self.devices.cameras().contains(&entry.spec.name)
    }

    /// Publishes a stream whose source is opened on demand.
    async fn publish(&self, entry: &StreamEntry) {
        let _changing = entry.changing.lock().await;
        // Asked here, or one that is being stopped meanwhile would be back at once.
        if entry.running().is_some() || self.switched_off().contains(&entry.spec.name) {
            return;
        }
        let plan = self.plan(entry, Shape::default(), None, OnFailure::Stay);
        let published = async {
            let (plan, handle) = (plan?, entry.spawn(&self.idled).await?);
            handle.open_on_demand(plan.clone()).await?;
            entry.set_running(Some(Running { handle, plan }), &self.directory);
            anyhow::Ok(())
        };
        if let Err(error) = published.await {
            let text = format!("{error:#}");
            // It is tried again with each change of devices.
            if entry.status.borrow().text != text {
                tracing::error!(stream = entry.spec.name, error = text, "cannot publish a stream");
            }
            entry.say(StreamState::Failed, &text);
        }
    }

    /// Forgets streams and devices that are there only because of a camera that has gone.
    fn forget_unused(&self) {
        let mut streams = self.lock_streams();
        let unused = |_: &String, entry: &StreamEntry| {
            // One that is being started or stopped is looked at again after that.
            entry.running().is_none() && self.is_orphaned(entry) && entry.changing.try_lock().is_ok()
        };
        let gone: Vec<_> = streams.iter().filter(|(name, entry)| unused(name, entry)).map(|(n, _)| n.clone()).collect();
        let removed: Vec<_> = gone.iter().filter_map(|name| streams.remove(name)).collect();
        drop(streams);
        // Whoever waits for news of one learns that there will be none.
        removed.iter().for_each(|entry| entry.say(StreamState::Stopped, "the camera is gone"));
        self.tell(gone.into_iter().map(Changed::Stream));
        self.tell(self.devices.prune().into_iter().map(Changed::Device));
    }

    fn tell(&self, changed: impl Iterator<Item = Changed>) {
        // Nobody listens any more when the daemon ends.
        changed.for_each(|changed| drop(self.objects.send(changed)));
    }

    /// Directory of the sockets.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// Which life of the daemon this is.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The device registry.
    pub fn devices(&self) -> &Arc<Devices> {
        &self.devices
    }

    /// The stream of this name, running or not.
    pub fn find_stream(&self, name: &str) -> Option<Arc<StreamEntry>> {
        self.lock_streams().get(name).cloned()
    }

    /// What devices were told to be like.
    pub fn controls(&self) -> &ControlBook {
        &self.controls
    }

    /// Where it is remembered across restarts what devices were told.
    pub fn state_dir(&self) -> Option<&Path> {
        self.controls.state_dir()
    }

    /// Every stream, running or not.
    pub fn streams(&self) -> Vec<Arc<StreamEntry>> {
        self.lock_streams().values().cloned().collect()
    }

    /// Whether this is one of the streams that there are.
    pub fn shows(&self, entry: &Arc<StreamEntry>) -> bool {
        self.find_stream(&entry.spec.name).is_some_and(|known| Arc::ptr_eq(&known, entry))
    }

    fn switched_off(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.switched_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_streams(&self) -> MutexGuard<'_, BTreeMap<String, Arc<StreamEntry>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, name: &str) -> Result<Arc<StreamEntry>, ControlError> {
        let streams = self.lock_streams();
        streams.get(name).cloned().ok_or_else(|| ControlError::NoSuchStream {
            name: name.to_owned(),
            known: list("there are", streams.keys().map(String::as_str), "none is configured and no camera was found"),
        })
    }

    /// Starts the streams that shall always run. One that fails stays, says why, and keeps
    /// its socket.
    pub async fn start_always_on(&self) {
        let wanted = self.loaded.streams.iter().filter(|spec| spec.always_on);
        join_all(wanted.map(async |spec| {
            if let Ok(entry) = self.stream(&spec.name)
                && let Err(error) = self.start(&entry, Shape::default(), OnFailure::Stay).await
            {
                tracing::error!(stream = spec.name, %error, "cannot start a stream that is always on");
            }
        }))
        .await;
    }

    /// Starts a stream, or gives a running one another shape.
    ///
    /// # Errors
    /// [`ControlError`]; a stream that did not run before does not run after.
    pub async fn start_stream(&self, name: &str, wishes: Shape) -> Result<Arc<StreamEntry>, ControlError> {
        let entry = self.stream(name)?;
        self.start(&entry, wishes, OnFailure::Stop).await?;
        Ok(entry)
    }

    async fn start(&self, entry: &StreamEntry, wishes: Shape, on_failure: OnFailure) -> Result<(), ControlError> {
        let _changing = entry.changing.lock().await;
        let current = entry.running().clone();
        let idle = entry.status.borrow().idle;
        let used = current.as_ref().filter(|_| !idle);
        let plan = self.plan(entry, wishes, used.map(|running| &running.plan), on_failure)?;
        if let Some(Running { handle, plan: before }) = current {
            // A stream that waits for another host does so best if it is left alone.
            if before == plan && !idle && matches!(entry.state(), StreamState::Running | StreamState::Waiting) {
                return Ok(handle.hold().await?);
            }
            handle.open(plan.clone(), on_failure.is_patient()).await.map_err(|error| open_error(&error))?;
            entry.set_running(Some(Running { handle, plan }), &self.directory);
            return Ok(());
        }
        let handle = entry.spawn(&self.idled).await.map_err(|error| {
            let text = format!("{error:#}");
            entry.say(on_failure.state(), &text);
            ControlError::Failed(text)
        })?;
        entry.set_running(Some(Running { handle: Arc::clone(&handle), plan: plan.clone() }), &self.directory);
        if let Err(error) = handle.open(plan, on_failure.is_patient()).await {
            if on_failure == OnFailure::Stop {
                entry.set_running(None, &self.directory);
                let stopped = handle.stop(GoodbyeReason::StreamRemoved, "the stream could not be started").await;
                entry.say(StreamState::Stopped, &format!("could not be started: {error:#}"));
                stopped?;
            }
            return Err(open_error(&error));
        }
        self.switched_off().remove(&entry.spec.name);
        Ok(())
    }

    /// What to open for an entry: what was wished now, before, or in the configuration.
    fn plan(
        &self,
        entry: &StreamEntry,
        wishes: Shape,
        current: Option<&Plan>,
        on_failure: OnFailure,
    ) -> Result<Plan, ControlError> {
        let spec = &entry.spec;
        let before = current.map_or(spec.shape, |plan| match plan {
            Plan::Pattern { shape, .. } | Plan::Camera(CameraPlan { shape, .. }) => *shape,
            Plan::Ipc(_) | Plan::Coded(_) => Shape::default(),
        });
        let (shape, buffers) = (wishes.over(before), spec.buffers);
        match &spec.source {
            SourceSpec::Pattern => {
                let format = StreamSpec::pattern_format(shape).and_then(|format| spec.check_vsl(&format));
                format.map_err(ControlError::BadFormat)?;
                Ok(Plan::Pattern { shape, memory: spec.memory.clone(), buffers, spares: spec.spares })
            }
            SourceSpec::Camera { device } => {
                let camera = self.devices.follow(device);
                // Whoever asks now wants to know; what runs waits for its camera.
                let waits = current.is_some() || on_failure == OnFailure::Stay;
                let camera = camera.filter(|camera| waits || camera.presence.borrow().is_some());
                let camera = camera.ok_or_else(|| ControlError::NoSuchDevice {
                    stream: spec.name.clone(),
                    device: device.clone(),
                    known: list(
                        "cameras found:",
                        self.devices.cameras().iter().map(String::as_str),
                        "no camera was found",
                    ),
                })?;
                let (spares, vsl) = (spec.spares, spec.host.vsl.is_some());
                let controls = self.controls.of(device);
                Ok(Plan::Camera(CameraPlan { camera, controls, shape, buffers, spares, vsl }))
            }
            SourceSpec::Ipc { path, .. } if shape != Shape::default() => {
                let (name, path) = (&spec.name, path.display());
                Err(ControlError::BadFormat(format!(
                    "stream '{name}' is taken as it comes from {path}: format, size and rate are chosen there"
                )))
            }
            SourceSpec::Coded { from, .. } if shape != Shape::default() => Err(ControlError::BadFormat(format!(
                "stream '{}' shows what '{from}' shows: format, size and rate are chosen there",
                spec.name
            ))),
            SourceSpec::Coded { from, encoder } => Ok(Plan::Coded(CodedPlan {
                rendition: Rendition { stream: from.clone(), config: encoder.clone() },
                renditions: Arc::clone(&self.renditions),
                upstream: self.directory.look_at(from),
                buffers,
            })),
            SourceSpec::Ipc { path, locks } => Ok(Plan::Ipc(Subscription {
                path: path.clone(),
                locks: *locks,
                name: spec.name.clone(),
                credits: u16::try_from(buffers).unwrap_or(u16::MAX),
                lease: Duration::from_nanos(spec.host.lease_max_ns),
            })),
        }
    }

    /// Stops a stream: its recordings are completed, its clients told, its socket removed.
    ///
    /// # Errors
    /// [`ControlError`] if there is no such stream, or it does not run.
    pub async fn stop_stream(&self, name: &str) -> Result<(), ControlError> {
        let entry = self.stream(name)?;
        let reason = GoodbyeReason::StreamRemoved;
        let stopped = self.stop(&entry, reason, "the stream was stopped", true).await;
        self.forget_unused();
        if !stopped? {
            return Err(ControlError::NotRunning(name.to_owned()));
        }
        Ok(())
    }

    /// Stops a stream, if it runs; one that is `switched_off` stays so until somebody starts it.
    async fn stop(
        &self,
        entry: &StreamEntry,
        reason: GoodbyeReason,
        text: &str,
        switched_off: bool,
    ) -> Result<bool, ControlError> {
        let _changing = entry.changing.lock().await;
        if switched_off {
            self.switched_off().insert(entry.spec.name.clone());
        }
        let Some(running) = entry.set_running(None, &self.directory) else { return Ok(false) };
        let stopped = running.handle.stop(reason, text).await;
        self.recordings_of(&entry.spec.name).await;
        entry.say(StreamState::Stopped, text);
        stopped?;
        Ok(true)
    }

    /// Waits for the recordings of a stream that has stopped.
    async fn recordings_of(&self, stream: &str) {
        let of_stream: Vec<_> = self.lock_recordings().values().filter(|r| r.stream() == stream).cloned().collect();
        let waits = join_all(of_stream.iter().map(|recording| recording.wait()));
        if tokio::time::timeout(FINISH_TIMEOUT, waits).await.is_err() {
            tracing::error!(stream, "a recording could not be completed in time: its file plays as it lies");
        }
    }

    /// Begins a recording; returns when its first frame is in the file.
    ///
    /// # Errors
    /// [`ControlError`]; the file may hold a few bytes then.
    pub async fn record(
        &self,
        name: &str,
        file: File,
        options: RecordOptions,
    ) -> Result<(u64, Arc<Recording>), ControlError> {
        let entry = self.stream(name)?;
        let handle = entry.handle().ok_or_else(|| ControlError::NotRunning(name.to_owned()))?;
        if entry.is_unused() {
            // What is known to be missing is said at once.
            self.plan(&entry, Shape::default(), None, OnFailure::Stop)?;
        } else if entry.state() != StreamState::Running {
            return Err(entry.no_frames());
        }
        let (from, handle, options) = self.recorded(&entry, handle, options)?;
        let recording = Recording::begin(&self.renditions, &from, &handle, file, options).await;
        let recording = Arc::new(recording.map_err(|error| match error {
            RecordError::File(_) => ControlError::BadFile(error.to_string()),
            RecordError::Failed(_) if entry.state() != StreamState::Running => entry.no_frames(),
            RecordError::Failed(text) => ControlError::Failed(text),
        })?);
        let number = self.next_recording.fetch_add(1, Ordering::Relaxed);
        self.lock_recordings().insert(number, Arc::clone(&recording));
        Ok((number, recording))
    }

    /// What is recorded for an entry: of a coded stream what it is made from, encoded as it is.
    fn recorded(
        &self,
        entry: &StreamEntry,
        handle: Arc<StreamHandle>,
        mut options: RecordOptions,
    ) -> Result<(String, Arc<StreamHandle>, RecordOptions), ControlError> {
        let SourceSpec::Coded { from, encoder } = &entry.spec.source else {
            return Ok((entry.spec.name.clone(), handle, options));
        };
        if options.encoder != EncoderConfig::default() && options.encoder != *encoder {
            return Err(ControlError::BadFormat(format!(
                "stream '{}' is coded already, as its configuration says: record '{from}' with a codec, bitrate or \
                 keyframe interval of your own",
                entry.spec.name
            )));
        }
        options.encoder = encoder.clone();
        let raw = self.stream(from)?.handle().ok_or_else(|| ControlError::NotRunning(from.clone()))?;
        Ok((from.clone(), raw, options))
    }

    /// Forgets a recording that has ended.
    pub fn forget_recording(&self, number: u64) {
        self.lock_recordings().remove(&number);
    }

    fn lock_recordings(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Recording>>> {
        self.recordings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything: streams, their clients, their recordings.
    pub async fn shut_down(&self) {
        let stops = self.streams().into_iter().map(async |entry| {
            if let Err(error) = self.stop(&entry, GoodbyeReason::Shutdown, "the daemon shuts down", false).await {
                tracing::warn!(stream = entry.spec.name, %error, "a stream did not stop cleanly");
            }
        });
        join_all(stops).await;
    }
}

/// What becomes of a stream whose source cannot be opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnFailure {
    /// It is stopped again: whoever asked is told.
    Stop,
    /// It keeps its socket and says why in its state.
    Stay,
}

impl OnFailure {
    /// Whether a camera that cannot be opened now may be opened later.
    fn is_patient(self) -> bool {
        self == Self::Stay
    }

    /// What a stream is after it could not be started.
    fn state(self) -> StreamState {
        match self {
            Self::Stop => StreamState::Stopped,
            Self::Stay => StreamState::Failed,
        }
    }
}

fn open_error(error: &anyhow::Error) -> ControlError {
    let text = format!("{error:#}");
    match error.downcast_ref::<vs_v4l2::OpenError>() {
        Some(vs_v4l2::OpenError::NotOffered { .. }) => ControlError::BadFormat(text),
        _ if error.is::<NotForVsl>() => ControlError::BadFormat(text),
        _ => ControlError::Failed(text),
    }
}

fn list<'a>(intro: &str, names: impl Iterator<Item = &'a str>, none: &str) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { none.to_owned() } else { format!("{intro} {}", names.join(", ")) }
}
