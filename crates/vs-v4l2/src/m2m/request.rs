// SPDX-License-Identifier: Apache-2.0
//! What is wanted of a mem2mem device.

use std::sync::Arc;
use std::time::Duration;

use vs_frame::{Format, FourCc, Rate};

use super::controls::EncoderControl;
use super::machine::Settings;

/// Inputs that the driver has at a time, unless asked otherwise: it works on one, one waits
/// for it, and two give the caller time to come with more.
pub const DEFAULT_INPUTS: u32 = 4;

/// Outputs that the caller can hold without the device having to wait, unless asked otherwise.
pub const DEFAULT_OUTPUTS: u32 = 4;

/// How long a driver that has all it needs may do nothing, unless asked otherwise. The slowest
/// codecs take a tenth of that for a picture.
pub const DEFAULT_STALL: Duration = Duration::from_secs(2);

/// How long to wait for what a driver sends by itself, unless asked otherwise: the LAST buffer
/// when everything else has come, the event that explains it.
pub const DEFAULT_GRACE: Duration = Duration::from_millis(300);

/// How many buffers a session has, and how patient it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Buffers of what the device takes; the driver may make more or fewer.
    pub inputs: u32,
    /// Buffers of what it gives, beside those that it needs itself.
    pub outputs: u32,
    /// After so long without any progress a driver that has what it needs is taken for
    /// stalled.
    pub stall: Duration,
    /// How long it may take for the LAST buffer after the last frame, and for the event that
    /// goes with it.
    pub grace: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { inputs: DEFAULT_INPUTS, outputs: DEFAULT_OUTPUTS, stall: DEFAULT_STALL, grace: DEFAULT_GRACE }
    }
}

impl Tuning {
    pub(super) fn settings(&self) -> Settings {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let most = v4l2r::bindings::VIDEO_MAX_FRAME;
        Settings {
            output_buffers: self.inputs.clamp(1, most),
            capture_buffers: self.outputs.clamp(1, most),
            stall_ns: ns(self.stall),
            grace_ns: ns(self.grace),
        }
    }
}

/// A decoder: whole access units in, pictures out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecoderRequest {
    /// The codec.
    pub coded: FourCc,
    /// The picture size, if it is known: lets the driver choose the size of its buffers for
    /// access units. The stream itself has the last word.
    pub size: Option<(u32, u32)>,
    /// Bytes of the largest access unit; 0 lets the driver choose. A larger one is refused.
    pub unit_bytes: u32,
    /// Pixel formats from the most wanted to the least; the first that the device offers for
    /// the stream is taken, or else what the driver chooses.
    pub raw: Vec<FourCc>,
    /// Buffers and patience.
    pub tuning: Tuning,
}

impl DecoderRequest {
    /// A decoder of `coded` that leaves the rest to the driver.
    #[must_use]
    pub fn new(coded: FourCc) -> Self {
        Self { coded, size: None, unit_bytes: 0, raw: Vec::new(), tuning: Tuning::default() }
    }
}

/// An encoder: pictures in, access units out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncoderRequest {
    /// The codec.
    pub coded: FourCc,
    /// How the pictures come. One of another size or pixel format is refused: it takes another
    /// session.
    pub source: Arc<Format>,
    /// Frames per second; [`Rate::UNKNOWN`] leaves it to the driver.
    pub rate: Rate,
    /// Whether the device is to read the pictures where they are (DmaBufs only). If the driver
    /// wants them laid out differently they are copied all the same:
    /// [`Session::imports`](super::Session::imports) says which. A device that cannot reach
    /// their memory refuses each of them ([`LossCause::Refused`](super::LossCause::Refused)).
    pub import: bool,
    /// What to set, in this order. What the device does not have is left out.
    pub controls: Vec<(EncoderControl, i64)>,
    /// Buffers and patience.
    pub tuning: Tuning,
}

impl EncoderRequest {
    /// An encoder of `source` to `coded` with the driver's own settings, which imports.
    #[must_use]
    pub fn new(coded: FourCc, source: Arc<Format>) -> Self {
        let rate = source.rate;
        Self { coded, source, rate, import: true, controls: Vec::new(), tuning: Tuning::default() }
    }
}

/// A converter: pictures in, as many pictures out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConverterRequest {
    /// How the pictures come.
    pub source: Arc<Format>,
    /// The pixel format wanted.
    pub fourcc: FourCc,
    /// Width and height wanted; the driver may round them
    /// ([`Session::format`](super::Session::format)).
    pub size: (u32, u32),
    /// As of [`EncoderRequest::import`].
    pub import: bool,
    /// Buffers and patience.
    pub tuning: Tuning,
}

impl ConverterRequest {
    /// A converter of `source` to `fourcc` in that size, which imports.
    #[must_use]
    pub fn new(source: Arc<Format>, fourcc: FourCc, size: (u32, u32)) -> Self {
        Self { source, fourcc, size, import: true, tuning: Tuning::default() }
    }
}
