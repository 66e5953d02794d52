// SPDX-License-Identifier: Apache-2.0
//! Access units that a decoder can begin with: parameter sets before each keyframe.

use vs_bitstream::{Codec, NalKind, ParameterSets};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units of one picture, and what has to stand before them.
pub(crate) struct Picture<'a, I> {
    nals: I,
    codec: Codec,
    /// The parameter sets to be put in.
    sets: Option<&'a ParameterSets>,
}

impl<'a, 'n, I: Iterator<Item = &'n [u8]> + Clone> Picture<'a, I> {
    /// Looks at what is there. `sets` are those in force, in whose place newer ones of the picture's
    /// own step; they are put in where decoding shall be able to begin and the picture brings none.
    pub fn new(codec: Codec, nals: I, begins: bool, sets: &'a mut ParameterSets) -> Self {
        let mut own = ParameterSets::default();
        for nal in nals.clone() {
            let kind = NalKind::of(codec, nal);
            // More sets than can be held are no sets to begin with.
            let _ = own.add(kind, nal);
        }
        let brings = !own.sps.is_empty();
        if !own.is_empty() {
            sets.supersede(own);
        }
        Self { nals, codec, sets: (begins && !brings && !sets.is_empty()).then_some(sets) }
    }

    /// Whether the NAL units are all that is needed.
    pub fn is_complete(&self) -> bool {
        self.sets.is_none()
    }

    /// All NAL units: a delimiter first, then the parameter sets, then the rest.
    pub fn into_nals(self) -> impl Iterator<Item = &'a [u8]>
    where
        'n: 'a,
        I: 'a,
    {
        let mut nals = self.nals.peekable();
        let delimiter = nals.next_if(|nal| NalKind::of(self.codec, nal) == NalKind::Delimiter);
        let sets = self.sets.into_iter().flat_map(|sets| [&sets.vps, &sets.sps, &sets.pps]).flatten();
        delimiter
            .into_iter()
            .map(|nal| -> &'a [u8] { nal })
            .chain(sets.map(Vec::as_slice))
            .chain(nals.map(|nal| -> &'a [u8] { nal }))
    }

    /// Writes it as Annex B.
    pub fn write(self, out: &mut Vec<u8>)
    where
        'n: 'a,
        I: 'a,
    {
        for nal in self.into_nals() {
            out.extend_from_slice(&START_CODE);
            out.extend_from_slice(nal);
        }
    }
}

/// Whether the picture is a key picture by its slices.
pub(crate) fn has_key_slice<'n>(codec: Codec, mut nals: impl Iterator<Item = &'n [u8]>) -> bool {
    nals.any(|nal| NalKind::of(codec, nal) == NalKind::KeySlice)
}
