// SPDX-License-Identifier: Apache-2.0
//! Parameter sets: what a decoder must know before the first picture.

use crate::{Codec, NalKind, SpsError, VideoFormat, h264, h265, nal_units};

/// What a configuration record can count: 5 bits for SPS, 8 for PPS (ISO/IEC 14496-15 5.3.3.1.2).
/// H.265 knows 16 VPS, 16 SPS and 64 PPS, and its record counts further.
const MAX_SPS: usize = 31;
const MAX_PPS: usize = 255;
const MAX_VPS: usize = 16;

/// Why parameter sets cannot describe a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParameterSetsError {
    /// Not all kinds that the codec needs are there.
    #[error("{codec} needs at least one {missing}; let the encoder send it with each keyframe")]
    Missing {
        /// The codec.
        codec: Codec,
        /// Which kind is not there.
        missing: &'static str,
    },
    /// More sets, or longer ones, than a file can hold.
    #[error("more or longer parameter sets than a file can hold")]
    TooMany,
    /// The sequence parameter set cannot be understood.
    #[error(transparent)]
    Sps(#[from] SpsError),
}

/// The parameter sets of a stream: NAL units without start code, each once, in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterSets {
    /// Video parameter sets; H.265 only.
    pub vps: Vec<Vec<u8>>,
    /// Sequence parameter sets.
    pub sps: Vec<Vec<u8>>,
    /// Picture parameter sets.
    pub pps: Vec<Vec<u8>>,
}

impl ParameterSets {
    /// Those found in an Annex B access unit or header; empty when there are none.
    pub fn gather(codec: Codec, access_unit: &[u8]) -> Result<Self, ParameterSetsError> {
        let mut sets = Self::default();
        for nal in nal_units(access_unit) {
            sets.add(NalKind::of(codec, nal), nal)?;
        }
        Ok(sets)
    }

    /// Takes `nal` in if it is a parameter set that is not there yet.
    pub fn add(&mut self, kind: NalKind, nal: &[u8]) -> Result<(), ParameterSetsError> {
        let (list, limit) = match kind {
            NalKind::Vps => (&mut self.vps, MAX_VPS),
            NalKind::Sps => (&mut self.sps, MAX_SPS),
            NalKind::Pps => (&mut self.pps, MAX_PPS),
            _ => return Ok(()),
        };
        if list.iter().any(|known| known == nal) {
            return Ok(());
        }
        if list.len() >= limit || nal.len() > usize::from(u16::MAX) {
            return Err(ParameterSetsError::TooMany);
        }
        list.push(nal.to_vec());
        Ok(())
    }

    /// Takes the sets of `newer` in place of those of the same kinds.
    pub fn supersede(&mut self, newer: Self) {
        for (old, new) in [(&mut self.vps, newer.vps), (&mut self.sps, newer.sps), (&mut self.pps, newer.pps)] {
            if !new.is_empty() {
                *old = new;
            }
        }
    }

    /// Whether `nal`, of the given kind, is one of these. What is no parameter set never is.
    pub fn contains(&self, kind: NalKind, nal: &[u8]) -> bool {
        let list = match kind {
            NalKind::Vps => &self.vps,
            NalKind::Sps => &self.sps,
            NalKind::Pps => &self.pps,
            _ => return false,
        };
        list.iter().any(|known| known == nal)
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.vps.is_empty() && self.sps.is_empty() && self.pps.is_empty()
    }

    /// The picture that the first sequence parameter set describes, once every kind that `codec`
    /// needs is there.
    pub fn format(&self, codec: Codec) -> Result<VideoFormat, ParameterSetsError> {
        match codec {
            Codec::H264 => Ok(h264::Sps::parse(self.first_sps(codec)?)?.format),
            Codec::H265 => Ok(h265::Sps::parse(self.first_sps(codec)?)?.format),
        }
    }

    /// The sequence parameter set that speaks for the track.
    pub fn first_sps(&self, codec: Codec) -> Result<&[u8], ParameterSetsError> {
        let missing = |missing| ParameterSetsError::Missing { codec, missing };
        if codec == Codec::H265 && self.vps.is_empty() {
            return Err(missing("video parameter set"));
        }
        if self.pps.is_empty() {
            return Err(missing("picture parameter set"));
        }
        self.sps.first().map(Vec::as_slice).ok_or(missing("sequence parameter set"))
    }
}

/// A picture size that a file can state.
pub(super) fn picture_size(width: u64, height: u64) -> Result<(u16, u16), SpsError> {
    match (u16::try_from(width), u16::try_from(height)) {
        (Ok(width @ 1..), Ok(height @ 1..)) => Ok((width, height)),
        _ => Err(SpsError::OutOfRange("picture size")),
    }
}
