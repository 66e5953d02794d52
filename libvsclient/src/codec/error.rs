// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, one enum for each operation.

use std::io;

use vs_frame::{FrameError, MapError, MemoryError};
use vs_ipc::client::Goodbye;
use vs_ipc::exchange::{ExchangeError, MAX_REQUESTS};

use crate::dbus::{CallError, ConnectError, ParseBusError};

/// Why no codec was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The environment names no bus.
    #[error(transparent)]
    Bus(#[from] ParseBusError),
    /// The daemon cannot be reached.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// The daemon said no. [`CallError::Busy`]: there are as many sessions as may be;
    /// [`CallError::BadFormat`]: there is no codec for that.
    #[error(transparent)]
    Refused(#[from] CallError),
    /// There is no thread to ask from.
    #[error("cannot ask the daemon: {0}")]
    System(#[source] io::Error),
    /// The daemon ended the session before it began.
    #[error("the daemon opened a session and ended it at once: {0}")]
    Ended(#[from] EndedError),
    /// The daemon opened a session and says nothing.
    #[error("the daemon opened a session and says nothing: it is stopped, or overloaded")]
    Silent,
}

/// Why a session has ended. Nothing more can be submitted, and nothing more comes out; frames in
/// hand stay good.
#[derive(Debug, thiserror::Error)]
pub enum EndedError {
    /// The daemon has ended it, and says why.
    #[error("the daemon has ended the session: {0}")]
    Goodbye(Goodbye),
    /// The daemon has closed it, or died.
    #[error("the daemon has closed the session: it was stopped, or it crashed (see its log)")]
    Closed,
    /// The daemon broke the protocol, or the system refused.
    #[error("the session cannot go on: {0}")]
    Exchange(#[source] ExchangeError),
    /// It makes something of frames that it does not have.
    #[error("the daemon breaks the protocol: it answers frame {0}, which is not with it")]
    Origin(u64),
    /// It has ended before.
    #[error("the session has ended")]
    Before,
}

/// Why a frame was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// What was made before must be received first, or, for `try_submit`, there is no credit at
    /// present.
    #[error("the session holds as many frames as it may: receive what it has made first")]
    Full,
    /// The daemon gave no frame back in time.
    #[error("the daemon gave no frame back in time: its codec is slow or stuck, or outputs are held by this program")]
    Timeout,
    /// The frame cannot be made.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The access unit has no place.
    #[error(transparent)]
    Buffer(#[from] BufferError),
    /// The session has ended.
    #[error(transparent)]
    Ended(#[from] EndedError),
}

/// Why nothing can be received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The session has ended.
    #[error(transparent)]
    Ended(#[from] EndedError),
}

/// Why a request was not sent.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Too many have no answer yet.
    #[error("{MAX_REQUESTS} requests have no answer yet: receive what the session has made first")]
    TooMany,
    /// The session has ended.
    #[error(transparent)]
    Ended(#[from] EndedError),
}

/// Why there is no buffer to fill.
#[derive(Debug, thiserror::Error)]
pub enum BufferError {
    /// All are in use, and none came back in time.
    #[error("all {0} buffers are in use: drop a slot or a frame, or receive what the session has made")]
    Exhausted(usize),
    /// An access unit does not fit.
    #[error("an access unit of {len} bytes is too long: at most {max} are taken")]
    TooLong {
        /// Its bytes.
        len: usize,
        /// Bytes that are taken.
        max: usize,
    },
    /// The system has no memory for another one.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The memory cannot be written to.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The session has ended.
    #[error(transparent)]
    Ended(#[from] EndedError),
}

impl From<ConnectError> for OpenError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl From<ExchangeError> for EndedError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Closed => Self::Closed,
            error => Self::Exchange(error),
        }
    }
}
