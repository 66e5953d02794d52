// SPDX-License-Identifier: Apache-2.0
//! How many pictures a decoder holds back to show them in order (C.4, E.2.1).

use super::{PictureOrder, Sps};
use crate::{BitReader, SpsError};

/// A decoder holds at most 16 frames (A.3.1 h), whatever a stream says.
const MAX_DPB_FRAMES: u32 = 16;
/// constraint_set3_flag within the byte of flags.
const CONSTRAINT_SET3: u8 = 0x10;
/// Profiles of which constraint_set3_flag makes intra-only ones (E.2.1).
const INTRA_PROFILES: [u8; 6] = [44, 86, 100, 110, 122, 244];
/// MaxDpbMbs by level_idc, table A-1.
const MAX_DPB_MACROBLOCKS: [(u8, u32); 20] = [
    (9, 396),
    (10, 396),
    (11, 900),
    (12, 2376),
    (13, 2376),
    (20, 2376),
    (21, 4752),
    (22, 8100),
    (30, 8100),
    (31, 18_000),
    (32, 20_480),
    (40, 32_768),
    (41, 32_768),
    (42, 34_816),
    (50, 110_400),
    (51, 184_320),
    (52, 184_320),
    (60, 696_320),
    (61, 696_320),
    (62, 696_320),
];

/// The end of the VUI: how pictures are buffered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Buffering {
    pub reorder_frames: Option<u32>,
    pub frame_buffering: Option<u32>,
    pub pic_struct_at: Option<u32>,
}

impl Buffering {
    /// Reads from nal_hrd_parameters_present_flag on (E.1.1).
    pub fn read<I: Iterator<Item = u8>>(&mut self, bits: &mut BitReader<I>) -> Result<(), SpsError> {
        let nal = read_hrd(bits)?;
        let vcl = read_hrd(bits)?;
        let delays = vcl.or(nal);
        if delays.is_some() {
            bits.skip(1)?; // low_delay_hrd_flag
        }
        if bits.flag()? {
            self.pic_struct_at = Some(delays.unwrap_or(0));
        }
        if !bits.flag()? {
            return Ok(());
        }
        bits.skip(1)?; // motion_vectors_over_pic_boundaries_flag
        for _ in 0..4 {
            bits.ue()?; // bytes and bits per picture and macroblock, lengths of motion vectors
        }
        let reorder_frames = bits.ue_to(MAX_DPB_FRAMES, "max_num_reorder_frames")?;
        self.frame_buffering = Some(bits.ue_to(MAX_DPB_FRAMES, "max_dec_frame_buffering")?);
        self.reorder_frames = Some(reorder_frames);
        Ok(())
    }
}

/// The flag and the hrd_parameters() behind it (E.1.2): how many bits the two delays have in a picture timing
/// message; `None` if they are not there.
fn read_hrd<I: Iterator<Item = u8>>(bits: &mut BitReader<I>) -> Result<Option<u32>, SpsError> {
    if !bits.flag()? {
        return Ok(None);
    }
    let schedules = bits.ue_to(31, "cpb_cnt_minus1")? + 1;
    bits.skip(8)?; // scales
    for _ in 0..schedules {
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?;
    }
    bits.skip(5)?; // initial_cpb_removal_delay_length_minus1
    let delays = bits.bits(5)? + 1 + bits.bits(5)? + 1;
    bits.skip(5)?; // time_offset_length
    Ok(Some(delays))
}

impl Sps {
    /// How many frames at most come before a picture in decoding order and after it in display order,
    /// 0..=16: what the stream says, or else what its profile and level allow (E.2.1).
    pub fn reorder_frames(&self) -> u32 {
        let intra_only = INTRA_PROFILES.contains(&self.profile) && self.constraints & CONSTRAINT_SET3 != 0;
        match self.max_reorder_frames {
            Some(said) => said,
            None if intra_only || self.picture_order == PictureOrder::Decoding => 0,
            None => self.max_dpb_frames(),
        }
    }

    /// MaxDpbFrames, A.3.1 h. A level that the standard does not know has the largest.
    fn max_dpb_frames(&self) -> u32 {
        let macroblocks = u64::from(self.coded_size.0 / 16) * u64::from(self.coded_size.1 / 16);
        let level = MAX_DPB_MACROBLOCKS.iter().find(|(level, _)| *level == self.level);
        let frames = level.map(|&(_, most)| u64::from(most) / macroblocks.max(1));
        frames.map_or(MAX_DPB_FRAMES, |frames| frames.min(MAX_DPB_FRAMES.into()) as u32)
    }
}
