// SPDX-License-Identifier: Apache-2.0
//! Where the pictures of an H.265 stream stand in the order of showing (8.3.1), and what a video parameter set says
//! of time (7.3.2.1).

use std::collections::BTreeMap;

use super::{NAL_HEADER_BYTES, Sps, skip_sub_layer_levels};
use crate::{BitReader, SpsError, Tick, rbsp};

/// nal_unit_type of pictures that are left out when decoding begins at the one they lead (RASL).
const RASL: [u8; 2] = [8, 9];
/// nal_unit_type of all leading pictures: RADL and RASL.
const LEADING: std::ops::RangeInclusive<u8> = 6..=9;
/// nal_unit_type up to which even ones are sub-layer non-reference pictures.
const LAST_SUB_LAYER_PICTURE: u8 = 14;
const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
/// IDR_W_RADL, IDR_N_LP: their slices have no pic_order_cnt_lsb.
const IDR: [u8; 2] = [19, 20];
/// The only random access pictures that may be in the middle of a sequence.
const CRA: u8 = 21;

/// What the first slice of a picture says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub sps: Sps,
    /// PicOrderCntVal.
    pub order: i64,
    /// Everything before it is shown before it.
    pub begins_sequence: bool,
    /// A RASL picture.
    pub skipped_leading: bool,
}

/// Of a picture parameter set, what a slice header is read by.
#[derive(Debug, Clone, Copy)]
struct Pps {
    sps: u8,
    output_flag: bool,
    extra_bits: u32,
}

/// Follows the parameter sets and the counts of a stream.
#[derive(Debug)]
pub(crate) struct Counter {
    sequences: BTreeMap<u8, Sps>,
    pictures: BTreeMap<u8, Pps>,
    /// PicOrderCntVal of prevTid0Pic.
    reference: i64,
    /// The next random access picture begins a sequence.
    afresh: bool,
    /// Of the video parameter set last seen.
    pub tick: Option<Tick>,
}

impl Default for Counter {
    fn default() -> Self {
        Self { sequences: BTreeMap::new(), pictures: BTreeMap::new(), reference: 0, afresh: true, tick: None }
    }
}

impl Counter {
    pub fn take_vps(&mut self, nal: &[u8]) {
        self.tick = vps_tick(nal).unwrap_or_default();
    }

    pub fn take_sps(&mut self, nal: &[u8]) -> Result<(), SpsError> {
        let sps = Sps::parse(nal)?;
        self.sequences.insert(sps.id, sps);
        Ok(())
    }

    /// 7.3.2.3
    pub fn take_pps(&mut self, nal: &[u8]) -> Result<(), SpsError> {
        let mut bits = BitReader::new(rbsp(nal).skip(NAL_HEADER_BYTES));
        let id = bits.ue_to(63, "pps_pic_parameter_set_id")? as u8;
        let sps = bits.ue_to(15, "pps_seq_parameter_set_id")? as u8;
        bits.skip(1)?; // dependent_slice_segments_enabled_flag
        let output_flag = bits.flag()?;
        let extra_bits = bits.bits(3)?;
        self.pictures.insert(id, Pps { sps, output_flag, extra_bits });
        Ok(())
    }

    /// An end of sequence: the next picture begins one.
    pub fn end_sequence(&mut self) {
        self.afresh = true;
    }

    /// Reads the first slice of a picture: 7.3.6.1, up to the count, and 8.3.1.
    pub fn start(&mut self, nal: &[u8]) -> Result<Start, SpsError> {
        let &[first, second, ..] = nal else { return Err(SpsError::Truncated) };
        let (kind, temporal_id) = (first >> 1 & 0x3f, (second & 7).saturating_sub(1));
        let mut bits = BitReader::new(rbsp(nal).skip(NAL_HEADER_BYTES));
        if !bits.flag()? {
            return Err(SpsError::OutOfRange("first slice: it is not there"));
        }
        if IRAP.contains(&kind) {
            bits.skip(1)?; // no_output_of_prior_pics_flag
        }
        const UNKNOWN: SpsError = SpsError::OutOfRange("parameter set: it is not there");
        let pps = self.pictures.get(&(bits.ue_to(63, "slice_pic_parameter_set_id")? as u8)).copied().ok_or(UNKNOWN)?;
        let sps = self.sequences.get(&pps.sps).copied().ok_or(UNKNOWN)?;
        bits.skip(pps.extra_bits)?;
        bits.ue()?; // slice_type
        if pps.output_flag {
            bits.skip(1)?; // pic_output_flag
        }
        if sps.separate_planes {
            bits.skip(2)?; // colour_plane_id
        }
        let begins_sequence = IRAP.contains(&kind) && (self.afresh || kind != CRA);
        let order = if IDR.contains(&kind) {
            0
        } else {
            let width = sps.order_bits.ok_or(SpsError::OutOfRange("length of picture order counts"))?;
            let lsb = bits.bits(width)?.into();
            if begins_sequence { lsb } else { crate::order::nearest(self.reference, lsb, 1 << width) }
        };
        let leading = LEADING.contains(&kind);
        let non_reference = kind <= LAST_SUB_LAYER_PICTURE && kind.is_multiple_of(2);
        if temporal_id == 0 && !leading && !non_reference {
            self.reference = order;
        }
        self.afresh &= !IRAP.contains(&kind);
        Ok(Start { sps, order, begins_sequence, skipped_leading: RASL.contains(&kind) })
    }
}

/// vps_num_units_in_tick and vps_time_scale.
fn vps_tick(nal: &[u8]) -> Result<Option<Tick>, SpsError> {
    let mut bits = BitReader::new(rbsp(nal).skip(NAL_HEADER_BYTES));
    bits.skip(12)?; // id, base layer flags, vps_max_layers_minus1
    let sub_layers = bits.bits(3)?;
    if sub_layers > 6 {
        return Err(SpsError::OutOfRange("vps_max_sub_layers_minus1"));
    }
    bits.skip(1 + 16 + 96)?; // nesting, reserved, general profile, tier and level
    skip_sub_layer_levels(&mut bits, sub_layers)?;
    let layers = if bits.flag()? { sub_layers + 1 } else { 1 };
    for _ in 0..3 * layers {
        bits.ue()?; // buffering, reordering, latency
    }
    let max_layer_id = bits.bits(6)?;
    for _ in 0..bits.ue_to(1023, "vps_num_layer_sets_minus1")? {
        bits.skip(max_layer_id + 1)?;
    }
    if !bits.flag()? {
        return Ok(None);
    }
    Ok(Tick::new(bits.bits(32)?, bits.bits(32)?))
}
