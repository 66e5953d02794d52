// SPDX-License-Identifier: Apache-2.0
//! Codecs on the CPU, and pictures made into others.
//!
//! openh264 encodes a picture within the call and reorders nothing, so that every picture
//! that is submitted can be received at once.

mod converter;
mod decoder;
mod engine;
mod h264;
#[cfg(feature = "software-h265")]
mod h265;
mod openh264;
mod openh264_decoder;
mod outbox;
mod reorder;
#[cfg(feature = "software-vp9")]
mod vp9;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use vs_convert::ToI420;
use vs_frame::clock::NS_PER_MS;
use vs_frame::format::MODIFIER_LINEAR;
use vs_frame::{Format, FourCc, Frame};

use crate::bitrate::Bitrate;
use crate::config::{ASSUMED_FPS, Changes, EncoderConfig, RateControl};
use crate::encoder::{AccessUnit, Effective, Encoder, ReconfigureError};
use crate::input::check_input;
use crate::open::{BackendKind, OpenError};
use crate::session::{BackendError, FrameTag, Output, Session, SubmitError};

use openh264::{Coded, Openh264, Settings};

pub(crate) use converter::SoftwareConverter;
pub(crate) use decoder::{DECODABLE, SoftwareDecoder};

/// Access units that wait to be received before `submit` refuses: a caller that never
/// receives must not fill the memory.
const MAX_WAITING: usize = 32;

/// Rate control needs a bit per frame to reckon with; below this, nothing gets smaller anyway.
const MIN_BITRATE: Bitrate = Bitrate::from_bits(1000);

/// ITU-T H.264, A.3.1: no macroblock of 8 bit 4:2:0 takes more than 3200 bits. Emulation
/// prevention can make three bytes of two.
const LARGEST_MACROBLOCK: u32 = 3200 / 8 * 3 / 2;

/// Parameter sets, start codes and slice headers, generously.
const LARGEST_HEADERS: u32 = 4096;

/// The H.264 encoder.
pub(crate) struct SoftwareH264 {
    codec: Openh264,
    settings: Settings,
    /// What it was opened for.
    input: Format,
    converter: ToI420,
    effective: Effective,
    waiting: VecDeque<AccessUnit>,
    draining: bool,
}

impl SoftwareH264 {
    pub(crate) fn open(input: &Format, config: &EncoderConfig) -> Result<Self, OpenError> {
        let &Format { fourcc, width, height, rate, modifier, .. } = input;
        let converter = ToI420::new(input).ok_or(OpenError::Input { fourcc })?;
        if modifier != MODIFIER_LINEAR {
            return Err(OpenError::Modifier { modifier });
        }
        openh264::check_size(width, height).map_err(|limits| OpenError::Size { width, height, limits })?;
        let default = || RateControl::Vbr(Bitrate::default_for(width, height, rate, ASSUMED_FPS));
        let settings = Settings {
            width: width.next_multiple_of(2),
            height: height.next_multiple_of(2),
            rate,
            color: converter.output_color(),
            rate_control: clamp(config.rate_control.unwrap_or_else(default)),
            keyframe_interval: config.keyframe_interval.frames(rate),
            profile: config.profile,
            level: config.level,
            threads: config.threads,
        };
        let codec = Openh264::open(&settings)?;
        let effective = effective(&codec, &settings, input.rotation);
        let (waiting, draining) = (VecDeque::new(), false);
        Ok(Self { codec, settings, input: input.clone(), converter, effective, waiting, draining })
    }

    /// The same, with why it was taken.
    pub(crate) fn because(mut self, reason: String) -> Self {
        self.effective.reason = reason;
        self
    }

    /// Whether the running codec took the change; if not, a new one must take its place.
    fn change_in_place(&mut self, wanted: &Settings) -> bool {
        let now = &self.settings;
        let bits = match (now.rate_control, wanted.rate_control) {
            (now, wanted) if now == wanted => true,
            (RateControl::Vbr(_), RateControl::Vbr(bitrate)) | (RateControl::Cbr(_), RateControl::Cbr(bitrate)) => {
                self.codec.set_bitrate(bitrate, wanted.rate).is_ok()
            }
            _ => false,
        };
        bits && self.codec.set_keyframe_interval(wanted.keyframe_interval).is_ok()
    }
}

fn clamp(rate_control: RateControl) -> RateControl {
    let bitrate = |asked: Bitrate| asked.clamp(MIN_BITRATE, openh264::MAX_BITRATE);
    match rate_control {
        RateControl::Vbr(asked) => RateControl::Vbr(bitrate(asked)),
        RateControl::Cbr(asked) => RateControl::Cbr(bitrate(asked)),
        RateControl::Quality(_) => rate_control,
    }
}

fn effective(codec: &Openh264, settings: &Settings, rotation: u16) -> Effective {
    let &Settings { width, height, rate, rate_control, color, keyframe_interval, .. } = settings;
    let macroblocks = width.div_ceil(16) * height.div_ceil(16);
    let (profile, level) = openh264::profile_and_level(codec.parameter_sets());
    Effective {
        backend: BackendKind::Software,
        name: openh264::name(),
        reason: String::new(),
        codec: FourCc::H264,
        width,
        height,
        rate,
        color,
        rotation,
        rate_control,
        keyframe_interval,
        profile,
        level,
        b_frames: 0,
        // The library has pictures of its own.
        imports: false,
        threads: codec.threads(),
        parameter_sets: Arc::clone(codec.parameter_sets()),
        largest_access_unit: macroblocks * LARGEST_MACROBLOCK + LARGEST_HEADERS,
    }
}

impl Session for SoftwareH264 {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        self.draining = true;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.waiting.clear();
        self.draining = false;
        self.force_keyframe();
        Ok(())
    }
}

impl Encoder for SoftwareH264 {
    fn effective(&self) -> &Effective {
        &self.effective
    }

    fn submit(&mut self, frame: &Frame, tag: FrameTag) -> Result<(), SubmitError> {
        if self.draining {
            return Err(SubmitError::Draining);
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(SubmitError::Full);
        }
        check_input(&self.input, frame.format())?;
        let view = frame.map()?;
        let picture = self.converter.convert(&view).ok_or(SubmitError::Incomplete)?;
        let Coded { data, keyframe } = self.codec.encode(&picture, tag.pts_ns / NS_PER_MS as i64)?;
        self.waiting.push_back(AccessUnit { data, tag, dts_ns: tag.pts_ns, keyframe });
        Ok(())
    }

    fn receive(&mut self) -> Result<Output<AccessUnit>, BackendError> {
        if let Some(unit) = self.waiting.pop_front() {
            return Ok(Output::Done(unit));
        }
        if !self.draining {
            return Ok(Output::Pending);
        }
        self.draining = false;
        self.force_keyframe();
        Ok(Output::Drained)
    }

    fn force_keyframe(&mut self) {
        self.codec.force_keyframe();
    }

    fn reconfigure(&mut self, changes: &Changes) -> Result<(), ReconfigureError> {
        let now = self.settings;
        let interval = changes.keyframe_interval.map(|interval| interval.frames(now.rate));
        let wanted = Settings {
            rate_control: clamp(changes.rate_control.unwrap_or(now.rate_control)),
            keyframe_interval: interval.unwrap_or(now.keyframe_interval),
            ..now
        };
        if !self.change_in_place(&wanted) {
            let opened = Openh264::open(&wanted);
            // What the running one has taken of the change, it must give back.
            let codec = opened.inspect_err(|_| _ = self.change_in_place(&now))?;
            self.codec = codec;
        }
        self.settings = wanted;
        let reason = std::mem::take(&mut self.effective.reason);
        self.effective = Effective { reason, ..effective(&self.codec, &wanted, self.input.rotation) };
        Ok(())
    }
}

/// An interval as openh264 takes it.
fn to_c_int(frames: NonZeroU32) -> i32 {
    i32::try_from(frames.get()).unwrap_or(i32::MAX)
}

/// An error of this encoder.
fn failed(call: &'static str, reason: impl Into<String>) -> BackendError {
    BackendError { session: openh264::name(), call, reason: reason.into() }
}
