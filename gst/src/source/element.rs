// SPDX-License-Identifier: Apache-2.0
//! The element itself: what GStreamer asks of a live source.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use gstreamer_base as gst_base;
use gstreamer_base::prelude::*;
use gstreamer_base::subclass::base_src::CreateSuccess;
use gstreamer_base::subclass::prelude::*;
use gstreamer_video as gst_video;
use vsclient::publish::FrameFlags;
use vsclient::{Format, MemoryKind, StreamState, StreamStatus};

use super::VslSrc;
use super::held::Held;
use super::settings::{Delivery, Protocol, Settings};
use super::upstream::{Said, Tally, Upstream, UpstreamError};
use super::waiting::{Interrupt, Wait};
use super::wrapping::{self, Wrapper};
use crate::caps;
use crate::clock::Distance;

static CAT: LazyLock<gst::DebugCategory> =
    LazyLock::new(|| gst::DebugCategory::new("vslsrc", gst::DebugColorFlags::empty(), Some("reads a stream")));

/// What `vslsrc` is made of.
#[derive(Debug, Default)]
pub struct Element {
    settings: Mutex<Settings>,
    running: Mutex<Option<Running>>,
    /// Kept beside, for a property must not wait for a frame.
    stats: Mutex<Stats>,
    interrupt: Interrupt,
}

/// From READY on.
#[derive(Debug)]
struct Running {
    upstream: Upstream,
    wrapper: Wrapper,
    output: Option<Output>,
    distance: Distance,
    sent: u64,
    /// The next buffer does not follow the one before.
    discontinuous: bool,
    /// Since when no frame has come.
    quiet_since: Instant,
}

/// How buffers go out, until the format changes.
#[derive(Debug)]
struct Output {
    format: Arc<Format>,
    kind: MemoryKind,
    /// `None` for access units.
    info: Option<gst_video::VideoInfo>,
    /// Nobody downstream would find the planes where they lie.
    copies: bool,
    /// Parameter sets which go in front of the next access unit.
    header: Option<gst::Buffer>,
}

/// For the property.
#[derive(Debug, Default, Clone, Copy)]
struct Stats {
    tally: Tally,
    sent: u64,
    copied: u64,
    interval: Option<gst::ClockTime>,
}

#[glib::object_subclass]
impl ObjectSubclass for Element {
    const NAME: &'static str = "VslSrc";
    type Type = VslSrc;
    type ParentType = gst_base::PushSrc;
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
        let obj = self.obj();
        obj.set_live(true);
        obj.set_format(gst::Format::Time);
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let text = || value.get::<Option<String>>().ok().flatten().unwrap_or_default();
        let number = || value.get::<u32>().unwrap_or_default();
        let flag = || value.get::<bool>().unwrap_or_default();
        match pspec.name() {
            "path" => settings.path = text(),
            "stream" => settings.stream = text(),
            "timeout" => settings.timeout = number(),
            "reconnect" => settings.reconnect = flag(),
            "pts" => settings.pts = flag(),
            "dts" => settings.dts = flag(),
            "protocol" => settings.protocol = value.get::<Protocol>().unwrap_or_default(),
            "mode" => settings.mode = value.get::<Delivery>().unwrap_or_default(),
            "num-frames" => settings.num_frames = value.get::<i32>().unwrap_or(-1),
            "lease" => settings.lease = number(),
            "credits" => settings.credits = number(),
            name => gst::warning!(CAT, imp = self, "there is no property {name} to set"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = lock(&self.settings);
        match pspec.name() {
            "path" => settings.path.to_value(),
            "stream" => settings.stream.to_value(),
            "timeout" => settings.timeout.to_value(),
            "reconnect" => settings.reconnect.to_value(),
            "pts" => settings.pts.to_value(),
            "dts" => settings.dts.to_value(),
            "protocol" => settings.protocol.to_value(),
            "mode" => settings.mode.to_value(),
            "num-frames" => settings.num_frames.to_value(),
            "lease" => settings.lease.to_value(),
            "credits" => settings.credits.to_value(),
            _ => lock(&self.stats).structure().to_value(),
        }
    }
}

fn properties() -> Vec<glib::ParamSpec> {
    let text = |name: &str, blurb: &str| glib::ParamSpecString::builder(name).blurb(blurb).mutable_ready().build();
    let flag = |name: &str, blurb: &str, default: bool| {
        glib::ParamSpecBoolean::builder(name).blurb(blurb).default_value(default).mutable_ready().build()
    };
    let number = |name: &str, blurb: &str, max: u32| {
        glib::ParamSpecUInt::builder(name).blurb(blurb).maximum(max).mutable_ready().build()
    };
    vec![
        text("path", "Socket of a stream: of a vslsink, of another program's, or of the daemon's folder"),
        text("stream", "Name of a stream of the daemon, such as cam0; where there is a path, that counts"),
        number("timeout", "Seconds without a frame after which the pipeline gets an error; 0 waits for ever", u32::MAX),
        flag("reconnect", "Wait for a stream that is not there, and for one that has gone to come back", true),
        flag("pts", "Give buffers the time of their capture, in the pipeline's running time", true),
        flag(
            "dts",
            "Give buffers a decoding time, too; access units that are not in the order of their pictures always have one",
            false,
        ),
        glib::ParamSpecEnum::builder_with_default("protocol", Protocol::Auto)
            .blurb("Which protocol the host speaks")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("mode", Delivery::Leased)
            .blurb("How frames are taken")
            .mutable_ready()
            .build(),
        glib::ParamSpecInt::builder("num-frames")
            .blurb("Frames until the end of the stream; -1 has no end")
            .minimum(-1)
            .default_value(-1)
            .mutable_ready()
            .build(),
        number(
            "lease",
            "For how long the pipeline may hold a buffer, in ms; 0 is what the host gives",
            24 * 3600 * 1000,
        ),
        number("credits", "Buffers that the pipeline may hold at once; 0 is what the host gives", u16::MAX.into()),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .blurb("Frames received, skipped, revoked, sent and copied")
            .read_only()
            .build(),
    ]
}

impl Stats {
    fn structure(&self) -> gst::Structure {
        gst::Structure::builder("stats")
            .field("received", self.tally.received)
            .field("skipped", self.tally.skipped)
            .field("revoked", self.tally.revoked)
            .field("connections", self.tally.connections)
            .field("sent", self.sent)
            .field("copied", self.copied)
            .build()
    }
}

impl GstObjectImpl for Element {}

impl ElementImpl for Element {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "VideoStream source",
                "Source/Video",
                "Reads a stream of videostreamd, of a vslsink or of another program, without a copy",
                "videostreamd",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = caps::template();
            let template = gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &caps);
            template.into_iter().collect()
        });
        &TEMPLATES
    }
}

impl BaseSrcImpl for Element {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let target = settings.target().ok_or_else(|| {
            gst::error_msg!(gst::ResourceError::Settings, ("nothing to read: set path=SOCKET or stream=NAME"))
        })?;
        let upstream = Upstream::open(&settings, target, &self.obj().name())
            .map_err(|error| gst::error_msg!(gst::ResourceError::OpenRead, ("cannot read {target}: {error}")))?;
        *lock(&self.stats) = Stats::default();
        *lock(&self.running) = Some(Running {
            upstream,
            wrapper: Wrapper::default(),
            output: None,
            distance: Distance::default(),
            sent: 0,
            discontinuous: true,
            quiet_since: Instant::now(),
        });
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.running) = None;
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        false
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.interrupt.set();
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.interrupt.clear();
        Ok(())
    }

    /// The stream says what it has; caps are set before the first frame of each format.
    fn negotiate(&self) -> Result<(), gst::LoggableError> {
        Ok(())
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Latency(latency) = query.view_mut() {
            // A frame comes within its own time after its capture: exposed, read out, delivered.
            let min = lock(&self.stats).interval.unwrap_or(gst::ClockTime::ZERO);
            latency.set(true, min, gst::ClockTime::NONE);
            return true;
        }
        BaseSrcImplExt::parent_query(self, query)
    }
}

impl PushSrcImpl for Element {
    fn create(&self, _buffer: Option<&mut gst::BufferRef>) -> Result<CreateSuccess, gst::FlowError> {
        let mut running = lock(&self.running);
        let running = running.as_mut().ok_or(gst::FlowError::Flushing)?;
        let settings = lock(&self.settings).clone();
        if settings.num_frames >= 0 && running.sent >= settings.num_frames as u64 {
            return Err(gst::FlowError::Eos);
        }
        loop {
            let deadline =
                (settings.timeout > 0).then(|| running.quiet_since + Duration::from_secs(settings.timeout.into()));
            let wait = self.interrupt.wait(&mut running.upstream, deadline);
            lock(&self.stats).tally = running.upstream.tally();
            let said = match wait {
                Ok(Wait::Said(said)) => said,
                Ok(Wait::Interrupted) => return Err(gst::FlowError::Flushing),
                Ok(Wait::TimedOut) => return Err(self.timed_out(&running.upstream, settings.timeout)),
                Err(error) => return Err(self.lost(&error)),
            };
            if let Said::Frame(frame) = said {
                running.quiet_since = Instant::now();
                if let Some(buffer) = self.buffer(running, &settings, &frame)? {
                    running.sent += 1;
                    lock(&self.stats).sent = running.sent;
                    return Ok(CreateSuccess::NewBuffer(buffer));
                }
            } else {
                self.on_said(running, &settings, said)?;
            }
        }
    }
}

impl Element {
    fn on_said(&self, running: &mut Running, settings: &Settings, said: Said) -> Result<(), gst::FlowError> {
        match said {
            Said::Connected => running.discontinuous = true,
            Said::State(status) => {
                self.tell(&status);
                match status.state {
                    StreamState::Stopped if !settings.reconnect => return Err(gst::FlowError::Eos),
                    StreamState::Failed if !settings.reconnect => {
                        gst::element_imp_error!(
                            self,
                            gst::ResourceError::Read,
                            ("the stream has failed: {}", status.reason)
                        );
                        return Err(gst::FlowError::Error);
                    }
                    _ => {}
                }
            }
            Said::Disconnected(cause) => {
                gst::info!(CAT, imp = self, "the connection is lost: {cause}");
                running.discontinuous = true;
                self.tell(&StreamStatus { state: StreamState::Waiting, reason: cause });
            }
            Said::RetryFailed(cause) => gst::debug!(CAT, imp = self, "still not there: {cause}"),
            Said::Revoked { serial, reason } => {
                gst::warning!(CAT, imp = self, "frame {serial} was taken back while the pipeline held it");
                let structure = gst::Structure::builder("videostream-revoked")
                    .field("serial", serial)
                    .field("reason", reason.name())
                    .build();
                self.post(structure);
            }
            Said::Frame(_) | Said::Other => {}
        }
        Ok(())
    }

    fn tell(&self, status: &StreamStatus) {
        let structure = gst::Structure::builder("videostream-state")
            .field("state", status.state.name())
            .field("text", &status.reason)
            .build();
        self.post(structure);
    }

    fn post(&self, structure: gst::Structure) {
        let obj = self.obj();
        let message = gst::message::Element::builder(structure).src(&*obj).build();
        // Nobody listens before the element is in a pipeline.
        let _ = obj.post_message(message);
    }

    fn timed_out(&self, upstream: &Upstream, seconds: u32) -> gst::FlowError {
        let state = upstream.status();
        gst::element_imp_error!(
            self,
            gst::ResourceError::Read,
            ("no frame for {seconds} s: {} is {state}", upstream.path().display())
        );
        gst::FlowError::Error
    }

    /// A stream that was ended on purpose is the end of the pipeline's; whatever else is an error.
    fn lost(&self, error: &UpstreamError) -> gst::FlowError {
        if error.is_end() {
            gst::info!(CAT, imp = self, "{error}");
            return gst::FlowError::Eos;
        }
        gst::element_imp_error!(self, gst::ResourceError::Read, ("{error}"));
        gst::FlowError::Error
    }

    /// The frame for downstream; `None` if it was taken back before it could be copied.
    fn buffer(
        &self,
        running: &mut Running,
        settings: &Settings,
        frame: &Held,
    ) -> Result<Option<gst::Buffer>, gst::FlowError> {
        let kind = frame.buffer().kind();
        let goes_on = |output: &Output| Arc::ptr_eq(&output.format, frame.format()) && output.kind == kind;
        if !running.output.as_ref().is_some_and(goes_on) {
            running.output = Some(self.negotiate_format(frame, settings.mode)?);
        }
        let Some(output) = &mut running.output else { return Err(gst::FlowError::NotNegotiated) };
        let made = match (&output.info, output.copies) {
            (Some(info), false) => running.wrapper.picture(frame, info),
            (None, false) => running.wrapper.unit(frame),
            (info, true) => {
                let copy = info
                    .as_ref()
                    .map_or_else(|| wrapping::copy_unit(frame), |info| wrapping::copy_picture(frame, info));
                match copy {
                    Ok(buffer) => {
                        lock(&self.stats).copied += 1;
                        Ok(buffer)
                    }
                    Err(vsclient::MapError::Ended(why)) => {
                        gst::warning!(CAT, imp = self, "frame {} is left out: {why}", frame.serial());
                        running.discontinuous = true;
                        return Ok(None);
                    }
                    Err(error) => Err(glib::bool_error!("{error}")),
                }
            }
        };
        let mut buffer = made.map_err(|error| {
            gst::element_imp_error!(self, gst::ResourceError::Read, ("frame {}: {error}", frame.serial()));
            gst::FlowError::Error
        })?;
        let keyframe = frame.meta().flags.contains(FrameFlags::KEYFRAME);
        if let Some(header) = output.header.take_if(|_| keyframe) {
            let unit = std::mem::replace(&mut buffer, header);
            buffer.append(unit);
            buffer.make_mut().set_flags(gst::BufferFlags::HEADER);
        }
        let coded = output.info.is_none();
        self.stamp(running, settings, frame, coded, buffer.make_mut());
        Ok(Some(buffer))
    }

    fn stamp(
        &self,
        running: &mut Running,
        settings: &Settings,
        frame: &Held,
        coded: bool,
        buffer: &mut gst::BufferRef,
    ) {
        let meta = frame.meta();
        let obj = self.obj();
        if let (Some(clock), Some(base)) = (obj.clock(), obj.base_time()) {
            let captured = meta.capture_ns as i64 + running.distance.of(&clock);
            // What was captured before the pipeline began is shown first of all.
            let pts = captured.saturating_sub(base.nseconds() as i64).max(0);
            let reordered = coded && meta.dts.is_some();
            let ahead = meta.pts.zip(meta.dts).map_or(0, |(pts, dts)| pts.saturating_sub(dts).max(0));
            let time = |ns: i64| gst::ClockTime::from_nseconds(ns.max(0) as u64);
            buffer.set_pts(settings.pts.then(|| time(pts)));
            buffer.set_dts((settings.dts || reordered).then(|| time(pts.saturating_sub(ahead))));
        }
        buffer.set_duration(meta.duration.map(gst::ClockTime::from_nseconds).or(lock(&self.stats).interval));
        buffer.set_offset(frame.serial());
        buffer.set_offset_end(frame.serial() + 1);
        if std::mem::take(&mut running.discontinuous) || frame.follows_a_gap() {
            buffer.set_flags(gst::BufferFlags::DISCONT);
        }
        if coded && !meta.flags.contains(FrameFlags::KEYFRAME) {
            buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
    }

    /// Agrees with downstream upon the format of what follows.
    fn negotiate_format(&self, frame: &Held, mode: Delivery) -> Result<Output, gst::FlowError> {
        let refused = |text: String| {
            gst::element_imp_error!(self, gst::StreamError::Format, ("{text}"));
            gst::FlowError::NotNegotiated
        };
        let (format, kind) = (frame.format(), frame.buffer().kind());
        // An ancestor's host says how long a frame lasts, and no rate.
        let said = match frame.meta().duration.filter(|_| !format.rate.is_known()) {
            Some(duration) => Format { rate: caps::rate_of(duration), ..(**format).clone() },
            None => (**format).clone(),
        };
        let mut known = caps::caps_of(&said).map_err(|error| refused(error.to_string()))?;
        let info = match format.is_coded() {
            true => None,
            false => Some(caps::info_of(&said).map_err(|error| refused(error.to_string()))?),
        };
        let obj = self.obj();
        let pad = obj.static_pad("src").ok_or(gst::FlowError::NotNegotiated)?;
        if kind == MemoryKind::DmaBuf && mode == Delivery::Leased && info.is_some() {
            known = prefer_dmabuf(&pad, known);
        }
        let wanted = pad.peer_query_caps(None);
        if !wanted.can_intersect(&known) {
            return Err(refused(format!(
                "the stream has {known}, and downstream takes only {wanted}: put a converter between"
            )));
        }
        obj.set_caps(&known).map_err(|_| refused(format!("downstream refuses {known}")))?;
        let plain = info.as_ref().is_none_or(|info| lies_as_expected(format, info));
        let header =
            (!format.parameter_sets.is_empty()).then(|| gst::Buffer::from_slice(format.parameter_sets.to_vec()));
        let interval = said.rate.interval_ns().map(gst::ClockTime::from_nseconds);
        if std::mem::replace(&mut lock(&self.stats).interval, interval) != interval {
            let _ = obj.post_message(gst::message::Latency::builder().src(&*obj).build());
        }
        Ok(Output {
            format: Arc::clone(format),
            kind,
            info,
            copies: mode == Delivery::Notify || !(plain || knows_video_meta(&pad, &known)),
            header,
        })
    }
}

/// Caps that say where the memory is, for those who ask for that.
fn prefer_dmabuf(pad: &gst::Pad, caps: gst::Caps) -> gst::Caps {
    let mut special = caps.clone();
    special.make_mut().set_features(0, Some(gst::CapsFeatures::new(["memory:DMABuf"])));
    let peer = pad.peer_query_caps(None);
    let asked = peer.iter_with_features().any(|(_, features)| features.contains("memory:DMABuf"));
    if asked && peer.can_intersect(&special) { special } else { caps }
}

/// Whether downstream reads where planes lie instead of assuming it.
fn knows_video_meta(pad: &gst::Pad, caps: &gst::Caps) -> bool {
    let mut query = gst::query::Allocation::new(Some(caps), false);
    pad.peer_query(&mut query) && query.find_allocation_meta::<gst_video::VideoMeta>().is_some()
}

/// Whether the planes lie as GStreamer expects it of pictures that say nothing of it.
fn lies_as_expected(format: &Format, info: &gst_video::VideoInfo) -> bool {
    let first = format.planes.first().map_or(0, |plane| plane.offset);
    let expected = info.offset().iter().zip(info.stride());
    format.planes.iter().zip(expected).all(|(plane, (offset, stride))| {
        plane.memory == 0 && (plane.offset - first) as usize == *offset && plane.stride as i32 == *stride
    })
}
