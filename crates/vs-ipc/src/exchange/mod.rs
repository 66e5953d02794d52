// SPDX-License-Identifier: Apache-2.0
//! Two processes lend frames to each other, and none is ever skipped.
//!
//! A stream leaves out what a client is too slow for. A codec must not: each frame that goes in
//! comes out, made into another one or lost with a reason. So an exchange has no leases and no
//! deadlines but **credit**: each side lends at most so many frames at once, and waits when it has
//! lent that many. A frame is lent by LEND and given back by RETURN, which is sent when the last
//! handle to it is dropped, in whichever thread that happens.
//!
//! [`Exchange`] is one end of the socket, the same type for both sides. It never blocks, belongs
//! to one thread, and knows nothing of codecs. The daemon says first how much credit there is
//! (OPENED); then the client lends pictures or access units, and the daemon lends what it has made
//! of them.
//!
//! Everything the other side sends is checked before it is believed, in both directions. What
//! breaks the protocol ends the connection, with GOODBYE and the reason. `docs/codec-sessions.md`
//! specifies the messages.

mod error;
mod lending;
mod link;
mod peer;

pub use crate::wire::exchange::{Adjustment, Settings, Word};
pub use error::{ExchangeError, LendError, ViolationError};
pub use link::Hangup;
pub use peer::{Credits, Exchange, Loan, Received, Side, pair};

/// Frames that a side may lend at once unless somebody wishes otherwise: enough for a codec that
/// holds some pictures for reference while the next ones are on their way.
pub const DEFAULT_CREDITS: u16 = 8;

/// Frames that a side may lend at once at most. What is in flight is bounded by it: the records
/// of so many loans and returns fit into a socket with room to spare (212992 bytes by default, of
/// which the kernel counts some 800 for each).
pub const MAX_CREDITS: u16 = 32;

/// Buffers of the other side whose descriptors are kept for one connection. It is twice of what can
/// be lent at once: those of a pool that has been replaced are retired only when it has gone. With
/// four memories each it bounds the descriptors that a connection costs.
pub const MAX_BUFFERS: usize = 64;

/// Records that wait for room in the socket. An honest side that does not read for a while is owed
/// a RETURN, a LOST or an answer for each frame and request that it may have under way, about a
/// hundred, beside what the socket holds.
pub const MAX_QUEUED: usize = 256;

/// Requests of a client (DRAIN, FLUSH, ADJUST) that may be unanswered: one for each frame that may
/// be lent, and as many that wait for nothing.
pub const MAX_REQUESTS: usize = 2 * MAX_CREDITS as usize;
