// SPDX-License-Identifier: Apache-2.0
//! Streams: each is one thread that owns its source, its socket and its clients.
//!
//! The rest of the daemon holds a [`StreamHandle`] and talks to the thread by messages only.
//! So the data plane needs no locks, and a camera whose driver hangs takes nobody with it.
//!
//! * [`spec`]: what a stream is to be
//! * [`source`]: what fills it ([`pattern`], [`camera`], [`ipc`], [`coded`], [`converted`], [`mod@file`])
//! * [`thread`]: the loop; [`demand`]: when the source is to be open
//! * [`consumer`]: how frames reach an encoder inside the daemon; [`onlooker`]: how single ones are had
//! * [`handle`]: the thread, as seen from outside; [`directory`]: all of them, for those that are made
//!   from others

mod alarm;
pub mod camera;
pub mod coded;
pub mod consumer;
pub mod converted;
mod demand;
pub mod directory;
pub mod file;
pub mod handle;
pub mod ipc;
pub mod onlooker;
pub mod pattern;
mod ration;
pub mod source;
pub mod spec;
pub mod thread;

pub use handle::{StreamHandle, StreamStatus};
