// SPDX-License-Identifier: Apache-2.0
//! Which slices belong to one picture (7.4.1.2.4).
//!
//! Nothing in a slice says "I am the first": it begins a picture if it differs from the slice before
//! in one of the fields that all slices of a picture share.

use super::{PictureOrder, Sps};
use crate::{BitReader, SpsError, rbsp};

const MAX_SPS: usize = 32;
const MAX_PPS: usize = 256;
/// Bytes from which a slice header can be read as far as it matters: nine fields of at most 63 bits,
/// and one emulation prevention byte for every two.
const SLICE_HEADER_BYTES: usize = 128;
/// constraint_set1_flag within the byte of flags.
const CONSTRAINT_SET1: u8 = 0x40;

/// Tells pictures apart. Holds the parameter sets seen, for slices are read by them.
#[derive(Debug)]
pub(crate) struct Pictures {
    sps: [Option<Sps>; MAX_SPS],
    pps: Vec<Option<Pps>>,
    last: Option<Slice>,
}

/// Of a picture parameter set, what a slice header is read by.
#[derive(Debug, Clone, Copy)]
struct Pps {
    sps: usize,
    bottom_field_order: bool,
}

/// What all slices of one picture have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    pps: u32,
    reference: bool,
    idr_pic_id: Option<u32>,
    frame_num: u32,
    /// field_pic_flag and bottom_field_flag.
    field: (bool, bool),
    order: [i64; 2],
}

impl Default for Pictures {
    fn default() -> Self {
        Self { sps: [None; MAX_SPS], pps: vec![None; MAX_PPS], last: None }
    }
}

impl Pictures {
    /// Takes note of a sequence parameter set; one that cannot be read is passed over.
    pub fn take_sps(&mut self, nal: &[u8]) {
        if let Ok(sps) = Sps::parse(nal)
            && let Some(place) = self.sps.get_mut(usize::from(sps.id))
        {
            *place = Some(sps);
        }
    }

    /// Takes note of a picture parameter set; one that cannot be read is passed over.
    pub fn take_pps(&mut self, nal: &[u8]) {
        let mut bits = BitReader::new(rbsp(nal).skip(1));
        let mut read = || {
            let id = bits.ue_to(MAX_PPS as u32 - 1, "pic_parameter_set_id")? as usize;
            let sps = bits.ue_to(MAX_SPS as u32 - 1, "seq_parameter_set_id")? as usize;
            bits.skip(1)?; // entropy_coding_mode_flag
            Ok::<_, SpsError>((id, Pps { sps, bottom_field_order: bits.flag()? }))
        };
        if let Ok((id, pps)) = read()
            && let Some(place) = self.pps.get_mut(id)
        {
            *place = Some(pps);
        }
    }

    /// Whether the slice `nal` is of another picture than the slice before. One that cannot be read
    /// counts as of the same.
    pub fn begins(&mut self, nal: &[u8]) -> bool {
        let header = nal.get(..SLICE_HEADER_BYTES).unwrap_or(nal);
        match self.read(header) {
            Ok((slice, first)) => {
                let differs = slice.is_none() || slice != self.last;
                self.last = slice.or(self.last);
                first || slice.is_some() && differs
            }
            Err(_) => false,
        }
    }

    /// The fields of a slice header, unless its parameter sets are unknown; and whether it holds the
    /// first macroblock, which in most profiles only a picture's first slice can.
    fn read(&self, nal: &[u8]) -> Result<(Option<Slice>, bool), SpsError> {
        let header = nal.first().copied().unwrap_or(0);
        let mut bits = BitReader::new(rbsp(nal).skip(1));
        let first_macroblock = bits.ue()? == 0;
        bits.ue()?; // slice_type
        let pps_id = bits.ue()?;
        let Some(pps) = self.pps.get(pps_id as usize).copied().flatten() else { return Ok((None, first_macroblock)) };
        let Some(sps) = &self.sps[pps.sps % MAX_SPS] else { return Ok((None, first_macroblock)) };

        if sps.separate_planes {
            bits.skip(2)?; // colour_plane_id
        }
        let frame_num = bits.bits(sps.frame_num_bits)?;
        let field_picture = !sps.frame_mbs_only && bits.flag()?;
        let bottom_field = field_picture && bits.flag()?;
        let idr_pic_id = if header & 0x1f == 5 { Some(bits.ue()?) } else { None };
        let both_fields = pps.bottom_field_order && !field_picture;
        let mut order = [0; 2];
        match sps.picture_order {
            PictureOrder::Lsb { bits: width } => {
                order[0] = bits.bits(width)?.into();
                order[1] = if both_fields { bits.se()? } else { 0 };
            }
            PictureOrder::Deltas { always_zero: false } => {
                order[0] = bits.se()?;
                order[1] = if both_fields { bits.se()? } else { 0 };
            }
            PictureOrder::Deltas { always_zero: true } | PictureOrder::Decoding => {}
        }
        let field = (field_picture, bottom_field);
        let slice = Slice { pps: pps_id, reference: header & 0x60 != 0, idr_pic_id, frame_num, field, order };
        Ok((Some(slice), first_macroblock && slices_are_in_order(sps)))
    }
}

/// Whether the profile forbids slices in arbitrary order and redundant ones (A.2). Then the first
/// macroblock tells, too: encoders that make nothing but IDR pictures tend to number them all alike.
fn slices_are_in_order(sps: &Sps) -> bool {
    !(sps.separate_planes || sps.profile == 88 || sps.profile == 66 && sps.constraints & CONSTRAINT_SET1 == 0)
}
