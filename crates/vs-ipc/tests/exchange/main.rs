// SPDX-License-Identifier: Apache-2.0
//! Two processes that lend frames to each other, in one: what must hold of an honest pair
//! whatever happens, and what becomes of one that is not.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;
mod model;
mod stage;
