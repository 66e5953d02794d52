// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, one enum for each operation.

use std::time::Duration;

use vs_ipc::client::{self as ipc, Goodbye, SendError};
use vs_ipc::wire::{GoodbyeReason, LockStatus};

use crate::NameError;

/// Why there is no connection to a stream. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The text names no stream.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no connection.
    #[error(transparent)]
    Connection(#[from] ipc::ConnectError),
}

impl ConnectError {
    /// Whether a later attempt may succeed without anybody changing this program or its
    /// arguments.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        use ipc::ConnectError as E;
        match self {
            Self::Name(_) => false,
            Self::Connection(E::PathTooLong { .. } | E::NotAStream { .. } | E::Version { .. } | E::Libvideostream) => {
                false
            }
            Self::Connection(E::Refused(goodbye)) => goodbye_is_temporary(goodbye),
            Self::Connection(E::Receive(error)) => loss_is_temporary(error),
            Self::Connection(
                E::NotFound { .. } | E::NotListening { .. } | E::Denied { .. } | E::Io { .. } | E::Timeout(_),
            ) => true,
        }
    }
}

/// Why no more frames come.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The host has ended the connection and said why.
    #[error("the host has ended the connection: {0}")]
    Goodbye(Goodbye),
    /// The connection has ended.
    #[error(transparent)]
    Connection(#[from] ipc::ReceiveError),
    /// The connection was lost, and connecting again makes no sense.
    #[error("the connection was lost and cannot be made again: {0}")]
    Reconnect(#[source] ConnectError),
    /// An earlier error has ended this client.
    #[error("this client has ended with an earlier error: connect anew")]
    Ended,
}

impl ReceiveError {
    /// Whether connecting again may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Goodbye(goodbye) => goodbye_is_temporary(goodbye),
            Self::Connection(error) => loss_is_temporary(error),
            Self::Reconnect(error) => error.is_temporary(),
            Self::Ended => false,
        }
    }
}

/// A host that does not understand this client will not understand it tomorrow.
fn goodbye_is_temporary(goodbye: &Goodbye) -> bool {
    !matches!(goodbye.reason, GoodbyeReason::Version | GoodbyeReason::Malformed)
}

/// A host that breaks the protocol will do it again, and too many open files are for this
/// program to close: hiding either behind new attempts would hide the cause.
fn loss_is_temporary(error: &ipc::ReceiveError) -> bool {
    matches!(error, ipc::ReceiveError::Closed | ipc::ReceiveError::Io(_))
}

/// Why a frame is not locked, or not for longer.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The host said no.
    #[error("the host does not grant the lease: {}", refusal(*.0))]
    Refused(LockStatus),
    /// The request could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The host did not answer in time. Should it grant the lease later, the frame has it.
    #[error("the host did not answer the lock request within {0:?}")]
    Timeout(Duration),
    /// The connection ended meanwhile.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
}

fn refusal(status: LockStatus) -> &'static str {
    match status {
        LockStatus::NoCredit => "this client holds as many frames as it may; drop one, or ask for more credits",
        LockStatus::Pool => "all clients together hold as many frames as the source can spare",
        LockStatus::Share => {
            "frames are scarce, and this client or its user holds more than its share; give frames back sooner"
        }
        LockStatus::Gone | LockStatus::Granted => "the frame is gone; lock it sooner, or use leased mode",
    }
}
