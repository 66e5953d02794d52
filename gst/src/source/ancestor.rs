// SPDX-License-Identifier: Apache-2.0
//! A host of libvideostream 2.x (`docs/vsl.md`).
//!
//! Each frame is locked before anybody sees it, and unlocked when its buffer is freed. What that protocol has no
//! words for is made up for here: the stream is said to run when frames come.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use vs_ipc::vsl::client::{ConnectError, Connection, Incoming, ReceiveError};
use vs_ipc::vsl::wire::LOCKS_MAX;
use vsclient::{StreamState, StreamStatus};

use super::held::Held;
use super::upstream::{Said, Tally};

/// Frames that the pipeline may hold if nothing was said: half of the ancestor's pool.
const LOCKS: u32 = 4;

/// One connection.
#[derive(Debug)]
pub struct Ancestor {
    connection: Connection,
    /// The first frame, which comes after it was told that there are some.
    first: Option<Held>,
    runs: bool,
}

impl Ancestor {
    /// Connects; `credits` of 0 are as many as the ancestor's hosts can spare.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(path: &Path, credits: u32, timeout: Duration) -> Result<Self, ConnectError> {
        let wanted = if credits == 0 { LOCKS } else { credits };
        let locks = usize::try_from(wanted).map_or(LOCKS_MAX, |locks| locks.min(LOCKS_MAX));
        let connection = Connection::connect(path, locks, timeout)?;
        Ok(Self { connection, first: None, runs: false })
    }

    /// What has come, without waiting.
    ///
    /// # Errors
    /// [`ReceiveError`]; the connection has ended then.
    pub fn next(&mut self) -> Result<Option<Said>, ReceiveError> {
        if let Some(held) = self.first.take() {
            return Ok(Some(Said::Frame(held)));
        }
        let Some(incoming) = self.connection.receive_one()? else { return Ok(None) };
        let Incoming::Frame(received) = incoming else { return Ok(Some(Said::Other)) };
        let held = Held::Locked { serial: received.serial, frame: received.frame };
        if std::mem::replace(&mut self.runs, true) {
            return Ok(Some(Said::Frame(held)));
        }
        self.first = Some(held);
        Ok(Some(Said::State(StreamStatus { state: StreamState::Running, reason: String::new() })))
    }

    /// Whether frames have come.
    pub fn runs(&self) -> bool {
        self.runs
    }

    /// The socket.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }

    /// Whether a request waits for room in the socket.
    pub fn has_backlog(&self) -> bool {
        self.connection.has_backlog()
    }

    /// What came of this connection.
    pub fn tally(&self) -> Tally {
        let counts = self.connection.counts();
        Tally {
            received: counts.locked,
            skipped: counts.expired + counts.refused + counts.no_credit,
            revoked: counts.taken_back,
            connections: 1,
        }
    }
}
