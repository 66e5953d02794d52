// SPDX-License-Identifier: Apache-2.0
//! GStreamer elements of videostreamd.
//!
//! * `vslsink` publishes a pipeline's pictures, or access units, at a socket of its own, with
//!   the same host as the daemon's: any number of readers, none of which can hurt another.
//! * `vslsrc` reads a stream, of the daemon or of a `vslsink`, without a copy.

#![warn(missing_docs)]

use gstreamer as gst;
use gstreamer::glib;

fn plugin_init(_plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Ok(())
}

gst::plugin_define!(
    videostream,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    env!("CARGO_PKG_VERSION"),
    "Apache 2.0",
    "videostreamd",
    "videostreamd",
    "videostreamd",
    "2026-11-23"
);
