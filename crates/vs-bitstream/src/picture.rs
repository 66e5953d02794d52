// SPDX-License-Identifier: Apache-2.0
//! What a stream says of each picture about time: its place in the order of showing, how long it is shown by the
//! stream's own clock, and whether decoding can begin there.

use crate::h264::PictureOrder;
use crate::order::PictureCounter;
use crate::sei::Sei;
use crate::{Codec, NalKind, SpsError, Tick, h265, nal_units};

/// H.265 allows as many pictures in a decoder (A.4.2), so as many may wait for others.
const MAX_REORDER: u32 = 16;
/// nal_unit_type of an end of sequence and of bitstream, H.265 table 7-1.
const END_OF_SEQUENCE: u8 = 36;
const END_OF_BITSTREAM: u8 = 37;

/// Whether decoding can begin at a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// It cannot.
    None,
    /// A recovery point of H.264 (D.2.8): pictures are right after so many frames; with 0 this one is.
    Recovery(u32),
    /// A key picture: IDR, or IRAP of H.265.
    Key,
}

/// One field of an interlaced frame of H.264, coded as a picture of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field {
    /// The bottom field, not the top one.
    pub bottom: bool,
    frame_num: i64,
    idr: bool,
}

impl Field {
    /// Whether `next`, the picture after this one, is the other field of the same frame (H.264 3.30, 3.111).
    pub fn is_completed_by(self, next: Field) -> bool {
        self.bottom != next.bottom && self.frame_num == next.frame_num && !next.idr
    }
}

/// What a stream says of one picture about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureTime {
    /// Whether decoding can begin here.
    pub entry: Entry,
    /// All pictures before it are shown before it; `order` counts anew.
    pub begins_sequence: bool,
    /// Its place among the pictures since the last that begins a sequence. Places need not be neighbours.
    pub order: i64,
    /// How many pictures at most are decoded before and shown after another one, 0..=16.
    pub reorder: u32,
    /// The stream says so; otherwise it is what its level allows.
    pub reorder_said: bool,
    /// Its order is known. It is not for type 1 of H.264 (8.2.1.2) if pictures are reordered.
    pub order_known: bool,
    /// It can be decoded only if decoding began before the key picture that it follows (a RASL picture of H.265).
    pub needs_past: bool,
    /// The stream's clock, if it says one.
    pub tick: Option<Tick>,
    /// How many of its ticks the picture lasts, 1..=6: what its timing message says (H.264 table E-6), or else 2 for a
    /// frame of H.264, 1 for a field and for pictures of H.265.
    pub ticks: u32,
    /// The picture is a field of H.264.
    pub field: Option<Field>,
}

/// Reads pictures, in the order of the stream.
#[derive(Debug)]
pub struct PictureReader(Counter);

#[derive(Debug)]
enum Counter {
    H264(Box<PictureCounter>),
    H265(Box<h265::order::Counter>),
}

impl PictureReader {
    /// A reader at the beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        Self(match codec {
            Codec::H264 => Counter::H264(Box::default()),
            Codec::H265 => Counter::H265(Box::default()),
        })
    }

    /// Reads the parameter sets of an access unit (Annex B) and its first slice; `None` if it has no slice.
    ///
    /// # Errors
    /// [`SpsError`] if what is said of the picture cannot be read, or a parameter set is missing. The next call
    /// goes on.
    pub fn read(&mut self, access_unit: &[u8]) -> Result<Option<PictureTime>, SpsError> {
        match &mut self.0 {
            Counter::H264(counter) => read_h264(counter, access_unit),
            Counter::H265(counter) => read_h265(counter, access_unit),
        }
    }
}

fn read_h264(counter: &mut PictureCounter, access_unit: &[u8]) -> Result<Option<PictureTime>, SpsError> {
    let Some(start) = counter.read(access_unit)? else { return Ok(None) };
    let sps = start.sps;
    let mut sei = Sei::default();
    let kinds = nal_units(access_unit).map(|nal| (NalKind::of(Codec::H264, nal), nal));
    for (_, nal) in kinds.take_while(|(kind, _)| !kind.is_slice()).filter(|(kind, _)| *kind == NalKind::Sei) {
        sei.read(nal, 1, Some(&sps));
    }
    let unfollowed = matches!(sps.picture_order, PictureOrder::Deltas { .. });
    let reorder = if unfollowed { sps.max_reorder_frames.unwrap_or(0) } else { sps.reorder_frames() };
    let ticks = match (sei.pic_struct, start.bottom_field) {
        (Some(1 | 2), _) | (None | Some(_), Some(_)) => 1,
        (Some(5 | 6), None) => 3,
        (Some(7), None) => 4,
        (Some(8), None) => 6,
        _ => 2,
    };
    Ok(Some(PictureTime {
        entry: if start.idr { Entry::Key } else { sei.recovery.map_or(Entry::None, Entry::Recovery) },
        begins_sequence: start.idr,
        order: start.order,
        reorder,
        reorder_said: sps.max_reorder_frames.is_some() || reorder == 0,
        order_known: !unfollowed || reorder == 0,
        needs_past: false,
        tick: sps.tick,
        ticks,
        field: start.bottom_field.map(|bottom| Field { bottom, frame_num: start.frame_num, idr: start.idr }),
    }))
}

fn read_h265(counter: &mut h265::order::Counter, access_unit: &[u8]) -> Result<Option<PictureTime>, SpsError> {
    let mut picture = None;
    for nal in nal_units(access_unit) {
        let &[first, second, ..] = nal else { continue };
        if (first & 1) << 5 | second >> 3 > 0 {
            continue; // of another layer
        }
        match NalKind::of(Codec::H265, nal) {
            NalKind::Vps => counter.take_vps(nal),
            NalKind::Sps => counter.take_sps(nal)?,
            NalKind::Pps => counter.take_pps(nal)?,
            NalKind::Other(END_OF_SEQUENCE | END_OF_BITSTREAM) => counter.end_sequence(),
            kind if kind.is_slice() && picture.is_none() => picture = Some((counter.start(nal)?, kind)),
            _ => {}
        }
    }
    Ok(picture.map(|(start, kind)| PictureTime {
        entry: if kind == NalKind::KeySlice { Entry::Key } else { Entry::None },
        begins_sequence: start.begins_sequence,
        order: start.order,
        reorder: start.sps.max_reorder_pictures.unwrap_or(MAX_REORDER),
        reorder_said: start.sps.max_reorder_pictures.is_some(),
        order_known: true,
        needs_past: start.skipped_leading,
        tick: start.sps.tick.or(counter.tick),
        ticks: 1,
        field: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_fields_make_a_frame() {
        let field = |bottom, frame_num, idr| Field { bottom, frame_num, idr };
        assert!(field(false, 3, true).is_completed_by(field(true, 3, false)));
        assert!(!field(false, 3, false).is_completed_by(field(false, 3, false)));
        assert!(!field(false, 3, false).is_completed_by(field(true, 4, false)));
        assert!(!field(false, 0, true).is_completed_by(field(true, 0, true)));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(units in prop::collection::vec((any::<u8>(), any::<Vec<u8>>()), 0..8)) {
            for codec in [Codec::H264, Codec::H265] {
                let mut reader = PictureReader::new(codec);
                for (header, payload) in &units {
                    let _ = reader.read(&[&[0, 0, 1, *header, 1], &payload[..]].concat());
                }
            }
        }
    }
}
