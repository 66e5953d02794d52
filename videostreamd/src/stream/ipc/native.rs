// SPDX-License-Identifier: Apache-2.0
//! A host that speaks `docs/protocol.md`: another videostreamd, or a program with
//! libvsclient's `Publisher`.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use vs_frame::clock::{NS_PER_MS, monotonic_ns};
use vs_ipc::client::{ConnectError, Connection, Hello, Incoming, ReceiveError, ReceivedFrame};
use vs_ipc::wire::{GoodbyeReason, Mode, StreamState};

use super::{BACKLOG_RETRY, LEASE_MARGIN, Loan, SILENCE, Said, Subscription, Terms, Trouble};

/// A connection, not yet watched by the stream's runtime.
#[derive(Debug)]
pub(super) struct Connected(Connection);

/// A connection to a host.
#[derive(Debug)]
pub(super) struct Upstream {
    connection: AsyncFd<Connection>,
    /// What is to be said before the host is heard again.
    next: Option<Said>,
    /// When the last message came.
    since: Instant,
    /// The host says that its stream runs, and sends nothing.
    silent: bool,
}

/// Connects; blocks for at most twice the `timeout`.
pub(super) fn connect(subscription: &Subscription, timeout: Duration) -> Result<Connected, ConnectError> {
    let hello = Hello {
        mode: Mode::Leased,
        credits: subscription.credits,
        lease: Some(subscription.lease + LEASE_MARGIN),
        name: format!("videostreamd/{}", subscription.name),
    };
    Connection::connect(&subscription.path, &hello, timeout).map(Connected)
}

/// What it means that there is no connection.
pub(super) fn refused(error: ConnectError) -> Trouble {
    match &error {
        ConnectError::Version { .. } | ConnectError::NotAStream { .. } | ConnectError::PathTooLong { .. } => {
            Trouble::lasting(error)
        }
        ConnectError::Refused(goodbye) if not_understood(goodbye.reason) => Trouble::lasting(error),
        ConnectError::Receive(ReceiveError::Protocol(_)) => Trouble::lasting(error),
        _ => Trouble::passing(error),
    }
}

fn not_understood(reason: GoodbyeReason) -> bool {
    matches!(reason, GoodbyeReason::Version | GoodbyeReason::Malformed)
}

impl Connected {
    /// Puts the connection into the runtime on which this is called.
    pub(super) fn watch(self) -> Result<(Upstream, Terms), Trouble> {
        let session = self.0.session();
        let terms = Terms { epoch: session.epoch, credits: usize::from(session.credits) };
        let status = self.0.status();
        let next = Some(Said::State(status.state, status.reason.clone()));
        // SAFETY: a connection owns its socket and names the same one until it is dropped, and
        // the `AsyncFd` owns the connection.
        let watched = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) };
        let connection = watched.map_err(io::Error::from).map_err(Trouble::passing)?;
        Ok((Upstream { connection, next, since: Instant::now(), silent: false }, terms))
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
            let patience = self.patience();
            tokio::select! {
                // Should this thread be late, what the host has said meanwhile comes first.
                biased;
                ready = self.connection.readable_mut() => {
                    let mut ready = ready.map_err(Trouble::passing)?;
                    match ready.get_inner_mut().receive().map_err(lost)? {
                        Some(incoming) => return self.said(incoming),
                        None => ready.clear_ready(),
                    }
                }
                () = tokio::time::sleep(BACKLOG_RETRY), if backlog => {
                    // Receiving also sends what waits.
                    if let Some(incoming) = self.connection.get_mut().receive().map_err(lost)? {
                        return self.said(incoming);
                    }
                }
                () = tokio::time::sleep_until(self.since + patience.unwrap_or_default()), if patience.is_some() => {
                    self.silent = true;
                    return Ok(Said::Silence);
                }
            }
        }
    }

    /// How long the host may say nothing; `None` if nothing is expected of it.
    fn patience(&self) -> Option<Duration> {
        let connection = self.connection.get_ref();
        if self.silent || connection.status().state != StreamState::Running {
            return None;
        }
        // Frames without a rate come when they come.
        let interval = connection.format()?.rate.interval_ns().map(Duration::from_nanos)?;
        Some(SILENCE.max(interval.saturating_mul(2)))
    }

    fn said(&mut self, incoming: Incoming) -> Result<Said, Trouble> {
        self.since = Instant::now();
        Ok(match incoming {
            Incoming::Frame(frame) => {
                let said = Said::Frame(loan(frame));
                if !std::mem::take(&mut self.silent) {
                    return Ok(said);
                }
                self.next = Some(said);
                let status = self.connection.get_ref().status();
                Said::State(status.state, status.reason.clone())
            }
            Incoming::State(status) => {
                self.silent = false;
                Said::State(status.state, status.reason)
            }
            Incoming::Revoked { serial, .. } => Said::Revoked(serial),
            Incoming::Goodbye(goodbye) => {
                let text = format!("the host has ended the connection: {goodbye}");
                return Err(if not_understood(goodbye.reason) {
                    Trouble::lasting(text)
                } else {
                    Trouble::passing(text)
                });
            }
            // Each frame brings its format, and nothing is locked beyond the lease it comes with.
            _ => Said::Nothing,
        })
    }
}

fn lost(error: ReceiveError) -> Trouble {
    match error {
        ReceiveError::Protocol(_) => Trouble::lasting(error),
        _ => Trouble::passing(error),
    }
}

fn loan(frame: ReceivedFrame) -> Loan {
    let left_ns = frame.deadline_ns().saturating_sub(monotonic_ns());
    // Of a lease that is short, most is passed on.
    let margin_ns = (LEASE_MARGIN.as_millis() as u64 * NS_PER_MS).min(left_ns / 4);
    Loan {
        serial: frame.serial(),
        buffer: frame.buffer().clone(),
        format: frame.format().clone(),
        meta: *frame.meta(),
        publish_ns: frame.publish_ns(),
        until_ns: frame.deadline_ns().saturating_sub(margin_ns),
        right: Box::new(frame),
    }
}
