// SPDX-License-Identifier: Apache-2.0
//! The `a{sv}` that every method takes: each option is known, of the right type and in
//! range, or the call is refused.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use vs_codec::{Bitrate, KeyframeInterval, Quality};
use vs_frame::{FourCc, Rate};
use zbus::zvariant::OwnedValue;

use super::dict::Dict;
use super::error::Error;
use crate::control::PlayOptions;
use crate::recording::{MAX_FRAGMENT, RecordOptions, Segment};
use crate::rendition::Wishes;
use crate::stream::spec::{Shape, Wanted};

/// The most that can be kept of what has been encoded, as in the configuration.
const PRE_MAX: Duration = Duration::from_secs(3600);

/// Options that have not been looked at yet.
pub(super) struct Options(Dict);

impl Options {
    pub(super) fn new(options: Dict) -> Self {
        Self(options)
    }

    pub(super) fn take<T: TryFrom<OwnedValue>>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let signature = value.value_signature().to_string();
        let converted = T::try_from(value);
        converted.map(Some).map_err(|_| bad(format!("option '{name}' must be {expected}, not of type {signature}")))
    }

    pub(super) fn take_text<T: FromStr<Err: ToString>>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.take::<String>(name, "a string")? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| bad(format!("option '{name}': {}", error.to_string())))
    }

    /// What is said of an encoder.
    pub(super) fn coding(&mut self) -> Result<Wishes, Error> {
        let number = "an unsigned 64-bit number (t)";
        let bitrate = |bits| {
            let bitrate = u32::try_from(bits).ok().and_then(Bitrate::new);
            bitrate.ok_or_else(|| bad(format!("option 'bitrate': {bits} bit/s is out of range")))
        };
        let quality = |quality| {
            let known = u8::try_from(quality).ok().and_then(Quality::new);
            known.ok_or_else(|| bad(format!("option 'quality': {quality} is not from 1 to 100")))
        };
        Ok(Wishes {
            codec: self.take_text("codec")?,
            rate_mode: self.take_text("rate-control")?,
            bitrate: self.take::<u64>("bitrate", number)?.map(bitrate).transpose()?,
            quality: self.take::<u32>("quality", "an unsigned number (u)")?.map(quality).transpose()?,
            keyframe_interval: self.take::<u64>("keyframe-interval", number)?.map(|ns| match ns {
                0 => KeyframeInterval::Frames(NonZeroU32::MIN),
                ns => KeyframeInterval::Time(ns),
            }),
            gop: match self.take::<u32>("gop", "an unsigned number (u)")? {
                None => None,
                Some(frames) => Some(NonZeroU32::new(frames).ok_or_else(|| {
                    bad("option 'gop': there are at least 1 frames from one keyframe to the next".to_owned())
                })?),
            },
            b_frames: self.take::<u8>("b-frames", "a byte (y)")?,
            profile: self.take_text("profile")?,
            level: self.take_text("level")?,
            backend: self.take_text("backend")?,
        })
    }

    /// How much of what has been encoded is kept, or wanted.
    pub(super) fn pre(&mut self) -> Result<Option<Duration>, Error> {
        let ns = self.take::<u64>("pre", "an unsigned 64-bit number (t)")?;
        let known = |ns: u64| Some(Duration::from_nanos(ns)).filter(|pre| !pre.is_zero() && *pre <= PRE_MAX);
        let of = |ns| known(ns).ok_or_else(|| bad(format!("option 'pre': {ns} ns is not more than 0 and at most 1 h")));
        ns.map(of).transpose()
    }

    /// Refuses what is left: an option that is misspelt must not be ignored.
    pub(super) fn finish(self, known: &str) -> Result<(), Error> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(bad(format!("there is no option '{unknown}': {known}"))),
        }
    }
}

/// What is said of an encoder, by name.
pub(super) const OF_ENCODERS: &str =
    "codec, bitrate, rate-control, quality, keyframe-interval, gop, b-frames, profile, level and backend";

pub(super) fn bad(text: String) -> Error {
    Error::BadOption(text)
}

/// The options of `StartStream`.
pub(super) fn wishes(options: Dict) -> Result<Wanted, Error> {
    let mut options = Options::new(options);
    let shape = Shape {
        fourcc: options.take_text::<FourCc>("format")?,
        size: options.take::<(u32, u32)>("size", "a pair of unsigned numbers (uu)")?,
        rate: match options.take::<(u32, u32)>("rate", "a pair of unsigned numbers (uu)")? {
            None => None,
            Some((num, den)) => {
                let rate = Rate::new(num, den).filter(|rate| rate.is_known());
                Some(rate.ok_or_else(|| bad(format!("option 'rate': {num}/{den} is not a frame rate")))?)
            }
        },
    };
    let wanted =
        Wanted { shape, from: options.take("from", "a string")?, coding: options.coding()?, pre: options.pre()? };
    options.finish(&format!("StartStream knows format, size, rate, from, pre, {OF_ENCODERS}"))?;
    Ok(wanted)
}

/// The options of `SetControls`: whether the values are remembered.
pub(super) fn remember(options: Dict) -> Result<bool, Error> {
    let mut options = Options::new(options);
    let remember = options.take::<bool>("remember", "a boolean (b)")?.unwrap_or(true);
    options.finish("SetControls knows remember")?;
    Ok(remember)
}

/// The options of `Play`, and whether it goes on without the caller.
pub(super) fn play(options: Dict) -> Result<(PlayOptions, bool), Error> {
    let mut options = Options::new(options);
    let flag = "a boolean (b)";
    let play = PlayOptions {
        name: options.take("name", "a string")?,
        title: options.take("title", "a string")?,
        looped: options.take("loop", flag)?.unwrap_or(false),
        pace: options.take_text("pace")?.unwrap_or_default(),
        backend: options.take_text("backend")?.unwrap_or_default(),
    };
    let detach = options.take("detach", flag)?.unwrap_or(false);
    options.finish("Play knows name, title, loop, pace, backend and detach")?;
    Ok((play, detach))
}

/// The options of `Record`.
pub(super) struct RecordCall {
    pub(super) options: RecordOptions,
    /// What the file is called, in messages.
    pub(super) title: String,
    /// Goes on without the caller.
    pub(super) detach: bool,
}

/// The options of `Record`.
pub(super) fn record(options: Dict) -> Result<RecordCall, Error> {
    let mut options = Options::new(options);
    let number = "an unsigned 64-bit number (t)";
    let mut record = RecordOptions {
        duration_ns: options.take::<u64>("duration", number)?,
        frames: options.take::<u64>("frames", number)?,
        pre: options.pre()?,
        segment: segment(&mut options)?,
        fragment: options.take::<u64>("fragment", number)?.map(Duration::from_nanos),
        sync: options.take::<u64>("sync", number)?.map(Duration::from_nanos),
        ..RecordOptions::default()
    };
    if record.duration_ns == Some(0) || record.frames == Some(0) {
        return Err(bad("a recording of nothing: duration and frames must be more than 0".to_owned()));
    }
    if record.fragment.is_some_and(|fragment| fragment > MAX_FRAGMENT) {
        return Err(bad(format!(
            "option 'fragment': at most {} s, for all of it waits in memory",
            MAX_FRAGMENT.as_secs()
        )));
    }
    record.coding = options.coding()?;
    let title = options.take("title", "a string")?.unwrap_or_default();
    let detach = options.take::<bool>("detach", "a boolean (b)")?.unwrap_or(false);
    if detach && record.segment.is_some() {
        return Err(bad(
            "a detached recording has nobody who passes it further files: leave out detach or the segments".to_owned(),
        ));
    }
    options.finish(&format!(
        "Record knows duration, frames, pre, segment-duration, segment-bytes, fragment, sync, title, detach, {OF_ENCODERS}"
    ))?;
    Ok(RecordCall { options: record, title, detach })
}

fn segment(options: &mut Options) -> Result<Option<Segment>, Error> {
    let number = "an unsigned 64-bit number (t)";
    let (time, bytes) = ("segment-duration", "segment-bytes");
    match (options.take::<u64>(time, number)?, options.take::<u64>(bytes, number)?) {
        (None, None) => Ok(None),
        (Some(ns), None) => Segment::time(ns).map(Some).map_err(|text| bad(format!("option '{time}': {text}"))),
        (None, Some(size)) => Segment::bytes(size).map(Some).map_err(|text| bad(format!("option '{bytes}': {text}"))),
        (Some(_), Some(_)) => Err(bad(format!("{time} and {bytes} exclude each other: give one of them"))),
    }
}

/// The options of `AddFile`: what the file is called, in messages.
pub(super) fn add_file(options: Dict) -> Result<String, Error> {
    let mut options = Options::new(options);
    let title = options.take("title", "a string")?.unwrap_or_default();
    options.finish("AddFile knows title")?;
    Ok(title)
}
