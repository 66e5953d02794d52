// SPDX-License-Identifier: Apache-2.0
//! Access units that a decoder can begin with: parameter sets before each keyframe.

use vs_bitstream::{Codec, NalKind, ParameterSets};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units of one picture, and what has to stand before them.
pub(super) struct Picture<'a, I> {
    nals: I,
    codec: Codec,
    /// The parameter sets to be put in.
    sets: Option<&'a ParameterSets>,
}

impl<'a, 'n, I: Iterator<Item = &'n [u8]> + Clone> Picture<'a, I> {
    /// Looks at what is there. `sets` are those in force, in whose place newer ones of the picture's
    /// own step; they are put in where decoding may begin and the picture brings none.
    pub fn new(codec: Codec, nals: I, keyframe: bool, sets: &'a mut ParameterSets) -> Self {
        let (mut own, mut keyframe) = (ParameterSets::default(), keyframe);
        for nal in nals.clone() {
            let kind = NalKind::of(codec, nal);
            keyframe |= kind == NalKind::KeySlice;
            // More sets than can be held are no sets to begin with.
            let _ = own.add(kind, nal);
        }
        let brings = !own.sps.is_empty();
        if !own.is_empty() {
            sets.supersede(own);
        }
        Self { nals, codec, sets: (keyframe && !brings && !sets.is_empty()).then_some(sets) }
    }

    /// Whether the NAL units are all that is needed.
    pub fn is_complete(&self) -> bool {
        self.sets.is_none()
    }

    /// Writes it as Annex B: a delimiter first, then the parameter sets, then the rest.
    pub fn write(self, out: &mut Vec<u8>) {
        let mut put = |nal: &[u8]| {
            out.extend_from_slice(&START_CODE);
            out.extend_from_slice(nal);
        };
        let mut nals = self.nals.peekable();
        if let Some(delimiter) = nals.next_if(|nal| NalKind::of(self.codec, nal) == NalKind::Delimiter) {
            put(delimiter);
        }
        if let Some(sets) = self.sets {
            [&sets.vps, &sets.sps, &sets.pps].into_iter().flatten().for_each(|nal| put(nal));
        }
        nals.for_each(put);
    }
}
