// SPDX-License-Identifier: Apache-2.0
//! How slices say at which place their picture is shown (7.4.2.1.1, 8.2.1).

use crate::{BitReader, SpsError};

/// pic_order_cnt_type and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureOrder {
    /// Type 0: each slice says the low bits of the place.
    Lsb {
        /// Bits of pic_order_cnt_lsb, 4..=16.
        bits: u32,
    },
    /// Type 1: slices say how far the place is from the expected one.
    Deltas {
        /// delta_pic_order_always_zero_flag: they say nothing, it is the expected one.
        always_zero: bool,
    },
    /// Type 2: pictures are shown in the order in which they are decoded.
    Decoding,
}

impl PictureOrder {
    pub(super) fn read<I: Iterator<Item = u8>>(bits: &mut BitReader<I>) -> Result<Self, SpsError> {
        Ok(match bits.ue_to(2, "pic_order_cnt_type")? {
            0 => Self::Lsb { bits: bits.ue_to(12, "log2_max_pic_order_cnt_lsb")? + 4 },
            1 => {
                let always_zero = bits.flag()?;
                bits.se()?; // offset_for_non_ref_pic
                bits.se()?; // offset_for_top_to_bottom_field
                for _ in 0..bits.ue_to(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                    bits.se()?;
                }
                Self::Deltas { always_zero }
            }
            _ => Self::Decoding,
        })
    }
}
