// SPDX-License-Identifier: Apache-2.0
//! Who decodes.

use vs_frame::FourCc;
use vs_v4l2::{DeviceKind, FormatDesc};

use super::ways::{SOFTWARE, Way, check_size, enter, first};
use super::{Choice, OpenError};
use crate::decoder::{Decoder, DecoderConfig};
use crate::hardware::Device;
use crate::v4l2::{V4l2Decoder, size_of};

/// Opens a decoder; [`Decoder::info`] says which it is, and why.
///
/// # Errors
/// [`OpenError`] says what is not possible, and what is.
pub fn open_decoder(config: &DecoderConfig, choice: &Choice<'_>) -> Result<Box<dyn Decoder>, OpenError> {
    let can = |device: &&Device| coded(device, config.codec).is_some();
    let hardware = choice.of_kind(DeviceKind::Decoder).filter(can);
    let hardware = hardware.map(|device| Way::new(&device.name, |why| open_device(device, config, choice, why)));
    let software = choice.allows_software().then(|| Way::new(SOFTWARE, |why| open_software(config, why)));
    let wish = || format!("decodes {}", config.codec);
    let decoder = first(hardware.chain(software), wish, OpenError::NoDevice { codec: config.codec })?;
    let chosen = decoder.info();
    tracing::info!(
        decoder = %chosen.name, backend = %chosen.backend, why = chosen.reason, codec = %chosen.codec, "decoder opened"
    );
    Ok(decoder)
}

fn coded(device: &Device, codec: FourCc) -> Option<&FormatDesc> {
    device.function.output_formats.iter().find(|format| format.fourcc == codec)
}

fn open_device(
    device: &Device,
    config: &DecoderConfig,
    choice: &Choice<'_>,
    why: String,
) -> Result<Box<dyn Decoder>, OpenError> {
    if let Some(size) = size_of(config) {
        check_size(coded(device, config.codec), size)?;
    }
    let decoder = V4l2Decoder::open(device, enter(device, choice)?, config)?;
    Ok(Box::new(decoder.because(why)))
}

#[cfg(feature = "software-h264")]
fn open_software(config: &DecoderConfig, why: String) -> Result<Box<dyn Decoder>, OpenError> {
    Ok(Box::new(crate::software::SoftwareDecoder::open(config)?.because(why)))
}

#[cfg(not(feature = "software-h264"))]
fn open_software(config: &DecoderConfig, _: String) -> Result<Box<dyn Decoder>, OpenError> {
    Err(OpenError::NoSoftware { codec: config.codec })
}
