// SPDX-License-Identifier: Apache-2.0
//! What commands learned: structs whose fields are the JSON that `docs/json.md` promises.
//!
//! They are not the structs of D-Bus: that interface may grow and change its version
//! without breaking somebody's `jq`.

pub mod config;
pub mod controls;
pub mod convert;
pub mod departure;
pub mod device;
pub mod encoder;
pub mod event;
pub mod info;
pub mod metrics;
pub mod play;
pub mod policy;
pub mod receive;
pub mod recording;
pub mod repair;
#[cfg(test)]
mod schema;
pub mod session;
pub mod snapshot;
pub mod status;
pub mod stream;
pub mod top;

use serde::Serialize;

/// A frame rate: as a fraction, for 30000/1001 is not 29.97, and as a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rate {
    pub frames: u32,
    pub seconds: u32,
    pub fps: f64,
}

/// `None` if unknown.
pub fn rate((frames, seconds): (u32, u32)) -> Option<Rate> {
    let known = frames > 0 && seconds > 0;
    known.then(|| Rate { frames, seconds, fps: f64::from(frames) / f64::from(seconds) })
}

/// `None` for an empty text.
pub fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
