// SPDX-License-Identifier: Apache-2.0
//! A daemon under attack, and frames that stay whole.
//!
//! A program of its own, so that nothing else is measured beside it: its tests load the
//! machine on purpose. It runs in some twenty seconds; `make soak` runs the long form.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attack;
mod deaths;
mod recorders;
mod stage;
mod whole;
