// SPDX-License-Identifier: Apache-2.0
//! Pictures to access units, access units to pictures, and pictures to other pictures.
//!
//! One trait each, [`Encoder`], [`Decoder`] and [`Converter`], stands before whatever can do it
//! here: hardware through V4L2, or software; [`open`] chooses. What goes in comes out once, with the
//! [`FrameTag`] that it came with; what the three have in common is [`Session`].
//!
//! * [`config`], [`bitrate`]: what one may ask of an encoder, and what came of it ([`Effective`])
//! * [`session`], [`encoder`], [`decoder`], [`converter`]: what each of them does
//! * [`hardware`]: which devices may be asked, and how many sessions they stand
//! * [`open`]: who does it
//!
//! Feature `software-h264` (default) encodes and decodes H.264 on the CPU, by openh264 built from
//! its bundled source. With `software-h265` and `software-vp9` (not default), H.265 by rusty_h265 and
//! VP9 by rusty_vp9 are decoded as well.

#![warn(missing_docs)]

pub mod bitrate;
mod bridge;
pub mod config;
pub mod converter;
pub mod decoder;
pub mod encoder;
pub mod hardware;
mod input;
pub mod open;
mod poll;
pub mod session;
#[cfg(feature = "software-h264")]
mod software;
mod v4l2;

pub use bitrate::Bitrate;
pub use config::{Changes, EncoderConfig, KeyframeInterval, Level, Profile, Quality, RateControl};
pub use converter::{Converter, ConverterConfig, ConverterInfo};
pub use decoder::{Decoder, DecoderConfig, DecoderInfo};
pub use encoder::{AccessUnit, Effective, Encoder};
pub use hardware::{Device, Priority, Sessions};
pub use open::{
    Backend, BackendKind, Choice, OnceError, OpenError, convert_once, decodable, decodable_by, encodable, encodable_by,
    open_converter, open_decoder, open_encoder,
};
pub use session::{BackendError, FrameTag, Loss, Output, Picture, Session, SubmitError};
