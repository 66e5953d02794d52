// SPDX-License-Identifier: Apache-2.0
//! The client against a host that follows a script: what a well-behaved host sends arrives,
//! and what a hostile or broken one sends is an error with a reason.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake_host;
mod handshake;
mod hostile;
mod leases;
mod messages;
mod unlock_page;
