// SPDX-License-Identifier: Apache-2.0
//! The sample entry: what a decoder must be told (8.5.2, 12.1, ISO/IEC 14496-15).

use super::boxes::Fields;
use super::error::OpenMovieError;
use super::track::TrackCodec;
use crate::{Colour, VideoFormat};
use vs_bitstream::{NalKind, ParameterSets, ParameterSetsError};

/// Bytes of a VisualSampleEntry before the boxes in it (12.1.3).
const VISUAL_BYTES: usize = 78;
/// Most sample descriptions of a track. Spliced files have a few.
pub(super) const MAX_DESCRIPTIONS: usize = 64;

/// How some of a track's frames are coded.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub codec: TrackCodec,
    pub width: u16,
    pub height: u16,
    pub colour: Option<Colour>,
    pub pixel_aspect: Option<(u16, u16)>,
    /// Bytes of a NAL unit's length.
    pub length_size: usize,
    /// There may be parameter sets among the frames.
    pub sets_in_band: bool,
    pub sets: ParameterSets,
    /// NAL units beside them that are of another kind.
    pub other_units: u64,
    pub format: Option<VideoFormat>,
}

impl Description {
    /// Reads one entry of `stsd`.
    pub fn read(kind: [u8; 4], entry: &[u8]) -> Result<Self, OpenMovieError> {
        let (visual, boxes) = entry.split_at(VISUAL_BYTES.min(entry.len()));
        let find = |wanted: &[u8; 4]| Fields(boxes).boxes().find(|(kind, _)| kind == wanted).map(|(_, body)| body);
        let (codec, sets_in_band) = codec(kind, find(b"sinf"))?;
        let mut description = Self {
            codec,
            width: Fields(visual.get(24..).unwrap_or(&[])).u16(),
            height: Fields(visual.get(26..).unwrap_or(&[])).u16(),
            colour: find(b"colr").and_then(read_colour),
            pixel_aspect: find(b"pasp").and_then(read_aspect),
            length_size: 4,
            sets_in_band,
            sets: ParameterSets::default(),
            other_units: 0,
            format: None,
        };
        match codec {
            TrackCodec::H264 => find(b"avcC").map_or(Ok(()), |record| description.read_avc(record)),
            TrackCodec::H265 => find(b"hvcC").map_or(Ok(()), |record| description.read_hevc(record)),
            TrackCodec::Vp8 | TrackCodec::Vp9 => Ok(()),
        }
        .map_err(|reason| OpenMovieError::ParameterSets { codec, reason })?;
        description.describe(sets_in_band)?;
        Ok(description)
    }

    /// AVCDecoderConfigurationRecord, ISO/IEC 14496-15 5.3.3.1.2.
    fn read_avc(&mut self, record: &[u8]) -> Result<(), ParameterSetsError> {
        let mut fields = Fields(record);
        fields.take(4); // version, profile, constraints, level
        self.length_size = usize::from(fields.u8() & 3) + 1;
        let sps = fields.u8() & 0x1f;
        self.read_units(&mut fields, sps.into())?;
        let pps = fields.u8();
        self.read_units(&mut fields, pps.into())
    }

    /// HEVCDecoderConfigurationRecord, ISO/IEC 14496-15 8.3.3.1.2.
    fn read_hevc(&mut self, record: &[u8]) -> Result<(), ParameterSetsError> {
        let mut fields = Fields(record);
        fields.take(21);
        self.length_size = usize::from(fields.u8() & 3) + 1;
        for _ in 0..fields.u8() {
            fields.u8(); // array_completeness, NAL_unit_type
            let units = fields.u16();
            self.read_units(&mut fields, units)?;
        }
        Ok(())
    }

    /// Units that stand behind their length in two bytes.
    fn read_units(&mut self, fields: &mut Fields<'_>, count: u16) -> Result<(), ParameterSetsError> {
        for _ in 0..count {
            let length = fields.u16();
            let nal = fields.take(length.into());
            if let (Some(codec), false) = (self.codec.bitstream(), nal.is_empty()) {
                let kind = NalKind::of(codec, nal);
                self.other_units += u64::from(!matches!(kind, NalKind::Vps | NalKind::Sps | NalKind::Pps));
                self.sets.add(kind, nal)?;
            }
        }
        Ok(())
    }

    /// The picture by its parameter sets, which know better than the entry.
    fn describe(&mut self, sets_in_band: bool) -> Result<(), OpenMovieError> {
        let Some(codec) = self.codec.bitstream() else { return Ok(()) };
        match self.sets.format(codec) {
            Ok(format) => {
                (self.width, self.height) = (format.width, format.height);
                self.colour = self.colour.or(format.colour);
                self.pixel_aspect = self.pixel_aspect.or(format.pixel_aspect);
                self.format = Some(format);
                Ok(())
            }
            Err(ParameterSetsError::Missing { .. }) if sets_in_band => Ok(()),
            Err(reason) => Err(OpenMovieError::ParameterSets { codec: self.codec, reason }),
        }
    }
}

/// The codec that a sample entry's letters name, and whether parameter sets may be among the frames.
fn codec(kind: [u8; 4], protection: Option<&[u8]>) -> Result<(TrackCodec, bool), OpenMovieError> {
    let name = match &kind {
        b"avc1" => return Ok((TrackCodec::H264, false)),
        b"avc3" => return Ok((TrackCodec::H264, true)),
        b"hvc1" => return Ok((TrackCodec::H265, false)),
        b"hev1" => return Ok((TrackCodec::H265, true)),
        b"vp08" => return Ok((TrackCodec::Vp8, true)),
        b"vp09" => return Ok((TrackCodec::Vp9, true)),
        b"encv" => return Err(OpenMovieError::Encrypted { scheme: protection.and_then(scheme) }),
        b"av01" => "AV1",
        b"mp4v" => "MPEG-4 part 2",
        b"jpeg" | b"mjpa" | b"mjpb" | b"mjpg" => "Motion JPEG",
        b"dvh1" | b"dvhe" | b"dva1" | b"dvav" => "Dolby Vision",
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "Apple ProRes",
        b"s263" | b"h263" => "H.263",
        b"vvc1" | b"vvi1" => "H.266",
        _ => return Err(OpenMovieError::Codec { name: format!("`{}`", kind.escape_ascii()) }),
    };
    Err(OpenMovieError::Codec { name: name.to_owned() })
}

/// The scheme type within a `sinf`: 8.12.
fn scheme(protection: &[u8]) -> Option<String> {
    let (_, body) = Fields(protection).boxes().find(|(kind, _)| kind == b"schm")?;
    Some(body.get(4..8)?.escape_ascii().to_string())
}

/// `colr` with code points: `nclx` (12.1.5), or `nclc` of QuickTime, which does not know full range.
fn read_colour(body: &[u8]) -> Option<Colour> {
    let mut fields = Fields(body);
    let kind = fields.four();
    let mut point = || u8::try_from(fields.u16()).unwrap_or(Colour::UNSPECIFIED);
    let [primaries, transfer, matrix] = [(); 3].map(|()| point());
    let full_range = kind == *b"nclx" && fields.u8() & 0x80 != 0;
    matches!(&kind, b"nclx" | b"nclc").then_some(Colour { primaries, transfer, matrix, full_range })
}

/// 12.1.4
fn read_aspect(body: &[u8]) -> Option<(u16, u16)> {
    let mut fields = Fields(body);
    match (u16::try_from(fields.u32()), u16::try_from(fields.u32())) {
        (Ok(width @ 1..), Ok(height @ 1..)) => Some((width, height)),
        _ => None,
    }
}
