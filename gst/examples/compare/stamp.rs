// SPDX-License-Identifier: Apache-2.0
//! A source whose pictures say when they were made, in memory that its sink offers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::subclass::prelude::*;
use gstreamer_base as gst_base;
use gstreamer_base::prelude::*;
use gstreamer_base::subclass::prelude::*;

/// Bytes of a time, at either end of a picture.
const STAMP: usize = 8;

glib::wrapper! {
    /// The source.
    pub struct StampSrc(ObjectSubclass<Source>) @extends gst_base::BaseSrc, gst::Element, gst::Object;
}

#[derive(Debug, Default)]
pub struct Source {
    /// Between two pictures; 0: as fast as they go.
    interval_ns: AtomicU64,
    due: Mutex<Option<Instant>>,
    made: AtomicU64,
}

#[glib::object_subclass]
impl ObjectSubclass for Source {
    const NAME: &'static str = "VslBenchStampSrc";
    type Type = StampSrc;
    type ParentType = gst_base::BaseSrc;
}

impl ObjectImpl for Source {}
impl GstObjectImpl for Source {}

impl ElementImpl for Source {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: std::sync::LazyLock<gst::subclass::ElementMetadata> = std::sync::LazyLock::new(|| {
            gst::subclass::ElementMetadata::new("Stamps", "Source/Video", "Pictures with their time", "videostreamd")
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: std::sync::LazyLock<Vec<gst::PadTemplate>> = std::sync::LazyLock::new(|| {
            let caps = gst::Caps::builder("video/x-raw").build();
            vec![gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &caps).unwrap()]
        });
        &TEMPLATES
    }
}

impl BaseSrcImpl for Source {
    fn fill(
        &self,
        _offset: u64,
        _length: u32,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.pace();
        let mut picture = buffer.map_writable().map_err(|_| gst::FlowError::Error)?;
        let end = picture.len() - STAMP;
        let now = vsclient::monotonic_ns().to_ne_bytes();
        picture[..STAMP].copy_from_slice(&now);
        picture[end..].copy_from_slice(&now);
        drop(picture);
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(gst::FlowSuccess::Ok)
    }
}

impl Source {
    fn pace(&self) {
        let interval = Duration::from_nanos(self.interval_ns.load(Ordering::Relaxed));
        if interval.is_zero() {
            return;
        }
        let mut due = self.due.lock().unwrap();
        let now = Instant::now();
        let next = due.map_or(now, |due| due + interval);
        // Whoever was held up does not make up for it.
        *due = Some(next.max(now));
        std::thread::sleep(next.saturating_duration_since(now));
    }
}

impl StampSrc {
    /// Pictures of so many bytes; 0 fps is as fast as they go.
    pub fn new(bytes: usize, fps: u64) -> Self {
        let source: Self = glib::Object::new();
        source.set_format(gst::Format::Time);
        source.set_blocksize(bytes as u32);
        source.imp().interval_ns.store(1_000_000_000u64.checked_div(fps).unwrap_or(0), Ordering::Relaxed);
        source
    }

    /// Pictures so far.
    pub fn made(&self) -> u64 {
        self.imp().made.load(Ordering::Relaxed)
    }
}

/// When a picture was made; `None` if its ends are of different pictures.
pub fn made_ns(picture: &[u8]) -> Option<u64> {
    let (begin, end) = (picture.first_chunk()?, picture.last_chunk()?);
    (begin == end).then(|| u64::from_ne_bytes(*begin))
}
