// SPDX-License-Identifier: Apache-2.0
//! A host that speaks `docs/vsl.md`: an application of libvideostream 2.x, or the endpoint of
//! another videostreamd.
//!
//! Every frame is locked before it is passed on, and unlocked when nobody here reads it any
//! more. What that protocol has no words for is made up for here: a host says nothing of its
//! state, so the stream runs while frames come; nothing of how long a lock lasts, so no more is
//! relied on than what hosts are known to give; and it may have kept a frame for long before it
//! sends it, so what is old is not passed on as new.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use vs_frame::clock::{NS_PER_MS, NS_PER_SEC, monotonic_ns};
use vs_ipc::vsl::client::{Connection, Incoming, ReceiveError, Received};
use vs_ipc::wire::StreamState;

use super::{BACKLOG_RETRY, LEASE_MARGIN, Loan, SILENCE, Said, Subscription, Terms, Trouble};

/// How long a lock is relied on. Another videostreamd ends it after its `lease-max`, 10 s
/// unless configured; libvideostream itself keeps it for ever.
const LOCK: Duration = Duration::from_secs(10);

/// A frame that was published longer ago than this, when its lock is granted, is not new.
/// That takes a millisecond; the rest is for a host that has much to do, or this daemon.
const FRESH_NS: u64 = NS_PER_SEC;

/// A connection, not yet watched by the stream's runtime.
#[derive(Debug)]
pub(super) struct Connected {
    connection: Connection,
    path: PathBuf,
    locks: usize,
}

/// A connection to a host.
#[derive(Debug)]
pub(super) struct Upstream {
    connection: AsyncFd<Connection>,
    path: PathBuf,
    /// What is to be said before the host is heard again.
    next: Option<Said>,
    /// Frames come.
    runs: bool,
    /// When the last one came, or the connection was made, or silence was noticed.
    since: Instant,
    /// Frames that were old when they came, since then.
    stale: u64,
}

/// Connects; blocks for at most the `timeout`.
pub(super) fn connect(subscription: &Subscription, timeout: Duration) -> Result<Connected, Trouble> {
    let (path, locks) = (subscription.path.clone(), subscription.locks);
    let connection = Connection::connect(&path, locks, timeout).map_err(Trouble::passing)?;
    Ok(Connected { connection, path, locks })
}

impl Connected {
    /// Puts the connection into the runtime on which this is called.
    pub(super) fn watch(self) -> Result<(Upstream, Terms), Trouble> {
        let Self { connection, path, locks } = self;
        // Serials mean nothing beyond their connection, and no two are made at the same time.
        let terms = Terms { epoch: monotonic_ns(), credits: locks };
        // SAFETY: a connection owns its socket and names the same one until it is dropped, and
        // the `AsyncFd` owns the connection.
        let watched = unsafe { AsyncFd::register_with_interest(connection, Interest::READABLE) };
        let connection = watched.map_err(io::Error::from).map_err(Trouble::passing)?;
        let text = format!("the host at {} has sent no frame yet", path.display());
        let next = Some(Said::State(StreamState::Waiting, text));
        Ok((Upstream { connection, path, next, runs: false, since: Instant::now(), stale: 0 }, terms))
    }
}

impl Upstream {
    /// Waits for what the host says next. Safe to cancel: nothing is taken before it returns.
    pub(super) async fn next(&mut self) -> Result<Said, Trouble> {
        if let Some(said) = self.next.take() {
            return Ok(said);
        }
        loop {
            let backlog = self.connection.get_ref().has_backlog();
            // None of these comes first: one that floods must not hide that it never answers. If
            // this thread was late itself, the stream is said to wait for a moment.
            tokio::select! {
                ready = self.connection.readable_mut() => {
                    let mut ready = ready.map_err(Trouble::passing)?;
                    match ready.get_inner_mut().receive_one().map_err(lost)? {
                        Some(incoming) => return Ok(self.said(incoming)),
                        None => ready.clear_ready(),
                    }
                }
                () = tokio::time::sleep(BACKLOG_RETRY), if backlog => {
                    // Receiving also sends what waits.
                    if let Some(incoming) = self.connection.get_mut().receive_one().map_err(lost)? {
                        return Ok(self.said(incoming));
                    }
                }
                () = tokio::time::sleep_until(self.since + SILENCE) => return self.silence(),
            }
        }
    }

    fn said(&mut self, incoming: Incoming) -> Said {
        let Incoming::Frame(received) = incoming else { return Said::Nothing };
        let now_ns = monotonic_ns();
        let loan = loan(received);
        if now_ns.saturating_sub(loan.publish_ns) > FRESH_NS || loan.until_ns <= now_ns {
            self.stale = self.stale.saturating_add(1);
            return Said::Nothing;
        }
        (self.since, self.stale) = (Instant::now(), 0);
        if self.runs {
            return Said::Frame(loan);
        }
        self.runs = true;
        self.next = Some(Said::Frame(loan));
        Said::State(StreamState::Running, String::new())
    }

    /// No frame has come for a while, or none that could be passed on.
    fn silence(&mut self) -> Result<Said, Trouble> {
        // A host that lives answers, whether it has frames or not.
        if self.connection.get_ref().awaits_answer() {
            return Err(Trouble::passing(format!("the host has not answered a request for {} s", SILENCE.as_secs())));
        }
        let path = self.path.display();
        let text = match self.stale {
            0 => format!("the host at {path} sends no frames"),
            _ => format!("the host at {path} sends frames that are more than {} s old", FRESH_NS / NS_PER_SEC),
        };
        (self.since, self.stale, self.runs) = (Instant::now(), 0, false);
        Ok(Said::State(StreamState::Waiting, text))
    }
}

fn lost(error: ReceiveError) -> Trouble {
    match error {
        ReceiveError::Protocol(_) => Trouble::lasting(error),
        _ => Trouble::passing(error),
    }
}

fn loan(received: Received) -> Loan {
    let Received { serial, publish_ns, asked_ns, frame } = received;
    let length_ns = (LOCK - LEASE_MARGIN).as_millis() as u64 * NS_PER_MS;
    Loan {
        serial,
        buffer: frame.buffer().clone(),
        format: frame.format().clone(),
        meta: *frame.meta(),
        publish_ns,
        until_ns: asked_ns.saturating_add(length_ns),
        right: Box::new(frame),
    }
}
