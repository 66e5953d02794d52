// SPDX-License-Identifier: Apache-2.0
//! A V4L2 camera as a source that outlives its device.
//!
//! While the camera is away the stream waits; when it is back, or has been repaired, frames go on
//! with a flag that says that some are missing. Whatever happens here concerns the thread of this
//! one stream only.
//!
//! * [`capture`]: the camera, while it is open
//! * [`ladder`]: what to do when it does not deliver, and when; pure

pub mod capture;
pub mod ladder;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use vs_frame::Format;
use vs_frame::clock::monotonic_ns;
use vs_ipc::wire::StreamState;
use vs_v4l2::{CaptureError, NodeError, OpenError, StartError};

use self::capture::{Capture, Interruption};
use self::ladder::{Ladder, Step, Trouble, patience_ns};
use super::ration::Ration;
use super::source::{BufferCounts, Counts, Event};
use super::spec::{Shape, frames_for_clients};
use crate::controls::DeviceControls;
use crate::devices::Following;

/// Which camera to open, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraPlan {
    /// The camera, wherever it is.
    pub camera: Following,
    /// What it was told to be like.
    pub controls: Arc<DeviceControls>,
    /// What its frames shall be.
    pub shape: Shape,
    /// Buffers to ask the driver for.
    pub buffers: usize,
    /// Buffers beyond those, while readers hold many.
    pub spares: usize,
    /// Whether clients of libvideostream shall be able to read them.
    pub vsl: bool,
}

/// See the module.
#[derive(Debug)]
pub struct CameraSource {
    plan: CameraPlan,
    capture: Option<Capture>,
    /// Which arrival of the device is, or was, open.
    arrival: Option<u64>,
    ladder: Ladder,
    /// What earlier captures have counted, and what was done between them.
    past: Counts,
    /// A frame has been delivered: what comes after a pause is not the first.
    has_delivered: bool,
    /// What the stream was told.
    state: (StreamState, String),
    events: VecDeque<Event>,
    outage: Option<Outage>,
    /// What was wrong when the last source of this stream was closed: it need not be said again.
    known: Option<String>,
    ration: Ration,
}

/// From the first trouble until the camera delivers steadily.
#[derive(Debug)]
struct Outage {
    since: Instant,
    /// The first frame after the last trouble.
    until: Option<Instant>,
    restarts: u64,
    reopens: u64,
    /// Why it began.
    cause: String,
    /// It was said that from here on attempts are only counted.
    paused: bool,
}

enum Wake {
    Capture(Result<Event, Interruption>),
    Due,
    Presence,
}

impl CameraSource {
    /// Opens the camera. One that cannot be opened is an error, unless the source is to be
    /// `patient`: then it is tried again until it can. Must be called on the stream's runtime.
    /// Trouble that is `known` has been logged.
    pub fn open(plan: CameraPlan, patient: bool, known: Option<&str>) -> anyhow::Result<Self> {
        let mut source = Self {
            plan,
            capture: None,
            arrival: None,
            ladder: Ladder::new(),
            past: Counts::default(),
            has_delivered: false,
            state: (StreamState::Running, String::new()),
            events: VecDeque::new(),
            outage: None,
            known: known.map(str::to_owned),
            ration: Ration::default(),
        };
        match source.reopen() {
            Ok(()) => {}
            Err(error) if patient => source.on_refusal(&error),
            Err(error) => return Err(error),
        }
        // What has been told so far, the stream learns from `state` and `format`.
        source.events.clear();
        Ok(source)
    }

    /// The format of its frames, unless it has never been open.
    pub fn format(&self) -> Option<&Arc<Format>> {
        self.capture.as_ref().map(Capture::format)
    }

    pub fn adjustments(&self) -> Vec<String> {
        self.capture.as_ref().map(Capture::adjustments).unwrap_or_default()
    }

    pub fn frames_for_clients(&self) -> usize {
        let wanted = self.plan.buffers + self.plan.spares;
        frames_for_clients(self.capture.as_ref().map_or(wanted, Capture::max_buffers))
    }

    pub fn buffers(&self) -> BufferCounts {
        self.capture.as_ref().map(Capture::buffers).unwrap_or_default()
    }

    pub fn trim(&mut self) -> bool {
        self.capture.as_mut().is_some_and(Capture::trim)
    }

    pub fn state(&self) -> (StreamState, &str) {
        (self.state.0, &self.state.1)
    }

    /// What keeps it from delivering, if it does not.
    pub fn outage(&self) -> Option<String> {
        self.outage.as_ref().filter(|outage| outage.until.is_none()).map(|outage| outage.cause.clone())
    }

    /// Since the stream was started, however often the camera was opened.
    pub fn counts(&self) -> Counts {
        let now = self.capture.as_ref().map(Capture::counts).unwrap_or_default();
        Counts { stalls: self.ladder.stalls(), ..self.past.plus(&now) }
    }

    /// Waits for what comes next. Safe to cancel: nothing is taken before it returns.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            if self.ladder.step().is_some_and(|(at_ns, _)| at_ns <= monotonic_ns()) {
                self.on_due();
                continue;
            }
            let deadline_ns = self.ladder.deadline_ns();
            let wake = tokio::select! {
                biased;
                got = next_of(&mut self.capture) => Wake::Capture(got),
                () = sleep_until(deadline_ns) => Wake::Due,
                Ok(()) = self.plan.camera.presence.changed() => Wake::Presence,
            };
            match wake {
                Wake::Capture(Ok(event)) => self.on_event(event),
                Wake::Capture(Err(interruption)) => self.on_interruption(&interruption),
                Wake::Due => self.on_due(),
                Wake::Presence => self.on_presence(),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        // Only whole frames count: a camera that delivers nothing but damaged ones stands still.
        if matches!(event, Event::Frame(_) | Event::NoBuffer(_)) {
            let patience = self.patience_ns();
            self.ladder.delivered(monotonic_ns(), patience);
            self.has_delivered = true;
            if let Some(outage) = &mut self.outage {
                outage.until.get_or_insert_with(Instant::now);
            }
            self.tell(StreamState::Running, String::new());
            if self.ladder.is_healthy() {
                self.end_outage();
            }
        }
        self.events.push_back(event);
    }

    fn on_interruption(&mut self, interruption: &Interruption) {
        let (text, trouble) = match interruption {
            Interruption::SourceChanged => ("what comes in has another form now".to_owned(), Trouble::Changed),
            Interruption::Error(error @ CaptureError::Gone(_)) => (error.to_string(), Trouble::Closed),
            Interruption::Error(error) => (error.to_string(), Trouble::Failed),
        };
        self.trouble(StreamState::Waiting, text, trouble);
        if trouble == Trouble::Closed {
            // It may be back already.
            self.on_presence();
        }
    }

    /// Says what is wrong, and climbs.
    fn trouble(&mut self, state: StreamState, text: String, trouble: Trouble) {
        self.begin_outage(&text);
        self.ladder.trouble(monotonic_ns(), trouble);
        let beyond_repair = trouble == Trouble::Failed && self.ladder.pauses();
        self.tell(if beyond_repair { StreamState::Failed } else { state }, text);
        self.prepare();
    }

    /// A camera is left open only if it is to be restarted: one that reports an error would do so
    /// all the time, and others may use it meanwhile.
    fn prepare(&mut self) {
        if let Some((_, Step::Reopen)) = self.ladder.step() {
            self.close();
        }
        self.note_pauses();
    }

    fn on_due(&mut self) {
        let stalls = self.ladder.stalls();
        let step = self.ladder.due(monotonic_ns());
        if self.ladder.stalls() > stalls {
            let text = format!("no frame comes from '{}', which is there", self.plan.camera.name());
            self.begin_outage(&text);
            self.tell(if self.ladder.pauses() { StreamState::Failed } else { StreamState::Waiting }, text);
        }
        match step {
            Some(Step::Restart) => self.restart(),
            Some(Step::Reopen) => {
                if let Err(error) = self.reopen() {
                    self.on_refusal(&error);
                }
            }
            None => self.prepare(),
        }
    }

    /// The camera could not be opened.
    fn on_refusal(&mut self, error: &anyhow::Error) {
        if self.plan.camera.presence.borrow().is_none() {
            return self.on_presence();
        }
        let (state, trouble) = judge(error);
        self.trouble(state, format!("{error:#}"), trouble);
    }

    fn on_presence(&mut self) {
        let presence = self.plan.camera.presence.borrow_and_update().clone();
        match presence {
            None => {
                self.close();
                self.ladder.left();
                let was_there = self.arrival.is_some();
                self.begin_outage(if was_there {
                    "it was unplugged, or its driver unbound"
                } else {
                    "it is not there"
                });
                self.tell(StreamState::Waiting, self.absent());
            }
            // One that is open goes on: if it is another one now, it will say so.
            Some(presence) if self.capture.is_none() && self.arrival != Some(presence.arrival) => {
                self.ladder.arrived(monotonic_ns());
            }
            Some(_) => {}
        }
    }

    fn restart(&mut self) {
        self.past.restarts += 1;
        if let Some(outage) = &mut self.outage {
            outage.restarts += 1;
        }
        match self.capture.as_mut().map(Capture::restart) {
            Some(Ok(())) => {
                let patience = self.patience_ns();
                self.ladder.started(monotonic_ns(), patience);
            }
            Some(Err(error)) => self.trouble(StreamState::Waiting, error.to_string(), Trouble::Failed),
            None => self.ladder.trouble(monotonic_ns(), Trouble::Failed),
        }
    }

    fn reopen(&mut self) -> anyhow::Result<()> {
        self.close();
        let presence = self.plan.camera.presence.borrow_and_update().clone();
        let presence = presence.with_context(|| self.absent())?;
        if self.arrival.replace(presence.arrival) == Some(presence.arrival) {
            self.past.reopens += 1;
            if let Some(outage) = &mut self.outage {
                outage.reopens += 1;
            }
        }
        let mut capture = Capture::open(&presence, &self.plan).map_err(|error| blame(error, &presence.node))?;
        if self.has_delivered {
            capture.note_gap();
        }
        self.capture = Some(capture);
        let patience = self.patience_ns();
        self.ladder.started(monotonic_ns(), patience);
        self.events.push_back(Event::Opened);
        Ok(())
    }

    /// Closes the camera and keeps what it has counted.
    fn close(&mut self) {
        if let Some(capture) = self.capture.take() {
            self.past = self.past.plus(&capture.counts());
        }
    }

    fn patience_ns(&self) -> u64 {
        patience_ns(self.format().map_or(vs_frame::Rate::UNKNOWN, |format| format.rate))
    }

    fn absent(&self) -> String {
        format!("the camera '{}' is not there: plug it in", self.plan.camera.name())
    }

    fn tell(&mut self, state: StreamState, text: String) {
        if (self.state.0, self.state.1.as_str()) != (state, text.as_str()) {
            self.state = (state, text.clone());
            self.events.push_back(Event::State(state, text));
        }
    }

    fn begin_outage(&mut self, cause: &str) {
        if let Some(outage) = &mut self.outage {
            outage.until = None;
            return;
        }
        let known = self.known.take().is_some_and(|known| known == cause);
        self.outage = Some(Outage {
            since: Instant::now(),
            until: None,
            restarts: 0,
            reopens: 0,
            cause: cause.to_owned(),
            paused: known,
        });
        self.past.outages += 1;
        if !known && let Some(unlogged) = self.ration.take(Instant::now()) {
            tracing::warn!(
                camera = self.plan.camera.name(),
                cause,
                unlogged,
                "a camera does not deliver: its stream waits"
            );
        }
    }

    /// A camera that is away, or has no signal, needs no repair.
    fn note_pauses(&mut self) {
        let Some(outage) = &mut self.outage else { return };
        let beyond_repair = self.ladder.pauses() && self.state.0 == StreamState::Failed;
        if beyond_repair && !std::mem::replace(&mut outage.paused, true) {
            let (camera, cause) = (self.plan.camera.name(), &self.state.1);
            tracing::warn!(camera, cause, "a camera cannot be repaired at once: attempts go on with pauses");
        }
    }

    fn end_outage(&mut self) {
        let Some(Outage { since, until, restarts, reopens, .. }) = self.outage.take() else { return };
        if let Some(unlogged) = self.ration.take(Instant::now()) {
            let seconds = until.unwrap_or_else(Instant::now).saturating_duration_since(since).as_secs_f64();
            let camera = self.plan.camera.name();
            tracing::info!(camera, seconds, restarts, reopens, unlogged, "a camera delivers again");
        }
    }
}

/// What a camera that cannot be opened does to its stream.
fn judge(error: &anyhow::Error) -> (StreamState, Trouble) {
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(OpenError::NoSignal { .. } | OpenError::Signal { .. }), _) => (StreamState::Waiting, Trouble::NoSignal),
        (Some(OpenError::Node(NodeError::Gone { .. }) | OpenError::Another { .. }), _)
        | (_, Some(StartError::Gone(_))) => (StreamState::Waiting, Trouble::Closed),
        // Somebody must do something; when it is done, we notice.
        _ => (StreamState::Failed, Trouble::Closed),
    }
}

/// Who holds a camera that is busy may be this daemon itself.
fn blame(error: anyhow::Error, node: &Path) -> anyhow::Error {
    let busy = matches!(error.downcast_ref(), Some(OpenError::Node(NodeError::Busy { .. })))
        || matches!(error.downcast_ref(), Some(StartError::Busy(_)));
    let open_here = || {
        let files = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|path| path == node)
    };
    if busy && open_here() {
        return anyhow::anyhow!(
            "another stream of this daemon shows {}: use that one, or stop it (`vsctl status` lists them)",
            node.display()
        );
    }
    error
}

async fn next_of(capture: &mut Option<Capture>) -> Result<Event, Interruption> {
    match capture {
        Some(capture) => capture.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline_ns: Option<u64>) {
    match deadline_ns {
        Some(at_ns) => tokio::time::sleep(Duration::from_nanos(at_ns.saturating_sub(monotonic_ns()))).await,
        None => std::future::pending().await,
    }
}
