// SPDX-License-Identifier: Apache-2.0
//! The sequence parameter set of H.265 (7.3.2.2), as far as files and players need it.

pub(crate) mod order;
mod rest;

use crate::{BitReader, Codec, NalKind, SpsError, Tick, VideoFormat, rbsp};
use rest::Rest;

/// A NAL unit header has two bytes (7.3.1.2).
pub(crate) const NAL_HEADER_BYTES: usize = 2;

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
    /// Width and height in pixels before cropping.
    pub coded_size: (u32, u32),
    /// What cropping takes off, in pixels: left, right, top, bottom.
    pub crop: [u32; 4],
    /// sps_max_dec_pic_buffering of the highest temporal layer, 1..=16; `None` if what is behind the
    /// picture's description is damaged, as for the next two.
    pub max_dec_pic_buffering: Option<u32>,
    /// sps_max_num_reorder_pics of the highest temporal layer: how many pictures at most come before
    /// one in decoding order and after it in display order.
    pub max_reorder_pictures: Option<u32>,
    /// sps_seq_parameter_set_id, 0..=15.
    pub id: u8,
    /// separate_colour_plane_flag: the three planes are coded as pictures of their own.
    pub separate_planes: bool,
    /// Bits of slice_pic_order_cnt_lsb, 4..=16; `None` if damaged, as above.
    pub order_bits: Option<u32>,
    /// The clock of the stream's own timing, of which a picture lasts one tick; `None` when not said.
    pub tick: Option<Tick>,
    /// field_seq_flag: each picture is a field. False when not said.
    pub fields: bool,
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

        let id = bits.ue_to(15, "sps_seq_parameter_set_id")? as u8;
        let chroma_format = bits.ue_to(3, "chroma_format_idc")? as u8;
        let separate_planes = chroma_format == 3 && bits.flag()?;
        let (coded_size, crop) = read_size(&mut bits, chroma_format, separate_planes)?;
        let (width, height) = cropped(coded_size, crop)?;
        let bit_depth_luma = 8 + bits.ue_to(8, "bit depth")? as u8;
        let bit_depth_chroma = 8 + bits.ue_to(8, "bit depth")? as u8;

        // Damage in what follows leaves the picture described.
        let mut rest = Rest::default();
        let _ = rest.read(&mut bits, sub_layers);
        let vui = rest.vui;
        Ok(Self {
            profile_tier_level,
            temporal_layers: sub_layers as u8 + 1,
            temporal_id_nested,
            coded_size,
            crop,
            max_dec_pic_buffering: rest.buffering,
            max_reorder_pictures: rest.reordering,
            id,
            separate_planes,
            order_bits: rest.order_bits,
            tick: vui.tick,
            fields: rest.fields,
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

    /// general_profile_idc: 1 Main, 2 Main 10, 3 Main Still Picture, 4 range extensions.
    pub fn profile(&self) -> u8 {
        self.profile_tier_level[0] & 0x1f
    }

    /// general_level_idc, thirty times the level.
    pub fn level(&self) -> u8 {
        self.profile_tier_level[11]
    }
}

/// The rest of profile_tier_level(), 7.3.3.
pub(crate) fn skip_sub_layer_levels<I: Iterator<Item = u8>>(
    bits: &mut BitReader<I>,
    sub_layers: u32,
) -> Result<(), SpsError> {
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

type CodedSize = ((u32, u32), [u32; 4]);

fn read_size<I: Iterator<Item = u8>>(
    bits: &mut BitReader<I>,
    chroma_format: u8,
    separate_planes: bool,
) -> Result<CodedSize, SpsError> {
    let size = (bits.ue()?, bits.ue()?);
    let mut crop = [0; 4];
    if bits.flag()? {
        // SubWidthC and SubHeightC, table 6-1.
        let unit = match chroma_format {
            _ if separate_planes => (1, 1),
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        for (edge, unit) in crop.iter_mut().zip([unit.0, unit.0, unit.1, unit.1]) {
            *edge = bits.ue()?.checked_mul(unit).ok_or(SpsError::OutOfRange("conformance window"))?;
        }
    }
    Ok((size, crop))
}

fn cropped((width, height): (u32, u32), crop: [u32; 4]) -> Result<(u16, u16), SpsError> {
    let [left, right, top, bottom] = crop.map(u64::from);
    let (width, height) = (u64::from(width), u64::from(height));
    crate::params::picture_size(width.saturating_sub(left + right), height.saturating_sub(top + bottom))
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
