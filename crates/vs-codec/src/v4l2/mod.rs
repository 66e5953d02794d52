// SPDX-License-Identifier: Apache-2.0
//! Encoders, decoders and converters of hardware.
//!
//! `vs_v4l2::m2m` knows how a driver is handled; here its sessions become what the traits promise:
//! tags instead of tokens, a copy where memory cannot be imported, parameter sets before each
//! keyframe, settings in the words of [`crate::config`].
//!
//! * `link`: a session with its tags, and its end
//! * `options`: settings as the controls of a device, and back
//! * `headers`: parameter sets, wherever a driver puts them

mod converter;
mod decoder;
mod encoder;
mod headers;
mod link;
mod options;

pub(crate) use converter::V4l2Converter;
pub(crate) use decoder::{V4l2Decoder, size_of};
pub(crate) use encoder::V4l2Encoder;

use crate::hardware::Device;

/// A device as people know it.
fn name_of(device: &Device) -> String {
    format!("{} ({})", device.name, device.function.card)
}
