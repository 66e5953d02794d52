// SPDX-License-Identifier: Apache-2.0
//! The client that waits on a tokio runtime.
//!
//! It watches the connection's own socket through tokio's `AsyncFd`; that the socket is in
//! blocking mode does not matter, for every receive says `MSG_DONTWAIT`. Each attempt to
//! connect runs on the runtime's blocking threads, at most one at a time: it takes a
//! millisecond, but the host it waits for may be stopped.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use vs_frame::Format;
use vs_ipc::client::{self as ipc, Connection, Incoming, ReceivedFrame, Session, StreamStatus};
use vs_ipc::histogram::Histogram;

use crate::client::PASS_OVER;
use crate::core::{Core, Taken, Target};
use crate::{ClientBuilder, ConnectError, Counters, Event, LockError, NameError, ReceiveError};

/// While an unlock waits for room in the socket, the client looks again after this time
/// even if nothing arrives. It needs a host that has not read hundreds of messages.
const BACKLOG_RETRY: Duration = Duration::from_millis(10);

/// A client of one stream, for tokio. Every method may be cancelled: nothing is lost.
#[derive(Debug)]
pub struct AsyncClient {
    core: Core,
    link: Link,
}

#[derive(Debug)]
enum Link {
    Up(Box<AsyncFd<Connection>>),
    /// To be made at that time.
    Down(Instant),
    /// Being made.
    Connecting(JoinHandle<Result<Connection, ConnectError>>),
    /// An error has ended it.
    Ended,
}

impl ClientBuilder {
    /// Connects now, from a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`ConnectError`]; its message says what to do.
    pub async fn connect_async(self) -> Result<AsyncClient, ConnectError> {
        let target = self.target()?;
        let connection = finished(begin(&target).await)?;
        let path = target.path.clone();
        let mut core = Core::new(target);
        core.connected(&connection);
        let link = watch(connection).map_err(|source| ipc::ConnectError::Io { path, source })?;
        Ok(AsyncClient { core, link })
    }

    /// Makes a client of a stream that need not be there yet: it is waited for as after a
    /// lost connection.
    ///
    /// # Errors
    /// [`NameError`] if the text names no stream.
    pub fn connect_or_wait_async(self) -> Result<AsyncClient, NameError> {
        Ok(AsyncClient { core: Core::new(self.target()?), link: Link::Down(Instant::now()) })
    }
}

fn begin(target: &Target) -> JoinHandle<Result<Connection, ConnectError>> {
    let target = target.clone();
    tokio::task::spawn_blocking(move || target.connect(target.timeout))
}

fn finished(
    joined: Result<Result<Connection, ConnectError>, tokio::task::JoinError>,
) -> Result<Connection, ConnectError> {
    // The task is never aborted, so it can only fail with a runtime that shuts down.
    joined
        .unwrap_or_else(|error| Err(ipc::ConnectError::Receive(ipc::ReceiveError::Io(io::Error::other(error))).into()))
}

fn watch(connection: Connection) -> io::Result<Link> {
    // SAFETY: a connection owns its socket and names the same one until it is dropped, and
    // the `AsyncFd` owns the connection.
    let watched = unsafe { AsyncFd::register_with_interest(connection, Interest::READABLE) };
    Ok(Link::Up(Box::new(watched?)))
}

impl AsyncClient {
    /// Connects to a stream with the default options: its name, or the path of its socket.
    ///
    /// # Errors
    /// [`ConnectError`]; its message says what to do.
    pub async fn connect(stream: &str) -> Result<Self, ConnectError> {
        ClientBuilder::new(stream).connect_async().await
    }

    /// Waits for the next thing that happens.
    ///
    /// # Errors
    /// [`ReceiveError`] if no more can come; the client has ended then.
    pub async fn next_event(&mut self) -> Result<Event, ReceiveError> {
        self.core.release_kept();
        self.wait().await
    }

    async fn wait(&mut self) -> Result<Event, ReceiveError> {
        loop {
            if let Some(event) = self.core.queue.pop_front() {
                return Ok(event);
            }
            match &mut self.link {
                Link::Up(watched) => match receive(watched).await {
                    Ok(incoming) => match self.core.take(incoming) {
                        Taken::Event(event) => return Ok(event),
                        Taken::Nothing => {}
                        Taken::Goodbye(goodbye) => self.lost(ReceiveError::Goodbye(goodbye))?,
                    },
                    Err(error) => self.lost(error.into())?,
                },
                Link::Down(due) => {
                    tokio::time::sleep_until((*due).into()).await;
                    self.link = Link::Connecting(begin(&self.core.target));
                }
                Link::Connecting(attempt) => {
                    let outcome = finished(attempt.await);
                    self.attempted(outcome)?;
                }
                Link::Ended => return Err(ReceiveError::Ended),
            }
        }
    }

    fn lost(&mut self, cause: ReceiveError) -> Result<(), ReceiveError> {
        self.link = Link::Ended;
        self.link = Link::Down(self.core.lost(cause)?);
        Ok(())
    }

    fn attempted(&mut self, outcome: Result<Connection, ConnectError>) -> Result<(), ReceiveError> {
        self.link = Link::Ended;
        match outcome {
            Ok(connection) => {
                self.core.connected(&connection);
                self.link = watch(connection).map_err(ipc::ReceiveError::Io)?;
            }
            Err(cause) => self.link = Link::Down(self.core.retry_failed(cause)?),
        }
        Ok(())
    }

    /// Waits for the next frame. Other events are taken note of and not told.
    ///
    /// # Errors
    /// [`ReceiveError`] if no more can come; the client has ended then.
    pub async fn next_frame(&mut self) -> Result<ReceivedFrame, ReceiveError> {
        loop {
            if let Event::Frame(frame) = self.next_event().await? {
                return Ok(frame);
            }
        }
    }

    /// The newest frame there is: those that wait are passed over, and if none waits, the
    /// next one is waited for. Other events are taken note of and not told.
    ///
    /// # Errors
    /// [`ReceiveError`] if no more can come; the client has ended then.
    pub async fn newest(&mut self) -> Result<ReceivedFrame, ReceiveError> {
        let mut newest = self.next_frame().await?;
        for _ in 0..PASS_OVER {
            let Link::Up(watched) = &mut self.link else { break };
            let incoming = match watched.get_mut().receive() {
                Ok(Some(incoming)) => incoming,
                Ok(None) => break,
                Err(error) => {
                    self.lost(error.into())?;
                    break;
                }
            };
            match self.core.take(incoming) {
                Taken::Event(Event::Frame(frame)) => newest = frame,
                Taken::Event(_) | Taken::Nothing => {}
                Taken::Goodbye(goodbye) => self.lost(ReceiveError::Goodbye(goodbye))?,
            }
        }
        Ok(newest)
    }

    /// Everything that happens, for ever, or until an error ends the client.
    pub fn events(&mut self) -> impl Stream<Item = Result<Event, ReceiveError>> + Send + '_ {
        unfold(self, async |client| {
            if client.has_ended() {
                return None;
            }
            Some((client.next_event().await, client))
        })
    }

    /// Every frame that comes, for ever, or until an error ends the client.
    pub fn frames(&mut self) -> impl Stream<Item = Result<ReceivedFrame, ReceiveError>> + Send + '_ {
        unfold(self, async |client| {
            if client.has_ended() {
                return None;
            }
            Some((client.next_frame().await, client))
        })
    }

    /// Locks a frame, or prolongs its lease, and waits for the answer, at most for
    /// `timeout`. `lease` counts from now; `None` asks for the usual lease. Whatever else
    /// happens meanwhile is told afterwards, in order.
    ///
    /// # Errors
    /// [`LockError`]; the frame is as it was before.
    pub async fn lock(
        &mut self,
        frame: &ReceivedFrame,
        lease: Option<Duration>,
        timeout: Duration,
    ) -> Result<(), LockError> {
        let request = frame.lock(lease)?;
        let deadline = tokio::time::Instant::now() + timeout;
        self.core.keep_all();
        loop {
            let event = tokio::time::timeout_at(deadline, self.wait()).await;
            let event = event.map_err(|_| LockError::Timeout(timeout))??;
            if let Some(outcome) = self.core.answer(request, event) {
                return outcome;
            }
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

    fn has_ended(&self) -> bool {
        matches!(self.link, Link::Ended)
    }
}

/// Waits for one message. Nothing is taken from the socket before it returns.
async fn receive(watched: &mut AsyncFd<Connection>) -> Result<Incoming, ipc::ReceiveError> {
    loop {
        if let Some(incoming) = watched.get_mut().receive()? {
            return Ok(incoming);
        }
        let backlog = watched.get_ref().has_backlog();
        tokio::select! {
            ready = watched.readable_mut() => {
                let mut ready = ready.map_err(ipc::ReceiveError::Io)?;
                // Tokio may know of readiness that the receive above has used up.
                if let Some(incoming) = ready.get_inner_mut().receive()? {
                    return Ok(incoming);
                }
                ready.clear_ready();
            }
            () = tokio::time::sleep(BACKLOG_RETRY), if backlog => {}
        }
    }
}
