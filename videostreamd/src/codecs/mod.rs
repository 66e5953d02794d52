// SPDX-License-Identifier: Apache-2.0
//! Who encodes, decodes and converts: the hardware that is there now, and software.

mod feasible;
mod ready;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use vs_codec::{
    Backend, Choice, Converter, ConverterConfig, Decoder, DecoderConfig, Device, Encoder, EncoderConfig, OpenError,
    Priority, Sessions, open_converter, open_decoder, open_encoder,
};
use vs_frame::Format;

use crate::devices::Devices;

pub use ready::Readiness;

/// See the module.
#[derive(Debug)]
pub struct Codecs {
    devices: Arc<Devices>,
    /// By the name of the device, which keeps its count when it is unplugged and comes back.
    sessions: Mutex<BTreeMap<String, Arc<Sessions>>>,
}

impl Codecs {
    /// The codecs among `devices`. `limits` are the sessions that some of them have, by name.
    pub fn new(devices: Arc<Devices>, limits: BTreeMap<String, Sessions>) -> Self {
        let sessions = limits.into_iter().map(|(name, sessions)| (name, Arc::new(sessions))).collect();
        Self { devices, sessions: Mutex::new(sessions) }
    }

    /// The hardware that is there.
    pub fn devices(&self) -> Vec<Device> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let there = self.devices.codecs().into_iter();
        there
            .map(|(name, devnode, function)| {
                let sessions = Arc::clone(sessions.entry(name.clone()).or_default());
                Device { name, devnode, function, sessions }
            })
            .collect()
    }

    /// Changes whenever a device has come or gone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.devices.changes()
    }

    /// Opens an encoder for pictures of this format.
    pub fn encoder(
        &self,
        input: &Format,
        config: &EncoderConfig,
        backend: Backend,
        priority: Priority,
    ) -> Result<Box<dyn Encoder>, OpenError> {
        open_encoder(input, config, &Choice { backend, devices: &self.devices(), priority })
    }

    /// Opens a decoder.
    pub fn decoder(
        &self,
        config: &DecoderConfig,
        backend: Backend,
        priority: Priority,
    ) -> Result<Box<dyn Decoder>, OpenError> {
        open_decoder(config, &Choice { backend, devices: &self.devices(), priority })
    }

    /// Opens a converter of pictures of this format.
    pub fn converter(
        &self,
        input: &Format,
        config: &ConverterConfig,
        backend: Backend,
        priority: Priority,
    ) -> Result<Box<dyn Converter>, OpenError> {
        open_converter(input, config, &Choice { backend, devices: &self.devices(), priority })
    }
}
