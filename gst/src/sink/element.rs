// SPDX-License-Identifier: Apache-2.0
//! The element itself: what GStreamer asks of a sink.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use gstreamer_base as gst_base;
use gstreamer_base::subclass::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use vsclient::publish::{Frame, FrameFlags, FrameMeta, HostSnapshot, Publisher};
use vsclient::{Format, StreamState};

use super::VslSink;
use super::allocator::{self, FrameAllocator};
use super::headers::Headers;
use super::lending::Lender;
use super::settings::{MEMORY_DEFAULT, POOL_DEFAULT, POOL_MAX, POOL_MIN, Settings};
use crate::caps::{self, Media};
use crate::clock::Distance;

pub static CAT: LazyLock<gst::DebugCategory> =
    LazyLock::new(|| gst::DebugCategory::new("vslsink", gst::DebugColorFlags::empty(), Some("publishes frames")));

/// What `vslsink` is made of.
#[derive(Debug, Default)]
pub struct Element {
    settings: Mutex<Settings>,
    running: Mutex<Option<Running>>,
    distance: Mutex<Distance>,
    /// What a sink that has stopped had done.
    past: Mutex<Counts>,
}

/// From READY on.
#[derive(Debug)]
struct Running {
    publisher: Publisher,
    allocator: FrameAllocator,
    lender: Lender,
    media: Option<Media>,
    headers: Headers,
    counts: Counts,
}

/// Frames so far.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    published: u64,
    skipped: u64,
    copied: u64,
}

/// Why a buffer is not published.
#[derive(Debug, thiserror::Error)]
enum RenderError {
    #[error("there were no caps before the first buffer")]
    NoCaps,
    #[error(transparent)]
    Caps(#[from] caps::CapsError),
    #[error("cannot read the buffer: {0}")]
    Map(#[from] glib::BoolError),
    #[error(transparent)]
    Buffer(#[from] vsclient::publish::BufferError),
    #[error(transparent)]
    Memory(#[from] vsclient::publish::MemoryError),
    #[error(transparent)]
    Mapping(#[from] vs_frame::MapError),
    #[error(transparent)]
    Frame(#[from] vsclient::publish::FrameError),
    #[error("an access unit of {size} bytes is larger than a picture can be: {largest} bytes")]
    TooLarge { size: usize, largest: usize },
    #[error(transparent)]
    Publish(#[from] vsclient::publish::PublishError),
}

#[glib::object_subclass]
impl ObjectSubclass for Element {
    const NAME: &'static str = "VslSink";
    type Type = VslSink;
    type ParentType = gst_base::BaseSink;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ObjectImpl for Element {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(properties);
        &PROPERTIES
    }

    fn constructed(&self) {
        self.parent_constructed();
        // It would hold one of the pool's buffers for nobody: the host has the newest frame.
        self.obj().set_property("enable-last-sample", false);
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let text = || value.get::<Option<String>>().ok().flatten().unwrap_or_default();
        let number = |default| value.get::<u32>().unwrap_or(default);
        match pspec.name() {
            "path" => settings.path = text(),
            "vsl-path" => settings.vsl_path = text(),
            "socket-mode" => settings.socket_mode = number(settings.socket_mode),
            "pool-size" => settings.pool_size = number(settings.pool_size).max(POOL_MIN),
            "memory" => settings.memory = text(),
            "lifespan" => settings.lifespan = number(settings.lifespan),
            "lease" => settings.lease = number(settings.lease),
            "lease-max" => settings.lease_max = number(settings.lease_max),
            "credits-max" => settings.credits_max = number(settings.credits_max),
            "clients-max" => settings.clients_max = number(settings.clients_max),
            name => gst::warning!(CAT, imp = self, "there is no property {name} to set"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings).clone();
        match pspec.name() {
            "path" => settings.path(self.obj().name().as_str()).to_value(),
            "vsl-path" => settings.vsl_path.to_value(),
            "socket-mode" => settings.socket_mode.to_value(),
            "pool-size" => settings.pool_size.to_value(),
            "memory" => settings.memory.to_value(),
            "lifespan" => settings.lifespan.to_value(),
            "lease" => settings.lease.to_value(),
            "lease-max" => settings.lease_max.to_value(),
            "credits-max" => settings.credits_max.to_value(),
            "clients-max" => settings.clients_max.to_value(),
            "clients" => self.snapshot().map_or(0, |host| host.clients.len() as u32).to_value(),
            "published" => self.counts().published.to_value(),
            "skipped" => self.counts().skipped.to_value(),
            "copied" => self.counts().copied.to_value(),
            _ => self.stats().to_value(),
        }
    }
}

fn properties() -> Vec<glib::ParamSpec> {
    let text = |name: &str, blurb: &str| glib::ParamSpecString::builder(name).blurb(blurb).mutable_ready().build();
    let number = |name: &str, blurb: &str, default: u32, min: u32, max: u32| {
        let builder = glib::ParamSpecUInt::builder(name).blurb(blurb);
        builder.default_value(default).minimum(min).maximum(max).mutable_ready().build()
    };
    let count = |name: &str, blurb: &str| glib::ParamSpecUInt64::builder(name).blurb(blurb).read_only().build();
    let defaults = Settings::default();
    let longest = 24 * 3600 * 1000;
    vec![
        text(
            "path",
            "Socket that readers connect to; a name without / is one in the daemon's folder. By default /tmp/NAME.TID, of the element and the thread that made it",
        ),
        text(
            "vsl-path",
            "Another socket, for clients of libvideostream 2.x; they can change pictures, and each frame is copied for that",
        ),
        number(
            "socket-mode",
            "Permission bits of the sockets, as a decimal number (432 is 0660)",
            defaults.socket_mode,
            0,
            0o777,
        ),
        number(
            "pool-size",
            "Buffers offered upstream; all readers together may hold two less. 1 and 2 are taken for 3, the fewest with which a pipeline gets on",
            POOL_DEFAULT,
            1,
            POOL_MAX,
        ),
        glib::ParamSpecString::builder("memory")
            .blurb(
                "What the buffers offered upstream are made of: memfd, which readers cannot write to; dma-heap, dma-heap:NAME or udmabuf, which they can, and devices can import; dmabuf, which is the first of dma-heap, udmabuf and memfd that there is",
            )
            .default_value(MEMORY_DEFAULT)
            .mutable_ready()
            .build(),
        number(
            "lifespan",
            "For how long a frame that was announced without a lease stays untouched, in ms",
            defaults.lifespan,
            0,
            60_000,
        ),
        number(
            "lease",
            "For how long a reader may hold a frame if it does not ask for another time, in ms",
            defaults.lease,
            1,
            longest,
        ),
        number("lease-max", "The longest that a reader may hold a frame, in ms", defaults.lease_max, 1, longest),
        number("credits-max", "Frames that one reader may hold at once; 0 is half of what all may", 0, 0, POOL_MAX),
        number("clients-max", "Readers at once", defaults.clients_max, 1, 65_535),
        glib::ParamSpecUInt::builder("clients").blurb("Readers that are connected now").read_only().build(),
        count("published", "Frames published so far"),
        count(
            "skipped",
            "Frames that readers did not get, because they held too many or did not read; the sum over all readers",
        ),
        count("copied", "Frames that were copied, because readers could not be given their memory"),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .blurb("All counters, those of each reader included")
            .read_only()
            .build(),
    ]
}

impl GstObjectImpl for Element {}

impl ElementImpl for Element {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "VideoStream sink",
                "Sink/Video",
                "Publishes pictures or access units at a socket, to any number of readers, without a copy",
                "videostreamd",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = caps::template();
            let template = gst::PadTemplate::new("sink", gst::PadDirection::Sink, gst::PadPresence::Always, &caps);
            template.into_iter().collect()
        });
        &TEMPLATES
    }

    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let success = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PlayingToPaused {
            self.tell(StreamState::Waiting, "the pipeline is paused");
        }
        Ok(success)
    }
}

impl BaseSinkImpl for Element {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let name = self.obj().name();
        let memory = allocator::origin(&settings.memory)
            .map_err(|error| gst::error_msg!(gst::ResourceError::Settings, ("memory={}: {error}", settings.memory)))?;
        gst::info!(CAT, imp = self, "memory={} is {memory:?}", settings.memory);
        let allocator = FrameAllocator::new(memory.clone());
        let publisher = settings.publisher(&name, memory).start().map_err(|error| {
            gst::error_msg!(gst::ResourceError::OpenWrite, ("cannot publish at {}: {error}", settings.path(&name)))
        })?;
        gst::info!(CAT, imp = self, "publishes at {}", publisher.path().display());
        *lock(&self.past) = Counts::default();
        *lock(&self.running) = Some(Running {
            publisher,
            lender: Lender::of(&allocator),
            allocator,
            media: None,
            headers: Headers::default(),
            counts: Counts::default(),
        });
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let counts = self.counts();
        if let Some(running) = lock(&self.running).take() {
            running.publisher.stop("the pipeline has stopped");
        }
        *lock(&self.past) = counts;
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let media = Media::of(caps).map_err(|error| gst::loggable_error!(CAT, "{error}"))?;
        if let Some(running) = lock(&self.running).as_mut() {
            if let Media::Coded(format) = &media {
                running.headers = Headers::of(caps, format.fourcc);
            }
            running.media = Some(media);
            running.lender.forget_format();
        }
        Ok(())
    }

    fn propose_allocation(&self, query: &mut gst::query::Allocation) -> Result<(), gst::LoggableError> {
        query.add_allocation_meta::<gst_video::VideoMeta>(None);
        let (caps, need_pool) = query.get_owned();
        let settings = lock(&self.settings).clone();
        // Where clients of the ancestor read, each frame is copied into memory of another kind.
        let Some(Ok(Media::Raw(info))) = caps.as_ref().map(|caps| Media::of(caps)) else { return Ok(()) };
        if !settings.vsl_path.is_empty() {
            return Ok(());
        }
        let Some(allocator) = lock(&self.running).as_ref().map(|running| running.allocator.clone()) else {
            return Ok(());
        };
        let params = gst::AllocationParams::default();
        query.add_allocation_param(Some(&allocator), params);
        if need_pool {
            let failed = |error| gst::loggable_error!(CAT, "the pool is refused: {error}");
            let pool = gst_video::VideoBufferPool::new();
            let (size, min, buffers) = (info.size() as u32, settings.buffers_min(), settings.pool_size);
            let mut config = pool.config();
            config.set_params(caps.as_ref(), size, min, buffers);
            config.set_allocator(Some(&allocator), Some(&params));
            config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META);
            config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
            pool.set_config(config).map_err(failed)?;
            query.add_allocation_pool(Some(&pool), size, min, buffers);
        }
        Ok(())
    }

    fn event(&self, event: gst::Event) -> bool {
        if let gst::EventView::Eos(_) = event.view() {
            self.tell(StreamState::Stopped, "end of stream");
        }
        self.parent_event(event)
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.publish(buffer).map_err(|error| {
            self.tell(StreamState::Failed, &error.to_string());
            gst::element_imp_error!(self, gst::StreamError::Failed, ("not published: {error}"));
            gst::FlowError::Error
        })?;
        Ok(gst::FlowSuccess::Ok)
    }
}

impl Element {
    fn publish(&self, buffer: &gst::Buffer) -> Result<(), RenderError> {
        let capture_ns = self.capture_ns(buffer);
        let mut running = lock(&self.running);
        // A sink that is being stopped.
        let Some(running) = running.as_mut() else { return Ok(()) };
        let media = running.media.clone().ok_or(RenderError::NoCaps)?;
        let ns = |time: gst::ClockTime| i64::try_from(time.nseconds()).unwrap_or(i64::MAX);
        let meta = FrameMeta {
            sequence: running.counts.published as u32,
            capture_ns,
            pts: buffer.pts().map(ns),
            dts: buffer.dts().filter(|dts| Some(*dts) != buffer.pts()).map(ns),
            duration: buffer.duration().map(gst::ClockTime::nseconds),
            bytes_used: [0; vsclient::MAX_PLANES],
            flags: caps::flags_of(buffer, matches!(media, Media::Coded(_))),
        };
        let ancestors = !lock(&self.settings).vsl_path.is_empty();
        let lent = (!ancestors).then(|| running.lender.lend(&media, buffer, meta)).flatten();
        let frame = match lent {
            Some(frame) => frame,
            None => {
                running.counts.copied += 1;
                copy(&mut running.publisher, &mut running.headers, &media, buffer, meta)?
            }
        };
        running.publisher.publish(frame)?;
        running.counts.published += 1;
        Ok(())
    }

    /// When the buffer was captured, by the kernel's monotonic clock: by its time in the pipeline, if it has any.
    fn capture_ns(&self, buffer: &gst::BufferRef) -> u64 {
        let now = vsclient::monotonic_ns();
        let obj = self.obj();
        let running_time = buffer.pts().and_then(|pts| {
            let segment = obj.segment().downcast::<gst::ClockTime>().ok()?;
            segment.to_running_time(pts)
        });
        let (Some(time), Some(clock), Some(base)) = (running_time, obj.clock(), obj.base_time()) else { return now };
        let captured = (base + time).nseconds() as i64 - lock(&self.distance).of(&clock);
        // What is published before its time was captured now, at the latest.
        u64::try_from(captured).unwrap_or(0).min(now)
    }

    fn tell(&self, state: StreamState, text: &str) {
        if let Some(running) = lock(&self.running).as_ref()
            && let Err(error) = running.publisher.set_state(state, text)
        {
            gst::warning!(CAT, imp = self, "readers are not told: {error}");
        }
    }

    fn snapshot(&self) -> Option<HostSnapshot> {
        lock(&self.running).as_ref()?.publisher.snapshot().ok()
    }

    fn counts(&self) -> Counts {
        let Some(host) = self.snapshot() else { return *lock(&self.past) };
        let counts = lock(&self.running).as_ref().map_or(*lock(&self.past), |running| running.counts);
        Counts { skipped: host.skipped.total(), ..counts }
    }

    fn stats(&self) -> gst::Structure {
        let counts = self.counts();
        let stats = gst::Structure::builder("stats")
            .field("published", counts.published)
            .field("skipped", counts.skipped)
            .field("copied", counts.copied);
        let Some(host) = self.snapshot() else { return stats.build() };
        let clients = host.clients.iter().map(|client| {
            gst::Structure::builder("client")
                .field("name", &client.name)
                .field("pid", client.pid)
                .field("held", client.held as u32)
                .field("delivered", client.delivered)
                .field("skipped", client.skipped.total())
                .field("revoked", client.revoked.total())
                .build()
        });
        stats
            .field("delivered", host.delivered)
            .field("revoked", host.revoked.total())
            .field("held", host.held as u32)
            .field("clients", gst::List::new(clients.collect::<Vec<_>>()))
            .build()
    }
}

/// Copies a buffer into memory that readers can be given.
fn copy(
    publisher: &mut Publisher,
    headers: &mut Headers,
    media: &Media,
    buffer: &gst::Buffer,
    mut meta: FrameMeta,
) -> Result<Frame, RenderError> {
    let wanted = media.packed()?;
    if publisher.format().is_none_or(|format| **format != wanted) {
        publisher.set_format(wanted)?;
    }
    let mut slot = publisher.buffer()?;
    let format = slot.format().clone();
    match media {
        Media::Raw(info) => {
            let picture = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info)?;
            slot.write(|memories| copy_rows(&picture, &format, memories))?;
            meta.bytes_used[0] = format.picture_bytes()[0];
        }
        Media::Coded(_) => {
            let unit = buffer.map_readable()?;
            let (size, largest) = (unit.size(), format.memory_size(0) as usize);
            if size > largest {
                return Err(RenderError::TooLarge { size, largest });
            }
            slot.write(|memories| {
                if let Some(room) = memories.first_mut().and_then(|memory| memory.get_mut(..size)) {
                    room.copy_from_slice(&unit);
                }
            })?;
            meta.bytes_used[0] = size as u32;
            let format = headers.format(&format, &unit, meta.flags.contains(FrameFlags::KEYFRAME));
            return Ok(slot.finish_as(format, meta)?);
        }
    }
    Ok(slot.finish(meta)?)
}

fn copy_rows(
    picture: &gst_video::VideoFrameRef<&gst::BufferRef>,
    format: &Format,
    memories: &mut [impl std::ops::DerefMut<Target = [u8]>],
) {
    for (index, layout) in format.planes.iter().enumerate() {
        let Ok(from) = picture.plane_data(index as u32) else { continue };
        let stride = usize::try_from(picture.plane_stride()[index]).unwrap_or(0);
        let used = format.plane_row_bytes(index) as usize;
        let Some(to) = memories.get_mut(usize::from(layout.memory)) else { continue };
        for row in 0..format.plane_rows(index) as usize {
            let at = layout.offset as usize + row * layout.stride as usize;
            if let (Some(to), Some(from)) = (to.get_mut(at..at + used), from.get(row * stride..row * stride + used)) {
                to.copy_from_slice(from);
            }
        }
    }
}
