// SPDX-License-Identifier: Apache-2.0
//! NAL units: where they begin and end, and what kind each one is.

use crate::Codec;

/// Splits an Annex B byte stream, or one access unit of it, into its NAL units.
///
/// The units come without start code and without the zero bytes that may trail them (B.1.1), header
/// byte first, as slices of `stream`; empty ones are left out, and so is what stands before the first
/// start code. Bytes without any start code yield nothing.
pub fn nal_units(stream: &[u8]) -> NalUnits<'_> {
    let rest = match find_start_code(stream) {
        Some(at) => &stream[at + START_CODE.len()..],
        None => &[],
    };
    NalUnits { rest }
}

/// The iterator [`nal_units`] returns.
#[derive(Debug, Clone)]
pub struct NalUnits<'a> {
    /// What follows the start code of the next NAL unit.
    rest: &'a [u8],
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (unit, rest) = match find_start_code(self.rest) {
                Some(at) => (&self.rest[..at], &self.rest[at + START_CODE.len()..]),
                None => (self.rest, &[][..]),
            };
            self.rest = rest;
            let unit = without_filling(unit);
            if !unit.is_empty() {
                return Some(unit);
            }
        }
        None
    }
}

pub(crate) const START_CODE: [u8; 3] = [0, 0, 1];

pub(crate) fn find_start_code(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, &START_CODE)
}

/// What stands between two start codes without the zero bytes that may trail a NAL unit (B.1.1); empty
/// if there is nothing else.
pub(crate) fn without_filling(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|&byte| byte != 0);
    end.map_or(&[], |end| &nal[..=end])
}

/// What a NAL unit is, as far as a file or a stream has to know (H.264 table 7-1, H.265 table 7-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NalKind {
    /// Video parameter set (H.265).
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Access unit delimiter.
    Delimiter,
    /// Supplemental enhancement information.
    Sei,
    /// Part of a picture at which decoding can begin: IDR (H.264), IRAP (H.265: IDR, BLA, CRA).
    KeySlice,
    /// Part of any other picture.
    Slice,
    /// Everything else, by its nal_unit_type.
    Other(u8),
}

impl NalKind {
    /// The kind of `nal`, a unit without start code, judged by its header. An empty unit is
    /// `Other(0)`, a type that neither standard gives a meaning a file would need.
    pub fn of(codec: Codec, nal: &[u8]) -> Self {
        let header = nal.first().copied().unwrap_or(0);
        match codec {
            Codec::H264 if nal.is_empty() => Self::Other(0),
            Codec::H264 => match header & 0x1f {
                1..=4 => Self::Slice,
                5 => Self::KeySlice,
                6 => Self::Sei,
                7 => Self::Sps,
                8 => Self::Pps,
                9 => Self::Delimiter,
                other => Self::Other(other),
            },
            // The header has two bytes; a unit that consists of less is no slice.
            Codec::H265 if nal.len() < 2 => Self::Other(header >> 1 & 0x3f),
            Codec::H265 => match header >> 1 & 0x3f {
                0..=9 => Self::Slice,
                16..=23 => Self::KeySlice,
                32 => Self::Vps,
                33 => Self::Sps,
                34 => Self::Pps,
                35 => Self::Delimiter,
                39 | 40 => Self::Sei,
                other => Self::Other(other),
            },
        }
    }

    /// Whether this is a part of a picture.
    pub fn is_slice(self) -> bool {
        matches!(self, Self::Slice | Self::KeySlice)
    }

    /// Whether this describes pictures rather than being one.
    pub fn is_parameter_set(self) -> bool {
        matches!(self, Self::Vps | Self::Sps | Self::Pps)
    }
}

/// Whether decoding can begin at this access unit: its first slice is of a key picture.
pub fn is_keyframe(codec: Codec, access_unit: &[u8]) -> bool {
    nal_units(access_unit).map(|nal| NalKind::of(codec, nal)).find(|kind| kind.is_slice()) == Some(NalKind::KeySlice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::to_length_prefixed;
    use proptest::prelude::*;

    #[test]
    fn start_codes_of_three_and_four_bytes() {
        let stream = [9, 0, 0, 0, 1, 0x67, 5, 0, 0, 1, 0x68, 0, 0, 0, 0, 1, 0, 0, 1, 0x65];
        let units: Vec<&[u8]> = nal_units(&stream).collect();
        assert_eq!(units, [&[0x67, 5][..], &[0x68], &[0x65]]);
    }

    #[test]
    fn nothing_without_a_start_code() {
        assert_eq!(nal_units(&[]).count(), 0);
        assert_eq!(nal_units(&[0, 0]).count(), 0);
        assert_eq!(nal_units(&[1, 2, 3, 4, 5]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
    }

    #[test]
    fn keyframes() {
        let unit = |header: u8| [0, 0, 1, 0x06, 0x01, 0, 0, 1, header, 0x80];
        assert!(is_keyframe(Codec::H264, &unit(0x65)));
        assert!(!is_keyframe(Codec::H264, &unit(0x41)));
        let unit = |kind: u8| [0, 0, 1, 39 << 1, 1, 0, 0, 1, kind << 1, 1];
        assert!(is_keyframe(Codec::H265, &unit(19)) && is_keyframe(Codec::H265, &unit(21)));
        assert!(!is_keyframe(Codec::H265, &unit(1)));
    }

    proptest! {
        /// Units put together with either start code come apart again.
        #[test]
        fn round_trip(
            units in prop::collection::vec((prop::collection::vec(2u8.., 1..20), any::<bool>()), 0..8)
        ) {
            let mut stream = Vec::new();
            for (unit, long) in &units {
                stream.extend_from_slice(if *long { &[0, 0, 0, 1] } else { &[0, 0, 1] });
                stream.extend_from_slice(unit);
            }
            let found: Vec<Vec<u8>> = nal_units(&stream).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(found, units.into_iter().map(|(unit, _)| unit).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_can_be_split(bytes in prop::collection::vec(0u8..4, 0..200)) {
            for nal in nal_units(&bytes) {
                prop_assert!(!nal.is_empty() && nal.last() != Some(&0));
                for codec in [Codec::H264, Codec::H265] {
                    NalKind::of(codec, nal);
                }
            }
            for codec in [Codec::H264, Codec::H265] {
                is_keyframe(codec, &bytes);
                let mut sample = Vec::new();
                let length = to_length_prefixed(codec, &bytes, &mut sample);
                prop_assert_eq!(length, sample.len());
                // A NAL unit is 3 bytes longer in Annex B and 4 bytes longer in a sample.
                prop_assert!(length <= bytes.len() + nal_units(&bytes).count());
            }
        }
    }
}
