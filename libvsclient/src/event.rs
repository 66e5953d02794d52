// SPDX-License-Identifier: Apache-2.0
//! What happens to a client.

use std::sync::Arc;
use std::time::Duration;

use vs_frame::Format;
use vs_ipc::client::{LockReply, ReceivedFrame, Session, StreamStatus};

use crate::{ConnectError, ReceiveError, RevokeReason};

/// Something that happened. A client's first events are `Connected` and `State`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The connection stands, for the first time or again.
    Connected {
        /// What host and client have agreed upon.
        session: Session,
        /// The host has started anew since the last connection: serials begin again, and
        /// nothing follows from what was before. `false` for the first connection.
        epoch_changed: bool,
    },
    /// What the stream is doing.
    State(StreamStatus),
    /// How the frames that follow are laid out.
    Format(Arc<Format>),
    /// A frame.
    Frame(ReceivedFrame),
    /// The host has taken a frame back that this program still held.
    Revoked {
        /// Serial of the frame.
        serial: u64,
        /// Why.
        reason: RevokeReason,
    },
    /// The answer to a [`Frame::lock`](crate::Frame::lock).
    Locked(LockReply),
    /// The connection is lost; the client will try to make it again. Frames in hand have
    /// ended.
    Disconnected {
        /// Why.
        cause: ReceiveError,
        /// When the first attempt comes.
        retry_in: Duration,
    },
    /// An attempt to connect again has failed; the client will try again.
    RetryFailed {
        /// Why.
        cause: ConnectError,
        /// When the next attempt comes.
        retry_in: Duration,
    },
}
