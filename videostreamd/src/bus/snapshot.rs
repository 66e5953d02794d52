// SPDX-License-Identifier: Apache-2.0
//! Snapshots: what is asked of them, and what came of it, as dictionaries.

use std::time::Duration;

use vs_codec::Quality;
use zbus::zvariant::Value;

use super::dict::{Dict, dict};
use super::error::Error;
use super::options::{Options as Given, bad};
use crate::snapshot::{DEFAULT_TIMEOUT, Form, MAX_TIMEOUT, Options, Taken};

/// The options of `Snapshot`.
pub(super) fn options(options: Dict) -> Result<Options, Error> {
    let mut given = Given::new(options);
    let number = "an unsigned number (u)";
    let time = "an unsigned 64-bit number (t)";
    let size = given.take::<(u32, u32)>("size", "a pair of unsigned numbers (uu)")?;
    if size.is_some_and(|(width, height)| width == 0 || height == 0) {
        return Err(bad("option 'size': each side must have at least 1 pixel".to_owned()));
    }
    let quality = given.take::<u32>("quality", number)?.map(|quality| {
        let known = u8::try_from(quality).ok().and_then(Quality::new);
        known.ok_or_else(|| bad(format!("option 'quality': {quality} is not from 1 to 100")))
    });
    let options = Options {
        form: given.take_text::<Form>("format")?.unwrap_or_default(),
        size,
        quality: quality.transpose()?,
        settle: given.take::<u64>("settle", time)?.map(Duration::from_nanos),
        timeout: given.take::<u64>("timeout", time)?.map_or(DEFAULT_TIMEOUT, Duration::from_nanos),
    };
    given.finish("Snapshot knows format, size, quality, settle and timeout")?;
    if options.timeout.is_zero() || options.timeout > MAX_TIMEOUT {
        let seconds = MAX_TIMEOUT.as_secs();
        return Err(bad(format!("option 'timeout': a snapshot may take more than 0 and at most {seconds} s")));
    }
    if options.settle.is_some_and(|settle| settle >= options.timeout) {
        return Err(bad(
            "option 'settle': the camera must settle before the time is over: raise 'timeout' as well".to_owned()
        ));
    }
    if options.quality.is_some() && options.form != Form::Jpeg {
        return Err(bad(format!("option 'quality' is for jpeg: {} keeps every pixel", options.form)));
    }
    Ok(options)
}

/// What was taken.
pub(super) fn taken(taken: &Taken) -> Dict {
    let (width, height) = taken.size;
    dict([
        ("stream", Value::from(taken.stream.clone())),
        ("format", Value::from(taken.form.to_string())),
        ("fourcc", Value::from(taken.fourcc.to_string())),
        ("width", Value::from(width)),
        ("height", Value::from(height)),
        ("rotation", Value::from(u32::from(taken.rotation))),
        ("bytes", Value::from(taken.bytes)),
        ("serial", Value::from(taken.serial)),
        ("capture-time", Value::from(taken.taken_ns)),
        ("wall-time", Value::from(taken.wall_ns)),
    ])
}
