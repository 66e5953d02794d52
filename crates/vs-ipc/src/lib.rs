// SPDX-License-Identifier: Apache-2.0
//! How frames travel from the process that has them to those that want them.
//!
//! A **host** publishes one stream at one `SOCK_SEQPACKET` unix socket; any number of
//! **clients** connect to it. Frames are never copied: a client gets the file descriptors of
//! a buffer the first time it meets that buffer, and from then on only small messages that
//! say which buffer holds the next frame. A **lease** is a client's right to one frame; the
//! `book` of leases decides who may have what, and knows neither sockets nor time.
//!
//! `docs/protocol.md` specifies the messages; [`wire`] is that page as types. [`vsl`] is the
//! protocol of libvideostream 2.x, for its programs. [`exchange`] is how two processes lend frames
//! to each other, none of which is ever skipped (`docs/codec-sessions.md`).
//!
//! The crate knows [`vs_frame`] only. Where frames come from is nobody's business here.

#![warn(missing_docs)]

#[cfg(feature = "host")]
pub mod book;
pub mod client;
pub mod exchange;
pub mod histogram;
#[cfg(feature = "host")]
pub mod host;
mod record;
mod unlock_page;
pub mod vsl;
pub mod wire;
