// SPDX-License-Identifier: Apache-2.0
//! What GStreamer sees of this library: symbols of its own making, which no program calls.

#![allow(missing_docs)]

use gstreamer as gst;

use crate::register;

gst::plugin_define!(
    videostream,
    env!("CARGO_PKG_DESCRIPTION"),
    register,
    env!("CARGO_PKG_VERSION"),
    "Apache 2.0",
    "videostreamd",
    "videostreamd",
    "videostreamd",
    "2026-11-23"
);
