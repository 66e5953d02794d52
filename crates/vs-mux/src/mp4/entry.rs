// SPDX-License-Identifier: Apache-2.0
//! The sample entry: what a player must know to set up its decoder (8.5.2, ISO/IEC 14496-15).

use super::boxes::BoxWriter;
use crate::{Codec, Colour, VideoFormat};
use vs_bitstream::{ParameterSets, ParameterSetsError, h264, h265};

/// lengthSizeMinusOne: each NAL unit stands behind 4 bytes of length.
const LENGTH_SIZE_MINUS_ONE: u8 = 3;
/// 72 dpi as 16.16 fixed point, the value the standard asks for (12.1.3.2).
const RESOLUTION_72_DPI: u32 = 0x0048_0000;
/// "Colour with no alpha" (12.1.3.2).
const DEPTH_COLOUR: u16 = 0x0018;
/// The record has three bits for the depth, one too few for H.265's 16.
const MAX_DEPTH_MINUS_8: u8 = 7;
/// H.264 profiles whose record ends after the picture parameter sets (ISO/IEC 14496-15 5.3.3.1.2).
const PROFILES_WITHOUT_CHROMA: [u8; 3] = [66, 77, 88];

/// The bytes of an `avc1` or `hvc1` box, where there are parameter sets `in_band`, too, of an `avc3` or `hev1` box.
pub(super) fn sample_entry(
    codec: Codec,
    sets: &ParameterSets,
    format: &VideoFormat,
    colour: Option<Colour>,
    in_band: bool,
) -> Result<Vec<u8>, ParameterSetsError> {
    let sps = sets.first_sps(codec)?;
    let mut w = BoxWriter::default();
    match codec {
        Codec::H264 => {
            let sps = h264::Sps::parse(sps)?;
            w.boxed(if in_band { b"avc3" } else { b"avc1" }, |w| {
                write_visual(w, format);
                w.boxed(b"avcC", |w| write_avc_configuration(w, &sps, sets));
                write_pixels(w, format, colour);
            });
        }
        Codec::H265 => {
            let sps = h265::Sps::parse(sps)?;
            w.boxed(if in_band { b"hev1" } else { b"hvc1" }, |w| {
                write_visual(w, format);
                w.boxed(b"hvcC", |w| write_hevc_configuration(w, &sps, sets, in_band));
                write_pixels(w, format, colour);
            });
        }
    }
    Ok(w.into_bytes())
}

/// VisualSampleEntry, 12.1.3.
fn write_visual(w: &mut BoxWriter, format: &VideoFormat) {
    w.zeros(6);
    w.u16(1); // data_reference_index
    w.zeros(16);
    w.u16(format.width);
    w.u16(format.height);
    w.u32(RESOLUTION_72_DPI);
    w.u32(RESOLUTION_72_DPI);
    w.zeros(4);
    w.u16(1); // frames per sample
    w.zeros(32); // compressor name
    w.u16(DEPTH_COLOUR);
    w.u16(u16::MAX); // pre_defined = -1
}

/// Pixel shape (12.1.4) and colours (12.1.5), each where it is known.
fn write_pixels(w: &mut BoxWriter, format: &VideoFormat, colour: Option<Colour>) {
    if let Some(colour) = colour {
        w.boxed(b"colr", |w| {
            w.raw(b"nclx");
            w.u16(colour.primaries.into());
            w.u16(colour.transfer.into());
            w.u16(colour.matrix.into());
            w.u8(u8::from(colour.full_range) << 7);
        });
    }
    if let Some((width, height)) = format.pixel_aspect.filter(|(width, height)| width != height) {
        w.boxed(b"pasp", |w| {
            w.u32(width.into());
            w.u32(height.into());
        });
    }
}

/// AVCDecoderConfigurationRecord, ISO/IEC 14496-15 5.3.3.1.2.
fn write_avc_configuration(w: &mut BoxWriter, sps: &h264::Sps, sets: &ParameterSets) {
    w.u8(1); // configurationVersion
    w.raw(&[sps.profile, sps.constraints, sps.level]);
    w.u8(0b1111_1100 | LENGTH_SIZE_MINUS_ONE);
    w.u8(0b1110_0000 | sets.sps.len() as u8);
    write_units(w, &sets.sps);
    w.u8(sets.pps.len() as u8);
    write_units(w, &sets.pps);
    if !PROFILES_WITHOUT_CHROMA.contains(&sps.profile) {
        w.u8(0b1111_1100 | sps.format.chroma_format);
        w.u8(0b1111_1000 | (sps.format.bit_depth_luma - 8));
        w.u8(0b1111_1000 | (sps.format.bit_depth_chroma - 8));
        w.u8(0); // SPS extensions
    }
}

/// HEVCDecoderConfigurationRecord, ISO/IEC 14496-15 8.3.3.1.2. What is optional to know (spatial
/// segmentation, parallelism, frame rate) is left unsaid with 0.
fn write_hevc_configuration(w: &mut BoxWriter, sps: &h265::Sps, sets: &ParameterSets, in_band: bool) {
    w.u8(1); // configurationVersion
    w.raw(&sps.profile_tier_level);
    w.u16(0xf000); // min_spatial_segmentation_idc
    w.u8(0b1111_1100); // parallelismType
    w.u8(0b1111_1100 | sps.format.chroma_format);
    w.u8(0b1111_1000 | (sps.format.bit_depth_luma - 8).min(MAX_DEPTH_MINUS_8));
    w.u8(0b1111_1000 | (sps.format.bit_depth_chroma - 8).min(MAX_DEPTH_MINUS_8));
    w.u16(0); // avgFrameRate
    w.u8(sps.temporal_layers << 3 | u8::from(sps.temporal_id_nested) << 2 | LENGTH_SIZE_MINUS_ONE);
    let arrays = [(32, &sets.vps), (33, &sets.sps), (34, &sets.pps)];
    w.u8(arrays.len() as u8);
    for (nal_unit_type, units) in arrays {
        w.u8(u8::from(!in_band) << 7 | nal_unit_type); // array_completeness: none of this type in the samples
        w.u16(units.len() as u16);
        write_units(w, units);
    }
}

/// Each unit behind its length in two bytes.
fn write_units(w: &mut BoxWriter, units: &[Vec<u8>]) {
    for unit in units {
        w.u16(unit.len() as u16);
        w.raw(unit);
    }
}
