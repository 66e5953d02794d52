// SPDX-License-Identifier: Apache-2.0
//! A file played as a camera.
//!
//! A thread of its own reads and decodes ([`worker`]), for a slow disk must not keep the stream's
//! clients waiting. The frames are the decoder's own buffers. They are published at the file's own
//! pace, or at that of whoever looks ([`Pace`]).
//!
//! At the file's pace the first picture is published at once, and the others as far behind it as they
//! are in the file. One that comes late is published if no other is due already; else it is passed
//! over, so that the stream catches up without a burst. After a longer stall it goes on from where it
//! is ([`clock`]).
//!
//! At the clients' pace a picture is published when all of them have room for it, and while there are
//! none, not at all: nothing is missed by anybody who was there from the beginning.
//!
//! While there is no file the stream waits for one, and what cannot be played now is tried again: a
//! file can be replaced.

mod clock;
mod describe;
mod playback;
mod reader;
mod refusal;
mod spec;
mod timeline;
mod worker;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use vs_frame::clock::monotonic_ns;
use vs_frame::{Format, FrameFlags, MemoryKind};
use vs_ipc::client::Backoff;
use vs_ipc::wire::StreamState;

use self::clock::Clock;
use self::worker::{News, Shown};
use super::alarm::Alarm;
use super::consumer::Readers;
use super::source::{BufferCounts, Counts, Event};
use super::spec::frames_for_clients;
use crate::codecs::Codecs;

pub use playback::{EndReason, Ending, Playback, Progress};
pub use refusal::{Refusal, Trouble};
pub use spec::{Clip, FileSpec, Pace};

/// How long the first picture may take before a file is said to be unusable: as long as a recording
/// waits for its first.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// What a stream says of damage, while it goes on.
const DAMAGED: &str = "parts of the file are damaged: they are passed over";

/// What to play, and who decodes.
#[derive(Debug, Clone)]
pub struct FilePlan {
    /// Name of the stream.
    pub stream: String,
    /// The file.
    pub spec: FileSpec,
    /// Buffers to keep.
    pub buffers: usize,
    /// Who can decode.
    pub codecs: Arc<Codecs>,
    /// Learns how far it is.
    pub playback: Arc<Playback>,
}

impl PartialEq for FilePlan {
    fn eq(&self, other: &Self) -> bool {
        (&self.stream, &self.spec, self.buffers) == (&other.stream, &other.spec, other.buffers)
    }
}

impl Eq for FilePlan {}

impl FilePlan {
    /// Decodes the first picture, to find out whether it can be played.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn check(&self) -> Result<(), Refusal> {
        let clip = &self.spec.clip;
        let mut news = worker::start(self).map_err(|error| Refusal::file(clip, format!("{error:#}")))?;
        let first = async {
            loop {
                match news.recv().await {
                    Some(News::Duration(_) | News::Damaged(_)) => {}
                    Some(News::Picture(_) | News::End(..)) => return Ok(()),
                    Some(News::Refused(refusal)) => return Err(refusal),
                    None => return Err(Refusal::file(clip, "the decoder's thread has crashed")),
                }
            }
        };
        let late = || Refusal::file(clip, format!("no picture came within {} s", CHECK_TIMEOUT.as_secs()));
        tokio::time::timeout(CHECK_TIMEOUT, first).await.unwrap_or_else(|_| Err(late()))
    }
}

/// See the module.
#[derive(Debug)]
pub struct FileSource {
    plan: FilePlan,
    alarm: Alarm,
    link: Link,
    attempt: u32,
    clock: Clock,
    /// What is to be done next, at its time.
    head: Option<Head>,
    events: VecDeque<Event>,
    state: (StreamState, String),
    counts: Counts,
    /// The next frame does not follow the last one.
    gap: bool,
    /// Something is missing of what has been read.
    damaged: bool,
    format: Option<(Arc<Format>, MemoryKind)>,
}

#[derive(Debug)]
enum Link {
    /// To be begun at that time.
    Down(Instant),
    Up {
        news: mpsc::Receiver<News>,
        /// What was looked at too early.
        next: Option<News>,
    },
    /// It has been played.
    Over,
}

#[derive(Debug)]
enum Head {
    Picture(Shown),
    /// The end, at this time.
    End(i64, Option<String>),
}

impl Head {
    fn pts_ns(&self) -> i64 {
        match self {
            Self::Picture(shown) => shown.place.pts_ns,
            Self::End(pts_ns, _) => *pts_ns,
        }
    }
}

impl FileSource {
    /// Must be called on the stream's runtime.
    pub fn new(plan: FilePlan) -> anyhow::Result<Self> {
        let text = format!("opening {}", plan.spec.clip);
        Ok(Self {
            plan,
            alarm: Alarm::new()?,
            link: Link::Down(Instant::now()),
            attempt: 0,
            clock: Clock::default(),
            head: None,
            events: VecDeque::new(),
            state: (StreamState::Waiting, text),
            counts: Counts::default(),
            gap: false,
            damaged: false,
            format: None,
        })
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
        frames_for_clients(self.plan.buffers)
    }

    pub fn buffers(&self) -> BufferCounts {
        let max = self.plan.buffers as u32;
        BufferCounts { all: max, spares: 0, max }
    }

    /// Whether its clients say when the next picture is published.
    pub fn waits_for_clients(&self) -> bool {
        self.plan.spec.pace == Pace::Free
    }

    /// Whether its last frame has been published.
    pub fn is_ending(&self) -> bool {
        matches!(self.head, Some(Head::End(..)))
    }

    /// Waits for what comes next, or for its readers. Safe to cancel: nothing is taken before it
    /// returns.
    pub async fn next(&mut self, readers: Readers<'_>) -> anyhow::Result<Event> {
        let waits_for_clients = self.waits_for_clients();
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            match (&mut self.link, &self.head) {
                (Link::Down(due), _) => {
                    let due = *due;
                    tokio::time::sleep_until(due.into()).await;
                    let news = worker::start(&self.plan)?;
                    self.link = Link::Up { news, next: None };
                }
                (Link::Over, _) => std::future::pending().await,
                (Link::Up { news, next }, None) => {
                    let told = match next.take() {
                        Some(told) => Some(told),
                        None => news.recv().await,
                    };
                    self.on_news(told);
                }
                (Link::Up { .. }, Some(Head::Picture(_))) if waits_for_clients => {
                    readers.room().await;
                    self.publish(monotonic_ns());
                }
                (Link::Up { .. }, Some(Head::End(..))) if waits_for_clients => {
                    readers.done().await;
                    self.end();
                }
                (Link::Up { .. }, Some(head)) => {
                    let pts_ns = head.pts_ns();
                    let due_ns = self.clock.due(pts_ns, monotonic_ns());
                    if due_ns > monotonic_ns() {
                        self.alarm.set(due_ns)?;
                        self.alarm.wait().await?;
                    }
                    if self.is_ending() {
                        readers.done().await;
                        self.end();
                    } else {
                        self.on_time(due_ns);
                    }
                }
            }
        }
    }

    /// The time of the picture at the head has come, or has passed by.
    fn on_time(&mut self, due_ns: u64) {
        if self.is_overtaken() {
            self.counts.lost += 1;
            self.plan.playback.miss(0, 1);
            self.gap = true;
            self.head = None;
            return;
        }
        self.publish(due_ns);
    }

    /// Whether another picture is there that is due already.
    fn is_overtaken(&mut self) -> bool {
        let Link::Up { news, next } = &mut self.link else { return false };
        if next.is_none() {
            *next = news.try_recv().ok();
        }
        match next {
            Some(News::Picture(shown)) => {
                let now_ns = monotonic_ns();
                self.clock.due(shown.place.pts_ns, now_ns) <= now_ns
            }
            _ => false,
        }
    }

    fn publish(&mut self, capture_ns: u64) {
        let Some(Head::Picture(shown)) = self.head.take() else { return };
        let Shown { mut frame, place, number, gap, loops } = shown;
        let mut flags = frame.meta().flags;
        flags.set(FrameFlags::GAP, std::mem::take(&mut self.gap) | gap);
        frame.mark(number as u32, flags);
        frame.retime(capture_ns, Some(place.pts_ns));
        self.counts.captured += 1;
        self.plan.playback.shown(place.position_ns, loops);
        self.events.push_back(Event::Frame(frame));
    }

    fn on_news(&mut self, news: Option<News>) {
        match news {
            Some(News::Picture(shown)) => self.on_picture(shown),
            Some(News::Damaged(count)) => {
                self.counts.corrupt += count;
                self.plan.playback.miss(count, 0);
                self.damaged = true;
                if self.state.0 == StreamState::Running {
                    self.tell(StreamState::Running, DAMAGED.to_owned());
                }
            }
            Some(News::Duration(ns)) => self.plan.playback.set_duration(ns),
            Some(News::End(at_ns, cut)) => {
                self.head = Some(Head::End(at_ns, cut));
                self.events.push_back(Event::Ending);
            }
            Some(News::Refused(refusal)) => self.refuse(&refusal),
            None => {
                let clip = &self.plan.spec.clip;
                let crashed = Refusal::file(clip, "the decoder's thread has crashed");
                self.refuse(&crashed);
            }
        }
    }

    fn on_picture(&mut self, shown: Shown) {
        self.attempt = 0;
        let frame = &shown.frame;
        let known = self.format.as_ref().is_some_and(|(format, _)| Arc::ptr_eq(format, frame.format()));
        if !known {
            self.format = Some((Arc::clone(frame.format()), frame.buffer().kind()));
            self.events.push_back(Event::Opened);
        }
        if self.state.0 != StreamState::Running {
            let text = if self.damaged { DAMAGED } else { "" };
            self.tell(StreamState::Running, text.to_owned());
        }
        self.head = Some(Head::Picture(shown));
    }

    /// The file has been played to its end.
    fn end(&mut self) {
        let Some(Head::End(_, cut)) = self.head.take() else { return };
        let clip = &self.plan.spec.clip;
        let text = match cut {
            Some(why) => format!("the end of {clip}, of which there is no more: {why}"),
            None => format!("the end of {clip}"),
        };
        self.link = Link::Over;
        self.plan.playback.end(EndReason::End, &text);
        self.tell(StreamState::Stopped, text);
    }

    /// It cannot be played, or not any further; perhaps later.
    fn refuse(&mut self, refusal: &Refusal) {
        (self.gap, self.damaged) = (self.counts.captured > 0, false);
        self.clock.reset();
        self.link = Link::Down(Instant::now() + Backoff::default().wait(self.attempt));
        self.attempt = self.attempt.saturating_add(1);
        self.plan.playback.end(EndReason::Failed, &refusal.text);
        let state = if refusal.trouble == Trouble::Missing { StreamState::Waiting } else { StreamState::Failed };
        if self.state != (state, refusal.text.clone()) {
            tracing::warn!(stream = self.plan.stream, reason = refusal.text, "a file cannot be played");
        }
        self.tell(state, refusal.text.clone());
    }

    fn tell(&mut self, state: StreamState, text: String) {
        if (self.state.0, self.state.1.as_str()) != (state, text.as_str()) {
            self.state = (state, text.clone());
            self.events.push_back(Event::State(state, text));
        }
    }
}

impl Drop for FileSource {
    fn drop(&mut self) {
        self.plan.playback.end(EndReason::Stopped, "the stream was stopped");
    }
}
