// SPDX-License-Identifier: Apache-2.0
//! Another stream's pictures, in another size or pixel format.
//!
//! The converter works on the stream's own thread. Where it is hardware, pictures are read where
//! they lie. While there is nothing to convert the stream waits, and says for what; when the
//! pictures change their form, or the converter fails, another one is opened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use vs_codec::{Backend, Converter, ConverterConfig, FrameTag, Output, Picture, Priority, SubmitError};
use vs_frame::{Format, FrameFlags, MemoryKind};
use vs_ipc::client::Backoff;
use vs_ipc::wire::StreamState;

use super::consumer::{Feed, FeedReceiver};
use super::directory::{Published, View};
use super::source::{BufferCounts, Counts, Event};
use super::spec::frames_for_clients;
use crate::codecs::{Codecs, Readiness};

/// What to convert, and into what.
#[derive(Debug, Clone)]
pub struct ConvertedPlan {
    /// Name of the stream that the pictures come from.
    pub from: String,
    /// That stream.
    pub upstream: View,
    /// What they are to be.
    pub config: ConverterConfig,
    /// Who converts.
    pub backend: Backend,
    /// Who can.
    pub codecs: Arc<Codecs>,
}

impl PartialEq for ConvertedPlan {
    fn eq(&self, other: &Self) -> bool {
        (&self.from, &self.config, self.backend) == (&other.from, &other.config, other.backend)
    }
}

impl Eq for ConvertedPlan {}

/// See the module.
#[derive(Debug)]
pub struct ConvertedSource {
    plan: ConvertedPlan,
    link: Link,
    attempt: u32,
    events: VecDeque<Event>,
    state: (StreamState, String),
    counts: Counts,
    /// The next frame does not follow the last one.
    gap: bool,
    /// A picture has just been converted, which may have taken long.
    worked: bool,
    /// The format of the pictures, and where they lie, once there has been one.
    format: Option<(Arc<Format>, MemoryKind)>,
}

#[derive(Debug)]
enum Link {
    /// To be made at that time.
    Down(Instant),
    Up(Box<Up>),
}

/// The stream that is converted.
#[derive(Debug)]
struct Up {
    from: Published,
    feed: FeedReceiver,
    /// Pictures that did not get here, as far as they have been counted.
    missed: u64,
    running: Option<Running>,
    /// A picture that the converter could not take yet.
    waiting: Option<Feed>,
}

/// A converter at work.
struct Running {
    converter: Box<dyn Converter>,
    readiness: Readiness,
    /// It is being emptied, for another one takes its place.
    leaves: bool,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("converter", self.converter.info()).finish_non_exhaustive()
    }
}

enum Wake {
    Ready,
    Picture(Option<Feed>),
    Status,
}

impl ConvertedSource {
    /// Must be called on the stream's runtime.
    pub fn new(plan: ConvertedPlan) -> Self {
        let text = format!("waiting for pictures of '{}'", plan.from);
        Self {
            plan,
            link: Link::Down(Instant::now()),
            attempt: 0,
            events: VecDeque::new(),
            state: (StreamState::Waiting, text),
            counts: Counts::default(),
            gap: false,
            worked: false,
            format: None,
        }
    }

    pub fn state(&self) -> (StreamState, &str) {
        (self.state.0, &self.state.1)
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn format(&self) -> Option<(&Arc<Format>, MemoryKind)> {
        self.format.as_ref().map(|(format, memory)| (format, *memory))
    }

    pub fn frames_for_clients(&self) -> usize {
        frames_for_clients(self.plan.config.pictures)
    }

    pub fn buffers(&self) -> BufferCounts {
        let max = self.plan.config.pictures as u32;
        BufferCounts { all: max, spares: 0, max }
    }

    /// Waits for what comes next. Safe to cancel: nothing is taken before it returns.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match &mut self.link {
                Link::Down(due) => {
                    let due = *due;
                    tokio::time::sleep_until(due.into()).await;
                    self.connect().await;
                }
                Link::Up(up) => {
                    // A converter that is slower than its source always finds a picture waiting; but
                    // for this, the runtime would never look whether clients want something.
                    if std::mem::take(&mut self.worked) {
                        tokio::task::yield_now().await;
                    }
                    let wake = up.wait().await;
                    self.on_wake(wake);
                }
            }
        }
    }

    async fn connect(&mut self) {
        let from = &self.plan.from;
        if self.plan.upstream.get().is_none() {
            self.tell(StreamState::Waiting, format!("the stream '{from}' is stopped, or not there: start it"));
            if !self.events.is_empty() {
                return;
            }
        }
        let from = self.plan.upstream.wait().await;
        match from.handle.attach().await {
            Ok(feed) => {
                // What was dropped before is nothing that this stream has missed.
                let missed = feed.dropped();
                self.link = Link::Up(Box::new(Up { from, feed, missed, running: None, waiting: None }));
                self.on_status();
            }
            Err(error) => self.retry(StreamState::Waiting, error.to_string()),
        }
    }

    fn on_wake(&mut self, wake: Wake) {
        let Link::Up(up) = &mut self.link else { return };
        match wake {
            Wake::Ready => {}
            Wake::Picture(Some(picture)) => up.waiting = Some(picture),
            Wake::Picture(None) => {
                return self.retry(StreamState::Waiting, format!("'{}' has stopped", self.plan.from));
            }
            Wake::Status => return self.on_status(),
        }
        let missed = up.feed.dropped();
        let lost = missed.saturating_sub(up.missed);
        up.missed = missed;
        self.counts.lost += lost;
        self.gap |= lost > 0;
        if let Err(error) = self.turn() {
            self.retry(StreamState::Failed, format!("{error:#}"));
        }
    }

    /// The stream that is converted does something else. An idle one opens its source now that
    /// it is wanted: that is no news, and must not hide why the last conversion failed.
    fn on_status(&mut self) {
        let Link::Up(up) = &mut self.link else { return };
        let status = up.from.status.borrow_and_update().clone();
        if status.state != StreamState::Running && !status.idle {
            let text = if status.text.is_empty() { status.name().to_owned() } else { status.text };
            self.tell(StreamState::Waiting, format!("'{}' has no pictures: {text}", self.plan.from));
            self.gap = self.counts.captured > 0;
        }
    }

    /// Does what can be done now.
    fn turn(&mut self) -> anyhow::Result<()> {
        loop {
            self.receive()?;
            let Link::Up(up) = &mut self.link else { return Ok(()) };
            let Some(picture) = up.waiting.take() else { return Ok(()) };
            if !self.submit(picture)? {
                return Ok(());
            }
        }
    }

    /// Offers a picture to the converter. Returns whether it is out of hand; else it waits.
    fn submit(&mut self, picture: Feed) -> anyhow::Result<bool> {
        let Link::Up(up) = &mut self.link else { return Ok(true) };
        let running = match up.running.take() {
            Some(running) => up.running.insert(running),
            None => up.running.insert(Running::open(&self.plan, picture.frame.format())?),
        };
        let meta = picture.frame.meta();
        let tag = FrameTag {
            serial: picture.serial,
            capture_ns: meta.capture_ns,
            pts_ns: meta.pts.unwrap_or_else(|| i64::try_from(meta.capture_ns).unwrap_or(i64::MAX)),
            duration_ns: meta.duration,
        };
        self.gap |= meta.flags.contains(FrameFlags::GAP);
        self.worked = true;
        match running.converter.submit(&picture.frame, tag) {
            Ok(()) => Ok(true),
            Err(SubmitError::Full | SubmitError::Draining) => {
                up.waiting = Some(picture);
                Ok(false)
            }
            Err(SubmitError::Format { .. }) => {
                up.waiting = Some(picture);
                if !running.leaves {
                    running.leaves = true;
                    running.converter.drain()?;
                }
                Ok(true)
            }
            Err(SubmitError::Backend(error)) => Err(error.into()),
            Err(SubmitError::Incomplete | SubmitError::TooLong { .. } | SubmitError::Map(_)) => {
                self.counts.corrupt += 1;
                self.gap = true;
                Ok(true)
            }
        }
    }

    /// Takes what the converter has made.
    fn receive(&mut self) -> anyhow::Result<()> {
        loop {
            let Link::Up(up) = &mut self.link else { return Ok(()) };
            let Some(running) = &mut up.running else { return Ok(()) };
            match running.converter.receive()? {
                Output::Done(picture) => self.on_picture(picture),
                Output::Lost(..) => {
                    self.counts.corrupt += 1;
                    self.gap = true;
                }
                Output::Pending => return Ok(()),
                Output::Drained => up.running = None,
            }
        }
    }

    fn on_picture(&mut self, picture: Picture) {
        let Picture { mut frame, tag } = picture;
        self.attempt = 0;
        self.counts.captured += 1;
        let mut flags = frame.meta().flags;
        flags.set(FrameFlags::GAP, std::mem::take(&mut self.gap));
        // Its number in the stream that it comes from, as an access unit has it.
        frame.mark(tag.serial as u32, flags);
        let known = self.format.as_ref().is_some_and(|(format, _)| Arc::ptr_eq(format, frame.format()));
        if !known {
            self.format = Some((Arc::clone(frame.format()), frame.buffer().kind()));
            self.events.push_back(Event::Opened);
        }
        self.tell(StreamState::Running, String::new());
        self.events.push_back(Event::Frame(frame));
    }

    fn retry(&mut self, state: StreamState, text: String) {
        self.gap = self.counts.captured > 0;
        self.link = Link::Down(Instant::now() + Backoff::default().wait(self.attempt));
        self.attempt = self.attempt.saturating_add(1);
        self.tell(state, text);
    }

    fn tell(&mut self, state: StreamState, text: String) {
        if (self.state.0, self.state.1.as_str()) != (state, text.as_str()) {
            self.state = (state, text.clone());
            self.events.push_back(Event::State(state, text));
        }
    }
}

impl Up {
    async fn wait(&mut self) -> Wake {
        let hungry = self.waiting.is_none();
        tokio::select! {
            biased;
            () = ready(self.running.as_ref()) => Wake::Ready,
            picture = self.feed.next(), if hungry => Wake::Picture(picture),
            Ok(()) = self.from.status.changed() => Wake::Status,
        }
    }
}

async fn ready(running: Option<&Running>) {
    match running {
        Some(running) => running.readiness.wait(running.converter.deadline()).await,
        None => std::future::pending().await,
    }
}

impl Running {
    fn open(plan: &ConvertedPlan, input: &Format) -> anyhow::Result<Self> {
        let converter = plan.codecs.converter(input, &plan.config, plan.backend, Priority::Owner)?;
        let readiness = Readiness::of(&*converter).context("cannot wait for the converter")?;
        Ok(Self { converter, readiness, leaves: false })
    }
}
