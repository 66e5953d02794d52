// SPDX-License-Identifier: Apache-2.0
//! What can go wrong, one enum for each operation.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use vs_frame::{FormatError, MemoryError};

use super::Goodbye;
use crate::wire::{VERSION_MAJOR, VERSION_MINOR, WireError};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is nothing at the path.
    #[error(
        "there is no stream at {}: check the name (`vsctl status` lists videostreamd's), and that what publishes it runs",
        path.display()
    )]
    NotFound {
        /// Where the socket was looked for.
        path: PathBuf,
    },
    /// There is a socket, but nobody listens to it any more.
    #[error(
        "nobody listens at {} any more: start videostreamd again, or whichever program published there", path.display()
    )]
    NotListening {
        /// Path of the socket.
        path: PathBuf,
    },
    /// This user may not connect.
    #[error(
        "no permission to connect to {}: join the group that owns the socket (`ls -l` shows it)", path.display()
    )]
    Denied {
        /// Path of the socket.
        path: PathBuf,
    },
    /// The path cannot be that of a socket: unix(7) allows 107 bytes.
    #[error("{} is too long for the path of a socket: 107 bytes is the most", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// Something else listens there.
    #[error("what listens at {} is not a stream of videostreamd: its socket has another type", path.display())]
    NotAStream {
        /// Path of the socket.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot connect to {}: {source}", path.display())]
    Io {
        /// Path of the socket.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The host said nothing for too long.
    #[error("the host did not answer within {0:?}: it is stopped, or overloaded")]
    Timeout(Duration),
    /// The host said no.
    #[error("the host refuses: {0}")]
    Refused(Goodbye),
    /// The host chose a version that this client does not speak.
    #[error("the host speaks protocol version {major}.{minor}, this client {VERSION_MAJOR}.{VERSION_MINOR}")]
    Version {
        /// Major version of the host.
        major: u16,
        /// Minor version of the host.
        minor: u16,
    },
    /// The host is one of libvideostream's, or the endpoint for its clients.
    #[error(
        "the host speaks libvideostream's protocol and not videostreamd's: connect to the stream's own socket if it \
         has one (`vsctl status` shows it)"
    )]
    Libvideostream,
    /// The connection broke before the host had answered.
    #[error("the host did not answer: {0}")]
    Receive(#[from] ReceiveError),
}

/// Why no message could be received. The connection has ended with it.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The host closed the connection, or died.
    #[error("the host has closed the connection")]
    Closed,
    /// The kernel could not hand over the descriptors of a buffer.
    #[error(
        "the host sent {expected} descriptors and {received} could be received: this process has too many open \
         files, raise its limit (ulimit -n, RLIMIT_NOFILE)"
    )]
    TooManyOpenFiles {
        /// Descriptors that the host sent.
        expected: usize,
        /// Descriptors that arrived.
        received: usize,
    },
    /// The host broke the protocol.
    #[error("the host breaks the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The system refused.
    #[error("cannot receive from the host: {0}")]
    Io(#[source] io::Error),
}

/// How a host broke the protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Bytes that are no message.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Another message than the one that is due.
    #[error("message {kind:#x} came where WELCOME and STATE are due")]
    Unexpected {
        /// Kind of the message.
        kind: u16,
    },
    /// A frame names a format that is not the current one.
    #[error("frame {serial} names format {format}, which is not the current one")]
    UnknownFormat {
        /// Serial of the frame.
        serial: u64,
        /// Number of the format.
        format: u32,
    },
    /// A frame names a buffer that was never sent.
    #[error("frame {serial} names buffer {buffer}, of which no descriptor was sent")]
    UnknownBuffer {
        /// Serial of the frame.
        serial: u64,
        /// Number of the buffer.
        buffer: u64,
    },
    /// A message says that it carries descriptors and does not.
    #[error("frame {serial} should carry {expected} descriptors and carries {received}")]
    MissingDescriptors {
        /// Serial of the frame.
        serial: u64,
        /// Descriptors announced.
        expected: usize,
        /// Descriptors received.
        received: usize,
    },
    /// More buffers than are kept for one connection.
    #[error("more than {0} buffers are announced without any being retired")]
    TooManyBuffers(usize),
    /// It wants answers, and takes none.
    #[error("the host revokes and revokes and reads nothing: {0} answers are waiting for it")]
    ReadsNothing(usize),
    /// Memory that is unsafe to read, or not what it claims to be.
    #[error("frame {serial}: {source}")]
    Memory {
        /// Serial of the frame.
        serial: u64,
        /// What is wrong with it.
        source: MemoryError,
    },
    /// The current format does not fit into the frame's buffer.
    #[error("frame {serial}: {source}")]
    Format {
        /// Serial of the frame.
        serial: u64,
        /// What does not fit.
        source: FormatError,
    },
    /// More payload than memory.
    #[error("frame {serial} is said to carry {bytes_used} bytes in memory {memory}, which has {len}")]
    BytesUsed {
        /// Serial of the frame.
        serial: u64,
        /// Index of the memory.
        memory: usize,
        /// Payload claimed, in bytes.
        bytes_used: u32,
        /// Length of the memory in bytes.
        len: u64,
    },
}

/// Why a request was not sent. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The host does not read at present; the request may be tried again.
    #[error("the host does not take requests at present: it is stopped, or overloaded")]
    Busy,
    /// The connection has ended, and all leases with it.
    #[error("the connection to the host has ended")]
    Closed,
}

/// Why a frame may not be read any more: its bytes may be those of a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The host took it back.
    #[error("the host has taken the frame back: it was held longer than its lease")]
    Revoked,
    /// Its deadline has passed: that of the lease, or the lifespan of a frame without one.
    #[error("the frame's time has passed: lock or renew it in time, or ask for a longer lease")]
    Expired,
    /// The connection that delivered it has ended.
    #[error("the connection that delivered the frame has ended, and the right to read it too")]
    Disconnected,
}

/// Why a frame's bytes cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The right to read it has ended.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The memory cannot be mapped or synchronised.
    #[error(transparent)]
    Memory(#[from] vs_frame::MapError),
}

/// Why a frame cannot be passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassOnError {
    /// The right to read it has ended.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// Its format does not fit into its memory.
    #[error(transparent)]
    Frame(#[from] vs_frame::FrameError),
}
