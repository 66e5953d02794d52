// SPDX-License-Identifier: Apache-2.0
//! `[recording.NAME]`: what the administrator says of a recording by policy.

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor, value::SeqAccessDeserializer};
use vs_codec::{Backend, Bitrate, KeyframeInterval, Level, Profile, Quality};
use vs_frame::FourCc;

use super::floor::Floor;
use super::naming::Pattern;
use super::retention::Keep;
use super::store::Rules;
use crate::config::{Decimal, Period, Quoted, SocketName};
use crate::recording::{MAX_FRAGMENT, RecordOptions, Segment, parse_bytes};
use crate::rendition::{Coding, RateMode, Wishes};

/// How long files are whose configuration does not say: what is lost with one that goes wrong is bearable, and a day
/// has no more than some hundred.
const DEFAULT_SEGMENT: Segment = Segment::Time(5 * 60 * 1_000_000_000);

/// The shortest fragment that can be asked for: no camera that is recorded has more pictures in a second.
const MIN_FRAGMENT: Duration = Duration::from_millis(20);

/// Directory of all recordings by policy within the state directory.
const DIRECTORY: &str = "recordings";

/// `[recording.NAME]`, as it is written.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Section {
    /// The stream that is recorded.
    pub stream: SocketName,
    /// Whether it runs from the start of the daemon.
    pub enabled: Option<bool>,
    /// Where, if not in the state directory.
    pub directory: Option<PathBuf>,
    /// What files are called.
    pub name: Option<Quoted<Pattern>>,
    /// Whether the time in their names is UTC.
    pub utc: Option<bool>,
    /// When a file ends and the next begins.
    pub segment: Option<Quoted<Segment>>,
    /// How long, or how much, is kept.
    pub keep: Option<KeepWords>,
    /// What stays free of the file system.
    pub floor: Option<Quoted<Floor>>,
    /// The longest fragment: what a crash loses.
    pub fragment: Option<Quoted<Period>>,
    /// How long frames may wait to be on the disk: what a power cut loses.
    pub sync: Option<Quoted<Period>>,
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
    /// Who encodes.
    pub backend: Option<Quoted<Backend>>,
}

/// A recording by policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The stream that is recorded.
    pub stream: String,
    /// Whether it runs from the start of the daemon.
    pub enabled: bool,
    /// The administrator's directory; `None`: the daemon's own.
    pub directory: Option<PathBuf>,
    /// Names, retention, free space.
    pub rules: Rules,
    /// How it is recorded.
    pub options: RecordOptions,
}

impl Section {
    /// What it means.
    ///
    /// # Errors
    /// What cannot be meant, in words.
    pub fn policy(&self, name: &SocketName) -> Result<Policy, String> {
        let failed = |message: String| format!("recording '{name}': {message}");
        if name.as_str().bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(failed("its name must not be a number: those are of recordings under way".to_owned()));
        }
        if let Some(codec) = self.codec.filter(|codec| ![FourCc::H264, FourCc::HEVC].contains(&codec.0)) {
            return Err(failed(format!("codec {} cannot be recorded: H264 and H265 can", codec.0)));
        }
        let keep = self.keep.map(|keep| keep.0).unwrap_or_default();
        let segment = self.segment.map_or(DEFAULT_SEGMENT, |segment| segment.0);
        check_keep(keep, segment).map_err(failed)?;
        if let Some(directory) = self.directory.as_deref().filter(|directory| !directory.is_absolute()) {
            return Err(failed(format!("directory must be a whole path, not '{}'", directory.display())));
        }
        let pattern = match &self.name {
            Some(pattern) => pattern.0.clone(),
            None => default_pattern(name).map_err(failed)?,
        };
        let (fragment, sync) = (self.fragment.map(duration), self.sync.map(duration));
        if fragment.is_some_and(|fragment| fragment > MAX_FRAGMENT) {
            let max = MAX_FRAGMENT.as_secs();
            return Err(failed(format!("fragment can be {max} s at most, for all of it waits in memory")));
        }
        if fragment.is_some_and(|fragment| fragment < MIN_FRAGMENT) {
            let min = MIN_FRAGMENT.as_millis();
            return Err(failed(format!(
                "fragment must be {min} ms at least: shorter ones are more index than pictures"
            )));
        }
        let coding = self.wishes();
        coding.over(&Coding::default()).map_err(failed)?;
        Ok(Policy {
            name: name.as_str().to_owned(),
            stream: self.stream.as_str().to_owned(),
            enabled: self.enabled.unwrap_or(true),
            directory: self.directory.clone(),
            rules: Rules {
                pattern: pattern.in_utc(self.utc.unwrap_or(false)),
                keep,
                floor: self.floor.map(|floor| floor.0).unwrap_or_default(),
            },
            options: RecordOptions {
                coding,
                segment: Some(segment),
                fragment,
                sync,
                name: name.as_str().to_owned(),
                ..RecordOptions::default()
            },
        })
    }

    fn wishes(&self) -> Wishes {
        Wishes {
            codec: self.codec.map(|codec| codec.0),
            rate_mode: self.rate_control.map(|mode| mode.0),
            bitrate: self.bitrate.map(|bitrate| bitrate.0),
            quality: self.quality.and_then(|quality| Quality::new(quality.0 as u8)),
            keyframe_interval: self.keyframe_interval.map(|period| KeyframeInterval::Time(period.0.ns())),
            gop: self.gop.and_then(|frames| NonZeroU32::new(frames.0)),
            b_frames: self.b_frames.and_then(|frames| u8::try_from(frames.0).ok()),
            profile: self.profile.map(|profile| profile.0),
            level: self.level.map(|level| level.0),
            backend: self.backend.map(|backend| backend.0),
        }
    }

    /// Whether something is said of an encoder.
    pub fn says_of_encoder(&self) -> bool {
        !self.wishes().is_empty()
    }
}

fn duration(period: Quoted<Period>) -> Duration {
    Duration::from_nanos(period.0.ns())
}

/// A day's files in a directory of that day.
fn default_pattern(name: &SocketName) -> Result<Pattern, String> {
    format!("%Y-%m-%d/{name}-%H%M%S").parse()
}

/// What is kept must have room for a file and the one before it, or nothing would ever be kept.
fn check_keep(keep: Keep, segment: Segment) -> Result<(), String> {
    match (segment, keep) {
        (Segment::Bytes(segment), Keep { bytes: Some(bytes), .. }) if bytes < segment.saturating_mul(2) => {
            Err(format!("keep of {bytes} bytes has no room for two files of {segment} bytes (segment): keep more"))
        }
        _ => Ok(()),
    }
}

impl Policy {
    /// Where its files are; `None` if nobody has said.
    pub fn path(&self, state_dir: Option<&Path>) -> Option<PathBuf> {
        let own = || Some(state_dir?.join(DIRECTORY).join(&self.name));
        self.directory.clone().or_else(own)
    }
}

/// `keep`: a time, an amount, or a list of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepWords(Keep);

impl KeepWords {
    fn from_words(words: &[String]) -> Result<Self, String> {
        let mut keep = Keep::default();
        for word in words {
            let twice = match parse_bytes(word) {
                Some(0) => return Err(format!("'{word}' keeps nothing")),
                Some(bytes) => keep.bytes.replace(bytes).is_some(),
                None => keep.time_ns.replace(time_ns(word)?).is_some(),
            };
            if twice {
                return Err(format!("'{word}' is the second of its kind: give one time and one amount at most"));
            }
        }
        Ok(Self(keep))
    }
}

fn time_ns(word: &str) -> Result<u64, String> {
    let time = humantime::parse_duration(word).ok().filter(|time| *time >= Duration::from_secs(1));
    let ns = time.and_then(|time| u64::try_from(time.as_nanos()).ok());
    ns.ok_or_else(|| {
        format!("'{word}' cannot be kept: write a time as 7d or 12h, an amount as 20G, or [\"7d\", \"20G\"]")
    })
}

impl<'de> Deserialize<'de> for KeepWords {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = KeepWords;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text such as \"7d\" or \"20G\", or a list of both")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<KeepWords, E> {
                KeepWords::from_words(&[word.to_owned()]).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, words: A) -> Result<KeepWords, A::Error> {
                let words = Vec::deserialize(SeqAccessDeserializer::new(words))?;
                KeepWords::from_words(&words).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(Words)
    }
}
