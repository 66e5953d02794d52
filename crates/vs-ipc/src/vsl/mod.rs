// SPDX-License-Identifier: Apache-2.0
//! The wire protocol of libvideostream 2.x, for those who have its programs.
//!
//! `docs/vsl.md` is the specification: an event of 104 bytes with one descriptor for each
//! frame, requests of 16 bytes, answers strictly in order. [`wire`] is that page as types,
//! [`picture`] says which formats it can tell of and under which codes.
//!
//! [`client`] takes a stream from an ancestor's host (or from ours). The host's side is part
//! of [`host`](crate::host): an endpoint beside the stream's own socket, see
//! [`VslOptions`](crate::host::VslOptions).

pub mod client;
pub mod picture;
pub mod wire;
