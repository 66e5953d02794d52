// SPDX-License-Identifier: Apache-2.0
//! What the blocking and the asynchronous client have in common: everything but waiting.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vs_frame::Format;
use vs_ipc::client::{Connection, Goodbye, Hello, Incoming, SendError, Session, StreamStatus};
use vs_ipc::histogram::Histogram;
use vs_ipc::wire::StreamState;

use crate::counters::Tracker;
use crate::{Backoff, ConnectError, Counters, Event, LockError, ReceiveError};

/// Events kept while a caller waits for the answer to a lock request. Only a host that
/// floods gets there; the oldest are dropped then.
const KEPT_EVENTS: usize = 1024;

/// How to connect.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    pub(crate) hello: Hello,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Option<Backoff>,
}

impl Target {
    pub(crate) fn connect(&self, timeout: Duration) -> Result<Connection, ConnectError> {
        Ok(Connection::connect(&self.path, &self.hello, timeout)?)
    }
}

/// What a message came to.
pub(crate) enum Taken {
    Event(Event),
    Nothing,
    Goodbye(Goodbye),
}

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) target: Target,
    /// Events that happened but were not yet told.
    pub(crate) queue: VecDeque<Event>,
    /// Events that a caller who waits for the answer to a lock request does not want to see
    /// yet. They are here, and not with that caller, so that giving up loses none.
    kept: VecDeque<Event>,
    tracker: Tracker,
    session: Option<Session>,
    status: StreamStatus,
    format: Option<Arc<Format>>,
    /// Attempts since the last connection that brought anything.
    attempt: u32,
}

impl Core {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            queue: VecDeque::new(),
            kept: VecDeque::new(),
            tracker: Tracker::default(),
            session: None,
            status: disconnected("not connected yet"),
            format: None,
            attempt: 0,
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.tracker.counters
    }

    pub(crate) fn latency(&self) -> &Histogram {
        &self.tracker.latency
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    pub(crate) fn status(&self) -> &StreamStatus {
        &self.status
    }

    pub(crate) fn format(&self) -> Option<&Arc<Format>> {
        self.format.as_ref()
    }

    /// Notes a new connection.
    pub(crate) fn connected(&mut self, connection: &Connection) {
        let session = connection.session().clone();
        let epoch_changed = self.tracker.connected(&session);
        self.session = Some(session.clone());
        self.status = connection.status().clone();
        self.queue.push_back(Event::Connected { session, epoch_changed });
        self.queue.push_back(Event::State(self.status.clone()));
    }

    /// Notes a message.
    pub(crate) fn take(&mut self, incoming: Incoming) -> Taken {
        let event = match incoming {
            Incoming::Frame(frame) => {
                // Only a host that delivers is worth a quick return: one that accepts and
                // hangs up at once is not.
                self.attempt = 0;
                if !self.tracker.frame(&frame) {
                    return Taken::Nothing;
                }
                Event::Frame(frame)
            }
            Incoming::Format(format) => {
                self.format = Some(format.clone());
                Event::Format(format)
            }
            Incoming::State(status) => {
                self.status = status.clone();
                Event::State(status)
            }
            Incoming::Revoked { serial, reason } => {
                self.tracker.counters.revoked += 1;
                Event::Revoked { serial, reason }
            }
            Incoming::Locked(reply) => Event::Locked(reply),
            Incoming::Goodbye(goodbye) => return Taken::Goodbye(goodbye),
            _ => return Taken::Nothing,
        };
        Taken::Event(event)
    }

    /// Notes the end of a connection; when to try again, or that it makes no sense.
    pub(crate) fn lost(&mut self, cause: ReceiveError) -> Result<Instant, ReceiveError> {
        self.session = None;
        self.status = disconnected(&cause.to_string());
        let Some(wait) = self.next_wait().filter(|_| cause.is_temporary()) else { return Err(cause) };
        self.queue.push_back(Event::Disconnected { cause, retry_in: wait });
        Ok(Instant::now() + wait)
    }

    /// Notes an attempt that failed; when to try again, or that it makes no sense.
    pub(crate) fn retry_failed(&mut self, cause: ConnectError) -> Result<Instant, ReceiveError> {
        self.status = disconnected(&cause.to_string());
        let Some(wait) = self.next_wait().filter(|_| cause.is_temporary()) else {
            return Err(ReceiveError::Reconnect(cause));
        };
        self.queue.push_back(Event::RetryFailed { cause, retry_in: wait });
        Ok(Instant::now() + wait)
    }

    /// Before waiting for an answer: whatever is due already is kept for later.
    pub(crate) fn keep_all(&mut self) {
        self.kept.append(&mut self.queue);
    }

    /// The outcome if `event` is the answer to `request`, or makes one impossible; anything
    /// else is kept for later.
    pub(crate) fn answer(&mut self, request: u64, event: Event) -> Option<Result<(), LockError>> {
        let outcome = match &event {
            Event::Locked(reply) if reply.request == request => {
                return Some(reply.result.map(|_| ()).map_err(LockError::Refused));
            }
            Event::Disconnected { .. } => Some(Err(LockError::Send(SendError::Closed))),
            _ => None,
        };
        if self.kept.len() >= KEPT_EVENTS {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
        outcome
    }

    /// Puts back what was kept, in order.
    pub(crate) fn release_kept(&mut self) {
        if !self.kept.is_empty() {
            self.kept.append(&mut self.queue);
            std::mem::swap(&mut self.kept, &mut self.queue);
        }
    }

    /// Whether something happened that was not yet told.
    pub(crate) fn has_pending(&self) -> bool {
        !self.queue.is_empty() || !self.kept.is_empty()
    }

    fn next_wait(&mut self) -> Option<Duration> {
        let wait = self.target.backoff?.wait(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        Some(wait)
    }
}

/// Frames may come again, so the stream is said to be waiting.
fn disconnected(why: &str) -> StreamStatus {
    StreamStatus { state: StreamState::Waiting, reason: why.to_owned() }
}
