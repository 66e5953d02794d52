// SPDX-License-Identifier: Apache-2.0
//! The client that waits by blocking its thread.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vs_frame::Format;
use vs_ipc::client::{Connection, ReceivedFrame, Session, StreamStatus};
use vs_ipc::histogram::Histogram;

use crate::core::{Core, Taken, Target};
use crate::{ClientBuilder, ConnectError, Counters, Event, LockError, ReceiveError};

/// Frames that [`Client::newest`] passes over before it takes what it has: more than a
/// socket holds, so it is reached only if frames come faster than they can be read.
pub(crate) const PASS_OVER: usize = 512;

/// What an attempt to connect again may take even if the caller has less time left. A host
/// that is alive answers within a millisecond.
const RECONNECT_AT_LEAST: Duration = Duration::from_millis(100);

/// A client of one stream. See the [crate] for an example.
#[derive(Debug)]
pub struct Client {
    core: Core,
    link: Link,
}

#[derive(Debug)]
enum Link {
    Up(Box<Connection>),
    /// To be made at that time.
    Down(Instant),
    /// An error has ended it.
    Ended,
}

impl Client {
    /// Connects to a stream with the default options: its name, or the path of its socket.
    ///
    /// # Errors
    /// [`ConnectError`]; its message says what to do.
    pub fn connect(stream: &str) -> Result<Self, ConnectError> {
        Self::builder(stream).connect()
    }

    /// Options for a client of `stream`: its name, or the path of its socket (anything with
    /// a `/`).
    #[must_use]
    pub fn builder(stream: &str) -> ClientBuilder {
        ClientBuilder::new(stream)
    }

    pub(crate) fn connect_to(target: Target) -> Result<Self, ConnectError> {
        let connection = target.connect(target.timeout)?;
        let mut core = Core::new(target);
        core.connected(&connection);
        Ok(Self { core, link: Link::Up(Box::new(connection)) })
    }

    pub(crate) fn wait_for(target: Target) -> Self {
        Self { core: Core::new(target), link: Link::Down(Instant::now()) }
    }

    /// Waits for the next thing that happens, at most for `timeout`; `None` waits for ever.
    /// Gives `None` when the time has passed. While the connection is being made again an
    /// attempt may take 100 ms more.
    ///
    /// # Errors
    /// [`ReceiveError`] if no more can come; the client has ended then.
    pub fn next_event(&mut self, timeout: impl Into<Option<Duration>>) -> Result<Option<Event>, ReceiveError> {
        self.core.release_kept();
        self.wait(timeout.into())
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, ReceiveError> {
        // The first wait gets the timeout as it was given: a constant one is free.
        let mut left = timeout;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(event) = self.core.queue.pop_front() {
                return Ok(Some(event));
            }
            if let Some(event) = self.step(left)? {
                return Ok(Some(event));
            }
            if let Some(deadline) = deadline {
                let remaining = deadline.saturating_duration_since(Instant::now());
                if remaining.is_zero() && self.core.queue.is_empty() {
                    return Ok(None);
                }
                left = Some(remaining);
            }
        }
    }

    /// One wait, one message, or one attempt to connect.
    fn step(&mut self, left: Option<Duration>) -> Result<Option<Event>, ReceiveError> {
        match &mut self.link {
            Link::Up(connection) => match connection.wait(left) {
                Ok(None) => {}
                Ok(Some(incoming)) => match self.core.take(incoming) {
                    Taken::Event(event) => return Ok(Some(event)),
                    Taken::Nothing => {}
                    Taken::Goodbye(goodbye) => self.lost(ReceiveError::Goodbye(goodbye))?,
                },
                Err(error) => self.lost(error.into())?,
            },
            Link::Down(due) => {
                let pause = due.saturating_duration_since(Instant::now());
                match left {
                    Some(left) if left < pause => std::thread::sleep(left),
                    _ => {
                        std::thread::sleep(pause);
                        self.reconnect(left.map(|left| left.saturating_sub(pause)))?;
                    }
                }
            }
            Link::Ended => return Err(ReceiveError::Ended),
        }
        Ok(None)
    }

    fn lost(&mut self, cause: ReceiveError) -> Result<(), ReceiveError> {
        self.link = Link::Ended;
        self.link = Link::Down(self.core.lost(cause)?);
        Ok(())
    }

    fn reconnect(&mut self, left: Option<Duration>) -> Result<(), ReceiveError> {
        let target = &self.core.target;
        let timeout = left.map_or(target.timeout, |left| left.max(RECONNECT_AT_LEAST).min(target.timeout));
        match target.connect(timeout) {
            Ok(connection) => {
                self.core.connected(&connection);
                self.link = Link::Up(Box::new(connection));
            }
            Err(cause) => {
                self.link = Link::Ended;
                self.link = Link::Down(self.core.retry_failed(cause)?);
            }
        }
        Ok(())
    }

    /// Waits for the next frame, at most for `timeout`; `None` waits for ever. Gives `None`
    /// when the time has passed. Other events are taken note of and not told.
    ///
    /// # Errors
    /// [`ReceiveError`] if no more can come; the client has ended then.
    pub fn next_frame(&mut self, timeout: impl Into<Option<Duration>>) -> Result<Option<ReceivedFrame>, ReceiveError> {
        let timeout = timeout.into();
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut left = timeout;
        loop {
            match self.next_event(left)? {
                Some(Event::Frame(frame)) => return Ok(Some(frame)),
                Some(_) => {
                    left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                }
                None => return Ok(None),
            }
        }
    }

    /// The newest frame there is: those that wait are passed over, and if none waits, the
    /// next one is waited for, at most for `timeout`. Other events are taken note of and not
    /// told.
    ///
    /// # Errors
    /// [`ReceiveError`] if no more can come; the client has ended then.
    pub fn newest(&mut self, timeout: impl Into<Option<Duration>>) -> Result<Option<ReceivedFrame>, ReceiveError> {
        let Some(mut newest) = self.next_frame(timeout)? else { return Ok(None) };
        for _ in 0..PASS_OVER {
            match self.next_frame(Duration::ZERO)? {
                Some(frame) => newest = frame,
                None => break,
            }
        }
        Ok(Some(newest))
    }

    /// Everything that happens, for ever, or until an error ends the client.
    pub fn events(&mut self) -> Events<'_> {
        Events(self)
    }

    /// Every frame that comes, for ever, or until an error ends the client.
    pub fn frames(&mut self) -> Frames<'_> {
        Frames(self)
    }

    /// Locks a frame, or prolongs its lease, and waits for the answer, at most for
    /// `timeout`. `lease` counts from now; `None` asks for the usual lease. Whatever else
    /// happens meanwhile is told afterwards, in order.
    ///
    /// [`Frame::lock`](crate::Frame::lock) does the same without waiting.
    ///
    /// # Errors
    /// [`LockError`]; the frame is as it was before.
    pub fn lock(&mut self, frame: &ReceivedFrame, lease: Option<Duration>, timeout: Duration) -> Result<(), LockError> {
        let request = frame.lock(lease)?;
        let deadline = Instant::now() + timeout;
        self.core.keep_all();
        // The first wait gets the timeout as it was given: a constant one is free.
        let mut left = timeout;
        loop {
            let event = self.wait(Some(left))?.ok_or(LockError::Timeout(timeout))?;
            if let Some(outcome) = self.core.answer(request, event) {
                return outcome;
            }
            left = deadline.saturating_duration_since(Instant::now());
        }
    }

    /// What was agreed upon with the host; `None` while there is no connection.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.core.session()
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.session().is_some()
    }

    /// What the stream is doing, as of the last event. Without a connection it is "waiting",
    /// with the reason why there is none.
    #[must_use]
    pub fn state(&self) -> &StreamStatus {
        self.core.status()
    }

    /// The format of the frames, as of the last event; `None` before the first one.
    #[must_use]
    pub fn format(&self) -> Option<&Arc<Format>> {
        self.core.format()
    }

    /// What this client got and did not get, over all its connections.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }

    /// How long frames took from their publication to this process, over all its
    /// connections. Only frames published while it was connected count: the one that a host
    /// offers to whoever connects has been waiting.
    #[must_use]
    pub fn latency(&self) -> &Histogram {
        self.core.latency()
    }

    /// Path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.core.target.path
    }

    /// The socket, for event loops: when it is readable, call
    /// [`next_event`](Self::next_event) with a timeout of zero until it gives `None`. It is
    /// another one after each reconnection, and `None` while there is none.
    #[must_use]
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.link {
            Link::Up(connection) => Some(connection.as_fd()),
            Link::Down(_) | Link::Ended => None,
        }
    }

    /// Whether something waits for room in the socket. An event loop then also waits until the
    /// [`socket`](Self::socket) is writable before it calls [`next_event`](Self::next_event).
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        matches!(&self.link, Link::Up(connection) if connection.has_backlog())
    }

    /// When the connection will be made again; `None` unless it is lost. Event loops call
    /// [`next_event`](Self::next_event) at that time.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        match &self.link {
            Link::Down(due) => Some(*due),
            Link::Up(_) | Link::Ended => None,
        }
    }

    /// Makes an attempt to connect if one is due ([`retry_at`](Self::retry_at)), for event loops
    /// that let another thread do what may block: it takes 100 ms at most. What came of it is
    /// told as events.
    ///
    /// # Errors
    /// [`ReceiveError`] if connecting again makes no sense; the client has ended then.
    pub fn reconnect_if_due(&mut self) -> Result<(), ReceiveError> {
        match self.link {
            Link::Down(due) if due <= Instant::now() => self.reconnect(Some(Duration::ZERO)),
            _ => Ok(()),
        }
    }

    /// Whether [`next_event`](Self::next_event) has something to tell that is in the socket no more.
    /// Event loops call it then, whatever the socket says.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.core.has_pending()
    }

    /// Whether an error has ended it: nothing can come any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.link, Link::Ended)
    }
}

/// Everything that happens to a client; made by [`Client::events`].
#[derive(Debug)]
pub struct Events<'a>(&'a mut Client);

impl Iterator for Events<'_> {
    type Item = Result<Event, ReceiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.has_ended() { None } else { self.0.next_event(None).transpose() }
    }
}

/// The frames that a client gets; made by [`Client::frames`].
#[derive(Debug)]
pub struct Frames<'a>(&'a mut Client);

impl Iterator for Frames<'_> {
    type Item = Result<ReceivedFrame, ReceiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.has_ended() { None } else { self.0.next_frame(None).transpose() }
    }
}
