// SPDX-License-Identifier: Apache-2.0
//! What a connection hands to its user, and how messages without a frame become that.

use std::fmt;
use std::sync::Arc;

use vs_frame::Format;

use super::frame::ReceivedFrame;
use crate::wire::{self, GoodbyeReason, LockStatus, MAX_TEXT, Message, RevokeReason, StreamState, WireError};

/// A message of the host, checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Incoming {
    /// A frame.
    Frame(ReceivedFrame),
    /// How the frames that follow are laid out.
    Format(Arc<Format>),
    /// What the stream is doing.
    State(StreamStatus),
    /// The lease of a frame has ended; its handle says so from now on.
    Revoked {
        /// Serial of the frame.
        serial: u64,
        /// Why.
        reason: RevokeReason,
    },
    /// The answer to a lock request; the frame's handle has its new deadline already.
    Locked(LockReply),
    /// The host ends the connection.
    Goodbye(Goodbye),
}

/// What a stream is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStatus {
    /// The state.
    pub state: StreamState,
    /// Why, in the host's words; may be empty.
    pub reason: String,
}

impl fmt::Display for StreamStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_text(f, self.state.name(), &self.reason)
    }
}

/// The answer to a lock request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockReply {
    /// The number that sending the request returned.
    pub request: u64,
    /// Serial of the frame.
    pub serial: u64,
    /// The lease's deadline in ns of `CLOCK_MONOTONIC`, or why there is no lease: never
    /// [`LockStatus::Granted`].
    pub result: Result<u64, LockStatus>,
}

/// Why the host ended a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// The reason.
    pub reason: GoodbyeReason,
    /// The reason in the host's words; may be empty.
    pub text: String,
    /// The protocol version that the host speaks: major, minor.
    pub version: (u16, u16),
}

impl fmt::Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_text(f, self.reason.name(), &self.text)?;
        if self.reason == GoodbyeReason::Version {
            let (major, minor) = self.version;
            write!(
                f,
                " (it speaks version {major}.{minor} of the protocol, this client {}.{})",
                wire::VERSION_MAJOR,
                wire::VERSION_MINOR
            )?;
        }
        Ok(())
    }
}

fn with_text(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    if text.is_empty() { f.write_str(name) } else { write!(f, "{name}: {text}") }
}

impl StreamStatus {
    /// Reads a STATE. A state of a later version is taken for `Waiting`, which promises least.
    pub(super) fn decode(record: &[u8]) -> Result<Self, WireError> {
        let (message, tail) = wire::parse::<wire::State>(record)?;
        let state = StreamState::from_code(message.state.get()).unwrap_or(StreamState::Waiting);
        Ok(Self { state, reason: text(wire::State::KIND, message.text_len.get(), tail)? })
    }
}

impl LockReply {
    /// Reads a LOCK_RESPONSE. A status of a later version is taken for `Gone`.
    pub(super) fn decode(record: &[u8]) -> Result<Self, WireError> {
        let (message, _) = wire::parse::<wire::LockResponse>(record)?;
        let result = match LockStatus::from_code(message.status.get()) {
            Some(LockStatus::Granted) => Ok(message.deadline_ns.get()),
            refused => Err(refused.unwrap_or(LockStatus::Gone)),
        };
        Ok(Self { request: message.request.get(), serial: message.serial.get(), result })
    }
}

impl Goodbye {
    /// Reads a GOODBYE. A reason of a later version is taken for `Other`.
    pub(crate) fn decode(record: &[u8]) -> Result<Self, WireError> {
        let (message, tail) = wire::parse::<wire::Goodbye>(record)?;
        Ok(Self {
            reason: GoodbyeReason::from_code(message.reason.get()).unwrap_or(GoodbyeReason::Other),
            text: text(wire::Goodbye::KIND, message.text_len.get(), tail)?,
            version: (message.major.get(), message.minor.get()),
        })
    }
}

/// A text behind a fixed part, fit for logs and terminals.
pub(crate) fn text(kind: u16, len: u32, tail: &[u8]) -> Result<String, WireError> {
    let bytes = tail.get(..len as usize).ok_or(WireError::Field { kind, field: "text length" })?;
    Ok(wire::name_text(&bytes[..bytes.len().min(MAX_TEXT)]))
}
