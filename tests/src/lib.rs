// SPDX-License-Identifier: Apache-2.0
//! A stage for whole-system tests: the real `videostreamd` and `vsctl` on a bus of their own.
//!
//! A [`Rig`] is one daemon in one temporary directory. It is up when the daemon has told its
//! service manager so, and everything that it started is gone when it is dropped, also by a
//! panic. Tests look at the daemon from where its users stand: over D-Bus, through `vsctl`,
//! at the streams' sockets, and at files, which are judged by `ffprobe` and `ffmpeg`.
//!
//! Nothing here measures time. Where a test must wait *for* something it waits for that event,
//! at most [`PATIENCE`]; where it must wait *while* something lasts it counts the frames that
//! a [`Witness`] receives meanwhile.
//!
//! * [`rig`], [`daemon`], [`bus`], [`process`], [`binaries`]: what is started, and how
//! * [`vsctl`], [`client`]: the user's hands
//! * [`peer`]: a client that may say anything; [`witness`]: one that notices everything;
//!   [`diary`]: one that writes down when frames were taken
//! * [`inspector`]: honest clients of every kind that look at frames twice; [`mischief`]: what
//!   others do meanwhile; [`losses`]: what a driver lost
//! * [`terminal`]: a real one, and what it shows
//! * [`video`]: what others' players say; [`contract`]: what the interfaces promise;
//!   [`prometheus`]: what a scraper accepts

#![warn(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, what is not as expected is a failure")]

pub mod binaries;
pub mod bus;
pub mod client;
pub mod contract;
pub mod daemon;
pub mod diary;
pub mod inspector;
pub mod losses;
pub mod mischief;
pub mod peer;
pub mod process;
pub mod prometheus;
pub mod rig;
pub mod terminal;
pub mod video;
pub mod vsctl;
pub mod wait;
pub mod witness;

pub use diary::Diary;
pub use inspector::Inspector;
pub use peer::Peer;
pub use process::Process;
pub use rig::Rig;
pub use terminal::Terminal;
pub use wait::{PATIENCE, eventually};
pub use witness::Witness;
