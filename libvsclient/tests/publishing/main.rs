// SPDX-License-Identifier: Apache-2.0
//! Programs that publish, and clients of theirs.

#![cfg(feature = "publish")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod frames;
mod lives;
mod memory;
mod pressure;
mod program;
