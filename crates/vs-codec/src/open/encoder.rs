// SPDX-License-Identifier: Apache-2.0
//! Who encodes.

use vs_frame::format::MODIFIER_LINEAR;
use vs_frame::{Format, FourCc};
use vs_v4l2::{DeviceKind, FormatDesc};

use super::error::list;
use super::ways::{SOFTWARE, Way, check_size, enter, first};
use super::{Backend, BackendKind, Choice, OpenError, Refusal, open_converter};
use crate::bridge::Bridge;
use crate::config::EncoderConfig;
use crate::converter::{Converter, ConverterConfig};
use crate::encoder::Encoder;
use crate::hardware::Device;
use crate::v4l2::V4l2Encoder;

/// Pictures between a converter and an encoder: those that the encoder reads, one that waits, and
/// one to convert into.
const BRIDGE_PICTURES: usize = vs_v4l2::m2m::DEFAULT_INPUTS as usize + 2;

/// What pictures are converted to for an encoder that takes several formats, from the most wanted
/// to the least: 4:2:0 is what is coded in the end.
const BRIDGE_FORMATS: [FourCc; 6] =
    [FourCc::NV12, FourCc::YUV420, FourCc::NV12M, FourCc::YUV420M, FourCc::NV21, FourCc::YUYV];

/// Opens an encoder for pictures of the format `input`; [`Encoder::effective`] says which it
/// is, why, and what it made of `config`.
///
/// # Errors
/// [`OpenError`] says what is not possible, and what is.
pub fn open_encoder(
    input: &Format,
    config: &EncoderConfig,
    choice: &Choice<'_>,
) -> Result<Box<dyn Encoder>, OpenError> {
    let can = |device: &&Device| coded(device, config.codec).is_some();
    let able: Vec<&Device> = choice.of_kind(DeviceKind::Encoder).filter(can).collect();
    let (direct, bridged): (Vec<&Device>, Vec<&Device>) =
        able.into_iter().partition(|device| takes(device, input.fourcc).is_some());
    let direct =
        direct.into_iter().map(|device| Way::new(&device.name, |why| open_direct(device, input, config, choice, why)));
    let bridged = bridged
        .into_iter()
        .map(|device| Way::new(&device.name, |why| open_bridged(device, input, config, choice, why)));
    let software = choice.allows_software().then(|| Way::new(SOFTWARE, |why| open_software(input, config, why)));
    let wish = || format!("encodes {} from {} {}x{}", config.codec, input.fourcc, input.width, input.height);
    let encoder = first(direct.chain(bridged).chain(software), wish, OpenError::NoDevice { codec: config.codec })?;
    let chosen = encoder.effective();
    tracing::info!(
        encoder = %chosen.name, backend = %chosen.backend, why = chosen.reason, codec = %chosen.codec,
        input = %input.fourcc, width = chosen.width, height = chosen.height, rate_control = ?chosen.rate_control,
        "encoder opened"
    );
    Ok(encoder)
}

fn coded(device: &Device, codec: FourCc) -> Option<&FormatDesc> {
    device.function.formats.iter().find(|format| format.fourcc == codec)
}

fn takes(device: &Device, fourcc: FourCc) -> Option<&FormatDesc> {
    device.function.output_formats.iter().find(|format| format.fourcc == fourcc)
}

fn check(device: &Device, input: &Format, codec: FourCc) -> Result<(), OpenError> {
    if input.modifier != MODIFIER_LINEAR {
        return Err(OpenError::Modifier { modifier: input.modifier });
    }
    check_size(coded(device, codec), (input.width, input.height))
}

fn open_direct(
    device: &Device,
    input: &Format,
    config: &EncoderConfig,
    choice: &Choice<'_>,
    why: String,
) -> Result<Box<dyn Encoder>, OpenError> {
    check(device, input, config.codec)?;
    check_size(takes(device, input.fourcc), (input.width, input.height))?;
    let encoder = V4l2Encoder::open(device, enter(device, choice)?, input, config)?;
    Ok(Box::new(encoder.known_as(None, why)))
}

fn open_bridged(
    device: &Device,
    input: &Format,
    config: &EncoderConfig,
    choice: &Choice<'_>,
    why: String,
) -> Result<Box<dyn Encoder>, OpenError> {
    check(device, input, config.codec)?;
    let ticket = enter(device, choice)?;
    let converter = open_bridge_to(device, input, choice)?;
    let info = converter.info();
    let encoder = V4l2Encoder::open(device, ticket, &info.output, config)?;
    let name =
        format!("{}, from {} to {} by {}", encoder.effective().name, input.fourcc, info.output.fourcc, info.name);
    let encoder = encoder.known_as(Some(name), why);
    let bridge = Bridge::new(converter, Box::new(encoder)).map_err(|errno| OpenError::Device(errno.to_string()))?;
    Ok(Box::new(bridge))
}

/// A converter to something that the encoder takes: of hardware, if there is one for any of it.
fn open_bridge_to(device: &Device, input: &Format, choice: &Choice<'_>) -> Result<Box<dyn Converter>, OpenError> {
    let offered: Vec<FourCc> = device.function.output_formats.iter().map(|format| format.fourcc).collect();
    let rank = |fourcc: &FourCc| BRIDGE_FORMATS.iter().position(|known| known == fourcc);
    let mut targets: Vec<FourCc> = offered.iter().copied().filter(|fourcc| fourcc.pixel_info().is_some()).collect();
    targets.sort_by_key(|fourcc| rank(fourcc).unwrap_or(BRIDGE_FORMATS.len()));
    let mut refusals = Vec::new();
    for kind in [BackendKind::V4l2, BackendKind::Software] {
        let choice = Choice { backend: Backend::Only(kind), ..*choice };
        for fourcc in &targets {
            let config = ConverterConfig { fourcc: Some(*fourcc), size: None, pictures: BRIDGE_PICTURES };
            match open_converter(input, &config, &choice) {
                Ok(converter) => return Ok(converter),
                Err(OpenError::NoConverter { .. }) => {}
                Err(why) => refusals.push(Refusal { who: format!("to {fourcc}"), why }),
            }
        }
    }
    let wish = format!("makes one of {} of {}, and it takes nothing else", list(&offered), input.fourcc);
    Err(OpenError::Nobody { wish, refusals })
}

#[cfg(feature = "software-h264")]
fn open_software(input: &Format, config: &EncoderConfig, why: String) -> Result<Box<dyn Encoder>, OpenError> {
    if !super::encodable().contains(&config.codec) {
        return Err(OpenError::Codec { codec: config.codec });
    }
    Ok(Box::new(crate::software::SoftwareH264::open(input, config)?.because(why)))
}

#[cfg(not(feature = "software-h264"))]
fn open_software(_: &Format, config: &EncoderConfig, _: String) -> Result<Box<dyn Encoder>, OpenError> {
    Err(OpenError::Codec { codec: config.codec })
}
