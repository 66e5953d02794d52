// SPDX-License-Identifier: Apache-2.0
//! What a stream is to be, before it runs.

use std::path::PathBuf;
use std::time::Duration;

use vs_codec::Backend;
use vs_frame::{CpuMemory, Format, FourCc, Rate};
use vs_ipc::host::HostOptions;
use vs_ipc::vsl::picture::{Picture, Untellable};
use vs_pattern::Pattern;

use super::file::FileSpec;
use crate::rendition::{Coding, Pre, Wishes};

/// Buffers that stay with the device whatever readers hold: one being filled, one to follow without a pause,
/// one for the time that the thread needs to send a buffer home.
pub const SOURCE_FLOOR: usize = 3;

/// Frames that each consumer inside the daemon (an encoder) may have waiting. Two cover the
/// jitter of an encoder that is fast enough; for one that is not, more would only be delay.
pub const CONSUMER_QUEUE: usize = 2;

/// What fills a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// The test pattern.
    Pattern,
    /// A camera, by its name.
    Camera {
        /// Name in the device registry.
        device: String,
    },
    /// What another host publishes.
    Ipc {
        /// Path of its socket.
        path: PathBuf,
        /// Frames to hold at once if it is a host of libvideostream.
        locks: usize,
    },
    /// Another stream of this daemon, encoded.
    Coded {
        /// Name of that stream.
        from: String,
        /// How.
        coding: Coding,
        /// What is kept of it.
        pre: Option<Pre>,
    },
    /// Another stream of this daemon, in another size or pixel format.
    Converted {
        /// Name of that stream.
        from: String,
        /// Who converts.
        backend: Backend,
    },
    /// A file that is played.
    File(FileSpec),
}

impl SourceSpec {
    /// The word used on D-Bus.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::Camera { .. } => "camera",
            Self::Ipc { .. } => "ipc",
            Self::Coded { .. } => "coded",
            Self::Converted { .. } => "converted",
            Self::File(_) => "file",
        }
    }

    /// The stream of this daemon that it is made from.
    pub fn from(&self) -> Option<&str> {
        match self {
            Self::Coded { from, .. } | Self::Converted { from, .. } => Some(from),
            Self::Pattern | Self::Camera { .. } | Self::Ipc { .. } | Self::File(_) => None,
        }
    }
}

/// What is wished of the frames; what is left open, the source chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Pixel format.
    pub fourcc: Option<FourCc>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Frame rate.
    pub rate: Option<Rate>,
}

impl Shape {
    /// These wishes, and where they are silent, those of `below`.
    pub fn over(self, below: Self) -> Self {
        Self { fourcc: self.fourcc.or(below.fourcc), size: self.size.or(below.size), rate: self.rate.or(below.rate) }
    }
}

/// What somebody asks for who starts a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// What its frames shall be.
    pub shape: Shape,
    /// The stream that it is to be made from; `None` for one that there is.
    pub from: Option<String>,
    /// How it is to be encoded.
    pub coding: Wishes,
    /// How much of it is to be kept for recordings that begin with it.
    pub pre: Option<Duration>,
}

/// Frames that clients may hold of a source with so many buffers.
pub fn frames_for_clients(buffers: usize) -> usize {
    buffers.saturating_sub(SOURCE_FLOOR + CONSUMER_QUEUE).max(1)
}

/// A format that a stream with an endpoint for libvideostream cannot have.
#[derive(Debug, thiserror::Error)]
#[error("{0}; or leave vsl out of the stream's configuration")]
pub struct NotForVsl(Untellable);

/// Checks that clients of libvideostream can be told of such pictures.
pub fn check_picture(format: &Format) -> Result<(), NotForVsl> {
    Picture::of(format).map(drop).map_err(NotForVsl)
}

/// Frames that clients may hold of those that another host lends: all but the one to come.
pub fn lent_frames_for_clients(credits: usize) -> usize {
    credits.saturating_sub(1).max(1)
}

/// What one client may hold of `frames`, and no more than `credits_max`: one alone must not be
/// able to hold everything.
pub fn client_share(credits_max: u16, frames: usize) -> u16 {
    let half = u16::try_from(frames.div_ceil(2)).unwrap_or(u16::MAX);
    credits_max.min(half).max(1)
}

/// A stream as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSpec {
    /// Its name.
    pub name: String,
    /// What fills it.
    pub source: SourceSpec,
    /// What its frames shall be.
    pub shape: Shape,
    /// Where a pattern is painted.
    pub memory: CpuMemory,
    /// Runs from the start of the daemon, used or not.
    pub always_on: bool,
    /// How long the source stays open after its last user, if it is not always on.
    pub linger: Duration,
    /// Buffers in all.
    pub buffers: usize,
    /// Buffers beyond those, while readers hold many.
    pub spares: usize,
    /// How it is published.
    pub host: HostOptions,
}

/// What a pattern is unless told otherwise: small enough for any machine, in the format that
/// encoders like best.
const PATTERN_FOURCC: FourCc = FourCc::NV12;
const PATTERN_SIZE: (u32, u32) = (640, 480);
const PATTERN_RATE: Rate = Rate::fps(30);

/// The fastest pattern. Beyond it the timer, not the picture, is what one measures.
const PATTERN_RATE_MAX: f64 = 1000.0;

impl StreamSpec {
    /// Divides the buffers: what is not the source's and not the daemon's own is for clients.
    pub fn with_budget(mut self) -> Self {
        self.host.frames = match self.source {
            SourceSpec::Pattern
            | SourceSpec::Camera { .. }
            | SourceSpec::Coded { .. }
            | SourceSpec::Converted { .. }
            | SourceSpec::File(_) => frames_for_clients(self.buffers + self.spares),
            // Until it has said how many it lends; the source sees to the rest.
            SourceSpec::Ipc { .. } => lent_frames_for_clients(self.buffers),
        };
        self.host.credits_max = client_share(self.host.credits_max, self.host.frames);
        self.host.credits = self.host.credits.min(self.host.credits_max);
        self
    }

    /// Whether both come to the same stream.
    pub fn is_like(&self, other: &Self) -> bool {
        let mut other = other.clone();
        // Another one each time that the configuration is read.
        other.host.epoch = self.host.epoch;
        *self == other
    }

    /// The format of a pattern with this shape.
    pub fn pattern_format(shape: Shape) -> Result<Format, String> {
        let (width, height) = shape.size.unwrap_or(PATTERN_SIZE);
        let rate = shape.rate.unwrap_or(PATTERN_RATE);
        if rate.as_f64() > PATTERN_RATE_MAX {
            return Err(format!("a pattern of {rate} frames per second is too fast: at most {PATTERN_RATE_MAX}"));
        }
        let fourcc = shape.fourcc.unwrap_or(PATTERN_FOURCC);
        if !Pattern::formats().any(|known| known == fourcc) {
            return Err(vs_pattern::PatternError::Fourcc { fourcc }.to_string());
        }
        let format = Format::packed(fourcc, width, height, rate).map_err(|error| error.to_string())?;
        Pattern::new(&format).map_err(|error| error.to_string())?;
        Ok(format)
    }

    /// Finds what cannot be, before anything is started.
    pub fn check(&self) -> Result<(), String> {
        if self.source == SourceSpec::Pattern {
            let format = Self::pattern_format(self.shape).and_then(|format| self.check_vsl(&format));
            format.map_err(|error| format!("stream '{}': {error}", self.name))?;
        }
        Ok(())
    }

    /// Finds a format that cannot be told to the clients of libvideostream that it is for.
    pub fn check_vsl(&self, format: &Format) -> Result<(), String> {
        if self.host.vsl.is_none() {
            return Ok(());
        }
        check_picture(format).map_err(|error| error.to_string())
    }
}
