// SPDX-License-Identifier: Apache-2.0
//! `vslsink`: publishes what a pipeline makes.
//!
//! The sink is a host like the daemon's streams (`vsclient::publish`): readers get leases, and none
//! of them can hold up the pipeline or another reader. A `GstBuffer` whose memory has a descriptor
//! that readers can be given goes out as it is, and is held until the last of them has given it back
//! ([`lending`]); anything else is copied once. So that elements write into such memory in the first
//! place, it is offered upstream ([`allocator`]).

mod allocator;
mod element;
mod headers;
mod lending;
mod settings;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

glib::wrapper! {
    /// The element `vslsink`.
    pub struct VslSink(ObjectSubclass<element::Element>)
        @extends gstreamer_base::BaseSink, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: Option<&gst::Plugin>) -> Result<(), glib::BoolError> {
    gst::Element::register(plugin, "vslsink", gst::Rank::NONE, VslSink::static_type())
}
