// SPDX-License-Identifier: Apache-2.0
//! `vslsrc`: reads a stream.
//!
//! The source is a client like any other (`vsclient::Client`), or one of an ancestor's host ([`upstream`]). Its
//! buffers are the host's memory, and keep their lease until they are freed ([`wrapping`]); what downstream cannot
//! take as it lies is copied.

mod ancestor;
mod element;
mod held;
mod settings;
mod upstream;
mod waiting;
mod wrapping;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

glib::wrapper! {
    /// The element `vslsrc`.
    pub struct VslSrc(ObjectSubclass<element::Element>)
        @extends gstreamer_base::PushSrc, gstreamer_base::BaseSrc, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: Option<&gst::Plugin>) -> Result<(), glib::BoolError> {
    gst::Element::register(plugin, "vslsrc", gst::Rank::NONE, VslSrc::static_type())
}
