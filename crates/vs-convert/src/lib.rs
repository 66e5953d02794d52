// SPDX-License-Identifier: Apache-2.0
//! Pictures to pictures: of another pixel format, another size, or both.
//!
//! Who shows, encodes or looks at pictures wants them in a form of his own. [`Conversion`] makes any of
//! [`FORMATS`] into any other of them, [`ToI420`] is the half of it that encoders need, [`fill`] the half
//! that decoders need. All is done by the CPU; what hardware converts is no concern of this crate, and
//! neither is where pictures come from.
//!
//! The pixels themselves are the work of two libraries: `yuv`, and `fast_image_resize`.

#![warn(missing_docs)]

mod conversion;
mod fill;
mod rgb;
mod scale;
mod to_i420;

pub use conversion::{Conversion, ConversionError, Incomplete, MAX_PIXELS};
pub use fill::{fill, makes};
pub use scale::{Pixels, Scaler};
pub use to_i420::{FORMATS, I420, ToI420};
