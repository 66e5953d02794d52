// SPDX-License-Identifier: Apache-2.0
//! The `a{sv}` that every method takes: each option is known, of the right type and in
//! range, or the call is refused.

use std::num::NonZeroU32;
use std::str::FromStr;

use vs_codec::{Bitrate, KeyframeInterval, RateControl};
use vs_frame::{FourCc, Rate};
use zbus::zvariant::OwnedValue;

use super::dict::Dict;
use super::error::Error;
use crate::recording::RecordOptions;
use crate::stream::spec::Shape;

/// Options that have not been looked at yet.
pub(super) struct Options(Dict);

impl Options {
    pub(super) fn new(options: Dict) -> Self {
        Self(options)
    }

    fn take<T: TryFrom<OwnedValue>>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let signature = value.value_signature().to_string();
        let converted = T::try_from(value);
        converted.map(Some).map_err(|_| bad(format!("option '{name}' must be {expected}, not of type {signature}")))
    }

    fn take_text<T: FromStr<Err: ToString>>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.take::<String>(name, "a string")? else { return Ok(None) };
        text.parse().map(Some).map_err(|error: T::Err| bad(format!("option '{name}': {}", error.to_string())))
    }

    /// Refuses what is left: an option that is misspelt must not be ignored.
    pub(super) fn finish(self, known: &str) -> Result<(), Error> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(bad(format!("there is no option '{unknown}': {known}"))),
        }
    }
}

fn bad(text: String) -> Error {
    Error::BadOption(text)
}

/// The options of `StartStream`.
pub(super) fn shape(options: Dict) -> Result<Shape, Error> {
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
    options.finish("StartStream knows format, size and rate")?;
    Ok(shape)
}

/// The options of `SetControls`: whether the values are remembered.
pub(super) fn remember(options: Dict) -> Result<bool, Error> {
    let mut options = Options::new(options);
    let remember = options.take::<bool>("remember", "a boolean (b)")?.unwrap_or(true);
    options.finish("SetControls knows remember")?;
    Ok(remember)
}

/// The options of `Record`, and whether it goes on without the caller.
pub(super) fn record(options: Dict) -> Result<(RecordOptions, bool), Error> {
    let mut options = Options::new(options);
    let number = "an unsigned 64-bit number (t)";
    let mut record = RecordOptions {
        duration_ns: options.take::<u64>("duration", number)?,
        frames: options.take::<u64>("frames", number)?,
        ..RecordOptions::default()
    };
    if record.duration_ns == Some(0) || record.frames == Some(0) {
        return Err(bad("a recording of nothing: duration and frames must be more than 0".to_owned()));
    }
    if let Some(codec) = options.take_text::<FourCc>("codec")? {
        record.encoder.codec = codec;
    }
    if let Some(bits) = options.take::<u64>("bitrate", number)? {
        let bitrate = u32::try_from(bits).ok().and_then(Bitrate::new);
        let bitrate = bitrate.ok_or_else(|| bad(format!("option 'bitrate': {bits} bit/s is out of range")))?;
        record.encoder.rate_control = Some(RateControl::Vbr(bitrate));
    }
    if let Some(ns) = options.take::<u64>("keyframe-interval", number)? {
        record.encoder.keyframe_interval = match ns {
            0 => KeyframeInterval::Frames(NonZeroU32::MIN),
            ns => KeyframeInterval::Time(ns),
        };
    }
    let detach = options.take::<bool>("detach", "a boolean (b)")?.unwrap_or(false);
    options.finish("Record knows duration, frames, codec, bitrate, keyframe-interval and detach")?;
    Ok((record, detach))
}
