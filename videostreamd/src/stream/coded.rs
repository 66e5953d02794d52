// SPDX-License-Identifier: Apache-2.0
//! Another stream's pictures, encoded: each access unit is a frame.
//!
//! The encoder is that of the rendition, shared with whoever wants the same: recordings, other
//! streams. Access units are small, and are copied once, into memory that clients can read and
//! nobody can write. While there is nothing to encode the stream waits, and says for what; when the
//! pictures change their form the encoder is opened anew, and clients are told the new format.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use vs_codec::Effective;
use vs_frame::{CpuMemory, CpuPool, Format, FormatError, FrameFlags, FrameMeta, MemoryKind};
use vs_ipc::client::Backoff;
use vs_ipc::wire::StreamState;

use super::directory::{Published, View};
use super::source::{BufferCounts, Counts, Event};
use super::spec::frames_for_clients;
use crate::rendition::{Coded, Encoding, Pre, Rendition, Renditions, Session, SinkReceiver, adjustments, sink};

/// Buffers to begin with; the pool grows when readers hold more.
const INITIAL_BUFFERS: usize = 4;

/// Keyframes are asked for at most so often. Clients that come one after the other would else make
/// every frame one, which takes the bits from all the others.
const KEYFRAME_PAUSE: Duration = Duration::from_millis(500);

/// What to encode, and how.
#[derive(Debug, Clone)]
pub struct CodedPlan {
    /// The stream and its coded form.
    pub rendition: Rendition,
    /// The encoders that run.
    pub renditions: Arc<Renditions>,
    /// Where the pictures come from.
    pub upstream: View,
    /// Buffers to keep.
    pub buffers: usize,
    /// What is kept for recordings that begin before they are asked for.
    pub pre: Option<Pre>,
}

impl PartialEq for CodedPlan {
    fn eq(&self, other: &Self) -> bool {
        (&self.rendition, self.buffers, self.pre) == (&other.rendition, other.buffers, other.pre)
    }
}

impl Eq for CodedPlan {}

/// See the module.
#[derive(Debug)]
pub struct CodedSource {
    plan: CodedPlan,
    link: Link,
    attempt: u32,
    output: Option<Output>,
    events: VecDeque<Event>,
    state: (StreamState, String),
    counts: Counts,
    /// Access units that did not reach this stream, as far as they have been told.
    missed: u64,
    /// The next frame does not follow the last one.
    gap: bool,
    asked: Option<Instant>,
}

#[derive(Debug)]
enum Link {
    /// To be made at that time.
    Down(Instant),
    Up {
        units: SinkReceiver,
        session: Arc<Session>,
        /// Keeps what is kept.
        past: Option<Arc<Pre>>,
        /// The stream that is encoded.
        from: Published,
    },
}

/// Where access units of one encoder go.
#[derive(Debug)]
struct Output {
    encoder: Arc<Effective>,
    pool: CpuPool,
}

/// What ended a wait.
enum Wake {
    Unit(Option<Coded>),
    Status,
}

impl CodedSource {
    /// Must be called on the stream's runtime.
    pub fn new(plan: CodedPlan) -> Self {
        let text = format!("waiting for pictures of '{}'", plan.rendition.stream);
        Self {
            plan,
            link: Link::Down(Instant::now()),
            attempt: 0,
            output: None,
            events: VecDeque::new(),
            state: (StreamState::Waiting, text),
            counts: Counts::default(),
            missed: 0,
            gap: false,
            asked: None,
        }
    }

    pub fn state(&self) -> (StreamState, &str) {
        (self.state.0, &self.state.1)
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The format of its frames, once the encoder is known.
    pub fn format(&self) -> Option<(&Arc<Format>, MemoryKind)> {
        self.output.as_ref().map(|output| (output.pool.format(), MemoryKind::Memfd))
    }

    /// Who encodes, once known.
    pub fn encoder(&self) -> Option<&Arc<Effective>> {
        self.output.as_ref().map(|output| &output.encoder)
    }

    /// Where the encoder does something else than it was asked for.
    pub fn adjustments(&self) -> Vec<String> {
        let config = &self.plan.rendition.coding.config;
        self.encoder().map(|encoder| adjustments(config, encoder)).unwrap_or_default()
    }

    pub fn frames_for_clients(&self) -> usize {
        frames_for_clients(self.plan.buffers)
    }

    pub fn trim(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.pool.trim() > 0)
    }

    pub fn buffers(&self) -> BufferCounts {
        let all = self.output.as_ref().map_or(0, |output| output.pool.len());
        BufferCounts { all: all as u32, spares: 0, max: self.plan.buffers as u32 }
    }

    /// The encoder has been changed while it runs: whenever it is opened again it is to be like
    /// this.
    pub fn replan(&mut self, plan: CodedPlan) {
        if let Link::Up { session, past, .. } = &mut self.link
            && plan.pre != self.plan.pre
        {
            *past = plan.pre.map(|pre| session.keep_past(pre));
        }
        self.plan = plan;
    }

    /// Somebody can do nothing before the next keyframe.
    pub fn request_keyframe(&mut self) {
        let now = Instant::now();
        if self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < KEYFRAME_PAUSE) {
            return;
        }
        if let Link::Up { units, .. } = &self.link {
            units.request_keyframe();
            self.asked = Some(now);
        }
    }

    /// Waits for what comes next. Safe to cancel: nothing is taken before it returns.
    pub async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            match &mut self.link {
                Link::Down(due) => {
                    let due = *due;
                    tokio::time::sleep_until(due.into()).await;
                    self.connect().await;
                }
                Link::Up { units, from, .. } => {
                    let wake = tokio::select! {
                        biased;
                        unit = units.next() => Wake::Unit(unit),
                        Ok(()) = from.status.changed() => Wake::Status,
                    };
                    match wake {
                        Wake::Unit(Some(unit)) => self.on_unit(&unit)?,
                        Wake::Unit(None) => self.on_end(),
                        Wake::Status => self.on_status(),
                    }
                }
            }
        }
    }

    async fn connect(&mut self) {
        if self.plan.upstream.get().is_none() {
            let stream = &self.plan.rendition.stream;
            self.tell(StreamState::Waiting, format!("the stream '{stream}' is stopped, or not there: start it"));
            if !self.events.is_empty() {
                return;
            }
        }
        let from = self.plan.upstream.wait().await;
        let (sink, units) = sink(true);
        match self.plan.renditions.join(self.plan.rendition.clone(), &from.handle, sink).await {
            Ok(session) => {
                // What was dropped before is nothing that this stream has missed.
                self.missed = session.dropped();
                let past = self.plan.pre.map(|pre| session.keep_past(pre));
                self.link = Link::Up { units, session, past, from };
                self.on_status();
            }
            Err(error) => self.retry(StreamState::Waiting, format!("{error:#}")),
        }
    }

    /// The stream that is encoded does something else. An idle one opens its source now that it
    /// is wanted: that is no news, and must not hide why the last encoder failed.
    fn on_status(&mut self) {
        let Link::Up { from, .. } = &mut self.link else { return };
        let status = from.status.borrow_and_update().clone();
        if status.state != StreamState::Running && !status.idle {
            let name = &self.plan.rendition.stream;
            let text = if status.text.is_empty() { status.name().to_owned() } else { status.text };
            self.tell(StreamState::Waiting, format!("'{name}' has no pictures: {text}"));
            self.gap = self.counts.captured > 0;
        }
    }

    /// The encoder has ended.
    fn on_end(&mut self) {
        let Link::Up { session, .. } = &self.link else { return };
        let failed = match &*session.encoding().borrow() {
            Encoding::Failed(text) => Some(text.clone()),
            Encoding::Opening | Encoding::Open(_) => None,
        };
        match failed {
            Some(text) => self.retry(StreamState::Failed, text),
            None => self.retry(StreamState::Waiting, format!("'{}' has stopped", self.plan.rendition.stream)),
        }
    }

    fn retry(&mut self, state: StreamState, text: String) {
        self.gap = self.counts.captured > 0;
        self.link = Link::Down(Instant::now() + Backoff::default().wait(self.attempt));
        self.attempt = self.attempt.saturating_add(1);
        self.tell(state, text);
    }

    fn on_unit(&mut self, coded: &Coded) -> anyhow::Result<()> {
        let Link::Up { units, session, .. } = &self.link else { return Ok(()) };
        let missed = units.dropped() + session.dropped();
        let lost = missed.saturating_sub(self.missed);
        (self.missed, self.attempt) = (missed, 0);
        self.counts.lost += lost;
        self.gap |= lost > 0;
        if self.encoder().is_none_or(|known| !Arc::ptr_eq(known, &coded.encoder)) {
            self.take_over(&coded.encoder)?;
        }
        self.tell(StreamState::Running, String::new());
        let event = self.frame(coded)?;
        self.events.push_back(event);
        Ok(())
    }

    fn take_over(&mut self, encoder: &Arc<Effective>) -> anyhow::Result<()> {
        if !self.output.as_mut().is_some_and(|output| output.goes_on_with(encoder)) {
            self.output = Some(Output::new(encoder, self.plan.buffers)?);
            self.events.push_back(Event::Opened);
        }
        self.events.push_back(Event::Encoder);
        Ok(())
    }

    fn frame(&mut self, coded: &Coded) -> anyhow::Result<Event> {
        let output = self.output.as_ref().context("there is no memory for access units yet")?;
        let unit = &coded.unit;
        let (slot, cause) = match output.pool.acquire() {
            Ok(slot) => (slot, None),
            Err(error) => (None, Some(error)),
        };
        let Some(mut slot) = slot else {
            self.counts.no_buffer += 1;
            self.gap = true;
            return Ok(Event::NoBuffer(cause));
        };
        let written = slot.write(|memories| match memories.first_mut().and_then(|m| m.get_mut(..unit.data.len())) {
            Some(room) => {
                room.copy_from_slice(&unit.data);
                true
            }
            None => false,
        })?;
        if !written {
            self.counts.corrupt += 1;
            self.gap = true;
            return Ok(Event::Corrupt);
        }
        let mut flags = FrameFlags::empty();
        flags.set(FrameFlags::KEYFRAME, unit.keyframe);
        flags.set(FrameFlags::GAP, std::mem::take(&mut self.gap));
        self.counts.captured += 1;
        let frame = slot.finish(FrameMeta {
            sequence: unit.tag.serial as u32,
            capture_ns: unit.tag.capture_ns,
            pts: Some(unit.tag.pts_ns),
            dts: Some(unit.dts_ns).filter(|dts| *dts != unit.tag.pts_ns),
            duration: unit.tag.duration_ns,
            bytes_used: [unit.data.len() as u32, 0, 0, 0],
            flags,
        })?;
        Ok(Event::Frame(frame))
    }

    fn tell(&mut self, state: StreamState, text: String) {
        if (self.state.0, self.state.1.as_str()) != (state, text.as_str()) {
            self.state = (state, text.clone());
            self.events.push_back(Event::State(state, text));
        }
    }
}

impl Output {
    fn new(encoder: &Arc<Effective>, buffers: usize) -> anyhow::Result<Self> {
        let format = Arc::new(format_of(encoder)?);
        let pool = CpuPool::new(format, CpuMemory::Memfd, INITIAL_BUFFERS.min(buffers), buffers)?;
        Ok(Self { encoder: Arc::clone(encoder), pool })
    }

    /// Whether access units of this encoder are like those of the one before.
    fn goes_on_with(&mut self, encoder: &Arc<Effective>) -> bool {
        let same = format_of(encoder).ok().as_ref() == Some(&**self.pool.format());
        if same {
            self.encoder = Arc::clone(encoder);
        }
        same
    }
}

/// The format of an encoder's access units.
fn format_of(encoder: &Effective) -> Result<Format, FormatError> {
    let Effective { codec, width, height, rate, color, largest_access_unit, parameter_sets, .. } = encoder;
    let format = Format::coded(*codec, *width, *height, *rate, *largest_access_unit)?;
    Ok(Format { color: *color, parameter_sets: Arc::clone(parameter_sets), ..format })
}
