// SPDX-License-Identifier: Apache-2.0
//! Parameter sets: before every keyframe, wherever a driver puts them.
//!
//! Asked for them with every keyframe, some encoders deliver them with the first one only, or by
//! themselves. So they are kept, and put where they are missing.

use std::sync::Arc;

use vs_bitstream::{Codec, ParameterSets, h264, h265};
use vs_frame::FourCc;

use crate::config::{Level, Profile};

/// What stands before each NAL unit.
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The parameter sets of a stream.
#[derive(Debug)]
pub(super) struct Headers {
    codec: Codec,
    sets: ParameterSets,
    /// As they are written before a keyframe.
    bytes: Arc<[u8]>,
}

/// What the parameter sets say of the pictures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Described {
    pub(super) size: (u32, u32),
    pub(super) profile: Option<Profile>,
    pub(super) level: Option<Level>,
}

impl Headers {
    /// `None` for a codec without parameter sets.
    pub(super) fn new(codec: FourCc) -> Option<Self> {
        let codec = codec_of(codec)?;
        Some(Self { codec, sets: ParameterSets::default(), bytes: Arc::from([]) })
    }

    pub(super) fn is_keyframe(&self, unit: &[u8]) -> bool {
        vs_bitstream::is_keyframe(self.codec, unit)
    }

    pub(super) fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Learns those that stand in `unit`. Returns whether there are any, and whether they are new.
    pub(super) fn learn(&mut self, unit: &[u8]) -> (bool, bool) {
        let Ok(found) = ParameterSets::gather(self.codec, unit) else { return (false, false) };
        if found.is_empty() {
            return (false, false);
        }
        let before = self.sets.clone();
        self.sets.supersede(found);
        let is_new = self.sets != before;
        if is_new {
            let all = self.sets.vps.iter().chain(&self.sets.sps).chain(&self.sets.pps);
            self.bytes = all.flat_map(|nal| START_CODE.iter().chain(nal)).copied().collect();
        }
        (true, is_new)
    }

    /// The access unit of a keyframe, which has no parameter sets, with them.
    pub(super) fn complete(&self, unit: &[u8]) -> Arc<[u8]> {
        self.bytes.iter().chain(unit).copied().collect()
    }

    /// `None` until there are all that the codec needs.
    pub(super) fn described(&self) -> Option<Described> {
        let sps = self.sets.first_sps(self.codec).ok()?;
        let (format, profile, level) = match self.codec {
            Codec::H264 => {
                let sps = h264::Sps::parse(sps).ok()?;
                (sps.format, h264_profile(sps.profile), Level::from_idc(sps.level))
            }
            Codec::H265 => {
                let sps = h265::Sps::parse(sps).ok()?;
                let [head, .., level] = sps.profile_tier_level;
                // general_profile_idc 1 is Main; general_level_idc is thirty times the level.
                let profile = (head & 0x1f == 1).then_some(Profile::Main);
                (sps.format, profile, Level::from_idc(level / 3))
            }
        };
        Some(Described { size: (u32::from(format.width), u32::from(format.height)), profile, level })
    }
}

/// `profile_idc` of H.264 (A.2).
fn h264_profile(idc: u8) -> Option<Profile> {
    match idc {
        66 => Some(Profile::Baseline),
        77 => Some(Profile::Main),
        100 => Some(Profile::High),
        _ => None,
    }
}

/// The codecs that have parameter sets.
pub(super) fn codec_of(codec: FourCc) -> Option<Codec> {
    match codec {
        FourCc::H264 => Some(Codec::H264),
        FourCc::HEVC => Some(Codec::H265),
        _ => None,
    }
}

/// The size that parameter sets describe, if they are whole.
pub(super) fn size_of(codec: FourCc, parameter_sets: &[u8]) -> Option<(u32, u32)> {
    let mut headers = Headers::new(codec)?;
    headers.learn(parameter_sets);
    headers.described().map(|described| described.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Constrained Baseline, level 3.0, 320x240.
    const SPS: [u8; 9] = [0x67, 0x42, 0xc0, 0x1e, 0xda, 0x05, 0x07, 0xe4, 0x80];
    const PPS: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| START_CODE.iter().chain(*nal)).copied().collect()
    }

    #[test]
    fn a_keyframe_without_parameter_sets_gets_them() {
        let mut headers = Headers::new(FourCc::H264).unwrap();
        assert_eq!(headers.learn(&stream(&[&[0x65, 0x88]])), (false, false));
        assert_eq!(headers.learn(&stream(&[&SPS, &PPS])), (true, true));
        assert_eq!(headers.learn(&stream(&[&SPS, &PPS, &[0x65, 0x88]])), (true, false));
        let keyframe = headers.complete(&stream(&[&[0x65, 0x88]]));
        assert_eq!(keyframe[..], stream(&[&SPS, &PPS[..], &[0x65, 0x88]]));
        assert!(headers.is_keyframe(&keyframe) && !headers.is_keyframe(&stream(&[&[0x41, 1]])));
        assert_eq!(headers.bytes()[..], stream(&[&SPS, &PPS]));
    }

    #[test]
    fn they_say_what_the_pictures_are() {
        let mut headers = Headers::new(FourCc::H264).unwrap();
        assert_eq!(headers.described(), None);
        headers.learn(&stream(&[&SPS, &PPS]));
        let described = headers.described().unwrap();
        assert_eq!((described.profile, described.level), (Some(Profile::Baseline), Level::from_idc(30)));
        assert!(Headers::new(FourCc::FWHT).is_none() && size_of(FourCc::VP8, &[]).is_none());
    }
}
