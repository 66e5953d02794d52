// SPDX-License-Identifier: Apache-2.0
//! Who converts.

use vs_frame::format::MODIFIER_LINEAR;
use vs_frame::{Format, FourCc, Frame};
use vs_v4l2::{DeviceKind, FormatDesc};

use super::ways::{SOFTWARE, Way, check_size, enter, first};
use super::{Choice, OpenError};
use crate::converter::{Converter, ConverterConfig};
use crate::hardware::Device;
use crate::session::{BackendError, FrameTag, Output, SubmitError};
use crate::v4l2::V4l2Converter;

/// Opens a converter of pictures of the format `input`; [`Converter::info`] says which it is, why,
/// and what it makes.
///
/// # Errors
/// [`OpenError`] says what is not possible, and what is.
pub fn open_converter(
    input: &Format,
    config: &ConverterConfig,
    choice: &Choice<'_>,
) -> Result<Box<dyn Converter>, OpenError> {
    let from = input.fourcc;
    let to = config.fourcc.unwrap_or(from);
    let can = |device: &&Device| {
        let has = |formats: &[FormatDesc], fourcc| find(formats, fourcc).is_some();
        has(&device.function.output_formats, from) && has(&device.function.formats, to)
    };
    let hardware = choice.of_kind(DeviceKind::Converter).filter(can);
    let hardware = hardware.map(|device| Way::new(&device.name, |why| open_device(device, input, config, choice, why)));
    let software = choice.allows_software().then(|| Way::new(SOFTWARE, |why| open_software(input, config, why)));
    let wish = || format!("makes {to} of {from} {}x{}", input.width, input.height);
    let converter = first(hardware.chain(software), wish, OpenError::NoConverter { from, to })?;
    let chosen = converter.info();
    tracing::info!(
        converter = %chosen.name, backend = %chosen.backend, why = chosen.reason, %from, %to,
        width = chosen.output.width, height = chosen.output.height, "converter opened"
    );
    Ok(converter)
}

/// Why a picture was not converted.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// There is no converter for it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The picture cannot be read.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The converter has failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// It made nothing of the picture.
    #[error("the picture is damaged")]
    Lost,
}

/// Converts a single picture in software, within the call: opening a device takes longer than that.
///
/// # Errors
/// [`OnceError`].
pub fn convert_once(frame: &Frame, config: &ConverterConfig) -> Result<Frame, OnceError> {
    let mut converter = open_software(frame.format(), config, String::new())?;
    converter.submit(frame, FrameTag::default())?;
    match converter.receive()? {
        Output::Done(picture) => Ok(picture.frame),
        Output::Lost(..) | Output::Pending | Output::Drained => Err(OnceError::Lost),
    }
}

fn find(formats: &[FormatDesc], fourcc: FourCc) -> Option<&FormatDesc> {
    formats.iter().find(|format| format.fourcc == fourcc)
}

fn open_device(
    device: &Device,
    input: &Format,
    config: &ConverterConfig,
    choice: &Choice<'_>,
    why: String,
) -> Result<Box<dyn Converter>, OpenError> {
    if input.modifier != MODIFIER_LINEAR {
        return Err(OpenError::Modifier { modifier: input.modifier });
    }
    let size = (input.width, input.height);
    check_size(find(&device.function.output_formats, input.fourcc), size)?;
    check_size(find(&device.function.formats, config.fourcc.unwrap_or(input.fourcc)), config.size.unwrap_or(size))?;
    let converter = V4l2Converter::open(device, enter(device, choice)?, input, config)?;
    Ok(Box::new(converter.because(why)))
}

#[cfg(feature = "software-h264")]
fn open_software(input: &Format, config: &ConverterConfig, why: String) -> Result<Box<dyn Converter>, OpenError> {
    Ok(Box::new(crate::software::SoftwareConverter::open(input, config)?.because(why)))
}

#[cfg(not(feature = "software-h264"))]
fn open_software(input: &Format, config: &ConverterConfig, _: String) -> Result<Box<dyn Converter>, OpenError> {
    Err(OpenError::NoConverter { from: input.fourcc, to: config.fourcc.unwrap_or(input.fourcc) })
}
