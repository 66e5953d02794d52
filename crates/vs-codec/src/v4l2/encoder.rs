// SPDX-License-Identifier: Apache-2.0
//! The encoder of a device.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_frame::{Format, FourCc, Frame, FrameFlags, Rate};
use vs_v4l2::m2m::{EncoderControl, EncoderRequest, OpenSessionError};

use super::headers::Headers;
use super::link::{Event, Link, Request};
use super::name_of;
use super::options::{self, QualityBy, Settings};
use crate::BackendKind;
use crate::config::{ASSUMED_FPS, Changes, EncoderConfig, RateControl};
use crate::encoder::{AccessUnit, Effective, Encoder, ReconfigureError};
use crate::hardware::{Device, Ticket};
use crate::input::check_input;
use crate::session::{BackendError, FrameTag, Loss, Output, Session, SubmitError};

/// Room for parameter sets that are put before a keyframe.
const LARGEST_HEADERS: u32 = 4096;

/// See the [module](self).
pub(crate) struct V4l2Encoder {
    link: Link,
    input: Format,
    effective: Effective,
    quality_by: QualityBy,
    /// `None` for a codec without parameter sets.
    headers: Option<Headers>,
    keyframes: Keyframes,
    times: Times,
}

impl V4l2Encoder {
    pub(crate) fn open(
        device: &Device,
        ticket: Ticket,
        input: &Format,
        config: &EncoderConfig,
    ) -> Result<Self, OpenSessionError> {
        let wanted = options::wanted(config, (input.width, input.height), input.rate);
        let open = |ticket, by| {
            let mut request = EncoderRequest::new(config.codec, Arc::new(input.clone()));
            request.controls = options::controls(config, wanted, input.rate, by);
            Link::open(device, ticket, Request::Encoder(request))
        };
        let mut quality_by = QualityBy::Device;
        let mut link = open(ticket, quality_by)?;
        let takes_quality = |link: &Link| {
            let read = |control| link.session().control(control);
            Settings::of(config.codec, wanted, read).rate_control == wanted
        };
        if matches!(wanted, RateControl::Quality(_)) && !takes_quality(&link) {
            // Settings have to be made before it runs: once more, with what it has instead.
            quality_by = QualityBy::Quantiser;
            link = open(link.close(), quality_by)?;
        }
        let settings = Settings::of(config.codec, wanted, |control| link.session().control(control));
        let keyframes = Keyframes::new(config, input.rate, settings.gop, link.session().forces_keyframes());
        let planes = link.session().format().map(|format| format.planes);
        let largest = planes.and_then(|planes| planes.first().copied()).map_or(0, |plane| plane.size);
        let effective = Effective {
            backend: BackendKind::V4l2,
            name: name_of(device),
            reason: String::new(),
            codec: config.codec,
            width: input.width,
            height: input.height,
            rate: input.rate,
            color: input.color,
            rotation: input.rotation,
            rate_control: settings.rate_control,
            keyframe_interval: settings.gop.or(keyframes.own).unwrap_or(NonZeroU32::MIN),
            profile: settings.profile,
            level: settings.level,
            b_frames: settings.b_frames,
            threads: 0,
            imports: false,
            parameter_sets: Arc::from([]),
            largest_access_unit: largest.saturating_add(LARGEST_HEADERS),
        };
        let times = Times::new(settings.b_frames, input.rate);
        let headers = Headers::new(config.codec);
        Ok(Self { link, input: input.clone(), effective, quality_by, headers, keyframes, times })
    }

    /// The same, known by another name and with why it was taken.
    pub(crate) fn known_as(mut self, name: Option<String>, reason: String) -> Self {
        self.effective.name = name.unwrap_or(self.effective.name);
        self.effective.reason = reason;
        self
    }

    /// Learns the parameter sets in `bytes`; whether there were any.
    fn learn(&mut self, bytes: &[u8]) -> bool {
        let Some(headers) = &mut self.headers else { return false };
        let (any, new) = headers.learn(bytes);
        if new {
            self.effective.parameter_sets = Arc::clone(headers.bytes());
            if let Some(described) = headers.described() {
                (self.effective.width, self.effective.height) = described.size;
                (self.effective.profile, self.effective.level) = (described.profile, described.level);
            }
        }
        any
    }

    fn unit(&mut self, tag: FrameTag, frame: &Frame) -> Output<AccessUnit> {
        self.effective.imports = self.link.imports();
        let dts_ns = self.times.out(tag);
        let view = match frame.map() {
            Ok(view) => view,
            Err(error) => {
                tracing::warn!(encoder = self.effective.name, serial = tag.serial, %error, "an access unit cannot be read");
                return Output::Lost(tag, Loss::Corrupt);
            }
        };
        let bytes = view.payload();
        let is_flagged = self.keyframes.all || frame.meta().flags.contains(FrameFlags::KEYFRAME);
        let keyframe = is_flagged || self.headers.as_ref().is_some_and(|headers| headers.is_keyframe(bytes));
        let has_sets = keyframe && self.learn(bytes);
        let data = match &self.headers {
            Some(headers) if keyframe && !has_sets => headers.complete(bytes),
            _ => Arc::from(bytes),
        };
        Output::Done(AccessUnit { data, tag, dts_ns, keyframe })
    }

    fn set(&mut self, controls: &[(EncoderControl, i64)]) -> Result<(), BackendError> {
        for (control, value) in controls {
            self.link.session_mut().set_control(*control, *value).map_err(|errno| {
                let reason = format!("it does not take {value} for {control:?} while it runs: {errno}");
                self.link.error("changing its settings", reason)
            })?;
        }
        Ok(())
    }

    fn change(&mut self, changes: &Changes) -> Result<(), BackendError> {
        let codec = self.effective.codec;
        if let Some(wanted) = changes.rate_control {
            let has = |control| self.link.session().control(control).is_some();
            let by = [self.quality_by, QualityBy::Device, QualityBy::Quantiser];
            let by = by.into_iter().find(|by| options::is_possible(wanted, *by, has));
            let refused = || self.link.error("changing its settings", format!("it has no setting for {wanted:?}"));
            let by = by.ok_or_else(refused)?;
            self.set(&options::rate_controls(codec, wanted, by))?;
            self.quality_by = by;
        }
        if let Some(interval) = changes.keyframe_interval {
            let interval = interval.frames(self.input.rate);
            match &mut self.keyframes.own {
                Some(own) => *own = interval,
                None if self.keyframes.all => {}
                None => self.set(&[(EncoderControl::Gop, i64::from(interval.get()))])?,
            }
        }
        Ok(())
    }

    /// What the device works with now.
    fn refresh(&mut self, wanted: RateControl) {
        let settings = Settings::of(self.effective.codec, wanted, |control| self.link.session().control(control));
        self.effective.rate_control = settings.rate_control;
        self.effective.keyframe_interval =
            settings.gop.or(self.keyframes.own).unwrap_or(self.effective.keyframe_interval);
    }
}

impl Session for V4l2Encoder {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.link.poll_fd())
    }

    fn deadline(&self) -> Option<u64> {
        self.link.deadline()
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        self.link.drain()
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.times.clear();
        // Both queues are stopped, so that the stream begins anew.
        self.keyframes.begun();
        self.link.flush()
    }
}

impl Encoder for V4l2Encoder {
    fn effective(&self) -> &Effective {
        &self.effective
    }

    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError> {
        check_input(&self.input, frame.format())?;
        self.link.check_room()?;
        let keyframe = self.keyframes.is_due();
        if keyframe && !self.keyframes.by_name {
            self.link.begin_anew();
        }
        self.link.submit_picture(frame, tag, keyframe && self.keyframes.by_name)?;
        self.keyframes.submitted(keyframe);
        self.times.submitted(tag);
        Ok(())
    }

    fn receive(&mut self) -> Result<Output<AccessUnit>, BackendError> {
        loop {
            match self.link.next()? {
                Event::Done(tag, frame) => return Ok(self.unit(tag, &frame)),
                Event::Lost(tag, loss) => {
                    self.times.out(tag);
                    return Ok(Output::Lost(tag, loss));
                }
                Event::Headers(frame) => {
                    if let Ok(view) = frame.map() {
                        self.learn(view.payload());
                    }
                }
                Event::Drained => {
                    self.keyframes.begun();
                    return Ok(Output::Drained);
                }
                Event::Pending => return Ok(Output::Pending),
            }
        }
    }

    fn force_keyframe(&mut self) {
        self.keyframes.next = true;
    }

    fn reconfigure(&mut self, changes: &Changes) -> Result<(), ReconfigureError> {
        let before = self.effective.clone();
        let by = self.quality_by;
        let own = self.keyframes.own;
        let changed = self.change(changes);
        if changed.is_err() {
            // What it has taken of the change, it must give back, as far as it does.
            self.quality_by = by;
            let _ = self.set(&options::rate_controls(before.codec, before.rate_control, by));
            self.keyframes.own = own;
        }
        let wanted = changes.rate_control.filter(|_| changed.is_ok());
        self.refresh(wanted.unwrap_or(before.rate_control));
        Ok(changed?)
    }
}

/// When a keyframe is due that the device does not make by itself.
#[derive(Debug)]
struct Keyframes {
    /// Every picture is one.
    all: bool,
    /// Whether the device can be told which picture it is; else it has to begin anew.
    by_name: bool,
    /// The next picture is to be one.
    next: bool,
    /// How many pictures apart, for a device that has no setting for it.
    own: Option<NonZeroU32>,
    /// Pictures since the last one that was asked for.
    since: u32,
}

impl Keyframes {
    /// For a device that makes one every `gop` pictures, or knows no such setting.
    fn new(config: &EncoderConfig, rate: Rate, gop: Option<NonZeroU32>, by_name: bool) -> Self {
        let all = matches!(config.codec, FourCc::JPEG | FourCc::MJPEG);
        let own = (gop.is_none() && !all).then(|| config.keyframe_interval.frames(rate));
        Self { all, by_name, next: false, own, since: 0 }
    }

    fn is_due(&self) -> bool {
        let is_wanted = self.next || self.own.is_some_and(|interval| self.since >= interval.get());
        is_wanted && !self.all
    }

    fn submitted(&mut self, keyframe: bool) {
        self.since = if keyframe { 1 } else { self.since.saturating_add(1) };
        self.next &= !keyframe;
    }

    /// The stream begins anew, which it does with one.
    fn begun(&mut self) {
        (self.next, self.since) = (false, 0);
    }
}

/// Decoding times. Reordered pictures are decoded before they are shown: so a stream with B-frames
/// is decoded that many pictures early, and each access unit takes the next time in turn.
#[derive(Debug)]
struct Times {
    b_frames: u8,
    interval_ns: i64,
    /// Presentation times of what has not come out, in their order.
    waiting: VecDeque<i64>,
}

impl Times {
    fn new(b_frames: u8, rate: Rate) -> Self {
        let interval = rate.interval_ns().or(Rate::fps(ASSUMED_FPS).interval_ns());
        let interval_ns = interval.and_then(|ns| i64::try_from(ns).ok()).unwrap_or(0);
        Self { b_frames, interval_ns, waiting: VecDeque::new() }
    }

    fn submitted(&mut self, tag: FrameTag) {
        if self.b_frames > 0 {
            self.waiting.push_back(tag.pts_ns);
        }
    }

    /// The decoding time of what comes out now.
    fn out(&mut self, tag: FrameTag) -> i64 {
        let Some(turn) = self.waiting.pop_front() else { return tag.pts_ns };
        turn.saturating_sub(i64::from(self.b_frames).saturating_mul(self.interval_ns)).min(tag.pts_ns)
    }

    fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KeyframeInterval;

    #[test]
    fn decoding_times_rise_and_come_before_presentation() {
        let tag = |pts_ns| FrameTag { pts_ns, ..FrameTag::default() };
        let mut times = Times::new(2, Rate::fps(10));
        let ms = 1_000_000;
        (0..7).for_each(|at| times.submitted(tag(at * 100 * ms)));
        // I0 P3 B1 B2 P6 B4 B5
        let order = [0, 3, 1, 2, 6, 4, 5].map(|at| at * 100 * ms);
        let decoded = order.map(|pts| times.out(tag(pts)));
        assert_eq!(decoded, [-200, -100, 0, 100, 200, 300, 400].map(|at| at * ms));
        assert!(decoded.iter().zip(order).all(|(dts, pts)| *dts <= pts));
        let mut plain = Times::new(0, Rate::UNKNOWN);
        plain.submitted(tag(7));
        assert_eq!(plain.out(tag(7)), 7);
    }

    #[test]
    fn a_device_without_intervals_is_told_each_keyframe() {
        let three = NonZeroU32::new(3).map_or_else(Default::default, KeyframeInterval::Frames);
        let config = EncoderConfig { keyframe_interval: three, ..EncoderConfig::default() };
        let mut keyframes = Keyframes::new(&config, Rate::UNKNOWN, None, true);
        let mut due = |forced: bool| {
            keyframes.next |= forced;
            let due = keyframes.is_due();
            keyframes.submitted(due);
            due
        };
        // The first one is a keyframe by itself.
        let got: Vec<bool> = [false, false, false, false, false, true, false, false, false].map(&mut due).to_vec();
        assert_eq!(got, [false, false, false, true, false, true, false, false, true]);
    }
}
