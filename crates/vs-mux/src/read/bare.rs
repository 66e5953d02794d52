// SPDX-License-Identifier: Apache-2.0
//! Bare streams: known by their content, taken apart as they are read.

use std::io::{Read, Seek};

use super::error::ReadError;
use super::source::Source;
use super::track::{Track, TrackCodec};
use crate::mp4::{IoFailure, Rotation};
use vs_bitstream::{AccessUnits, Codec, NalKind, ParameterSets, nal_units};

/// Bytes in which the parameter sets must come. They are the first thing a decoder needs.
pub(crate) const PROBE_BYTES: usize = 1 << 20;
/// Bytes read at a time.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// A bare stream, read up to some place.
#[derive(Debug)]
pub(super) struct Bare {
    pub codec: Codec,
    units: AccessUnits,
    at: u64,
    ended: bool,
    piece: Vec<u8>,
}

impl Bare {
    /// Opens a file that begins like a byte stream of either codec and says what its pictures are.
    pub fn open<F: Read + Seek>(source: &mut Source<F>) -> Result<Option<(Track, Self)>, IoFailure> {
        let mut head = vec![0; PROBE_BYTES];
        let length = source.read_some(0, &mut head)?;
        head.truncate(length);
        Ok(recognise(&head).map(|track| (track.0, Self::new(track.1))))
    }

    fn new(codec: Codec) -> Self {
        Self { codec, units: AccessUnits::new(codec), at: 0, ended: false, piece: vec![0; PIECE_BYTES] }
    }

    pub fn rewind(&mut self) {
        *self = Self::new(self.codec);
    }

    /// Appends the next picture to `out`, which says whether there is one.
    pub fn next<F: Read + Seek>(&mut self, source: &mut Source<F>, out: &mut Vec<u8>) -> Result<bool, ReadError> {
        loop {
            while let Some(unit) = self.units.next_unit()? {
                // What has no slice is no picture: parameter sets at the end.
                if nal_units(unit).any(|nal| NalKind::of(self.codec, nal).is_slice()) {
                    out.extend_from_slice(unit);
                    return Ok(true);
                }
            }
            if self.ended {
                return Ok(false);
            }
            let length = source.read_some(self.at, &mut self.piece)?;
            self.at += length as u64;
            self.units.push(&self.piece[..length]);
            if length == 0 {
                self.ended = true;
                self.units.end();
            }
        }
    }
}

/// The stream that begins with `head`, if it begins like a byte stream of either codec.
pub(crate) fn recognise(head: &[u8]) -> Option<(Track, Codec)> {
    let zeros = head.iter().take_while(|&&byte| byte == 0).count();
    if zeros < 2 || head.get(zeros) != Some(&1) {
        return None;
    }
    // Types of H.265's sets are not among those of H.264, but a damaged one may be taken for another.
    [Codec::H265, Codec::H264].into_iter().find_map(|codec| Some((describe(codec, head)?, codec)))
}

/// The stream whose first parameter sets these are.
fn describe(codec: Codec, head: &[u8]) -> Option<Track> {
    let mut sets = ParameterSets::default();
    for nal in nal_units(head) {
        let kind = NalKind::of(codec, nal);
        if kind.is_slice() && sets.format(codec).is_ok() {
            break;
        }
        sets.add(kind, nal).ok()?;
    }
    let format = sets.format(codec).ok()?;
    Some(Track {
        codec: TrackCodec::from(codec),
        width: format.width,
        height: format.height,
        format: Some(format),
        parameter_sets: sets,
        other_units: 0,
        sets_in_band: true,
        other_tracks: Vec::new(),
        pixel_aspect: format.pixel_aspect,
        colour: format.colour,
        rotation: Rotation::None,
        timescale: None,
        duration_ns: None,
        frame_duration_ns: format.frame_duration_ns,
        frames: None,
    })
}
