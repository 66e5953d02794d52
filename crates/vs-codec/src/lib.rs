// SPDX-License-Identifier: Apache-2.0
//! Pictures in, access units out.
//!
//! One trait, [`Encoder`], stands before whatever can encode here; [`open_encoder`] chooses.
//! An encoder takes [`Frame`](vs_frame::Frame)s of one format and gives [`AccessUnit`]s,
//! one for each, with the [`FrameTag`] that the picture came with. What was asked for is an
//! [`EncoderConfig`]; what came of it is said by [`Effective`].
//!
//! * [`config`], [`bitrate`]: what one may ask
//! * [`encoder`]: what every encoder does
//! * [`open`]: who does it
//!
//! Feature `software-h264` (default) encodes H.264 on the CPU, by openh264 built from its
//! bundled source.

#![warn(missing_docs)]

pub mod bitrate;
pub mod config;
pub mod encoder;
pub mod open;
#[cfg(feature = "software-h264")]
mod software;

pub use bitrate::Bitrate;
pub use config::{Changes, EncoderConfig, KeyframeInterval, Level, Profile, Quality, RateControl};
pub use encoder::{AccessUnit, BackendError, Effective, Encoder, FrameTag, Output, SubmitError};
pub use open::{Backend, BackendKind, OpenError, encodable, open_encoder};
