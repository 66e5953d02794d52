// SPDX-License-Identifier: Apache-2.0
//! The one thread of a stream: source, clients and commands, in one loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use vs_frame::{Format, Frame, Memory, MemoryError, MemoryKind};
use vs_ipc::host::{Host, HostOptions};
use vs_ipc::wire::{GoodbyeReason, StreamState};

use super::consumer::{Consumer, Readers};
use super::demand::{Demand, Turn};
use super::handle::{Command, StreamSnapshot, StreamStatus};
use super::onlooker::Onlookers;
use super::ration::Ration;
use super::source::{BufferCounts, Counts, Event, Plan, Source, Withdrawn};
use super::spec::client_share;

/// How often spares that nobody needed meanwhile are given back.
const TRIM_INTERVAL: Duration = Duration::from_secs(5);

/// What the first client of an idle stream is told, for it opens the source.
const OPENING: &str = "opening the source";

/// Where a stream tells what it does.
pub struct Reports {
    /// Its status.
    pub status: watch::Sender<StreamStatus>,
    /// Woken when its source was closed because nobody uses it.
    pub idled: Arc<Notify>,
}

/// Runs a stream until it is told to stop. `ready` learns whether the socket is there.
pub fn run(
    options: HostOptions,
    demand: Demand,
    commands: mpsc::Receiver<Command>,
    reports: Reports,
    ready: oneshot::Sender<anyhow::Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error).context("cannot start the stream's event loop"));
            return;
        }
    };
    runtime.block_on(async {
        let credits_max = options.credits_max;
        let host = match Host::bind(options) {
            Ok(host) => host,
            Err(error) => {
                let _ = ready.send(Err(error.into()));
                return;
            }
        };
        let mut stream = StreamThread {
            host,
            credits_max,
            demand,
            plan: None,
            source: None,
            past: Counts::default(),
            known: None,
            consumers: Vec::new(),
            onlookers: Onlookers::default(),
            format: None,
            reports,
            trouble: Trouble::default(),
            ration: Ration::default(),
        };
        stream.set_state(StreamState::Waiting, "starting");
        let _ = ready.send(Ok(()));
        stream.run(commands).await;
    });
}

struct StreamThread {
    host: Host,
    /// What a client may hold at most, as configured.
    credits_max: u16,
    demand: Demand,
    /// What was last opened, or is to be on demand; it goes on if something else cannot be.
    plan: Option<Plan>,
    source: Option<Source>,
    /// What earlier sources of the same plan have counted.
    past: Counts,
    /// What was wrong with the last one when it was closed, and has been logged.
    known: Option<String>,
    consumers: Vec<Consumer>,
    onlookers: Onlookers,
    /// As the status says.
    format: Option<Arc<Format>>,
    reports: Reports,
    trouble: Trouble,
    /// For what its source may do at any rate.
    ration: Ration,
}

/// Conditions that repeat with every frame, to be logged when they begin and end.
#[derive(Default)]
struct Trouble {
    no_buffer: u64,
    corrupt: u64,
}

/// What the loop woke up for.
enum Wake {
    Source(anyhow::Result<Event>),
    Command(Option<Command>),
    Host(Result<(), vs_ipc::host::HostError>),
    Trim,
    /// Users may have gone for long enough.
    Linger,
}

impl StreamThread {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut trim = tokio::time::interval(TRIM_INTERVAL);
        loop {
            let serial = self.host.next_serial();
            let (have_room, are_done) = (self.has_room(), self.is_done());
            let readers = Readers { have_room, are_done, consumers: &self.consumers };
            let wake = tokio::select! {
                event = next_event(&mut self.source, serial, readers) => Wake::Source(event),
                command = commands.recv() => Wake::Command(command),
                turned = self.host.turn() => Wake::Host(turned),
                _ = trim.tick() => Wake::Trim,
                () = sleep_until(self.demand.due()) => Wake::Linger,
            };
            match wake {
                Wake::Source(Ok(event)) => self.on_event(event),
                Wake::Source(Err(error)) => self.fail(&error),
                Wake::Command(Some(Command::Stop { reason, text })) => return self.stop(reason, &text),
                Wake::Command(Some(command)) => self.on_command(command),
                Wake::Command(None) => return self.stop(GoodbyeReason::StreamRemoved, "the stream is gone"),
                Wake::Host(Ok(())) | Wake::Linger => {}
                Wake::Trim => self.trim(),
                Wake::Host(Err(error)) => {
                    self.fail(&error.into());
                    return;
                }
            }
            self.look_for_users();
        }
    }

    /// Whether there is anybody, and everybody has room for the next frame, as far as that matters to
    /// the source. The loop comes back here whenever it may have changed.
    fn has_room(&mut self) -> bool {
        if !self.source.as_ref().is_some_and(Source::waits_for_clients) {
            return true;
        }
        self.is_used() && self.host.has_room_for_next()
    }

    /// Whether no client holds a frame, as far as that matters to the source.
    fn is_done(&mut self) -> bool {
        self.source.as_ref().is_some_and(Source::is_ending) && self.host.is_done_with()
    }

    fn is_used(&self) -> bool {
        self.host.has_clients() || self.consumers.iter().any(Consumer::is_there) || self.onlookers.are_there()
    }

    /// Opens the source for the first user, and closes it when the last one has left for good.
    fn look_for_users(&mut self) {
        if self.demand.is_held() {
            return;
        }
        match self.demand.look(self.is_used(), Instant::now()) {
            Some(Turn::Open) => self.open_for_users(),
            Some(Turn::Close) => self.idle(),
            None => {}
        }
    }

    fn open_for_users(&mut self) {
        let Some(plan) = self.plan.clone() else { return };
        tracing::debug!(stream = self.name(), "somebody uses the stream: its source is opened");
        // What went wrong, its state says.
        let _ = self.open(&plan, true);
    }

    fn idle(&mut self) {
        tracing::debug!(stream = self.name(), "nobody uses the stream any more: its source is closed");
        self.close_source();
        self.consumers.clear();
        self.say_idle();
        self.reports.idled.notify_one();
    }

    fn say_idle(&mut self) {
        self.host.set_state(StreamState::Waiting, OPENING);
        self.reports.status.send_modify(|status| {
            status.set_state(StreamState::Waiting, "");
            status.idle = true;
        });
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Frame(frame) => self.on_frame(&frame, u64::MAX),
            Event::NoBuffer(cause) => self.pass_over(cause.as_ref()),
            Event::Lent { frame, until_ns } => self.on_lent(frame, until_ns),
            Event::Withdrawn(withdrawn) => {
                let missed = self.host.withdraw(|frame| match withdrawn {
                    Withdrawn::Buffer(buffer) => frame.buffer().id() == buffer,
                    Withdrawn::All => true,
                });
                if missed > 0
                    && let Some(unlogged) = self.ration.take(Instant::now())
                {
                    let stream = self.name();
                    tracing::warn!(stream, frames = missed, unlogged, "frames in use were taken back by their host");
                }
            }
            Event::Opened => self.take_over(),
            Event::Encoder => {
                let encoder = self.source.as_ref().and_then(Source::encoder).cloned();
                let adjustments = self.source.as_ref().map(Source::adjustments).unwrap_or_default();
                self.reports.status.send_modify(|status| {
                    status.encoder = encoder;
                    status.adjustments = adjustments;
                });
            }
            Event::State(state, text) => {
                // A camera's own troubles are told where they are repaired.
                let told = matches!(self.source, Some(Source::Camera(_)));
                if !told && let Some(unlogged) = self.ration.take(Instant::now()) {
                    tracing::info!(stream = self.name(), %state, text, unlogged, "what fills the stream changes its state");
                }
                self.set_state(state, &text);
            }
            // The loop comes round, and looks at the clients.
            Event::Ending => {}
            Event::Budget { frames } => self.set_budget(frames),
            Event::Corrupt => {
                if self.trouble.corrupt == 0 {
                    tracing::warn!(stream = self.name(), "the source delivers damaged frames: they are not published");
                }
                self.trouble.corrupt += 1;
            }
        }
    }

    fn pass_over(&mut self, cause: Option<&MemoryError>) {
        if self.trouble.no_buffer == 0 {
            let cause = cause.map(tracing::field::display);
            tracing::warn!(stream = self.name(), cause, "no buffer to spare: frames are being dropped");
        }
        self.trouble.no_buffer += 1;
        self.host.pass_over();
        self.consumers.iter().for_each(Consumer::miss);
    }

    /// Publishes a lent frame if a credit is left for the one to come. With a single credit
    /// there never is: then nothing is kept for clients that come later.
    fn on_lent(&mut self, frame: Frame, until_ns: u64) {
        let Some(Source::Ipc(source)) = &mut self.source else { return };
        // It would leave anyway for this one, and may be what is missing; so may be what a
        // client has said and nobody has heard yet.
        self.host.let_go_newest();
        if source.spare() == 0 {
            self.host.collect();
        }
        if source.spare() == 0 && source.lent() > 1 {
            source.passed_over();
            drop(frame);
            return self.pass_over(None);
        }
        self.note_format(&frame);
        self.on_frame(&frame, until_ns);
        drop(frame);
        if let Some(Source::Ipc(source)) = &mut self.source
            && source.spare() == 0
        {
            self.host.let_go_newest();
        }
    }

    /// Notes a format that the source could not tell before.
    fn note_format(&mut self, frame: &Frame) {
        if self.format.as_ref().is_some_and(|known| Arc::ptr_eq(known, frame.format())) {
            return;
        }
        let buffer = frame.buffer();
        let mut adjustments = Vec::new();
        if !buffer.memories().iter().all(Memory::is_read_only) {
            adjustments.push("its host hands out memory that every reader could write to".to_owned());
        }
        self.set_format(Arc::clone(frame.format()), buffer.kind(), adjustments);
    }

    fn set_format(&mut self, format: Arc<Format>, memory: MemoryKind, adjustments: Vec<String>) {
        if let Some(unlogged) = self.ration.take(Instant::now()) {
            tracing::info!(
                stream = self.name(), format = %format.fourcc, width = format.width, height = format.height,
                rate = %format.rate, ?memory, ?adjustments, unlogged, "stream runs"
            );
        }
        self.format = Some(Arc::clone(&format));
        self.reports.status.send_modify(|status| {
            status.format = Some(format);
            status.memory = Some(memory);
            status.adjustments = adjustments;
        });
    }

    fn on_frame(&mut self, frame: &Frame, until_ns: u64) {
        let serial = self.host.publish_until(frame.clone(), until_ns);
        self.consumers.retain(|consumer| consumer.offer(serial, frame));
        self.onlookers.on_frame(serial, frame);
        self.pass_on_keyframe_wish();
        let Trouble { no_buffer, corrupt } = std::mem::take(&mut self.trouble);
        if no_buffer > 0 {
            tracing::info!(stream = self.name(), dropped = no_buffer, "there are buffers again");
        }
        if corrupt > 0 {
            tracing::info!(stream = self.name(), damaged = corrupt, "frames are whole again");
        }
    }

    /// A client of a coded stream has come in the middle, or has lost its place.
    fn pass_on_keyframe_wish(&mut self) {
        if self.host.take_keyframe_wish() {
            self.request_keyframe();
        }
    }

    fn request_keyframe(&mut self) {
        if let Some(Source::Coded(coded)) = &mut self.source {
            coded.request_keyframe();
        }
    }

    /// Takes note that what it does already is to be like this.
    fn replan(&mut self, plan: Plan) {
        if let (Some(Source::Coded(coded)), Plan::Coded(plan)) = (&mut self.source, &plan) {
            coded.replan(plan.clone());
        }
        self.plan = Some(plan);
        self.demand.hold();
    }

    fn trim(&mut self) {
        if self.source.as_mut().is_some_and(Source::trim) {
            self.host.retire_buffers();
        }
    }

    /// Says how many frames all clients together may hold.
    fn set_budget(&mut self, frames: usize) {
        self.host.set_frames(frames);
        self.host.set_credits_max(client_share(self.credits_max, frames));
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Open { plan, patient, done } => {
                let opened = self.start(&plan, patient);
                let _ = done.send(opened);
            }
            Command::Hold => self.demand.hold(),
            Command::OnDemand { plan } => {
                self.plan = Some(plan);
                self.say_idle();
            }
            Command::Replan { plan } => self.replan(plan),
            Command::Keyframe => self.request_keyframe(),
            Command::Attach(consumer) => self.consumers.push(consumer),
            Command::LookOn(told) => self.onlookers.add(told),
            Command::Look(look) => self.onlookers.on_look(look, self.host.newest()),
            Command::Snapshot(reply) => {
                let source = self.source.as_ref();
                let _ = reply.send(StreamSnapshot {
                    host: self.host.snapshot(),
                    source: source.map_or(self.past, |source| self.past.plus(&source.counts())),
                    buffers: source.map_or_else(BufferCounts::default, Source::buffers),
                });
            }
            // Handled by the loop, which it ends.
            Command::Stop { .. } => {}
        }
    }

    /// Opens the source for whoever holds the stream from now on.
    fn start(&mut self, plan: &Plan, patient: bool) -> anyhow::Result<()> {
        self.open(plan, patient)?;
        self.demand.hold();
        Ok(())
    }

    /// Takes over what a source that has been opened says of itself.
    fn take_over(&mut self) {
        let Some(source) = &self.source else { return };
        self.onlookers.on_outage();
        let frames = source.frames_for_clients();
        let format = source.format().map(|(format, memory)| (Arc::clone(format), memory, source.adjustments()));
        self.set_budget(frames);
        if let Some((format, memory, adjustments)) = format {
            self.set_format(format, memory, adjustments);
        }
    }

    /// Opens a source in the place of the one that there is, if any; that one goes on if this
    /// cannot be.
    fn open(&mut self, plan: &Plan, patient: bool) -> anyhow::Result<()> {
        // A camera can be open once only.
        self.close_source();
        let refused = match Source::open(plan, patient, self.known.as_deref()) {
            Ok(source) => {
                if self.plan.as_ref() != Some(plan) {
                    (self.plan, self.past) = (Some(plan.clone()), Counts::default());
                }
                self.run_source(source);
                return Ok(());
            }
            Err(error) => error,
        };
        if self.plan.is_some() && self.demand.is_idle() {
            self.say_idle();
            return Err(refused);
        }
        match self.plan.as_ref().map(|before| Source::open(before, true, self.known.as_deref())) {
            Some(Ok(source)) => self.run_source(source),
            Some(Err(error)) => self.fail(&error),
            None => self.fail(&refused),
        }
        Err(refused)
    }

    fn run_source(&mut self, source: Source) {
        let (state, text) = source.state();
        let (state, text) = (state, text.to_owned());
        self.source = Some(source);
        self.take_over();
        self.set_state(state, &text);
    }

    fn close_source(&mut self) {
        self.onlookers.on_outage();
        if matches!(self.source, Some(Source::Ipc(_))) {
            // What another host has lent ends with the connection to it.
            self.host.withdraw(|_| true);
        }
        if let Some(source) = self.source.take() {
            self.past = self.past.plus(&source.counts());
            self.known = source.outage();
        }
    }

    /// The source is finished; the clients stay and are told why.
    fn fail(&mut self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        tracing::error!(stream = self.name(), error = text, "stream failed");
        self.close_source();
        self.set_state(StreamState::Failed, &text);
    }

    fn stop(mut self, reason: GoodbyeReason, text: &str) {
        // Consumers see their queue end and finish their files meanwhile.
        self.consumers.clear();
        self.onlookers.clear();
        self.set_state(StreamState::Stopped, text);
        self.host.close(reason, text);
        tracing::info!(stream = self.name(), text, "stream stopped");
    }

    fn set_state(&mut self, state: StreamState, text: &str) {
        if state != StreamState::Running {
            self.onlookers.on_outage();
        }
        self.host.set_state(state, text);
        self.reports.status.send_modify(|status| status.set_state(state, text));
    }

    fn name(&self) -> &str {
        &self.host.options().stream
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn next_event(source: &mut Option<Source>, serial: u64, readers: Readers<'_>) -> anyhow::Result<Event> {
    match source {
        Some(source) => source.next(serial, readers).await,
        None => std::future::pending().await,
    }
}
