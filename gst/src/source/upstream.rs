// SPDX-License-Identifier: Apache-2.0
//! The host that is read from, in whichever of two protocols it speaks.
//!
//! Sockets of both are of one type, so what the first answer is decides: libvsclient tells a host of
//! libvideostream from one of its own ([`ConnectError::Libvideostream`](vs_ipc::client::ConnectError)), without
//! harm to it. Each connection begins so, for the next host at a path may be another one.

use std::ops::Add;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vs_ipc::vsl::client as vsl;
use vsclient::{
    Backoff, Client, ClientBuilder, ConnectError, Event, GoodbyeReason, NameError, ReceiveError, RevokeReason,
    StreamState, StreamStatus,
};

use super::ancestor::Ancestor;
use super::held::Held;
use super::settings::{Protocol, Settings};

/// What one attempt to connect to an ancestor's host may take: one that lives takes a connection at once.
const CONNECT: Duration = Duration::from_millis(100);

/// What has happened.
#[derive(Debug)]
pub enum Said {
    /// A frame.
    Frame(Held),
    /// There is a connection: what follows does not follow from what was before.
    Connected,
    /// What the stream does.
    State(StreamStatus),
    /// A frame was taken back that the pipeline still held.
    Revoked {
        /// Its number.
        serial: u64,
        /// Why.
        reason: RevokeReason,
    },
    /// The connection is lost, and will be made again.
    Disconnected(String),
    /// That has failed, and will be tried again.
    RetryFailed(String),
    /// Nothing that concerns the pipeline.
    Other,
}

/// Why no more frames come.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The text names no stream.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection has ended.
    #[error(transparent)]
    Client(#[from] ReceiveError),
    /// There is no connection to an ancestor's host.
    #[error(transparent)]
    Ancestor(#[from] vsl::ConnectError),
    /// The connection to an ancestor's host has ended.
    #[error(transparent)]
    Locks(#[from] vsl::ReceiveError),
}

impl UpstreamError {
    /// Whether the stream was ended on purpose. An ancestor's host that is done just goes.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Client(ReceiveError::Goodbye(goodbye)) => {
                matches!(goodbye.reason, GoodbyeReason::StreamRemoved | GoodbyeReason::Shutdown)
            }
            Self::Locks(error) => matches!(error, vsl::ReceiveError::Closed),
            _ => false,
        }
    }
}

/// What was received, over all connections.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// Frames.
    pub received: u64,
    /// Frames that did not come, because this reader held too many or was late.
    pub skipped: u64,
    /// Frames that were taken back.
    pub revoked: u64,
    /// Connections.
    pub connections: u64,
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            skipped: self.skipped + other.skipped,
            revoked: self.revoked + other.revoked,
            connections: self.connections + other.connections,
        }
    }
}

/// A host, or the wait for one.
#[derive(Debug)]
pub struct Upstream {
    path: PathBuf,
    protocol: Protocol,
    credits: u32,
    builder: ClientBuilder,
    /// `None`: a connection that is lost is the end.
    backoff: Option<Backoff>,
    /// Attempts since the last frame of an ancestor's host.
    attempt: u32,
    link: Link,
    /// Of connections in the other protocol, or before.
    earlier: Tally,
}

#[derive(Debug)]
enum Link {
    /// It makes lost connections again by itself.
    Client(Box<Client>),
    Ancestor(Box<Ancestor>),
    /// An ancestor's host was there; to be looked for again at that time.
    Down(Instant),
}

impl Upstream {
    /// Connects, or begins to wait, as was set.
    ///
    /// # Errors
    /// [`UpstreamError`] if the settings name no stream, or if none is there and none is waited for.
    pub fn open(settings: &Settings, target: &str, element: &str) -> Result<Self, UpstreamError> {
        let builder = settings.client(target, element);
        // It makes no connection before it is asked for events.
        let waiting = builder.clone().connect_or_wait()?;
        let backoff = settings.reconnect.then(Backoff::default);
        let mut upstream = Self {
            path: waiting.path().to_owned(),
            protocol: settings.protocol,
            credits: settings.credits,
            link: Link::Down(Instant::now()),
            builder,
            backoff,
            attempt: 0,
            earlier: Tally::default(),
        };
        match (settings.protocol, backoff) {
            (Protocol::Vsl, Some(_)) => {}
            (Protocol::Vsl, None) => upstream.connect_ancestor()?,
            (_, Some(_)) => upstream.link = Link::Client(Box::new(waiting)),
            (_, None) => match upstream.builder.clone().connect() {
                Ok(client) => upstream.link = Link::Client(Box::new(client)),
                Err(error) if upstream.is_ancestors(&error) => upstream.connect_ancestor()?,
                Err(error) => return Err(error.into()),
            },
        }
        Ok(upstream)
    }

    /// What has happened, without waiting.
    ///
    /// # Errors
    /// [`UpstreamError`] if no more frames come.
    pub fn next(&mut self) -> Result<Option<Said>, UpstreamError> {
        match &mut self.link {
            Link::Client(client) => match client.next_event(Duration::ZERO) {
                Ok(event) => Ok(event.map(Said::from)),
                Err(ReceiveError::Reconnect(error)) if self.is_ancestors(&error) => self.try_ancestor().map(Some),
                Err(error) => Err(error.into()),
            },
            Link::Ancestor(ancestor) => match ancestor.next() {
                Ok(said) => {
                    if ancestor.runs() {
                        self.attempt = 0;
                    }
                    Ok(said)
                }
                Err(error) => self.lost(error).map(Some),
            },
            Link::Down(due) if *due > Instant::now() => Ok(None),
            Link::Down(_) if self.protocol == Protocol::Vsl => self.try_ancestor().map(Some),
            Link::Down(_) => {
                self.link = Link::Client(Box::new(self.builder.clone().connect_or_wait()?));
                Ok(Some(Said::Other))
            }
        }
    }

    /// What waits for frames waits for this to become readable.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.link {
            Link::Client(client) => client.socket(),
            Link::Ancestor(ancestor) => Some(ancestor.socket()),
            Link::Down(_) => None,
        }
    }

    /// Whether it also waits until it becomes writable.
    pub fn has_backlog(&self) -> bool {
        match &self.link {
            Link::Client(client) => client.has_backlog(),
            Link::Ancestor(ancestor) => ancestor.has_backlog(),
            Link::Down(_) => false,
        }
    }

    /// When the next attempt to connect is due.
    pub fn retry_at(&self) -> Option<Instant> {
        match &self.link {
            Link::Client(client) => client.retry_at(),
            Link::Ancestor(_) => None,
            Link::Down(due) => Some(*due),
        }
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the stream does.
    pub fn status(&self) -> StreamStatus {
        let waiting = |reason: &str| StreamStatus { state: StreamState::Waiting, reason: reason.to_owned() };
        match &self.link {
            Link::Client(client) => client.state().clone(),
            Link::Ancestor(ancestor) if ancestor.runs() => {
                StreamStatus { state: StreamState::Running, reason: String::new() }
            }
            Link::Ancestor(_) => waiting("the libvideostream host has sent no frame yet"),
            Link::Down(_) => waiting("there is no libvideostream host"),
        }
    }

    /// What was received so far.
    pub fn tally(&self) -> Tally {
        self.earlier + self.tally_of_link()
    }

    fn tally_of_link(&self) -> Tally {
        match &self.link {
            Link::Client(client) => {
                let counters = client.counters();
                Tally {
                    received: counters.received,
                    skipped: counters.skipped_total(),
                    revoked: counters.revoked,
                    connections: counters.connections,
                }
            }
            Link::Ancestor(ancestor) => ancestor.tally(),
            Link::Down(_) => Tally::default(),
        }
    }

    fn is_ancestors(&self, error: &ConnectError) -> bool {
        let libvideostream = matches!(error, ConnectError::Connection(vs_ipc::client::ConnectError::Libvideostream));
        libvideostream && self.protocol == Protocol::Auto
    }

    fn connect_ancestor(&mut self) -> Result<(), vsl::ConnectError> {
        let ancestor = Ancestor::connect(&self.path, self.credits, CONNECT)?;
        self.replace(Link::Ancestor(Box::new(ancestor)));
        Ok(())
    }

    fn try_ancestor(&mut self) -> Result<Said, UpstreamError> {
        let Err(error) = self.connect_ancestor() else { return Ok(Said::Connected) };
        let Some(due) = self.next_attempt() else { return Err(error.into()) };
        self.replace(Link::Down(due));
        Ok(Said::RetryFailed(error.to_string()))
    }

    fn lost(&mut self, error: vsl::ReceiveError) -> Result<Said, UpstreamError> {
        // A host that breaks the protocol will do so again.
        let lasting = matches!(error, vsl::ReceiveError::Protocol(_) | vsl::ReceiveError::TooManyOpenFiles);
        match self.next_attempt().filter(|_| !lasting) {
            Some(due) => {
                self.replace(Link::Down(due));
                Ok(Said::Disconnected(error.to_string()))
            }
            None => Err(error.into()),
        }
    }

    /// Counted from the last frame on: a host that takes connections and ends them is none to come back to at once.
    fn next_attempt(&mut self) -> Option<Instant> {
        let wait = self.backoff?.wait(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        Some(Instant::now() + wait)
    }

    fn replace(&mut self, link: Link) {
        self.earlier = self.tally();
        self.link = link;
    }
}

impl From<Event> for Said {
    fn from(event: Event) -> Self {
        match event {
            Event::Frame(frame) => Self::Frame(Held::Leased(frame)),
            Event::Connected { .. } => Self::Connected,
            Event::State(status) => Self::State(status),
            Event::Revoked { serial, reason } => Self::Revoked { serial, reason },
            Event::Disconnected { cause, .. } => Self::Disconnected(cause.to_string()),
            Event::RetryFailed { cause, .. } => Self::RetryFailed(cause.to_string()),
            _ => Self::Other,
        }
    }
}
