// SPDX-License-Identifier: Apache-2.0
//! Whether something can be encoded or converted at all, asked before a stream is changed.
//!
//! Hardware that says it has the codec is believed: to try it out would take a session, and it may
//! have one only. Everything else is answered by software, which is tried, or by the refusal of all.

use vs_codec::{Backend, BackendKind, ConverterConfig, EncoderConfig, OpenError, Priority};
use vs_frame::Format;
use vs_v4l2::DeviceKind;

use super::Codecs;

impl Codecs {
    /// Whether pictures of this format can be encoded like that, as far as is known without taking
    /// a session.
    pub fn could_encode(&self, input: &Format, config: &EncoderConfig, backend: Backend) -> Result<(), OpenError> {
        let has_codec =
            |device: &vs_codec::Device| device.function.formats.iter().any(|format| format.fourcc == config.codec);
        if self.offers(DeviceKind::Encoder, backend, has_codec) {
            return Ok(());
        }
        self.encoder(input, config, backend, Priority::Owner).map(drop)
    }

    /// The same of converting.
    pub fn could_convert(&self, input: &Format, config: &ConverterConfig, backend: Backend) -> Result<(), OpenError> {
        let wanted = config.fourcc.unwrap_or(input.fourcc);
        let gives = |device: &vs_codec::Device| device.function.formats.iter().any(|format| format.fourcc == wanted);
        if self.offers(DeviceKind::Converter, backend, gives) {
            return Ok(());
        }
        self.converter(input, config, backend, Priority::Owner).map(drop)
    }

    fn offers(&self, kind: DeviceKind, backend: Backend, can: impl Fn(&vs_codec::Device) -> bool) -> bool {
        let asked = backend != Backend::Only(BackendKind::Software);
        asked && self.devices().iter().any(|device| device.function.kind == kind && can(device))
    }
}
