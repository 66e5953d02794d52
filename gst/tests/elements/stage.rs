// SPDX-License-Identifier: Apache-2.0
//! What the tests have in common: sockets, pipelines, harnesses, and pictures with every pixel known.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_check::Harness;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder for sockets, and the elements registered.
pub struct Stage {
    folder: PathBuf,
    /// It goes with the stage that has made it.
    _made: Option<tempfile::TempDir>,
}

impl Stage {
    pub fn new() -> Self {
        let made = tempfile::tempdir().unwrap();
        let folder = made.path().to_owned();
        Self { _made: Some(made), ..Self::at(folder) }
    }

    /// In the folder of another process.
    pub fn at(folder: PathBuf) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            gst::init().unwrap();
            gstvideostream::register_static().unwrap();
        });
        Self { folder, _made: None }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A sink that pictures are pushed into; it waits for no clock.
    pub fn sink(&self, caps: &gst::Caps) -> (Harness, gst::Element) {
        self.sink_with(caps, |_| {})
    }

    /// The same with other properties.
    pub fn sink_with(&self, caps: &gst::Caps, set: impl FnOnce(&gst::Element)) -> (Harness, gst::Element) {
        let socket = self.socket("sink").display().to_string();
        let sink =
            gst::ElementFactory::make("vslsink").property("path", socket).property("sync", false).build().unwrap();
        set(&sink);
        (push_into(&sink, caps), sink)
    }

    /// A source that reads what [`Stage::sink`] publishes.
    pub fn source(&self) -> gst::Element {
        let socket = self.socket("sink").display().to_string();
        gst::ElementFactory::make("vslsrc").property("path", socket).build().unwrap()
    }
}

/// A harness that pushes buffers of these caps into a sink.
pub fn push_into(sink: &gst::Element, caps: &gst::Caps) -> Harness {
    let mut harness = Harness::with_element(sink, Some("sink"), None);
    harness.set_src_caps(caps.clone());
    harness.play();
    harness
}

/// A harness that takes what a source sends; it reads where planes lie if `meta` says so.
pub fn pull_from(source: &gst::Element, meta: bool) -> Harness {
    let mut harness = Harness::with_element(source, None, Some("src"));
    harness.use_systemclock();
    if meta {
        harness.add_propose_allocation_meta(<gst_video::VideoMeta as gst::MetaAPI>::meta_api(), None);
    }
    harness.play();
    harness
}

/// A running pipeline that ends with the test.
pub struct Pipeline(pub gst::Pipeline);

impl Pipeline {
    pub fn play(description: &str) -> Self {
        let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self(pipeline)
    }

    pub fn element(&self, name: &str) -> gst::Element {
        self.0.by_name(name).unwrap()
    }

    /// Waits for the end of the stream.
    pub fn finish(&self) {
        let bus = self.0.bus().unwrap();
        let types = [gst::MessageType::Eos, gst::MessageType::Error];
        let message = bus.timed_pop_filtered(clock_time(PATIENCE), &types);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => {}
            other => panic!("no end of stream, but {other:?}"),
        }
    }

    /// Waits for an error; its text.
    pub fn error(&self) -> String {
        let bus = self.0.bus().unwrap();
        let types = [gst::MessageType::Eos, gst::MessageType::Error];
        match bus.timed_pop_filtered(clock_time(PATIENCE), &types).unwrap().view() {
            gst::MessageView::Error(error) => error.error().to_string(),
            other => panic!("no error, but {other:?}"),
        }
    }

    /// Waits for a message of an element.
    pub fn message(&self, name: &str, is: impl Fn(&gst::StructureRef) -> bool) {
        let bus = self.0.bus().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(message) = bus.timed_pop_filtered(clock_time(PATIENCE), &[gst::MessageType::Element]) else {
                break;
            };
            if message.structure().is_some_and(|structure| structure.name() == name && is(structure)) {
                return;
            }
        }
        panic!("{name} did not come");
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

pub fn clock_time(duration: Duration) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(duration.as_nanos() as u64)
}

/// Waits until something is so.
pub fn eventually(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Caps of pictures.
pub fn caps(format: &str, width: u32, height: u32) -> gst::Caps {
    format!("video/x-raw,format={format},width={width},height={height},framerate=30/1").parse().unwrap()
}

/// A picture in which each visible byte says where it is; rows have `padding` bytes more than GStreamer gives them.
pub fn picture(caps: &gst::Caps, padding: usize, seed: u8) -> gst::Buffer {
    let info = gst_video::VideoInfo::from_caps(caps).unwrap();
    let (mut offsets, mut strides, mut size) = (Vec::new(), Vec::new(), 0);
    for plane in 0..info.n_planes() as usize {
        let stride = info.stride()[plane] as usize + padding;
        offsets.push(size);
        strides.push(stride as i32);
        size += stride * info.height() as usize;
    }
    let mut buffer = gst::Buffer::with_size(size).unwrap();
    {
        let buffer = buffer.get_mut().unwrap();
        let flags = gst_video::VideoFrameFlags::empty();
        gst_video::VideoMeta::add_full(buffer, flags, info.format(), info.width(), info.height(), &offsets, &strides)
            .unwrap();
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &info).unwrap();
        for plane in 0..info.n_planes() {
            for (at, byte) in frame.plane_data_mut(plane).unwrap().iter_mut().enumerate() {
                *byte = (at as u64).wrapping_mul(2_654_435_761).wrapping_add(at as u64 / 251) as u8 ^ seed;
            }
        }
    }
    buffer
}

/// The visible bytes of each plane.
pub fn pixels(caps: &gst::CapsRef, buffer: &gst::BufferRef) -> Vec<Vec<u8>> {
    let info = gst_video::VideoInfo::from_caps(caps).unwrap();
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).unwrap();
    let planes = 0..info.n_planes();
    planes
        .map(|plane| {
            let component = (0..info.n_components()).find(|c| info.comp_plane(*c as u8) == plane).unwrap() as u8;
            let stride = frame.plane_stride()[plane as usize] as usize;
            // The samples of all components that lie in the plane; packed 4:2:2 has a whole group for its last pixel.
            let row = match (info.format(), plane) {
                (gst_video::VideoFormat::Nv12 | gst_video::VideoFormat::Nv21 | gst_video::VideoFormat::Nv16, 1) => {
                    info.width().div_ceil(2) as usize * 2
                }
                (format, _) if ["YUY2", "UYVY", "YVYU", "VYUY"].contains(&format.to_str().as_str()) => {
                    info.width().div_ceil(2) as usize * 4
                }
                _ => frame.comp_width(component.into()) as usize * frame.comp_pstride(component.into()) as usize,
            };
            let rows = frame.comp_height(component.into()) as usize;
            let data = frame.plane_data(plane).unwrap();
            (0..rows).flat_map(|at| data[at * stride..at * stride + row].to_vec()).collect()
        })
        .collect()
}
