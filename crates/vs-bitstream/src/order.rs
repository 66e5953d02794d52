// SPDX-License-Identifier: Apache-2.0
//! When the pictures of an H.264 stream are to be shown (8.2.1: picture order counts of type 0 and 2).
//!
//! A stream carries pictures in the order in which they can be decoded. Each slice says, in a
//! few bits and by its parameter sets, where in the order of showing its picture stands.

use std::collections::BTreeMap;

use crate::h264::{PictureOrder, Sps};
use crate::{BitReader, Codec, NalKind, SpsError, nal_units, rbsp};

/// What the slices of an access unit say of its picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureStart {
    /// Its sequence parameter set.
    pub sps: Sps,
    /// Whether it is an IDR picture: everything before it is shown before it.
    pub idr: bool,
    /// PicOrderCnt: its place among the pictures since the last IDR picture.
    pub order: i64,
    /// frame_num, which both fields of a frame have.
    pub frame_num: i64,
    /// bottom_field_flag; `None` unless the picture is a field.
    pub bottom_field: Option<bool>,
}

/// Follows the parameter sets and the counts of a stream.
#[derive(Debug, Default)]
pub struct PictureCounter {
    sequences: BTreeMap<u8, Sps>,
    /// Sequence of each picture parameter set.
    pictures: BTreeMap<u8, u8>,
    /// prevPicOrderCntMsb + prevPicOrderCntLsb: of the last reference picture.
    reference: i64,
    /// FrameNumOffset + frame_num of the last picture, and frame_num itself.
    frames: i64,
    frame_num: i64,
}

/// As far as it is read.
struct SliceHeader {
    sps: Sps,
    idr: bool,
    is_reference: bool,
    frame_num: i64,
    bottom_field: Option<bool>,
    /// pic_order_cnt_lsb, if it has one.
    order: i64,
}

impl PictureCounter {
    /// Reads the parameter sets of an access unit (Annex B) and its first slice; `None` if it has
    /// no slice.
    ///
    /// # Errors
    /// [`SpsError`] if what is said of the picture cannot be read, or a parameter set is missing.
    pub fn read(&mut self, access_unit: &[u8]) -> Result<Option<PictureStart>, SpsError> {
        for nal in nal_units(access_unit) {
            match NalKind::of(Codec::H264, nal) {
                NalKind::Sps => self.read_sequence(nal)?,
                NalKind::Pps => self.read_picture(nal)?,
                kind if kind.is_slice() => {
                    let slice = self.read_slice(nal)?;
                    let order = self.count(&slice);
                    return Ok(Some(PictureStart {
                        sps: slice.sps,
                        idr: slice.idr,
                        order,
                        frame_num: slice.frame_num,
                        bottom_field: slice.bottom_field,
                    }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn read_sequence(&mut self, nal: &[u8]) -> Result<(), SpsError> {
        let sps = Sps::parse(nal)?;
        self.sequences.insert(sps.id, sps);
        Ok(())
    }

    fn read_picture(&mut self, nal: &[u8]) -> Result<(), SpsError> {
        let mut bits = BitReader::new(rbsp(nal).skip(1));
        let id = bits.ue_to(255, "pic_parameter_set_id")? as u8;
        let sequence = bits.ue_to(31, "seq_parameter_set_id")? as u8;
        self.pictures.insert(id, sequence);
        Ok(())
    }

    /// 7.3.3, up to the picture order count.
    fn read_slice(&self, nal: &[u8]) -> Result<SliceHeader, SpsError> {
        let idr = NalKind::of(Codec::H264, nal) == NalKind::KeySlice;
        let is_reference = nal.first().is_some_and(|header| header & 0x60 != 0);
        let mut bits = BitReader::new(rbsp(nal).skip(1));
        bits.ue()?; // first_mb_in_slice
        bits.ue()?; // slice_type
        let picture = bits.ue_to(255, "pic_parameter_set_id")? as u8;
        let sps = self.pictures.get(&picture).and_then(|id| self.sequences.get(id));
        let sps = *sps.ok_or(SpsError::OutOfRange("parameter set: it is not there"))?;
        if sps.separate_planes {
            bits.skip(2)?; // colour_plane_id
        }
        let frame_num = i64::from(bits.bits(sps.frame_num_bits)?);
        let bottom_field = if !sps.frame_mbs_only && bits.flag()? { Some(bits.flag()?) } else { None };
        if idr {
            bits.ue()?; // idr_pic_id
        }
        let order = match sps.picture_order {
            PictureOrder::Lsb { bits: count } => i64::from(bits.bits(count)?),
            _ => 0,
        };
        Ok(SliceHeader { sps, idr, is_reference, frame_num, bottom_field, order })
    }

    /// 8.2.1.1 to 8.2.1.3, for the top field or the frame.
    fn count(&mut self, slice: &SliceHeader) -> i64 {
        let frames = if slice.idr {
            slice.frame_num
        } else {
            let wraps = i64::from(slice.frame_num < self.frame_num) << slice.sps.frame_num_bits;
            self.frames - self.frame_num + wraps + slice.frame_num
        };
        let order = match slice.sps.picture_order {
            PictureOrder::Lsb { bits } => {
                let previous = if slice.idr { 0 } else { self.reference };
                nearest(previous, slice.order, 1 << bits)
            }
            // Type 1 says how far a picture is from where it is expected, by numbers that are not kept:
            // it was made for streams in which that is where it is decoded.
            PictureOrder::Deltas { .. } | PictureOrder::Decoding => 2 * frames - i64::from(!slice.is_reference),
        };
        if slice.is_reference {
            self.reference = order;
        }
        (self.frames, self.frame_num) = (frames, slice.frame_num);
        order
    }
}

/// The count with these lower bits, modulo `modulus`, that is nearest to the previous one.
pub(crate) fn nearest(previous: i64, lsb: i64, modulus: i64) -> i64 {
    let (msb, previous_lsb) = (previous - previous.rem_euclid(modulus), previous.rem_euclid(modulus));
    if lsb < previous_lsb && previous_lsb - lsb >= modulus / 2 {
        msb + modulus + lsb
    } else if lsb > previous_lsb && lsb - previous_lsb > modulus / 2 {
        msb - modulus + lsb
    } else {
        msb + lsb
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lower_bits_go_on_where_they_wrap() {
        assert_eq!(nearest(14, 2, 16), 18);
        assert_eq!(nearest(18, 14, 16), 14);
        assert_eq!(nearest(18, 4, 16), 20);
        assert_eq!(nearest(0, 14, 16), -2);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(units in prop::collection::vec(
            (prop::sample::select(&[0x67u8, 0x68, 0x65, 0x41, 0x01][..]), prop::collection::vec(any::<u8>(), 0..40)), 0..8,
        )) {
            let mut order = PictureCounter::default();
            for (header, payload) in units {
                let _ = order.read(&[&[0, 0, 1, header], &payload[..]].concat());
            }
        }
    }
}
