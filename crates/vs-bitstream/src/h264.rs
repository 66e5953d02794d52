// SPDX-License-Identifier: Apache-2.0
//! The sequence parameter set of H.264 (7.3.2.1.1), as far as a file needs it.

use crate::{BitReader, Codec, NalKind, SpsError, VideoFormat, rbsp, vui::Vui};

/// Profiles whose parameter set carries the chroma format and bit depths (7.3.2.1.1).
const PROFILES_WITH_CHROMA: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// A sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// profile_idc, e.g. 66 baseline, 77 main, 100 high.
    pub profile: u8,
    /// The byte of constraint_set flags.
    pub constraints: u8,
    /// level_idc, ten times the level.
    pub level: u8,
    /// The picture it describes.
    pub format: VideoFormat,
}

impl Sps {
    /// Reads a NAL unit of type 7, without start code.
    pub fn parse(nal: &[u8]) -> Result<Self, SpsError> {
        if NalKind::of(Codec::H264, nal) != NalKind::Sps {
            return Err(SpsError::NotAnSps);
        }
        let mut bits = BitReader::new(rbsp(nal).skip(1));
        let (profile, constraints, level) = (bits.u8()?, bits.u8()?, bits.u8()?);
        bits.ue_to(31, "seq_parameter_set_id")?;

        let mut chroma = Chroma { format: 1, separate_planes: false, depths: [8, 8] };
        if PROFILES_WITH_CHROMA.contains(&profile) {
            chroma = Chroma::read(&mut bits)?;
        }
        skip_picture_order(&mut bits)?;
        bits.ue()?; // max_num_ref_frames
        bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
        let (width, height) = read_size(&mut bits, chroma)?;

        // A parameter set with a damaged VUI still describes its pictures.
        let vui = read_vui(&mut bits).unwrap_or_default();
        Ok(Self {
            profile,
            constraints,
            level,
            format: VideoFormat {
                width,
                height,
                chroma_format: chroma.format,
                bit_depth_luma: chroma.depths[0],
                bit_depth_chroma: chroma.depths[1],
                pixel_aspect: vui.pixel_aspect,
                colour: vui.colour,
                frame_duration_ns: vui.frame_duration_ns,
            },
        })
    }
}

#[derive(Clone, Copy)]
struct Chroma {
    format: u8,
    separate_planes: bool,
    depths: [u8; 2],
}

impl Chroma {
    fn read<I: Iterator<Item = u8>>(bits: &mut BitReader<I>) -> Result<Self, SpsError> {
        let format = bits.ue_to(3, "chroma_format_idc")? as u8;
        let separate_planes = format == 3 && bits.flag()?;
        let luma = 8 + bits.ue_to(6, "bit depth")? as u8;
        let chroma = 8 + bits.ue_to(6, "bit depth")? as u8;
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            let lists = if format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(Self { format, separate_planes, depths: [luma, chroma] })
    }

    /// Pixels per cropping unit, horizontally and vertically in a frame picture (table 6-1).
    fn crop_unit(self) -> (u64, u64) {
        match self.format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        }
    }
}

/// 7.3.2.1.1.1: the list ends early when a scale becomes 0.
fn skip_scaling_list<I: Iterator<Item = u8>>(bits: &mut BitReader<I>, entries: u32) -> Result<(), SpsError> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..entries {
        if next != 0 {
            next = (last + bits.se()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

fn skip_picture_order<I: Iterator<Item = u8>>(bits: &mut BitReader<I>) -> Result<(), SpsError> {
    bits.ue_to(12, "log2_max_frame_num")?;
    match bits.ue_to(2, "pic_order_cnt_type")? {
        0 => {
            bits.ue_to(12, "log2_max_pic_order_cnt_lsb")?;
        }
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            bits.se()?; // offset_for_non_ref_pic
            bits.se()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.ue_to(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                bits.se()?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn read_size<I: Iterator<Item = u8>>(bits: &mut BitReader<I>, chroma: Chroma) -> Result<(u16, u16), SpsError> {
    let macroblocks_wide = u64::from(bits.ue()?) + 1;
    let map_units_high = u64::from(bits.ue()?) + 1;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    let fields = if frames_only { 1 } else { 2 };
    let (mut width, mut height) = (macroblocks_wide * 16, map_units_high * 16 * fields);
    if bits.flag()? {
        let [left, right, top, bottom] = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?].map(u64::from);
        let unit = if chroma.separate_planes { (1, 1) } else { chroma.crop_unit() };
        width = width.saturating_sub((left + right) * unit.0);
        height = height.saturating_sub((top + bottom) * unit.1 * fields);
    }
    crate::params::picture_size(width, height)
}

fn read_vui<I: Iterator<Item = u8>>(bits: &mut BitReader<I>) -> Result<Vui, SpsError> {
    let mut vui = Vui::default();
    if bits.flag()? {
        vui.read_common(bits)?;
        vui.read_timing(bits, 2)?;
    }
    Ok(vui)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(profile in prop::sample::select(&[66u8, 100, 244][..]), tail: Vec<u8>) {
            let mut nal = vec![0x67, profile];
            nal.extend(tail);
            let _ = Sps::parse(&nal);
        }
    }

    #[test]
    fn other_units_are_refused() {
        assert_eq!(Sps::parse(&[]), Err(SpsError::NotAnSps));
        assert_eq!(Sps::parse(&[0x68, 1, 2]), Err(SpsError::NotAnSps));
        assert_eq!(Sps::parse(&[0x67, 66]), Err(SpsError::Truncated));
    }
}
