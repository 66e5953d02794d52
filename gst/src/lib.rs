// SPDX-License-Identifier: Apache-2.0
//! GStreamer elements of videostreamd.
//!
//! * `vslsink` publishes a pipeline's pictures, or access units, at a socket of its own, with
//!   the same host as the daemon's: any number of readers, none of which can hurt another.
//! * `vslsrc` reads a stream, of the daemon or of a `vslsink`, without a copy.

#![warn(missing_docs)]

mod caps;
mod clock;
mod plugin;
mod sink;
mod source;

pub use sink::VslSink;
pub use source::VslSrc;

use gstreamer as gst;
use gstreamer::glib;

/// Registers the elements: with a plugin as GStreamer loads it, or for the program itself that links
/// this library.
///
/// # Errors
/// If GStreamer has elements of these names already.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    sink::register(Some(plugin))?;
    source::register(Some(plugin))
}

/// As [`register`], for a program that links this library instead of letting GStreamer load it.
///
/// # Errors
/// If GStreamer has elements of these names already.
pub fn register_static() -> Result<(), glib::BoolError> {
    sink::register(None)?;
    source::register(None)
}
