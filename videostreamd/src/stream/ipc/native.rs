// SPDX-License-Identifier: Apache-2.0
//! A host that speaks `docs/protocol.md`: another videostreamd, or a program with
//! libvsclient's `Publisher`.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vs_frame::clock::{NS_PER_MS, monotonic_ns};
use vs_ipc::client::{ConnectError, Connection, Hello, Incoming, ReceiveError, ReceivedFrame};
use vs_ipc::wire::{GoodbyeReason, Mode};

use super::{BACKLOG_RETRY, LEASE_MARGIN, Loan, Said, Subscription, Terms, Trouble};

/// A connection, not yet watched by the stream's runtime.
#[derive(Debug)]
pub(super) struct Connected(Connection);

/// A connection to a host.
#[derive(Debug)]
pub(super) struct Upstream {
    connection: AsyncFd<Connection>,
    /// The state that came with the handshake, until it is told.
    first: Option<Said>,
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
        let first = Some(Said::State(status.state, status.reason.clone()));
        // SAFETY: a connection owns its socket and names the same one until it is dropped, and
        // the `AsyncFd` owns the connection.
        let watched = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) };
        let connection = watched.map_err(io::Error::from).map_err(Trouble::passing)?;
        Ok((Upstream { connection, first }, terms))
    }
}

impl Upstream {
    /// Waits for what the host says next. Safe to cancel: nothing is taken before it returns.
    pub(super) async fn next(&mut self) -> Result<Said, Trouble> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        loop {
            let backlog = self.connection.get_ref().has_backlog();
            tokio::select! {
                ready = self.connection.readable_mut() => {
                    let mut ready = ready.map_err(Trouble::passing)?;
                    match ready.get_inner_mut().receive().map_err(lost)? {
                        Some(incoming) => return said(incoming),
                        None => ready.clear_ready(),
                    }
                }
                () = tokio::time::sleep(BACKLOG_RETRY), if backlog => {
                    // Receiving also sends what waits.
                    if let Some(incoming) = self.connection.get_mut().receive().map_err(lost)? {
                        return said(incoming);
                    }
                }
            }
        }
    }
}

fn lost(error: ReceiveError) -> Trouble {
    match error {
        ReceiveError::Protocol(_) => Trouble::lasting(error),
        _ => Trouble::passing(error),
    }
}

fn said(incoming: Incoming) -> Result<Said, Trouble> {
    Ok(match incoming {
        Incoming::Frame(frame) => Said::Frame(loan(frame)),
        Incoming::State(status) => Said::State(status.state, status.reason),
        Incoming::Revoked { serial, .. } => Said::Revoked(serial),
        Incoming::Goodbye(goodbye) => {
            let text = format!("the host has ended the connection: {goodbye}");
            return Err(if not_understood(goodbye.reason) { Trouble::lasting(text) } else { Trouble::passing(text) });
        }
        // Each frame brings its format, and nothing is locked beyond the lease it comes with.
        _ => Said::Nothing,
    })
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
