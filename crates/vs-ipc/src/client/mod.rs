// SPDX-License-Identifier: Apache-2.0
//! The subscribing side: one connection to one stream.
//!
//! No runtime, no thread, no reconnecting ([`Backoff`] is how long whoever does it waits):
//! [`Connection`] is a socket that knows the protocol. A caller asks it for the next message, blocking ([`Connection::wait`]) or not
//! ([`Connection::receive`]), and may put its descriptor into any event loop. What makes
//! this comfortable is `libvsclient`.
//!
//! A frame arrives as a [`ReceivedFrame`]: a cheap handle, `Send` and `Sync`, that unlocks
//! the frame when its last clone is dropped, in whichever thread that happens. It never
//! blocks there: an unlock that the socket cannot take now is kept and sent with the next
//! one.
//!
//! Everything the host sends is checked before it is believed. What breaks the protocol is
//! an error that ends the connection, never a panic and never a wild read.

mod backoff;
pub(crate) mod buffers;
mod connection;
mod error;
mod frame;
mod handshake;
mod held;
pub(crate) mod incoming;
mod link;
pub(crate) mod socket;

pub use backoff::Backoff;
pub use connection::Connection;
pub use error::{ConnectError, Ended, MapError, PassOnError, ProtocolError, ReceiveError, SendError};
pub use frame::{FrameMap, ReceivedFrame, Skipped};
pub use handshake::{HANDSHAKE_TIMEOUT, Hello, Session};
pub use incoming::{Goodbye, Incoming, LockReply, StreamStatus};
