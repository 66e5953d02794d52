// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, one enum for each operation.

use std::io;

use vs_frame::FrameError;

use super::MAX_QUEUED;
use crate::client::{ProtocolError, ReceiveError};
use crate::wire::WireError;
use crate::wire::exchange::VERSION_MAJOR;

/// Why nothing more can be received. The connection has ended with it.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The other side closed the connection, or died.
    #[error("the other side has closed the connection")]
    Closed,
    /// The other side reads nothing.
    #[error("the other side does not read: {MAX_QUEUED} messages wait for it")]
    NotReading,
    /// The kernel could not hand over the descriptors of a buffer.
    #[error(
        "the other side sent {expected} descriptors and {received} could be received: this process has too many open \
         files, raise its limit (ulimit -n, RLIMIT_NOFILE)"
    )]
    TooManyOpenFiles {
        /// Descriptors that were sent.
        expected: usize,
        /// Descriptors that arrived.
        received: usize,
    },
    /// The other side broke the protocol.
    #[error("the other side breaks the protocol: {0}")]
    Violation(#[from] ViolationError),
    /// The system refused.
    #[error("cannot receive from the other side: {0}")]
    Io(#[source] io::Error),
}

/// How the other side broke the protocol.
#[derive(Debug, thiserror::Error)]
pub enum ViolationError {
    /// Bytes that are no message, or a frame that is not what it claims to be.
    #[error(transparent)]
    Message(#[from] ProtocolError),
    /// What frame, buffer and format say of each other is impossible.
    #[error("frame {number}: {source}")]
    Frame {
        /// Number of the frame.
        number: u64,
        /// What is impossible.
        source: FrameError,
    },
    /// A message that only the other side of an exchange sends.
    #[error("message {kind:#x} came from the wrong side, or at the wrong time")]
    Unexpected {
        /// Kind of the message.
        kind: u16,
    },
    /// Another version.
    #[error("it speaks version {major} of the protocol, and this side {VERSION_MAJOR}")]
    Version {
        /// Major version of the other side.
        major: u16,
    },
    /// More frames than it has credit for.
    #[error("it lends more than {max} frames at once")]
    Credit {
        /// What it may lend.
        max: u16,
    },
    /// Its numbers do not rise by one.
    #[error("it lends frame {got} where {expected} is due")]
    Number {
        /// What came.
        got: u64,
        /// What was due.
        expected: u64,
    },
    /// It gives back what it does not have.
    #[error("it returns frame {number}, which it does not have")]
    Return {
        /// Number of the frame.
        number: u64,
    },
}

impl From<WireError> for ExchangeError {
    fn from(error: WireError) -> Self {
        Self::Violation(ViolationError::Message(error.into()))
    }
}

impl From<ReceiveError> for ExchangeError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Closed => Self::Closed,
            ReceiveError::TooManyOpenFiles { expected, received } => Self::TooManyOpenFiles { expected, received },
            ReceiveError::Protocol(error) => Self::Violation(error.into()),
            ReceiveError::Io(error) => Self::Io(error),
        }
    }
}

/// Why a frame was not lent. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LendError {
    /// As many are lent as may be: receive until one comes back.
    #[error("as many frames are lent as may be at once: wait until one comes back")]
    NoCredit,
    /// The socket is full: it will say when there is room.
    #[error("the other side does not read at present: wait until the socket can be written to")]
    Full,
    /// The kernel has no room for the descriptors, for reasons beyond this socket: try again a
    /// little later.
    #[error("the system has no room for the frame's descriptors at present: try again a little later")]
    Busy,
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
}
