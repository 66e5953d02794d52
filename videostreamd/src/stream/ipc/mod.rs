// SPDX-License-Identifier: Apache-2.0
//! Somebody else's stream as a source: its frames are taken at its socket and given out again,
//! as they are, under this daemon's rules for clients.
//!
//! Nothing is copied. A received frame lies in a [`Buffer`] that was made
//! when its descriptors arrived; the frame that is published lies in the same one, so clients
//! get those descriptors, with no more rights than they came with, and once for each buffer.
//! The right to read it is passed on, too: whoever drops the last handle to the published
//! frame gives the received one back.
//!
//! A lease that is passed on ends with the one that it hangs on. So the source asks for leases
//! longer than any that its clients can have; if the host gives less, each frame is published
//! with its end ([`Loan::until_ns`]), and no client is told that it may read on after it. Renewing
//! would bring nothing, for a host counts the longest lease from its beginning. What the
//! host takes back before, with a word or by hanging up, is taken back from the clients
//! at once ([`Event::Withdrawn`]).
//!
//! The host gives this daemon a number of credits, and never a frame beyond. They are to the
//! source what buffers are to a camera: the last one is kept for the frame to come, whatever
//! clients hold.
//!
//! This file knows no protocol. [`native`] speaks the one of `docs/protocol.md` and [`vsl`] that
//! of libvideostream; both say what they hear in the words of [`Said`]. [`dialect`] finds out
//! which of them a host understands.

mod dialect;
mod native;
mod vsl;

use std::any::Any;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use vs_frame::clock::monotonic_ns;
use vs_frame::{Buffer, BufferId, Format, Frame, FrameFlags, FrameMeta, Home};
use vs_ipc::client::Backoff;
use vs_ipc::wire::StreamState;

use super::source::{Counts, Event, Withdrawn};
use super::spec::lent_frames_for_clients;
use dialect::{Connected, Upstream};

/// Longest wait for a host's socket, and as much for its answer. One that is alive answers
/// within a millisecond; a stream that is stopped meanwhile waits for the attempt to end.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that was up for so long, and brought frames, was a good one: when it is lost, a
/// new one is tried at once. Hosts that come and go faster are waited for longer each time.
const STEADY: Duration = Duration::from_secs(1);

/// How much longer than its clients' leases the daemon's own are to be, and how long before
/// the end of one the clients' must end: a host looks after deadlines up to 20 ms late, and the
/// rest is for a thread that waits for its turn. So the frame is back before it is revoked.
const LEASE_MARGIN: Duration = Duration::from_millis(100);

/// While an unlock waits for room in the socket, look again after this time even if nothing
/// arrives. It needs a host that has not read hundreds of messages.
const BACKLOG_RETRY: Duration = Duration::from_millis(10);

/// When no frame has come for so long although the host should have some, the stream is said to
/// wait. Twice what libvideostream's own clients wait before they give their host up.
const SILENCE: Duration = Duration::from_secs(2);

/// What the daemon asks of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Path of its socket.
    pub path: PathBuf,
    /// Name under which the host knows this daemon.
    pub name: String,
    /// Frames to hold at once.
    pub credits: u16,
    /// Frames to hold at once if it is a host of libvideostream.
    pub locks: usize,
    /// The longest that a client of this daemon may have a frame.
    pub lease: Duration,
}

/// What a host has granted.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// Serials belong to it.
    epoch: u64,
    /// Frames that this daemon may hold at once.
    credits: usize,
}

/// What a host says, in whatever dialect.
#[derive(Debug)]
enum Said {
    /// What its stream is doing.
    State(StreamState, String),
    /// A frame, to be read for a while.
    Frame(Loan),
    /// It wants the frame with this serial back.
    Revoked(u64),
    /// Nothing for a while, although its stream runs.
    Silence,
    /// Nothing that matters here.
    Nothing,
}

/// A frame as a host lends it.
struct Loan {
    serial: u64,
    buffer: Arc<Buffer>,
    format: Arc<Format>,
    meta: FrameMeta,
    /// When its host published it, in ns of `CLOCK_MONOTONIC`.
    publish_ns: u64,
    /// Until when it may be read, in ns of `CLOCK_MONOTONIC`.
    until_ns: u64,
    /// Gives it back when it is dropped, from whichever thread, without blocking.
    right: Box<dyn Any + Send + Sync>,
}

/// Why nothing comes from a host.
#[derive(Debug)]
struct Trouble {
    text: String,
    /// Trying again helps only if somebody changes something first.
    lasting: bool,
}

/// See the module.
#[derive(Debug)]
pub struct IpcSource {
    subscription: Subscription,
    link: Link,
    attempt: u32,
    /// What has happened and is yet to be told.
    events: VecDeque<Event>,
    /// The state told last.
    state: (StreamState, String),
    terms: Option<Terms>,
    /// The last frame.
    last: Option<Last>,
    /// When frames began to come through this connection.
    delivers_since: Option<Instant>,
    /// Time has passed without a connection since the last frame.
    interrupted: bool,
    lent: Vec<Lent>,
    counts: Counts,
}

#[derive(Debug)]
enum Link {
    /// To be made at that time.
    Down(Instant),
    /// Being made, on a thread for what blocks.
    Connecting(JoinHandle<Result<Connected, Trouble>>),
    Up(Box<Upstream>),
}

/// What is remembered of the last frame.
#[derive(Debug, Clone, Copy)]
struct Last {
    /// The serial belongs to it.
    epoch: u64,
    serial: u64,
    publish_ns: u64,
}

/// A frame that is somewhere in this daemon, or with its clients.
#[derive(Debug)]
struct Lent {
    serial: u64,
    buffer: BufferId,
    right: Weak<Right>,
}

/// The right to read a received frame, as the home of the published one.
struct Right {
    _held: Box<dyn Any + Send + Sync>,
}

impl Home for Right {
    /// Nothing to do: the frame drops its home next, and that gives the right back.
    fn take_back(&self, _slot: u32) {}
}

impl IpcSource {
    /// A source that will connect: no host need be there yet. Must be called on the stream's
    /// runtime.
    pub fn new(subscription: Subscription) -> Self {
        let text = format!("connecting to {}", subscription.path.display());
        Self {
            subscription,
            link: Link::Down(Instant::now()),
            attempt: 0,
            events: VecDeque::new(),
            state: (StreamState::Waiting, text),
            terms: None,
            last: None,
            delivers_since: None,
            interrupted: false,
            lent: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// What the stream is doing, as told last.
    pub fn state(&self) -> (StreamState, &str) {
        (self.state.0, &self.state.1)
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Frames that clients may hold: of what the host has granted, or else of what it is
    /// asked for.
    pub fn frames_for_clients(&self) -> usize {
        lent_frames_for_clients(self.terms.map_or(usize::from(self.subscription.credits), |terms| terms.credits))
    }

    /// Credits that are left for frames to come.
    pub fn spare(&mut self) -> usize {
        self.lent.retain(|lent| lent.right.strong_count() > 0);
        self.terms.map_or(0, |terms| terms.credits.saturating_sub(self.lent.len()))
    }

    /// Frames of the host that are in use here.
    pub fn lent(&self) -> usize {
        self.lent.len()
    }

    /// Notes that a frame was not published, to keep a credit.
    pub fn passed_over(&mut self) {
        self.counts.no_buffer += 1;
    }

    /// Waits for what happens next. Safe to cancel.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match &mut self.link {
                Link::Down(due) => {
                    tokio::time::sleep_until(*due).await;
                    let subscription = self.subscription.clone();
                    let attempt = tokio::task::spawn_blocking(move || dialect::connect(&subscription, CONNECT_TIMEOUT));
                    self.link = Link::Connecting(attempt);
                }
                Link::Connecting(attempt) => {
                    let outcome = attempt.await.unwrap_or_else(|error| Err(Trouble::passing(error)));
                    match outcome.and_then(Connected::watch) {
                        Ok((upstream, terms)) => self.connected(upstream, terms),
                        Err(trouble) => self.retry(trouble),
                    }
                }
                Link::Up(upstream) => match upstream.next().await {
                    Ok(said) => {
                        self.on_said(said);
                        // A host that floods must not keep the thread from its other work.
                        tokio::task::coop::consume_budget().await;
                    }
                    Err(trouble) => self.lost(trouble),
                },
            }
        }
    }

    fn connected(&mut self, upstream: Upstream, terms: Terms) {
        let Terms { epoch, credits } = terms;
        tracing::info!(
            stream = self.subscription.name, upstream = %self.subscription.path.display(),
            protocol = upstream.protocol(), epoch, credits,
            attempts = self.attempt + 1, "connected to another host"
        );
        self.link = Link::Up(Box::new(upstream));
        self.terms = Some(terms);
        self.events.push_back(Event::Budget { frames: self.frames_for_clients() });
    }

    fn lost(&mut self, trouble: Trouble) {
        let Trouble { text, .. } = &trouble;
        tracing::warn!(
            stream = self.subscription.name, upstream = %self.subscription.path.display(), cause = text,
            "lost another host; trying again until it is back"
        );
        self.terms = None;
        self.interrupted = self.last.is_some();
        let good = self.delivers_since.take().is_some_and(|since| since.elapsed() >= STEADY);
        if good && !trouble.lasting {
            self.attempt = 0;
        }
        // Without a connection there is no right to anything that came through it.
        self.lent.clear();
        self.events.push_back(Event::Withdrawn(Withdrawn::All));
        self.retry(trouble);
    }

    fn retry(&mut self, trouble: Trouble) {
        self.link = Link::Down(Instant::now() + Backoff::default().wait(self.attempt));
        self.attempt = self.attempt.saturating_add(1);
        self.tell(if trouble.lasting { StreamState::Failed } else { StreamState::Waiting }, trouble.text);
    }

    fn tell(&mut self, state: StreamState, text: String) {
        let told = (state, text);
        if self.state != told {
            self.state = told.clone();
            self.events.push_back(Event::State(told.0, told.1));
        }
    }

    fn on_said(&mut self, said: Said) {
        match said {
            Said::State(state, text) => self.tell(state, text),
            Said::Frame(loan) => {
                self.delivers_since.get_or_insert_with(Instant::now);
                self.on_loan(loan);
            }
            Said::Revoked(serial) => {
                let revoked = self.lent.iter().find(|lent| lent.serial == serial && lent.right.strong_count() > 0);
                if let Some(buffer) = revoked.map(|lent| lent.buffer) {
                    self.events.push_back(Event::Withdrawn(Withdrawn::Buffer(buffer)));
                }
                self.lent.retain(|lent| lent.serial != serial);
            }
            // Without a credit the host may not send anything.
            Said::Silence if self.spare() > 0 => {
                let text = format!("the host at {} sends no frames", self.subscription.path.display());
                self.tell(StreamState::Waiting, text);
            }
            Said::Silence | Said::Nothing => {}
        }
    }

    fn on_loan(&mut self, loan: Loan) {
        let Some(Terms { epoch, .. }) = self.terms else { return };
        let Loan { serial, buffer, format, mut meta, publish_ns, until_ns, right } = loan;
        let same = self.last.filter(|last| last.epoch == epoch);
        // A host offers its newest frame to whoever connects, also for the second time.
        let known = match (same, self.last) {
            (Some(last), _) => serial <= last.serial,
            (None, Some(last)) => publish_ns <= last.publish_ns,
            (None, None) => false,
        };
        if known {
            return;
        }
        let missed = same.map_or(0, |last| serial - last.serial - 1);
        if missed > 0 || self.interrupted {
            meta.flags |= FrameFlags::GAP;
        }
        self.counts.lost = self.counts.lost.saturating_add(missed);
        self.counts.captured += 1;
        // A time to come would make later hosts' frames old.
        self.last = Some(Last { epoch, serial, publish_ns: publish_ns.min(monotonic_ns()) });
        self.interrupted = false;
        let right = Arc::new(Right { _held: right });
        let lent = Lent { serial, buffer: buffer.id(), right: Arc::downgrade(&right) };
        let home: Arc<dyn Home> = right;
        match Frame::new(buffer, format, meta, Some((home, 0))) {
            Ok(frame) => {
                self.lent.push(lent);
                self.events.push_back(Event::Lent { frame, until_ns });
            }
            // Both were checked when they arrived; a host that gets here gets nothing.
            Err(error) => {
                tracing::warn!(stream = self.subscription.name, serial, %error, "another host sent an impossible frame");
                self.counts.corrupt += 1;
            }
        }
    }
}

impl Trouble {
    /// It may well work the next time.
    fn passing(cause: impl ToString) -> Self {
        Self { text: cause.to_string(), lasting: false }
    }

    /// The two do not understand each other.
    fn lasting(cause: impl ToString) -> Self {
        Self { text: cause.to_string(), lasting: true }
    }
}

impl std::fmt::Debug for Loan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loan").field("serial", &self.serial).field("until_ns", &self.until_ns).finish_non_exhaustive()
    }
}
