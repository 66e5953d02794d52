// SPDX-License-Identifier: Apache-2.0
//! The sequence parameter set of H.265 (7.3.2.2), as far as a file needs it.

use crate::{BitReader, Codec, NalKind, SpsError, VideoFormat, rbsp, vui::Vui};

/// A NAL unit header has two bytes (7.3.1.2).
const NAL_HEADER_BYTES: usize = 2;
/// A short-term reference picture set names at most this many pictures (7.4.8, sps_max_dec_pic_buffering).
const MAX_REFERENCE_PICTURES: u32 = 16;

/// A sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// The general part of profile_tier_level() as it stands: profile space, tier, profile (1 byte),
    /// compatibility flags (4), constraint flags (6), level (1).
    pub profile_tier_level: [u8; 12],
    /// How many temporal layers the stream may have, 1..=7.
    pub temporal_layers: u8,
    /// sps_temporal_id_nesting_flag.
    pub temporal_id_nested: bool,
    /// The picture it describes.
    pub format: VideoFormat,
}

impl Sps {
    /// Reads a NAL unit of type 33, without start code.
    pub fn parse(nal: &[u8]) -> Result<Self, SpsError> {
        if NalKind::of(Codec::H265, nal) != NalKind::Sps {
            return Err(SpsError::NotAnSps);
        }
        let mut bits = BitReader::new(rbsp(nal).skip(NAL_HEADER_BYTES));
        bits.skip(4)?; // sps_video_parameter_set_id
        let sub_layers = bits.bits(3)?;
        if sub_layers > 6 {
            return Err(SpsError::OutOfRange("sps_max_sub_layers_minus1"));
        }
        let temporal_id_nested = bits.flag()?;
        let mut profile_tier_level = [0; 12];
        for byte in &mut profile_tier_level {
            *byte = bits.u8()?;
        }
        skip_sub_layer_levels(&mut bits, sub_layers)?;

        bits.ue_to(15, "sps_seq_parameter_set_id")?;
        let chroma_format = bits.ue_to(3, "chroma_format_idc")? as u8;
        let separate_planes = chroma_format == 3 && bits.flag()?;
        let (width, height) = read_size(&mut bits, chroma_format, separate_planes)?;
        let bit_depth_luma = 8 + bits.ue_to(8, "bit depth")? as u8;
        let bit_depth_chroma = 8 + bits.ue_to(8, "bit depth")? as u8;

        // What follows is needed for the VUI alone; damage there leaves the picture described.
        let vui = read_vui(&mut bits, sub_layers).unwrap_or_default();
        Ok(Self {
            profile_tier_level,
            temporal_layers: sub_layers as u8 + 1,
            temporal_id_nested,
            format: VideoFormat {
                width,
                height,
                chroma_format,
                bit_depth_luma,
                bit_depth_chroma,
                pixel_aspect: vui.pixel_aspect,
                colour: vui.colour,
                frame_duration_ns: vui.frame_duration_ns,
            },
        })
    }
}

/// The rest of profile_tier_level(), 7.3.3.
fn skip_sub_layer_levels<I: Iterator<Item = u8>>(bits: &mut BitReader<I>, sub_layers: u32) -> Result<(), SpsError> {
    if sub_layers == 0 {
        return Ok(());
    }
    // Two flags for each of eight layers, whether they exist or not.
    let present = bits.bits(16)?;
    for layer in 0..sub_layers {
        let flags = present >> (14 - 2 * layer);
        if flags & 2 != 0 {
            bits.skip(88)?;
        }
        if flags & 1 != 0 {
            bits.skip(8)?;
        }
    }
    Ok(())
}

fn read_size<I: Iterator<Item = u8>>(
    bits: &mut BitReader<I>,
    chroma_format: u8,
    separate_planes: bool,
) -> Result<(u16, u16), SpsError> {
    let (mut width, mut height) = (u64::from(bits.ue()?), u64::from(bits.ue()?));
    if bits.flag()? {
        let [left, right, top, bottom] = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?].map(u64::from);
        // SubWidthC and SubHeightC, table 6-1.
        let unit = match chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let unit = if separate_planes { (1, 1) } else { unit };
        width = width.saturating_sub((left + right) * unit.0);
        height = height.saturating_sub((top + bottom) * unit.1);
    }
    crate::params::picture_size(width, height)
}

/// Reads from log2_max_pic_order_cnt_lsb on to the end of the timing information.
fn read_vui<I: Iterator<Item = u8>>(bits: &mut BitReader<I>, sub_layers: u32) -> Result<Vui, SpsError> {
    let order_bits = bits.ue_to(12, "log2_max_pic_order_cnt_lsb")? + 4;
    let layers = if bits.flag()? { sub_layers + 1 } else { 1 };
    for _ in 0..3 * layers {
        bits.ue()?; // buffering, reordering, latency
    }
    for _ in 0..6 {
        bits.ue()?; // coding and transform block sizes and depths
    }
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag()? {
        bits.skip(8)?; // PCM bit depths
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?; // pcm_loop_filter_disabled_flag
    }
    skip_reference_picture_sets(bits)?;
    if bits.flag()? {
        for _ in 0..bits.ue_to(32, "num_long_term_ref_pics_sps")? {
            bits.skip(order_bits + 1)?;
        }
    }
    bits.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag

    let mut vui = Vui::default();
    if bits.flag()? {
        vui.read_common(bits)?;
        bits.skip(3)?; // neutral_chroma_indication, field_seq, frame_field_info_present
        if bits.flag()? {
            for _ in 0..4 {
                bits.ue()?; // default display window
            }
        }
        vui.read_timing(bits, 1)?;
    }
    Ok(vui)
}

/// scaling_list_data(), 7.3.4.
fn skip_scaling_lists<I: Iterator<Item = u8>>(bits: &mut BitReader<I>) -> Result<(), SpsError> {
    for size in 0..4 {
        let (matrices, coefficients) = (if size == 3 { 2 } else { 6 }, 64.min(16 << (2 * size)));
        for _ in 0..matrices {
            if !bits.flag()? {
                bits.ue()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            let dc = u32::from(size > 1);
            for _ in 0..coefficients + dc {
                bits.se()?;
            }
        }
    }
    Ok(())
}

/// All st_ref_pic_set() of the parameter set, 7.3.7.
fn skip_reference_picture_sets<I: Iterator<Item = u8>>(bits: &mut BitReader<I>) -> Result<(), SpsError> {
    let mut pictures = 0;
    for index in 0..bits.ue_to(64, "num_short_term_ref_pic_sets")? {
        let predicted_from_previous = index > 0 && bits.flag()?;
        if predicted_from_previous {
            bits.skip(1)?; // delta_rps_sign
            bits.ue()?; // abs_delta_rps_minus1
            let candidates = pictures + 1;
            pictures = 0;
            for _ in 0..candidates {
                let used = bits.flag()?;
                if used || bits.flag()? {
                    pictures += 1;
                }
            }
        } else {
            let before = bits.ue_to(MAX_REFERENCE_PICTURES, "num_negative_pics")?;
            let after = bits.ue_to(MAX_REFERENCE_PICTURES, "num_positive_pics")?;
            pictures = before + after;
            for _ in 0..pictures {
                bits.ue()?; // delta_poc_minus1
                bits.skip(1)?; // used_by_curr_pic_flag
            }
        }
        if pictures > MAX_REFERENCE_PICTURES {
            return Err(SpsError::OutOfRange("reference picture set"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(tail: Vec<u8>) {
            let mut nal = vec![33 << 1, 1];
            nal.extend(tail);
            let _ = Sps::parse(&nal);
        }
    }

    #[test]
    fn other_units_are_refused() {
        assert_eq!(Sps::parse(&[]), Err(SpsError::NotAnSps));
        assert_eq!(Sps::parse(&[34 << 1, 1, 2]), Err(SpsError::NotAnSps));
        assert_eq!(Sps::parse(&[33 << 1, 1, 2]), Err(SpsError::Truncated));
    }
}
