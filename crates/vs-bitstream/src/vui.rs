// SPDX-License-Identifier: Apache-2.0
//! Video usability information: what both standards say alike about pixels and time
//! (H.264 E.1.1, H.265 E.2.1).

use crate::{BitReader, Colour, SpsError, Tick};

/// Pixel shapes by aspect_ratio_idc, H.264 table E-1 (H.265 has the same).
const PIXEL_ASPECTS: [(u16, u16); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
/// aspect_ratio_idc that says "the two numbers follow".
const EXTENDED_SAR: u8 = 255;

#[derive(Debug, Default)]
pub(super) struct Vui {
    pub pixel_aspect: Option<(u16, u16)>,
    pub colour: Option<Colour>,
    pub frame_duration_ns: Option<i64>,
    pub tick: Option<Tick>,
}

impl Vui {
    /// Reads from aspect_ratio_info_present_flag up to the chroma location.
    pub fn read_common<I: Iterator<Item = u8>>(&mut self, bits: &mut BitReader<I>) -> Result<(), SpsError> {
        if bits.flag()? {
            let aspect = match bits.u8()? {
                EXTENDED_SAR => Some((bits.u16()?, bits.u16()?)),
                idc => PIXEL_ASPECTS.get(usize::from(idc).wrapping_sub(1)).copied(),
            };
            self.pixel_aspect = aspect.filter(|&(width, height)| width > 0 && height > 0);
        }
        if bits.flag()? {
            bits.skip(1)?; // overscan_appropriate_flag
        }
        if bits.flag()? {
            bits.skip(3)?; // video_format
            let full_range = bits.flag()?;
            let [primaries, transfer, matrix] =
                if bits.flag()? { [bits.u8()?, bits.u8()?, bits.u8()?] } else { [Colour::UNSPECIFIED; 3] };
            self.colour = Some(Colour { primaries, transfer, matrix, full_range });
        }
        if bits.flag()? {
            bits.ue()?; // chroma_sample_loc_type_top_field
            bits.ue()?; // chroma_sample_loc_type_bottom_field
        }
        Ok(())
    }

    /// Reads timing_info_present_flag, which it returns, and the two numbers behind it. `ticks_per_frame` is 2 in H.264,
    /// which counts fields, and 1 in H.265.
    pub fn read_timing<I: Iterator<Item = u8>>(
        &mut self,
        bits: &mut BitReader<I>,
        ticks_per_frame: u64,
    ) -> Result<bool, SpsError> {
        let present = bits.flag()?;
        if present {
            self.tick = Tick::new(bits.bits(32)?, bits.bits(32)?);
            self.frame_duration_ns = self
                .tick
                .map(|tick| u64::from(tick.units.get()) * ticks_per_frame * 1_000_000_000 / u64::from(tick.scale.get()))
                .filter(|&ns| ns > 0)
                .and_then(|ns| i64::try_from(ns).ok());
        }
        Ok(present)
    }
}
