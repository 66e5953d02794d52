// SPDX-License-Identifier: Apache-2.0
//! The client library against the real host, in one process and in two.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod blocking;
#[cfg(feature = "convert")]
mod converting;
mod crowds;
mod processes;
mod reconnecting;
mod stage;
#[cfg(feature = "tokio")]
mod streams;
