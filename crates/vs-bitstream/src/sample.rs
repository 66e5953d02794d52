// SPDX-License-Identifier: Apache-2.0
//! Sample data of ISO/IEC 14496-15: NAL units behind their length instead of a start code.

use crate::{Codec, NalKind, nal_units};

/// Appends an Annex B access unit to `out` as sample data of ISO/IEC 14496-15: each NAL unit behind
/// its length in 4 bytes, parameter sets and access unit delimiters left out. Returns the bytes
/// appended.
///
/// A unit longer than 4 GiB cannot be written that way and is left out; callers bound access units
/// far below that.
pub fn to_length_prefixed(codec: Codec, access_unit: &[u8], out: &mut Vec<u8>) -> usize {
    append_length_prefixed(codec, access_unit, |kind| !kind.is_parameter_set() && kind != NalKind::Delimiter, out)
}

/// The same with a say in which kinds of NAL units are kept.
pub fn append_length_prefixed(
    codec: Codec,
    access_unit: &[u8],
    keep: impl Fn(NalKind) -> bool,
    out: &mut Vec<u8>,
) -> usize {
    let before = out.len();
    for nal in nal_units(access_unit) {
        if keep(NalKind::of(codec, nal))
            && let Ok(length) = u32::try_from(nal.len())
        {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(nal);
        }
    }
    out.len() - before
}

/// The NAL units of sample data, in which each stands behind its length in `length_size` bytes
/// (1..=4; ISO/IEC 14496-15, lengthSizeMinusOne). Empty ones are left out.
pub fn length_prefixed(sample: &[u8], length_size: usize) -> LengthPrefixed<'_> {
    LengthPrefixed { rest: sample, length_size: length_size.clamp(1, 4) }
}

/// The iterator [`length_prefixed`] returns. It ends before a NAL unit that would reach beyond the
/// sample, and [`is_damaged`](Self::is_damaged) then says so.
#[derive(Debug, Clone)]
pub struct LengthPrefixed<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl LengthPrefixed<'_> {
    /// Whether bytes are left that are neither a NAL unit nor zeros to fill up; of interest once the
    /// iterator has ended.
    pub fn is_damaged(&self) -> bool {
        self.rest.iter().any(|&byte| byte != 0)
    }
}

impl<'a> Iterator for LengthPrefixed<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (length, behind) = self.rest.split_at_checked(self.length_size)?;
            let length = length.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
            let (nal, rest) = behind.split_at_checked(usize::try_from(length).ok()?)?;
            self.rest = rest;
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn there_and_back(units in prop::collection::vec(prop::collection::vec(2u8.., 2..20), 0..8)) {
            let stream: Vec<u8> = units.iter().flat_map(|unit| [&[0, 0, 1, 0x41], &unit[..]].concat()).collect();
            let mut sample = Vec::new();
            to_length_prefixed(Codec::H264, &stream, &mut sample);
            let mut found = length_prefixed(&sample, 4);
            prop_assert!(found.by_ref().eq(nal_units(&stream)));
            prop_assert!(!found.is_damaged());
        }

        #[test]
        fn any_bytes_can_be_split(bytes in prop::collection::vec(0u8..6, 0..100), length_size in 0usize..7) {
            let mut units = length_prefixed(&bytes, length_size);
            let total: usize = units.by_ref().map(|nal| nal.len() + 1).sum();
            prop_assert!(total <= bytes.len());
        }
    }

    #[test]
    fn a_unit_beyond_the_end_is_seen() {
        let mut units = length_prefixed(&[0, 1, 0x41, 0, 9, 0x42], 2);
        assert_eq!(units.next(), Some(&[0x41][..]));
        assert_eq!(units.next(), None);
        assert!(units.is_damaged());
    }
}
