// SPDX-License-Identifier: Apache-2.0
//! What the administrator wants. `config/videostreamd.toml` explains every option; the
//! structures here are the same, with the same defaults.
//!
//! A value that cannot be meant (a rate of 0, a socket name with a slash) is refused when it
//! is read, so that the message can point at its line; see [`load`].

#[cfg(test)]
mod documented;
pub mod load;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

pub use value::{Bytes, Decimal, Memory, Octal, Period, Quoted, Size, SocketName, Text};
use vs_codec::{Backend, Bitrate, Level, Profile, Sessions};
use vs_frame::{FourCc, Rate};
use vs_ipc::host::HostOptions;

use crate::bus::Address;
use crate::devices::Match;
use crate::metrics::Listen;
use crate::recording::policy::config::Section as Recording;
use crate::rendition::RateMode;
use crate::stream::file::Pace;
use crate::stream::spec::SourceSpec;

/// Where sockets lie unless told otherwise; the unit's `RuntimeDirectory=videostream`.
pub const DEFAULT_SOCKET_DIR: &str = "/run/videostream";

/// The whole file.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The daemon itself.
    #[serde(default)]
    pub daemon: Daemon,
    /// What streams have in common unless they say otherwise.
    #[serde(default)]
    pub defaults: Publication,
    /// The HTTP endpoint for metrics.
    #[serde(default)]
    pub metrics: Metrics,
    /// Devices with names of their own.
    #[serde(default)]
    pub device: BTreeMap<SocketName, Spanned<Device>>,
    /// The streams.
    #[serde(default)]
    pub stream: BTreeMap<SocketName, Spanned<Stream>>,
    /// What the daemon records by itself.
    #[serde(default)]
    pub recording: BTreeMap<SocketName, Spanned<Recording>>,
}

/// `[daemon]`
#[derive(Deserialize, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Daemon {
    /// D-Bus to serve.
    pub bus: Option<Quoted<Address>>,
    /// Directory of the sockets.
    pub socket_dir: Option<PathBuf>,
    /// Directory for what is remembered across restarts.
    pub state_dir: Option<PathBuf>,
}

/// `[metrics]`
#[derive(Deserialize, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// Where it listens; there is none if this is missing.
    pub listen: Option<Quoted<Listen>>,
}

/// `[device.NAME]`
#[derive(Deserialize, Debug, Default, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Device {
    /// What the device is like that has this name.
    #[serde(rename = "match")]
    pub matching: Option<Match>,
    /// Sessions of it that may be open at once.
    pub sessions: Option<Decimal<1, 1024>>,
    /// Those of them that are kept for streams and recordings.
    #[serde(default)]
    pub sessions_kept: Option<Decimal<0, 1024>>,
}

/// `[stream.NAME]`
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stream {
    /// A test pattern.
    pub pattern: Option<Pattern>,
    /// A camera, by its name.
    pub camera: Option<String>,
    /// Another host's stream, by the path of its socket.
    pub ipc: Option<PathBuf>,
    /// A file, by its whole path, to be played.
    pub file: Option<PathBuf>,
    /// Whether it begins anew at its end.
    #[serde(rename = "loop")]
    pub looped: Option<bool>,
    /// When its pictures are published.
    pub pace: Option<Quoted<Pace>>,
    /// Another stream of this daemon, by its name, to be encoded.
    pub from: Option<SocketName>,
    /// How it is encoded.
    pub codec: Option<Quoted<FourCc>>,
    /// How bits are spent.
    pub rate_control: Option<Quoted<RateMode>>,
    /// Bits per second.
    pub bitrate: Option<Quoted<Bitrate>>,
    /// Constant quality.
    pub quality: Option<Decimal<1, 100>>,
    /// How far keyframes are apart at most.
    pub keyframe_interval: Option<Quoted<Period>>,
    /// The same in frames.
    pub gop: Option<Decimal<1, 65535>>,
    /// B-frames between two others.
    pub b_frames: Option<Decimal<0, 16>>,
    /// What decoders must know.
    pub profile: Option<Quoted<Profile>>,
    /// What decoders must be able to do.
    pub level: Option<Quoted<Level>>,
    /// Who encodes, converts or decodes.
    pub backend: Option<Quoted<Backend>>,
    /// How much of what has been encoded is kept, for recordings that begin with it.
    pub pre: Option<Quoted<Period>>,
    /// The memory that it may take.
    pub pre_memory: Option<Quoted<Bytes>>,
    /// Runs from the start of the daemon, used or not.
    #[serde(default)]
    pub always_on: bool,
    /// Pixel format.
    pub format: Option<Quoted<FourCc>>,
    /// Width and height.
    pub size: Option<Quoted<Size>>,
    /// Frame rate.
    pub rate: Option<Text<Rate>>,
    /// Where a pattern is painted.
    pub memory: Option<Quoted<Memory>>,
    /// Path of a second socket, for clients of libvideostream.
    pub vsl: Option<PathBuf>,
    /// What it says about publication itself. Flattening would lose the position of unknown
    /// keys, so the options are listed again.
    pub buffers: Option<Decimal<4, 32>>,
    /// See [`Publication`].
    pub spares: Option<Decimal<0, 32>>,
    /// See [`Publication`].
    pub credits: Option<Decimal<1, 16>>,
    /// See [`Publication`].
    pub credits_max: Option<Decimal<1, 16>>,
    /// See [`Publication`].
    pub lease: Option<Quoted<Period>>,
    /// See [`Publication`].
    pub lease_max: Option<Quoted<Period>>,
    /// See [`Publication`].
    pub lifespan: Option<Quoted<Period>>,
    /// See [`Publication`].
    pub clients_max: Option<Decimal<1, 65536>>,
    /// See [`Publication`].
    pub clients_per_uid_max: Option<Decimal<1, 65536>>,
    /// See [`Publication`].
    pub linger: Option<Quoted<Period>>,
    /// See [`Publication`].
    pub socket_mode: Option<Quoted<Octal>>,
    /// See [`Publication`].
    pub socket_group: Option<String>,
}

impl Device {
    /// How many sessions it has, if something is said of that.
    pub fn limits(&self) -> Option<Sessions> {
        let said = self.sessions.is_some() || self.sessions_kept.is_some();
        let max = self.sessions.map_or(u32::MAX, |sessions| sessions.0);
        said.then(|| Sessions::new(max, self.sessions_kept.map_or(0, |kept| kept.0)))
    }
}

/// The patterns there are.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Moving colour bars with serial and time burnt in.
    Bars,
}

/// `[defaults]`: how frames are published.
#[derive(Deserialize, Debug, Default, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publication {
    /// Buffers of a stream.
    pub buffers: Option<Decimal<4, 32>>,
    /// Buffers that it may have beyond those for a while.
    pub spares: Option<Decimal<0, 32>>,
    /// Frames that a client may hold which does not ask for a number.
    pub credits: Option<Decimal<1, 16>>,
    /// Frames that a client may hold, whatever it asks for.
    pub credits_max: Option<Decimal<1, 16>>,
    /// Length of a lease.
    pub lease: Option<Quoted<Period>>,
    /// The longest that a frame may be held.
    pub lease_max: Option<Quoted<Period>>,
    /// How long a frame stays untouched without a lease.
    pub lifespan: Option<Quoted<Period>>,
    /// Connections at once.
    pub clients_max: Option<Decimal<1, 65536>>,
    /// Connections of one user at once.
    pub clients_per_uid_max: Option<Decimal<1, 65536>>,
    /// How long the source stays open after its last user.
    pub linger: Option<Quoted<Period>>,
    /// Permission bits of the socket.
    pub socket_mode: Option<Quoted<Octal>>,
    /// Group of the socket.
    pub socket_group: Option<String>,
}

/// Buffers of a stream whose configuration does not say: the device's share, that of the
/// daemon's own consumers, and some for clients that work on frames of different age.
pub const DEFAULT_BUFFERS: usize = 12;

/// Buffers of a coded stream whose configuration does not say. An access unit is small, and to miss
/// one costs all up to the next keyframe: so there are as many as there can be.
pub const DEFAULT_CODED_BUFFERS: usize = 32;

/// Access units that a client may hold which does not ask for a number, for the same reason.
pub const DEFAULT_CODED_CREDITS: u16 = 8;

/// The most that it may hold, whatever it asks for.
pub const DEFAULT_CODED_CREDITS_MAX: u16 = 13;

/// Frames to lock at once at a host of libvideostream, for a stream that does not say. The
/// protocol does not tell how many such a host has; 8 is its default, and whoever locks all of
/// them stops it. So it is half of those.
pub const DEFAULT_LOCKS: usize = 4;

/// Spares of a pattern whose configuration does not say: with the default buffers 32, as many
/// as a V4L2 queue can hold by default (`VIDEO_MAX_FRAME`).
pub const DEFAULT_SPARES: usize = 20;

/// Spares of a camera whose configuration does not say. They may have to come from a small part
/// of the memory (CMA) that other cameras and encoders need, too: readers that hoard must not
/// be able to use it up.
pub const DEFAULT_CAMERA_SPARES: usize = 4;

/// How long a source stays open after its last user, unless the configuration says: a client that
/// is started anew, or takes one picture after the other, shall not wait for the camera each time.
pub const DEFAULT_LINGER: Duration = Duration::from_secs(5);

impl Publication {
    /// These options, and where they are silent, those of `below`.
    pub fn over(self, below: &Self) -> Self {
        let below = below.clone();
        Self {
            buffers: self.buffers.or(below.buffers),
            spares: self.spares.or(below.spares),
            credits: self.credits.or(below.credits),
            credits_max: self.credits_max.or(below.credits_max),
            lease: self.lease.or(below.lease),
            lease_max: self.lease_max.or(below.lease_max),
            lifespan: self.lifespan.or(below.lifespan),
            clients_max: self.clients_max.or(below.clients_max),
            clients_per_uid_max: self.clients_per_uid_max.or(below.clients_per_uid_max),
            linger: self.linger.or(below.linger),
            socket_mode: self.socket_mode.or(below.socket_mode),
            socket_group: self.socket_group.or(below.socket_group),
        }
    }

    /// Buffers of the stream.
    pub fn buffers(&self, source: &SourceSpec) -> usize {
        let unasked = match source {
            SourceSpec::Coded { .. } => DEFAULT_CODED_BUFFERS,
            SourceSpec::Pattern
            | SourceSpec::Camera { .. }
            | SourceSpec::Ipc { .. }
            | SourceSpec::Converted { .. }
            | SourceSpec::File(_) => DEFAULT_BUFFERS,
        };
        self.buffers.map_or(unasked, |buffers| buffers.0 as usize)
    }

    /// Buffers that it may have beyond those, for as long as readers hold many.
    pub fn spares(&self, source: &SourceSpec) -> usize {
        let unasked = match source {
            SourceSpec::Pattern => DEFAULT_SPARES,
            SourceSpec::Camera { .. } => DEFAULT_CAMERA_SPARES,
            // The buffers are another host's.
            SourceSpec::Ipc { .. } => 0,
            // They are small, or those of the converter or decoder.
            SourceSpec::Coded { .. } | SourceSpec::Converted { .. } | SourceSpec::File(_) => 0,
        };
        self.spares.map_or(unasked, |spares| spares.0 as usize)
    }

    /// How long the source stays open after its last user.
    pub fn linger(&self) -> Duration {
        self.linger.as_ref().map_or(DEFAULT_LINGER, |period| Duration::from_nanos(period.0.ns()))
    }

    /// Writes the options into those of a host.
    pub fn apply(&self, options: &mut HostOptions, source: &SourceSpec, group: Option<u32>) {
        if let SourceSpec::Coded { .. } = source {
            (options.credits, options.credits_max) = (DEFAULT_CODED_CREDITS, DEFAULT_CODED_CREDITS_MAX);
        }
        if let Some(mode) = self.socket_mode {
            options.mode = mode.0.0;
        }
        options.group = group;
        set(&mut options.credits_max, self.credits_max.map(|n| n.0 as u16));
        set(&mut options.credits, self.credits.map(|n| n.0 as u16));
        options.credits = options.credits.min(options.credits_max);
        set(&mut options.lease_max_ns, self.lease_max.map(|period| period.0.ns()));
        set(&mut options.lease_ns, self.lease.map(|period| period.0.ns()));
        options.lease_ns = options.lease_ns.min(options.lease_max_ns);
        set(&mut options.lifespan_ns, self.lifespan.map(|period| period.0.ns()));
        set(&mut options.clients_max, self.clients_max.map(|n| n.0 as usize));
        set(&mut options.clients_per_uid_max, self.clients_per_uid_max.map(|n| n.0 as usize));
    }
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

impl Stream {
    /// What the stream says about its publication.
    pub fn publication(&self) -> Publication {
        Publication {
            buffers: self.buffers,
            spares: self.spares,
            credits: self.credits,
            credits_max: self.credits_max,
            lease: self.lease,
            lease_max: self.lease_max,
            lifespan: self.lifespan,
            clients_max: self.clients_max,
            clients_per_uid_max: self.clients_per_uid_max,
            linger: self.linger,
            socket_mode: self.socket_mode,
            socket_group: self.socket_group.clone(),
        }
    }
}
