// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, one enum for each operation.

use std::io;
use std::path::PathBuf;

use vs_frame::{FrameError, MemoryError};

use crate::client;
use crate::vsl::picture::PictureError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to the libvideostream host at {}: {source}; is it running, and may this user write to its socket?", path.display())]
pub struct ConnectError {
    /// Path of the socket.
    pub path: PathBuf,
    /// The system's word.
    pub source: io::Error,
}

/// Why no frame could be received. The connection has ended with it.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The host closed the connection, or died.
    #[error("the host has closed the connection")]
    Closed,
    /// The kernel could not hand over a descriptor.
    #[error("a frame's descriptor could not be received: this process has too many open files, raise RLIMIT_NOFILE")]
    TooManyOpenFiles,
    /// The host broke the protocol.
    #[error("the host breaks libvideostream's protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The system refused.
    #[error("cannot receive from the host: {0}")]
    Io(#[source] io::Error),
}

/// How a host broke the protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Too few bytes for an event.
    #[error("a message has {0} bytes, 104 are needed")]
    TooShort(usize),
    /// More bytes than anybody sends.
    #[error("a message is longer than any can be")]
    TooLong,
    /// A frame's number that cannot be.
    #[error("a frame has the impossible serial {0}")]
    Serial(i64),
    /// A frame that is not newer than the one before.
    #[error("frame {serial} comes after frame {last}: serials must grow")]
    Order {
        /// Number of the frame.
        serial: u64,
        /// The number before.
        last: u64,
    },
    /// A frame that says that it failed.
    #[error("frame {serial} comes with error {error}")]
    Failed {
        /// Number of the frame.
        serial: u64,
        /// What it says.
        error: u32,
    },
    /// Not exactly one descriptor.
    #[error("frame {serial} came with {count} descriptors instead of 1")]
    Descriptors {
        /// Number of the frame.
        serial: u64,
        /// Descriptors received.
        count: usize,
    },
    /// Memory that is unsafe to read.
    #[error("frame {serial}: {source}")]
    Memory {
        /// Number of the frame.
        serial: u64,
        /// What is wrong with it.
        source: MemoryError,
    },
    /// A picture that is unknown, or does not fit into its memory.
    #[error("frame {serial}: {source}")]
    Picture {
        /// Number of the frame.
        serial: u64,
        /// What is wrong with it.
        source: PictureError,
    },
    /// Picture and memory do not make a frame.
    #[error("frame {serial}: {source}")]
    Frame {
        /// Number of the frame.
        serial: u64,
        /// What is wrong with it.
        source: FrameError,
    },
    /// An answer without a request.
    #[error("an answer came to a request that was never made")]
    NotAsked,
    /// An answer that cannot be one to the request whose turn it is.
    #[error("error {error}, locked {locked} is no answer to {asked}: requests and answers are out of step")]
    Mistaken {
        /// What was asked.
        asked: &'static str,
        /// The answer's error.
        error: u32,
        /// Whether it says that a frame is locked.
        locked: bool,
    },
}

impl From<client::ReceiveError> for ReceiveError {
    /// What the socket itself can report.
    fn from(error: client::ReceiveError) -> Self {
        match error {
            client::ReceiveError::Closed => Self::Closed,
            client::ReceiveError::TooManyOpenFiles { .. } => Self::TooManyOpenFiles,
            client::ReceiveError::Protocol(_) => Self::Protocol(ProtocolError::TooLong),
            client::ReceiveError::Io(error) => Self::Io(error),
        }
    }
}
