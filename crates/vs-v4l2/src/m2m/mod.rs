// SPDX-License-Identifier: Apache-2.0
//! Mem2mem sessions: encoders, decoders, converters.
//!
//! A [`Session`] takes inputs under tokens of the caller's ([`Session::submit`]) and delivers,
//! for each token, a frame or the reason why there is none ([`Session::next`]). Nothing is lost
//! or duplicated without being said: each input travels through the driver under a timestamp of
//! its own, which the driver copies to what it makes of it.
//!
//! Inside, a pure state machine knows what the kernel documents "Memory-to-Memory Stateful Video
//! Decoder Interface" and "… Encoder Interface" demand: in which order a device is set up, that
//! a decoder's pictures cannot be asked for before the stream is known, what to do when the
//! resolution changes in the middle, how a drain ends and a seek begins. It gives commands and
//! takes answers; it makes no system call and has no clock. So it can be tried against drivers
//! that do what drivers are known to do: stall, drain without end, drop pictures, be busy. What
//! such a driver owes it is given until a deadline, and is then repaired, in steps: both queues
//! are restarted, the device is opened again, the session fails. Each step is delivered.
//!
//! Pictures are imported as DmaBufs where the driver can read them as they lie, so that a
//! camera's frame reaches an encoder without a copy. What a device gives are DmaBufs that can
//! only be read; dropping a frame gives the buffer back.

mod controls;
mod device;
mod error;
mod fwht;
mod machine;
mod pictures;
mod request;
mod session;
mod wake;

pub use controls::{EffectiveControl, EncoderControl};
pub use error::{OpenSessionError, SubmitError};
pub use machine::{Failure, LossCause, Repair};
pub use request::{
    ConverterRequest, DEFAULT_GRACE, DEFAULT_INPUTS, DEFAULT_OUTPUTS, DEFAULT_STALL, DecoderRequest, EncoderRequest,
    Tuning,
};
pub use session::{Delivery, Input, Session};
