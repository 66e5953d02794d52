// SPDX-License-Identifier: Apache-2.0
//! The options of encoders and decoders, and how the daemon is asked for one.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use vs_frame::{Format, FourCc, Rate};

use super::{Decoder, Encoder, OpenError};
use crate::dbus::{self, Bus, CallError, Daemon, DecoderInfo, DecoderOptions, EncoderInfo, EncoderOptions};

/// How long a program waits for room unless it says otherwise: a codec that takes longer for one
/// frame is stuck, and the daemon repairs it sooner.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the daemon's first word may take: it was said before the socket was handed over.
const GREETING: Duration = Duration::from_secs(5);

/// The longest access unit that is submitted by copying it: as long as the daemon takes.
const MAX_ACCESS_UNIT: u32 = 8 << 20;

/// Says what is to be encoded, and how; made by [`Encoder::builder`]. What is not said is left to
/// the daemon.
#[derive(Clone, Debug)]
pub struct EncoderBuilder {
    options: EncoderOptions,
    bus: Option<Bus>,
    timeout: Option<Duration>,
}

impl Default for EncoderBuilder {
    fn default() -> Self {
        Self { options: EncoderOptions::default(), bus: None, timeout: Some(DEFAULT_TIMEOUT) }
    }
}

impl EncoderBuilder {
    /// The codec; H.264 if it is not said.
    #[must_use]
    pub fn codec(mut self, codec: FourCc) -> Self {
        self.options.codec = Some(codec.to_string());
        self
    }

    /// So many bits per second on average.
    #[must_use]
    pub fn bitrate(mut self, bits: u64) -> Self {
        (self.options.bitrate, self.options.quality) = (Some(bits), None);
        self.options.rate_control = Some("vbr".to_owned());
        self
    }

    /// So many bits per second, as near as possible at each moment.
    #[must_use]
    pub fn constant_bitrate(mut self, bits: u64) -> Self {
        self = self.bitrate(bits);
        self.options.rate_control = Some("cbr".to_owned());
        self
    }

    /// The same quality always, from 1 (smallest) to 100 (best).
    #[must_use]
    pub fn quality(mut self, quality: u32) -> Self {
        (self.options.bitrate, self.options.quality) = (None, Some(quality));
        self.options.rate_control = Some("quality".to_owned());
        self
    }

    /// How far keyframes are apart at most; zero makes every picture one.
    #[must_use]
    pub fn keyframe_interval(mut self, interval: Duration) -> Self {
        self.options.keyframe_interval = Some(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
        self
    }

    /// The profile: `baseline`, `main` or `high`.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.options.profile = Some(profile.into());
        self
    }

    /// The level, such as `4.1`.
    #[must_use]
    pub fn level(mut self, level: impl Into<String>) -> Self {
        self.options.level = Some(level.into());
        self
    }

    /// Who encodes: `auto`, `v4l2` (hardware) or `software`.
    #[must_use]
    pub fn backend(mut self, backend: impl Into<String>) -> Self {
        self.options.backend = Some(backend.into());
        self
    }

    /// How many pictures may be submitted and not come back, and how many access units the program
    /// may have in hand: 1 to 32 each, 8 if it is not said.
    #[must_use]
    pub fn frames(mut self, inputs: u32, outputs: u32) -> Self {
        (self.options.inputs, self.options.outputs) = (Some(inputs), Some(outputs));
        self
    }

    /// The bus on which the daemon is; by default the one that `VIDEOSTREAM_BUS` names, or the
    /// system bus.
    #[must_use]
    pub fn bus(mut self, bus: Bus) -> Self {
        self.bus = Some(bus);
        self
    }

    /// How long [`Encoder::submit`] and [`Encoder::buffer`] wait for room; `None` waits for ever.
    /// 10 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks the daemon for an encoder for pictures of this format, and waits for it.
    ///
    /// # Errors
    /// [`OpenError`]; its message says what to do.
    pub fn open(self, format: &Format) -> Result<Encoder, OpenError> {
        let bus = bus(self.bus.as_ref())?;
        block_on(async { self.open_on(&dbus::connect(&bus).await?, format).await })
    }

    /// As [`open`](Self::open), over a connection that is there already.
    ///
    /// # Errors
    /// [`OpenError`]; its message says what to do.
    pub async fn open_on(mut self, daemon: &Daemon, format: &Format) -> Result<Encoder, OpenError> {
        self.options.format = Some(format.fourcc.to_string());
        self.options.size = Some((format.width, format.height));
        let Rate { num, den } = format.rate;
        self.options.rate = format.rate.is_known().then_some((num, den));
        let color = format.color;
        self.options.color = Some((color.colorspace, color.transfer, color.encoding, color.quantization));
        let opened = daemon.manager().await?.open_encoder(&self.options).await;
        let (socket, info): (_, EncoderInfo) = opened.map_err(CallError::from)?;
        Encoder::new(OwnedFd::from(socket), info, Arc::new(format.clone()), self.timeout, GREETING)
    }
}

/// Says what is to be decoded, and how; made by [`Decoder::builder`]. What is not said is left to
/// the daemon.
#[derive(Clone, Debug)]
pub struct DecoderBuilder {
    options: DecoderOptions,
    codec: FourCc,
    bus: Option<Bus>,
    timeout: Option<Duration>,
}

impl Default for DecoderBuilder {
    fn default() -> Self {
        let options = DecoderOptions::default();
        Self { options, codec: FourCc::H264, bus: None, timeout: Some(DEFAULT_TIMEOUT) }
    }
}

impl DecoderBuilder {
    /// The codec; H.264 if it is not said.
    #[must_use]
    pub fn codec(mut self, codec: FourCc) -> Self {
        self.codec = codec;
        self
    }

    /// The size of the pictures, if it is known; the stream has the last word.
    #[must_use]
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.options.size = Some((width, height));
        self
    }

    /// Pixel formats from the most wanted to the least. A decoder that has none of them gives its
    /// own.
    #[must_use]
    pub fn formats(mut self, formats: &[FourCc]) -> Self {
        self.options.formats = Some(formats.iter().map(FourCc::to_string).collect());
        self
    }

    /// Who decodes: `auto`, `v4l2` (hardware) or `software`.
    #[must_use]
    pub fn backend(mut self, backend: impl Into<String>) -> Self {
        self.options.backend = Some(backend.into());
        self
    }

    /// How many access units may be submitted and not come back, and how many pictures the program
    /// may have in hand: 1 to 32 each, 8 if it is not said.
    #[must_use]
    pub fn frames(mut self, inputs: u32, outputs: u32) -> Self {
        (self.options.inputs, self.options.outputs) = (Some(inputs), Some(outputs));
        self
    }

    /// The bus on which the daemon is; by default the one that `VIDEOSTREAM_BUS` names, or the
    /// system bus.
    #[must_use]
    pub fn bus(mut self, bus: Bus) -> Self {
        self.bus = Some(bus);
        self
    }

    /// How long [`Decoder::submit`] waits for room; `None` waits for ever. 10 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks the daemon for a decoder, and waits for it.
    ///
    /// # Errors
    /// [`OpenError`]; its message says what to do.
    pub fn open(self) -> Result<Decoder, OpenError> {
        let bus = bus(self.bus.as_ref())?;
        block_on(async { self.open_on(&dbus::connect(&bus).await?).await })
    }

    /// As [`open`](Self::open), over a connection that is there already.
    ///
    /// # Errors
    /// [`OpenError`]; its message says what to do.
    pub async fn open_on(mut self, daemon: &Daemon) -> Result<Decoder, OpenError> {
        self.options.codec = Some(self.codec.to_string());
        let opened = daemon.manager().await?.open_decoder(&self.options).await;
        let (socket, info): (_, DecoderInfo) = opened.map_err(CallError::from)?;
        // The size is a hint; what counts is in the access units.
        let (width, height) = self.options.size.unwrap_or((1, 1));
        let format = Format::coded(self.codec, width, height, Rate::UNKNOWN, MAX_ACCESS_UNIT);
        let format = format.map_err(|error| CallError::BadFormat(error.to_string()))?;
        Decoder::new(OwnedFd::from(socket), info, Arc::new(format), self.timeout, GREETING)
    }
}

fn bus(wanted: Option<&Bus>) -> Result<Bus, OpenError> {
    Ok(match wanted {
        Some(bus) => bus.clone(),
        None => Bus::from_env()?,
    })
}

/// Asks on a thread of its own, so that the caller may have a runtime, or none.
fn block_on<T: Send>(future: impl Future<Output = Result<T, OpenError>> + Send) -> Result<T, OpenError> {
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(OpenError::System)?.block_on(future)
        });
        // Nothing there panics; if it did, the caller would want to know.
        asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
