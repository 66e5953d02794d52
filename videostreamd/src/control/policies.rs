// SPDX-License-Identifier: Apache-2.0
//! Recordings by policy: each is begun when it can be, and begun again whenever it has ended, until somebody ends it.
//!
//! A task for each of them, on the control plane; the disk is asked on threads that may wait. What repeats is logged
//! when it begins and when it is over.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use vs_ipc::wire::StreamState;

use super::{Changed, Changes, Control, ControlError, StreamEntry};
use crate::recording::policy::{Place, Policy};
use crate::recording::{EndReason, Recording, Summary};
use crate::stream::spec::SourceSpec;

/// The first pause before a recording is tried again. Each is twice as long as the last.
const PAUSE_MIN: Duration = Duration::from_millis(250);

/// The longest pause while a stream or a directory is waited for: what is missing of a recording after a camera has
/// come back.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The longest pause after recordings that began and failed: each leaves a short file and lines in the log.
const PAUSE_FAILING_MAX: Duration = Duration::from_secs(60);

/// A recording that has lasted this long goes well.
const STEADY: Duration = Duration::from_secs(10);

/// How long a stream may stand still before the file is finished. Shorter than that, as when a camera is opened anew
/// after a hiccup, it is a gap in the file.
const STANDSTILL: Duration = Duration::from_secs(10);

/// How often it is looked what has had its time while nothing is recorded.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

/// How long the tasks may take to end when the daemon does: what takes long, the files, has been finished before.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the one who starts a recording waits to learn that it has begun: a camera that must be opened and deliver
/// a first picture.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The recordings by policy.
#[derive(Debug, Default)]
pub struct Policies {
    entries: RwLock<Vec<Arc<PolicyEntry>>>,
}

/// One of them.
#[derive(Debug)]
pub struct PolicyEntry {
    /// What the configuration says.
    pub policy: Policy,
    /// Where its files are; `None` if nobody has said.
    pub path: Option<PathBuf>,
    /// Whether it shall run. Marked as changed also by a wish that is the same.
    wanted: watch::Sender<bool>,
    /// Nothing is begun any more.
    closing: watch::Sender<bool>,
    status: watch::Sender<PolicyStatus>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What it is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStatus {
    /// In a word.
    pub state: PolicyState,
    /// Why it does not record.
    pub text: String,
    /// Finished files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Attempts since the last wish.
    attempts: u64,
}

/// See [`PolicyStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyState {
    /// Nobody wants it to run.
    Stopped,
    /// It will, as soon as it can.
    Waiting,
    /// As the recording of this number.
    Recording(u64),
}

impl PolicyState {
    /// The word used on D-Bus.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Recording(_) => "recording",
        }
    }
}

impl PolicyEntry {
    fn new(policy: Policy, state_dir: Option<&Path>) -> Arc<Self> {
        let status = PolicyStatus { state: PolicyState::Stopped, text: String::new(), files: 0, bytes: 0, attempts: 0 };
        let wanted = watch::Sender::new(policy.enabled);
        Arc::new(Self {
            path: policy.path(state_dir),
            policy,
            wanted,
            closing: watch::Sender::new(false),
            status: watch::Sender::new(status),
            task: Mutex::new(None),
        })
    }

    /// What it is doing now.
    pub fn status(&self) -> PolicyStatus {
        self.status.borrow().clone()
    }

    fn say(&self, state: PolicyState, text: &str) {
        self.status.send_modify(|status| {
            status.state = state;
            text.clone_into(&mut status.text);
            status.attempts += 1;
        });
    }

    fn is_wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Waits until its task has ended.
    async fn end(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && timeout(END_TIMEOUT, task).await.is_err()
        {
            let name = &self.policy.name;
            tracing::warn!(recording = name, "the directory of a recording does not answer: going on without it");
        }
    }
}

impl Policies {
    /// None of them runs yet.
    pub fn new(policies: &[Policy], state_dir: Option<&Path>) -> Self {
        let entries = policies.iter().map(|policy| PolicyEntry::new(policy.clone(), state_dir)).collect();
        Self { entries: RwLock::new(entries) }
    }
}

impl Control {
    /// The recordings of the configuration.
    pub fn policies(&self) -> Vec<Arc<PolicyEntry>> {
        self.policies.entries.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on they run. Must be called on the runtime.
    pub fn start_policies(self: &Arc<Self>) {
        self.policies().iter().for_each(|entry| self.start_supervisor(entry));
    }

    fn start_supervisor(self: &Arc<Self>, entry: &Arc<PolicyEntry>) {
        let supervisor = Supervisor {
            control: Arc::clone(self),
            entry: Arc::clone(entry),
            wanted: entry.wanted.subscribe(),
            closing: entry.closing.subscribe(),
            place: None,
            tidied: Instant::now(),
            trouble: None,
        };
        let task = tokio::spawn(supervisor.run());
        *entry.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Takes over what a new configuration records: what differs ends, with its file, and begins anew.
    pub(super) async fn reload_policies(self: &Arc<Self>, wanted: &[Policy]) -> Changes {
        let known = self.policies();
        let name = |entry: &Arc<PolicyEntry>| entry.policy.name.clone();
        let (kept, old): (Vec<_>, Vec<_>) = known.into_iter().partition(|entry| wanted.contains(&entry.policy));
        let is_kept = |policy: &Policy| kept.iter().any(|entry| entry.policy == *policy);
        let new: Vec<_> = wanted.iter().filter(|policy| !is_kept(policy)).collect();
        let changes = Changes::between(old.iter().map(name), new.iter().map(|policy| policy.name.clone()));
        join_all(old.iter().map(async |entry| {
            entry.closing.send_replace(true);
            // Only a wish ends the file that is being written.
            entry.wanted.send_replace(false);
            entry.end().await;
        }))
        .await;
        let state_dir = self.state_dir().map(Path::to_owned);
        let new: Vec<_> =
            new.into_iter().map(|policy| PolicyEntry::new(policy.clone(), state_dir.as_deref())).collect();
        let mut all = [kept, new.clone()].concat();
        all.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
        *self.policies.entries.write().unwrap_or_else(PoisonError::into_inner) = all;
        new.iter().for_each(|entry| self.start_supervisor(entry));
        changes
    }

    /// No recording is begun any more.
    pub(super) fn close_policies(&self) {
        for entry in self.policies() {
            entry.closing.send_replace(true);
        }
    }

    /// Waits until their tasks have ended.
    pub(super) async fn end_policies(&self) {
        join_all(self.policies().iter().map(|entry| entry.end())).await;
    }

    /// Starts a recording of the configuration; returns when it has begun.
    ///
    /// # Errors
    /// [`ControlError`] if there is none of that name, or it cannot begin yet: then it does as soon as it can.
    pub async fn start_policy(&self, name: &str) -> Result<u64, ControlError> {
        let entry = self.policy(name)?;
        let mut status = entry.status.subscribe();
        let before = status.borrow_and_update().attempts;
        if let PolicyState::Recording(number) = entry.status().state
            && entry.is_wanted()
        {
            return Ok(number);
        }
        entry.wanted.send_replace(true);
        let tried = |status: &PolicyStatus| status.attempts > before && status.state != PolicyState::Stopped;
        let status = match timeout(START_TIMEOUT, status.wait_for(tried)).await {
            Ok(Ok(status)) => status.clone(),
            _ => entry.status(),
        };
        match status.state {
            PolicyState::Recording(number) => Ok(number),
            PolicyState::Waiting | PolicyState::Stopped => Err(ControlError::Failed(format!(
                "recording '{name}' cannot begin yet: {}; it does as soon as it can, until it is stopped",
                if status.text.is_empty() { "no picture has come" } else { &status.text }
            ))),
        }
    }

    /// Ends a recording of the configuration until somebody starts it; returns when its file is finished.
    ///
    /// # Errors
    /// [`ControlError`] if there is none of that name.
    pub async fn stop_policy(&self, name: &str) -> Result<(), ControlError> {
        let entry = self.policy(name)?;
        let mut status = entry.status.subscribe();
        entry.wanted.send_replace(false);
        let _ = status.wait_for(|status| status.state == PolicyState::Stopped).await;
        Ok(())
    }

    fn policy(&self, name: &str) -> Result<Arc<PolicyEntry>, ControlError> {
        let entries = self.policies();
        let found = entries.iter().find(|entry| entry.policy.name == name).cloned();
        found.ok_or_else(|| ControlError::NoSuchRecording {
            name: name.to_owned(),
            known: super::known(
                name,
                entries.iter().map(|entry| entry.policy.name.as_str()),
                "the configuration has no [recording.NAME]",
            ),
        })
    }

    /// The stream whose frames a recording of this one holds.
    fn source_of(&self, name: &str) -> Option<Arc<StreamEntry>> {
        let entry = self.find_stream(name)?;
        match &entry.spec.source {
            SourceSpec::Coded { from, .. } => self.find_stream(from),
            _ => Some(entry),
        }
    }
}

/// Why it does not record; what is the same in kind is one condition, however it is worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    Room,
    Stream,
    Ended,
}

/// A condition that is there for now.
#[derive(Debug)]
struct Trouble {
    kind: Kind,
    attempts: u64,
    since: Instant,
}

/// Why an attempt was in vain.
type Failure = (Kind, String);

struct Supervisor {
    control: Arc<Control>,
    entry: Arc<PolicyEntry>,
    wanted: watch::Receiver<bool>,
    closing: watch::Receiver<bool>,
    place: Option<Place>,
    tidied: Instant,
    trouble: Option<Trouble>,
}

impl Supervisor {
    async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        // What was not finished, and what has had its time, is looked after also if it shall not run.
        if !self.entry.is_wanted()
            && let Err((kind, text)) = self.open_place().await
        {
            self.is_in_trouble(kind, &text);
        }
        while !*self.closing.borrow_and_update() {
            if !*self.wanted.borrow_and_update() {
                self.entry.say(PolicyState::Stopped, "");
                self.trouble = None;
                pause = PAUSE_MIN;
                self.rest(TIDY_INTERVAL).await;
                continue;
            }
            let longest = match self.attempt().await {
                Ok(end) => self.ended(&end, &mut pause),
                Err((kind, text)) => {
                    self.is_in_trouble(kind, &text);
                    self.entry.say(PolicyState::Waiting, &text);
                    Some(PAUSE_MAX)
                }
            };
            if let Some(longest) = longest {
                self.rest(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }

    /// Waits, but not for longer than anything changes.
    async fn rest(&mut self, time: Duration) {
        if self.tidied.elapsed() >= TIDY_INTERVAL {
            self.tidied = Instant::now();
            self.tidy().await;
        }
        tokio::select! {
            () = sleep(time) => {}
            _ = self.wanted.changed() => {}
            _ = self.closing.changed() => {}
        }
    }

    async fn tidy(&mut self) {
        let Some(place) = self.place.clone() else { return };
        match spawn_blocking(move || (place.tidy(), place.contents())).await {
            Ok((tidied, contents)) => {
                self.show(contents);
                if let Err(error) = tidied {
                    self.is_in_trouble(Kind::Directory, &format!("cannot delete old files: {error}"));
                }
            }
            Err(crash) => tracing::error!(recording = self.entry.policy.name, %crash, "cannot delete old files"),
        }
    }

    fn show(&self, (files, bytes): (usize, u64)) {
        self.entry.status.send_modify(|status| (status.files, status.bytes) = (files as u64, bytes));
    }

    /// The directory, open.
    async fn open_place(&mut self) -> Result<Place, Failure> {
        let Some(path) = self.entry.path.clone() else {
            let text = "there is no place for it: say directory in its section, or state-dir in [daemon]";
            return Err((Kind::Directory, text.to_owned()));
        };
        let (entry, known) = (Arc::clone(&self.entry), self.place.take());
        let opened = spawn_blocking(move || {
            if let Some(place) = known.filter(Place::is_current) {
                return Ok(place);
            }
            Place::open(&entry.policy, &path)
        });
        let opened = opened.await.map_err(|crash| (Kind::Directory, crash.to_string()))?;
        let place = opened.map_err(|error| (Kind::Directory, error.to_string()))?;
        self.show(place.contents());
        self.place = Some(place.clone());
        Ok(place)
    }

    /// Begins, and returns when it has ended.
    async fn attempt(&mut self) -> Result<Ended, Failure> {
        let place = self.open_place().await?;
        let asked = place.clone();
        let room = spawn_blocking(move || asked.has_room()).await;
        room.map_err(|crash| (Kind::Room, crash.to_string()))?.map_err(|error| (Kind::Room, error.to_string()))?;
        let Policy { stream, options, .. } = &self.entry.policy;
        let begun = self.control.record(stream, Box::new(place.files()), options.clone()).await;
        let (number, recording) = begun.map_err(|error| (Kind::Stream, error.to_string()))?;
        self.control.tell([Changed::Recording(number)].into_iter());
        self.entry.say(PolicyState::Recording(number), "");
        let ended = self.follow(&recording, &place).await;
        self.show(place.contents());
        Ok(ended)
    }

    /// Looks after a recording until its end.
    async fn follow(&mut self, recording: &Recording, place: &Place) -> Ended {
        // A file is begun when the one before has been finished, and what must go has gone.
        let mut ledger = recording.ledger();
        let source = self.control.source_of(&self.entry.policy.stream);
        let began = Instant::now();
        let (mut steady, mut our_end) = (false, None);
        let standstill = stands_still(source.as_deref());
        tokio::pin!(standstill);
        let summary = loop {
            tokio::select! {
                summary = recording.wait() => break summary,
                () = sleep(STEADY.saturating_sub(began.elapsed())), if !steady => {
                    steady = true;
                    self.is_well();
                }
                text = &mut standstill, if our_end.is_none() => {
                    recording.stop();
                    our_end = Some(text);
                }
                Ok(()) = ledger.changed() => {
                    let place = place.clone();
                    if let Ok(contents) = spawn_blocking(move || place.contents()).await {
                        self.show(contents);
                    }
                }
                _ = self.wanted.changed() => {
                    if !*self.wanted.borrow_and_update() {
                        recording.stop();
                    }
                }
            }
        };
        Ended { summary, steady, our_end }
    }

    /// What to make of an end: how long the pauses may become before it begins again; `None`: it need not pause.
    fn ended(&mut self, end: &Ended, pause: &mut Duration) -> Option<Duration> {
        if end.steady {
            *pause = PAUSE_MIN;
        }
        if *self.closing.borrow() {
            return None;
        }
        let Summary { reason, error, .. } = &end.summary;
        match (reason, &end.our_end) {
            (EndReason::Stopped, None) => {
                let name = &self.entry.policy.name;
                tracing::info!(recording = name, "stopped by request: vsctl start-recording {name} begins it again");
                // Somebody may have ended it as a recording, not as a policy.
                self.entry.wanted.send_if_modified(|wanted| std::mem::replace(wanted, false));
                None
            }
            (EndReason::FormatChanged | EndReason::Limit, _) => None,
            (reason, our_end) => {
                let text = match our_end {
                    Some(text) => text.clone(),
                    None if error.is_empty() => "the stream has stopped".to_owned(),
                    None => error.clone(),
                };
                let (kind, longest) = match reason {
                    EndReason::DiskFull => (Kind::Room, PAUSE_FAILING_MAX),
                    EndReason::Failed => (Kind::Ended, PAUSE_FAILING_MAX),
                    _ => (Kind::Stream, PAUSE_MAX),
                };
                self.is_in_trouble(kind, &text);
                self.entry.say(PolicyState::Waiting, &text);
                Some(longest)
            }
        }
    }

    fn is_in_trouble(&mut self, kind: Kind, text: &str) {
        if let Some(trouble) = &mut self.trouble
            && trouble.kind == kind
        {
            trouble.attempts += 1;
            return;
        }
        let (attempts, since) = self.trouble.take().map_or((0, Instant::now()), |old| (old.attempts, old.since));
        let Policy { name, stream, .. } = &self.entry.policy;
        tracing::warn!(recording = name, stream, reason = text, "not recording: it goes on as soon as it can");
        self.trouble = Some(Trouble { kind, attempts: attempts + 1, since });
    }

    fn is_well(&mut self) {
        let Some(Trouble { attempts, since, .. }) = self.trouble.take() else { return };
        let Policy { name, stream, .. } = &self.entry.policy;
        let seconds = since.elapsed().as_secs();
        tracing::info!(recording = name, stream, attempts, seconds, "recording goes well again");
    }
}

/// How a recording ended.
struct Ended {
    summary: Summary,
    /// Whether it went well for a while.
    steady: bool,
    /// Why we ended it, if we did.
    our_end: Option<String>,
}

/// Returns when nothing has come from a stream for a while; says why.
async fn stands_still(source: Option<&StreamEntry>) -> String {
    let Some(source) = source else { return std::future::pending().await };
    let mut status = source.status();
    loop {
        let lost = status.wait_for(|status| status.state != StreamState::Running).await.is_ok();
        if !lost {
            // The stream is gone for good, and with it the recording.
            return std::future::pending().await;
        }
        let back = status.wait_for(|status| status.state == StreamState::Running);
        if timeout(STANDSTILL, back).await.is_err() {
            let text = status.borrow().text.clone();
            return format!("stream '{}' stands still: {text}", source.spec.name);
        }
    }
}
