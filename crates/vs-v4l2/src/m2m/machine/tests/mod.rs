// SPDX-License-Identifier: Apache-2.0
//! The state machine against a fake driver: by the book, with each known misbehaviour, and at
//! random.

mod book;
mod fake;
mod misbehaviour;
mod random;
mod rig;
