// SPDX-License-Identifier: Apache-2.0
//! The sequence parameter set of H.264 (7.3.2.1.1), as far as files and players need it.

mod order;
pub(crate) mod picture;
mod reorder;

pub use order::PictureOrder;

use crate::{BitReader, Codec, NalKind, SpsError, Tick, VideoFormat, rbsp, vui::Vui};
use reorder::Buffering;

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
    /// seq_parameter_set_id, 0..=31.
    pub id: u8,
    /// separate_colour_plane_flag: the three planes are coded as pictures of their own.
    pub separate_planes: bool,
    /// Bits of frame_num in a slice header, 4..=16.
    pub frame_num_bits: u32,
    /// How slices say at which place a picture is shown.
    pub picture_order: PictureOrder,
    /// max_num_ref_frames.
    pub max_ref_frames: u32,
    /// frame_mbs_only_flag: no picture is a field, and none has interlaced macroblocks.
    pub frame_mbs_only: bool,
    /// Width and height in pixels before cropping: whole macroblocks.
    pub coded_size: (u32, u32),
    /// What cropping takes off, in pixels: left, right, top, bottom.
    pub crop: [u32; 4],
    /// max_num_reorder_frames; `None` when not said. [`Sps::reorder_frames`] knows what holds then.
    pub max_reorder_frames: Option<u32>,
    /// max_dec_frame_buffering; `None` when not said.
    pub max_dec_frame_buffering: Option<u32>,
    /// The clock of the stream's own timing, of which a frame lasts two ticks unless something else is said;
    /// `None` when not said.
    pub tick: Option<Tick>,
    /// Bits before pic_struct in a picture timing SEI message (D.1.3); `None` if such messages have none.
    pub pic_struct_at: Option<u32>,
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
        let id = bits.ue_to(31, "seq_parameter_set_id")? as u8;

        let mut chroma = Chroma { format: 1, separate_planes: false, depths: [8, 8] };
        if PROFILES_WITH_CHROMA.contains(&profile) {
            chroma = Chroma::read(&mut bits)?;
        }
        let frame_num_bits = bits.ue_to(12, "log2_max_frame_num")? + 4;
        let picture_order = PictureOrder::read(&mut bits)?;
        let max_ref_frames = bits.ue()?;
        bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
        let size = Size::read(&mut bits, chroma)?;
        let (width, height) = size.cropped()?;

        // A parameter set with a damaged VUI still describes its pictures.
        let (mut vui, mut buffering) = (Vui::default(), Buffering::default());
        let _ = read_vui(&mut bits, &mut vui, &mut buffering);
        Ok(Self {
            profile,
            constraints,
            level,
            id,
            separate_planes: chroma.separate_planes,
            frame_num_bits,
            picture_order,
            max_ref_frames,
            frame_mbs_only: size.frames_only,
            coded_size: size.coded,
            crop: size.crop,
            max_reorder_frames: buffering.reorder_frames,
            max_dec_frame_buffering: buffering.frame_buffering,
            tick: vui.tick,
            pic_struct_at: buffering.pic_struct_at,
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
    fn crop_unit(self) -> (u32, u32) {
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

/// The picture in whole macroblocks, and what is cut off.
struct Size {
    coded: (u32, u32),
    crop: [u32; 4],
    frames_only: bool,
}

impl Size {
    fn read<I: Iterator<Item = u8>>(bits: &mut BitReader<I>, chroma: Chroma) -> Result<Self, SpsError> {
        let (macroblocks_wide, map_units_high) = (bits.ue()?, bits.ue()?);
        let frames_only = bits.flag()?;
        if !frames_only {
            bits.skip(1)?; // mb_adaptive_frame_field_flag
        }
        bits.skip(1)?; // direct_8x8_inference_flag
        let fields = if frames_only { 1 } else { 2 };
        let pixels = |units: u32, each: u32| units.checked_mul(each).ok_or(SpsError::OutOfRange("picture size"));
        let coded =
            (pixels(macroblocks_wide.saturating_add(1), 16)?, pixels(map_units_high.saturating_add(1), 16 * fields)?);
        let mut crop = [0; 4];
        if bits.flag()? {
            let (wide, high) = if chroma.separate_planes { (1, 1) } else { chroma.crop_unit() };
            for (edge, unit) in crop.iter_mut().zip([wide, wide, high * fields, high * fields]) {
                *edge = pixels(bits.ue()?, unit)?;
            }
        }
        Ok(Self { coded, crop, frames_only })
    }

    fn cropped(&self) -> Result<(u16, u16), SpsError> {
        let [left, right, top, bottom] = self.crop.map(u64::from);
        let (width, height) = (u64::from(self.coded.0), u64::from(self.coded.1));
        crate::params::picture_size(width.saturating_sub(left + right), height.saturating_sub(top + bottom))
    }
}

/// E.1.1. What was read before a damage is kept.
fn read_vui<I: Iterator<Item = u8>>(
    bits: &mut BitReader<I>,
    vui: &mut Vui,
    buffering: &mut Buffering,
) -> Result<(), SpsError> {
    if !bits.flag()? {
        return Ok(());
    }
    vui.read_common(bits)?;
    if vui.read_timing(bits, 2)? {
        bits.skip(1)?; // fixed_frame_rate_flag
    }
    buffering.read(bits)
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
