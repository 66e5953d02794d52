// SPDX-License-Identifier: Apache-2.0
//! libvideostream's protocol, byte by byte, in both directions: a client that knows nothing
//! but `docs/vsl.md` against the real host, and the real client against a host that follows a
//! script. And each fault of the ancestor that must not appear here.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bytes;
mod client;
mod faults;
mod page;
mod raw;
mod refusals;
mod stage;
