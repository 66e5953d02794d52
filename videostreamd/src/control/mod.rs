// SPDX-License-Identifier: Apache-2.0
//! The control plane: what can be asked of the daemon, whoever asks.
//!
//! It holds the streams and recordings and says no in words. It knows nothing of D-Bus;
//! [`bus`](crate::bus) translates.

mod entry;
mod error;
mod made;
mod plan;
mod playing;
mod policies;
mod recordings;
mod reload;
mod snapshots;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc};
use vs_ipc::wire::{GoodbyeReason, StreamState};

pub use self::entry::StreamEntry;
use self::entry::{Origin, Running};
pub use self::error::ControlError;
use self::error::{known, open_error};
use self::plan::OnFailure;
pub use self::playing::{PlayOptions, Playing};
use self::policies::Policies;
pub use self::policies::{PolicyEntry, PolicyState};
pub use self::reload::{Changes, Reloaded};
use crate::codec_session::{Limits, Sessions};
use crate::codecs::Codecs;
use crate::config::load::{self, Loaded};
use crate::controls::ControlBook;
use crate::devices::Devices;
use crate::devices::watch::Found;
use crate::recording::Recording;
use crate::rendition::Renditions;
use crate::snapshot;
use crate::stream::directory::Directory;
use crate::stream::source::Plan;
use crate::stream::spec::Wanted;

/// See the module.
#[derive(Debug)]
pub struct Control {
    /// Where the configuration is.
    origin: load::Origin,
    loaded: RwLock<Arc<Loaded>>,
    /// Held while it is read anew.
    reloading: tokio::sync::Mutex<()>,
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
    codecs: Arc<Codecs>,
    renditions: Arc<Renditions>,
    /// Encoders and decoders of other processes.
    codec_sessions: Sessions,
    /// How many snapshots are taken at once.
    snapshots: Arc<snapshot::Limits>,
    /// Streams that others can be made from.
    directory: Directory,
    recordings: Mutex<BTreeMap<u64, Arc<Recording>>>,
    /// Never given twice: a late word about an old recording must not hit a new one.
    next_recording: AtomicU64,
    policies: Policies,
}

/// What is to be looked at again: it has come, gone or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The device of this name.
    Device(String),
    /// The stream of this name.
    Stream(String),
    /// The recording of this number, which the daemon has begun itself.
    Recording(u64),
}

impl Control {
    /// Nothing runs yet, and no device is known. `objects` learns what comes and goes.
    pub fn new(
        origin: load::Origin,
        loaded: Loaded,
        socket_dir: PathBuf,
        state_dir: Option<PathBuf>,
        epoch: u64,
        objects: mpsc::UnboundedSender<Changed>,
    ) -> Self {
        let entries =
            loaded.streams.iter().map(|spec| (spec.name.clone(), StreamEntry::new(spec.clone(), Origin::Config)));
        let streams = Mutex::new(entries.collect());
        let devices = &loaded.config.device;
        let configured = devices
            .iter()
            .filter_map(|(name, device)| Some((name.as_str().to_owned(), device.get_ref().matching.clone()?)));
        let limits =
            devices.iter().filter_map(|(name, device)| Some((name.as_str().to_owned(), device.get_ref().limits()?)));
        let limits = limits.collect();
        let devices = Arc::new(Devices::new(configured.collect(), loaded.cameras(), state_dir.clone()));
        let policies = Policies::new(&loaded.recordings, state_dir.as_deref());
        let controls = ControlBook::new(state_dir);
        let codecs = Arc::new(Codecs::new(Arc::clone(&devices), limits));
        Self {
            origin,
            loaded: RwLock::new(Arc::new(loaded)),
            reloading: tokio::sync::Mutex::default(),
            socket_dir,
            epoch,
            devices,
            objects,
            controls,
            switched_off: Mutex::default(),
            idled: Arc::default(),
            streams,
            codec_sessions: Sessions::new(Limits::default(), Arc::clone(&codecs)),
            renditions: Arc::new(Renditions::new(Arc::clone(&codecs))),
            codecs,
            snapshots: Arc::default(),
            directory: Directory::default(),
            recordings: Mutex::default(),
            next_recording: AtomicU64::new(1),
            policies,
        }
    }

    /// The configuration that counts: where it was read, and its text.
    pub fn configuration(&self) -> (PathBuf, String) {
        let loaded = self.loaded();
        (loaded.path.clone(), loaded.text.clone())
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over which devices there are now. Cameras that no stream of the configuration
    /// shows have one of their own for as long as they are there, or are used. Writes a file; what
    /// is to run is [offered](Self::offer) apart.
    pub fn update_devices(&self, found: &[Found]) {
        let changed = self.devices.update(found);
        self.tell(changed.into_iter().map(Changed::Device));
        self.show_cameras();
    }

    /// Adds a stream for each camera that has none.
    fn show_cameras(&self) {
        let (cameras, loaded) = (self.devices.cameras(), self.loaded());
        let mut streams = self.lock_streams();
        let mut changed = Vec::new();
        for camera in &cameras {
            if !streams.contains_key(camera)
                && let Some(spec) = loaded.implicit(camera, &self.socket_dir)
            {
                streams.insert(camera.clone(), StreamEntry::new(spec, Origin::Camera));
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
        entry.origin() == Origin::Camera && entry.is_unused() && !self.devices.cameras().contains(&entry.spec.name)
    }

    /// Publishes a stream whose source is opened on demand.
    async fn publish(&self, entry: &StreamEntry) {
        let _changing = entry.changing.lock().await;
        // Asked here, or one that is being stopped meanwhile would be back at once.
        if entry.running().is_some() || !self.is_current(entry) || self.switched_off().contains(&entry.spec.name) {
            return;
        }
        let plan = self.plan(entry, &Wanted::default(), None, OnFailure::Stay);
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

    /// Encoders and decoders of other processes.
    pub fn codec_sessions(&self) -> &Sessions {
        &self.codec_sessions
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

    /// The same, for one that is about to be started: the configuration may have another one by now.
    fn is_current(&self, entry: &StreamEntry) -> bool {
        self.lock_streams().get(&entry.spec.name).is_some_and(|known| std::ptr::eq(&raw const **known, entry))
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
            known: known(name, streams.keys().map(String::as_str), "none is configured and no camera was found"),
        })
    }

    /// Starts the streams that shall always run. One that fails stays, says why, and keeps
    /// its socket.
    pub async fn start_always_on(&self) {
        let loaded = self.loaded();
        let wanted = loaded.streams.iter().filter(|spec| spec.always_on);
        join_all(wanted.map(async |spec| {
            if let Ok(entry) = self.stream(&spec.name)
                && let Err(error) = self.start(&entry, &Wanted::default(), OnFailure::Stay).await
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
    pub async fn start_stream(&self, name: &str, wanted: &Wanted) -> Result<Arc<StreamEntry>, ControlError> {
        let entry = self.found_or_made(name, wanted)?;
        if let Err(error) = self.start(&entry, wanted, OnFailure::Stop).await {
            self.unmake(&entry);
            return Err(error);
        }
        Ok(entry)
    }

    async fn start(&self, entry: &StreamEntry, wanted: &Wanted, on_failure: OnFailure) -> Result<(), ControlError> {
        let _changing = entry.changing.lock().await;
        if !self.is_current(entry) {
            let name = &entry.spec.name;
            return Err(ControlError::Busy(format!("stream '{name}' has just been configured anew: try again")));
        }
        let current = entry.running().clone();
        let idle = entry.status.borrow().idle;
        let used = current.as_ref().filter(|_| !idle);
        let plan = self.plan(entry, wanted, used.map(|running| &running.plan), on_failure)?;
        let goes_on = |before: &Plan| !idle && *before == plan && entry.state() == StreamState::Running;
        if let (Plan::File(file), OnFailure::Stop) = (&plan, on_failure)
            && !current.as_ref().is_some_and(|running| goes_on(&running.plan))
        {
            // Whoever asks now wants to know; what plays later says it in its state.
            file.check().await?;
        }
        if on_failure == OnFailure::Stop {
            self.check_codec(&plan)?;
        }
        if let Some(Running { handle, plan: before }) = current {
            // A stream that waits for another host does so best if it is left alone.
            if before == plan && !idle && matches!(entry.state(), StreamState::Running | StreamState::Waiting) {
                handle.hold().await?;
                entry.set_held(true);
                return Ok(());
            }
            if !idle && self.change_encoder(&before, &plan).await {
                handle.replan(plan.clone()).await?;
                entry.set_running(Some(Running { handle, plan }), &self.directory);
                return Ok(());
            }
            handle.open(plan.clone(), on_failure.is_patient()).await.map_err(|error| open_error(&error))?;
            entry.set_running(Some(Running { handle, plan }), &self.directory);
            entry.set_held(true);
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
        entry.set_held(true);
        Ok(())
    }

    /// Changes the encoder of a coded stream while it runs, for everybody who shares it. Returns
    /// whether that was all there is to do.
    async fn change_encoder(&self, before: &Plan, wanted: &Plan) -> bool {
        let (Plan::Coded(before), Plan::Coded(wanted)) = (before, wanted) else { return false };
        let Some(changes) = before.rendition.coding.changes_to(&wanted.rendition.coding) else { return false };
        let changed = self.renditions.change(&before.rendition, changes).await;
        if let Err(reason) = &changed {
            let stream = &before.rendition.stream;
            tracing::info!(stream, reason, "the encoder cannot be changed while it runs: opening another one");
        }
        changed.is_ok()
    }

    /// Stops a stream: its recordings are completed, its clients told, its socket removed.
    ///
    /// # Errors
    /// [`ControlError`] if there is no such stream, or it does not run.
    pub async fn stop_stream(&self, name: &str) -> Result<(), ControlError> {
        let entry = self.stream(name)?;
        let reason = GoodbyeReason::StreamRemoved;
        let stopped = self.stop(&entry, reason, "the stream was stopped", true).await;
        self.unmake(&entry);
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
        entry.set_held(false);
        let Some(running) = entry.set_running(None, &self.directory) else { return Ok(false) };
        let stopped = running.handle.stop(reason, text).await;
        self.recordings_of(&entry.spec.name).await;
        entry.say(StreamState::Stopped, text);
        stopped?;
        Ok(true)
    }

    /// Ends everything: streams, their clients, their recordings.
    pub async fn shut_down(&self) {
        self.close_policies();
        self.codec_sessions.shut_down().await;
        let stops = self.streams().into_iter().map(async |entry| {
            if let Err(error) = self.stop(&entry, GoodbyeReason::Shutdown, "the daemon shuts down", false).await {
                tracing::warn!(stream = entry.spec.name, %error, "a stream did not stop cleanly");
            }
        });
        join_all(stops).await;
        self.end_policies().await;
    }
}
