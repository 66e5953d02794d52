// SPDX-License-Identifier: Apache-2.0
//! The second half of a sequence parameter set: coding tools, which are passed over, with how many
//! pictures wait before it and the usability information behind it.

use crate::{BitReader, SpsError, vui::Vui};

/// A decoder holds, and so a reference picture set names, at most this many pictures (A.4.2, 7.4.8).
const MAX_REFERENCE_PICTURES: u32 = 16;

/// What stands behind the bit depths, as far as it could be read.
#[derive(Default)]
pub(super) struct Rest {
    pub vui: Vui,
    pub order_bits: Option<u32>,
    pub buffering: Option<u32>,
    pub reordering: Option<u32>,
    pub fields: bool,
}

impl Rest {
    /// Reads from log2_max_pic_order_cnt_lsb on to the end of the timing information.
    pub fn read<I: Iterator<Item = u8>>(&mut self, bits: &mut BitReader<I>, sub_layers: u32) -> Result<(), SpsError> {
        let order_bits = bits.ue_to(12, "log2_max_pic_order_cnt_lsb")? + 4;
        self.order_bits = Some(order_bits);
        let layers = if bits.flag()? { sub_layers + 1 } else { 1 };
        for _ in 0..layers {
            let buffering = bits.ue_to(MAX_REFERENCE_PICTURES - 1, "sps_max_dec_pic_buffering_minus1")?;
            self.buffering = Some(buffering + 1);
            self.reordering = Some(bits.ue_to(buffering, "sps_max_num_reorder_pics")?);
            bits.ue()?; // sps_max_latency_increase_plus1
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
        if bits.flag()? { self.read_vui(bits) } else { Ok(()) }
    }

    fn read_vui<I: Iterator<Item = u8>>(&mut self, bits: &mut BitReader<I>) -> Result<(), SpsError> {
        self.vui.read_common(bits)?;
        bits.skip(1)?; // neutral_chroma_indication_flag
        self.fields = bits.flag()?;
        bits.skip(1)?; // frame_field_info_present_flag
        if bits.flag()? {
            for _ in 0..4 {
                bits.ue()?; // default display window
            }
        }
        self.vui.read_timing(bits, 1).map(drop)
    }
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
