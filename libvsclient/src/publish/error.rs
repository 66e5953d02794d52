// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, one enum for each operation.

use std::io;

use vs_frame::MemoryError;
use vs_ipc::host::HostError;

use crate::NameError;

/// Why nothing is published.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The text names no stream.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no memory for the pool.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The socket could not be published.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is no thread.
    #[error("cannot start the thread of a publisher: {0}")]
    Thread(#[source] io::Error),
}

/// Why there is no buffer to fill.
#[derive(Debug, thiserror::Error)]
pub enum BufferError {
    /// The publisher has no pool.
    #[error("this publisher has no pool of buffers: give its builder a format")]
    NoPool,
    /// The last buffers are in this program's own hands, or on the way to the clients from
    /// several threads at once: clients alone cannot get there.
    #[error(
        "all {0} buffers are in use, the last of them by this program: drop a slot or a frame, or give it more buffers"
    )]
    Exhausted(usize),
    /// The pool may grow, but the system has no memory for it.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Why a frame did not reach the clients, or a question the publisher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The publisher's thread has ended.
    #[error("the publisher has ended: {0}")]
    Ended(String),
}
