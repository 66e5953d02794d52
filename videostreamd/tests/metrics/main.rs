// SPDX-License-Identifier: Apache-2.0
//! What the daemon tells of itself, asked from outside: the real daemon on a bus of its own,
//! with clients that behave and clients that do not.

mod http;
mod prometheus;
mod stage;
mod told;

/// Far beyond anything that happens here, so that a fault is a failure and not a hang.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
