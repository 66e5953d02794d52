// SPDX-License-Identifier: Apache-2.0
//! The messages, byte by byte. `docs/protocol.md` is the specification; the structs of
//! [`layout`] are its tables; conversions that take more than a field have files of their own.
//!
//! Every message is one seqpacket record: an 8-byte [`Header`], then a body
//! of little-endian fields. A receiver ignores bytes behind the fields that it knows and
//! kinds that it does not know, so that a later minor version can add both.

pub mod codes;
pub mod exchange;
pub mod format_message;
pub mod layout;
pub mod revocation;

pub use codes::{GoodbyeReason, LockStatus, LossCause, Mode, RevokeReason, SkipReason, StreamState};
pub use layout::*;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `b"VSD1"` at the start of a HELLO: whoever connects by mistake is told so at once.
pub const MAGIC: [u8; 4] = *b"VSD1";
/// Both sides must agree on it.
pub const VERSION_MAJOR: u16 = 1;
/// The lower of both sides' is spoken.
pub const VERSION_MINOR: u16 = 1;

/// The first minor version with [`UnlockPage`].
pub const MINOR_UNLOCK_PAGE: u16 = 1;
/// The first minor version in which [`Revoked`] has a reason.
pub const MINOR_REVOKE_REASON: u16 = 1;

/// The longest message a host sends, in bytes: a FORMAT with [`MAX_PARAMETER_SETS`].
pub const MAX_HOST_MESSAGE: usize = 8192;
/// The longest message a host reads, in bytes. The longest of this version is HELLO; the
/// rest is room for later versions. Anything longer is a protocol error.
pub const MAX_CLIENT_MESSAGE: usize = 256;
/// The longest parameter sets that FORMAT carries, in bytes. VPS, SPS and PPS of H.265
/// together take some hundreds.
pub const MAX_PARAMETER_SETS: usize = 4096;
/// The longest text (a reason) in bytes of UTF-8; longer ones are cut.
pub const MAX_TEXT: usize = 512;
/// Bytes of a name field, padded with zeros.
pub const NAME_LEN: usize = 64;
/// "Unknown" in a signed time field.
pub const UNKNOWN_TIME: i64 = i64::MIN;

/// Why received bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Shorter than its kind requires.
    #[error("a message of kind {kind:#x} has {len} bytes, at least {needed} are needed")]
    TooShort {
        /// The kind in its header, 0 if there is not even a header.
        kind: u16,
        /// Bytes received.
        len: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// Longer than any message may be.
    #[error("a message is longer than {0} bytes")]
    TooLong(usize),
    /// The header's length is not what arrived.
    #[error("a message of {actual} bytes says that it has {claimed}")]
    Length {
        /// Bytes that the header claims.
        claimed: u32,
        /// Bytes received.
        actual: usize,
    },
    /// A field has a value that means nothing.
    #[error("a message of kind {kind:#x} has an impossible {field}")]
    Field {
        /// Kind of the message.
        kind: u16,
        /// Name of the field.
        field: &'static str,
    },
}

/// A message of fixed layout with its kind.
pub trait Message: FromBytes + IntoBytes + KnownLayout + Immutable {
    /// The number in the header.
    const KIND: u16;
}

/// Reads the header of a received record and checks its length.
///
/// # Errors
/// [`WireError::TooShort`] or [`WireError::Length`].
pub fn kind_of(record: &[u8]) -> Result<u16, WireError> {
    let needed = size_of::<Header>();
    let (header, _) =
        Header::read_from_prefix(record).map_err(|_| WireError::TooShort { kind: 0, len: record.len(), needed })?;
    let claimed = header.length.get();
    if claimed as usize != record.len() {
        return Err(WireError::Length { claimed, actual: record.len() });
    }
    Ok(header.kind.get())
}

/// Reads a message whose header has been checked, and the bytes behind its fixed part.
///
/// # Errors
/// [`WireError::TooShort`].
pub fn parse<M: Message>(record: &[u8]) -> Result<(&M, &[u8]), WireError> {
    let too_short = WireError::TooShort { kind: M::KIND, len: record.len(), needed: size_of::<M>() };
    M::ref_from_prefix(record).map_err(|_| too_short)
}

/// A record made of a fixed part and a tail, its header filled in.
#[must_use]
pub fn record<M: Message>(mut message: M, tail: &[u8]) -> Vec<u8> {
    let length = size_of::<M>() + tail.len();
    let header = Header { kind: M::KIND.into(), reserved: 0.into(), length: (length as u32).into() };
    // Every message of `layout` begins with its header.
    message.as_mut_bytes()[..size_of::<Header>()].copy_from_slice(header.as_bytes());
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(message.as_bytes());
    bytes.extend_from_slice(tail);
    bytes
}

/// A name as a zero-padded field; cut at a character boundary if it is too long.
#[must_use]
pub fn name_field(name: &str) -> [u8; NAME_LEN] {
    let mut field = [0; NAME_LEN];
    let cut = truncate(name, NAME_LEN);
    field[..cut.len()].copy_from_slice(cut.as_bytes());
    field
}

/// The text of a zero-padded field. Bytes that are no UTF-8 and control characters are
/// replaced: the text ends up in logs and terminals.
#[must_use]
pub fn name_text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let text = String::from_utf8_lossy(&field[..end]);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// At most `max` bytes of `text`, whole characters only.
#[must_use]
pub fn truncate(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// An optional time as a wire field.
#[must_use]
pub fn time_field(time: Option<i64>) -> i64 {
    time.unwrap_or(UNKNOWN_TIME)
}

/// A wire field as an optional time.
#[must_use]
pub fn field_time(field: i64) -> Option<i64> {
    (field != UNKNOWN_TIME).then_some(field)
}
