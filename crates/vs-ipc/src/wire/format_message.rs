// SPDX-License-Identifier: Apache-2.0
//! A [`Format`] as a FORMAT message, and back with every field checked.

use std::sync::Arc;

use vs_frame::{Colorimetry, Field, Format, FourCc, PlaneLayout, Planes, Rate};

use super::{FormatMessage, MAX_PARAMETER_SETS, Message, WireError, WirePlane, parse, record};

/// The record for a format. Parameter sets beyond [`MAX_PARAMETER_SETS`] are left out:
/// a decoder then finds them in the stream.
#[must_use]
pub fn encode(number: u32, format: &Format) -> Vec<u8> {
    let fits = format.parameter_sets.len() <= MAX_PARAMETER_SETS;
    let parameter_sets: &[u8] = if fits { &format.parameter_sets } else { &[] };
    let mut message = FormatMessage {
        format: number.into(),
        fourcc: format.fourcc.to_u32().into(),
        width: format.width.into(),
        height: format.height.into(),
        rate_num: format.rate.num.into(),
        rate_den: format.rate.den.into(),
        modifier: format.modifier.into(),
        colorspace: format.color.colorspace,
        transfer: format.color.transfer,
        encoding: format.color.encoding,
        quantization: format.color.quantization,
        field: format.field.0,
        rotation: format.rotation.into(),
        plane_count: format.planes.len() as u8,
        parameter_sets_len: (parameter_sets.len() as u32).into(),
        ..FormatMessage::default()
    };
    for (wire, plane) in message.planes.iter_mut().zip(format.planes.iter()) {
        *wire = WirePlane {
            offset: plane.offset.into(),
            stride: plane.stride.into(),
            size: plane.size.into(),
            memory: u32::from(plane.memory).into(),
        };
    }
    record(message, parameter_sets)
}

/// Reads a FORMAT message: its number and the format. Whether the planes fit into a buffer
/// is checked when a frame brings one.
///
/// # Errors
/// [`WireError::TooShort`] or [`WireError::Field`].
pub fn decode(bytes: &[u8]) -> Result<(u32, Format), WireError> {
    let (message, tail) = parse::<FormatMessage>(bytes)?;
    let field = |field| WireError::Field { kind: FormatMessage::KIND, field };
    let rate = Rate::new(message.rate_num.get(), message.rate_den.get()).ok_or(field("rate"))?;
    let layouts = message.planes.get(..usize::from(message.plane_count)).ok_or(field("plane count"))?;
    let layouts: Vec<PlaneLayout> = layouts.iter().map(plane).collect::<Option<_>>().ok_or(field("plane"))?;
    let parameter_sets = tail.get(..message.parameter_sets_len.get() as usize).ok_or(field("parameter set length"))?;
    let format = Format {
        fourcc: FourCc::from_u32(message.fourcc.get()),
        width: message.width.get(),
        height: message.height.get(),
        rate,
        field: Field(message.field),
        rotation: message.rotation.get(),
        modifier: message.modifier.get(),
        color: Colorimetry {
            colorspace: message.colorspace,
            transfer: message.transfer,
            encoding: message.encoding,
            quantization: message.quantization,
        },
        planes: Planes::new(&layouts).ok_or(field("plane count"))?,
        parameter_sets: Arc::from(parameter_sets),
    };
    Ok((message.format.get(), format))
}

fn plane(wire: &WirePlane) -> Option<PlaneLayout> {
    Some(PlaneLayout {
        memory: u8::try_from(wire.memory.get()).ok().filter(|memory| *memory < 4)?,
        offset: wire.offset.get(),
        stride: wire.stride.get(),
        size: wire.size.get(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vs_frame::fourcc::PIXEL_FORMATS;

    use super::*;
    use crate::wire::kind_of;

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(
            row in 0..PIXEL_FORMATS.len(), width in 1..4096u32, height in 1..4096u32, number: u32,
            sets in proptest::collection::vec(any::<u8>(), 0..200), num in 0..1000u32, den in 1..1000u32,
        ) {
            let rate = Rate { num, den };
            let mut format = Format::packed(PIXEL_FORMATS[row].fourcc, width, height, rate).unwrap();
            format.parameter_sets = Arc::from(sets);
            let bytes = encode(number, &format);
            prop_assert_eq!(kind_of(&bytes), Ok(FormatMessage::KIND));
            prop_assert_eq!(decode(&bytes), Ok((number, format)));
        }

        #[test]
        fn rubbish_is_refused_or_read_but_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = kind_of(&bytes);
            let _ = decode(&bytes);
        }
    }
}
