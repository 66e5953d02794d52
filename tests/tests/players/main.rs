// SPDX-License-Identifier: Apache-2.0
//! Players that are no part of ffmpeg play recordings from their beginning to their end, and seek in
//! them: a browser, and GStreamer's `qtdemux`.
//!
//! A program of its own, which `make players` runs, for a browser is a download of 100 MB.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod film;
mod gstreamer;
