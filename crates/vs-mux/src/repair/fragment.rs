// SPDX-License-Identifier: Apache-2.0
//! A fragment as our own recorder writes it, read back. Anything else is damage.

use std::io::{Read, Seek};

use crate::mp4::{
    IoFailure, MAX_PADDING, MDAT_HEADER_BYTES, SYNC_SAMPLE, Sample, TFHD_BASE_IS_MOOF, TRACK_ID, TRUN_COMPOSITION,
    TRUN_DATA_OFFSET, TRUN_DURATION, TRUN_FIRST_FLAGS, TRUN_SIZE, limits,
};
use crate::read::boxes::Fields;
use crate::read::source::Source;

/// What is read at once at the place of a fragment: usually all of its headers.
const HEAD_BYTES: usize = 4096;
/// Bytes of a `moof` that are not of its frames: seven boxes and what they begin with.
const MOOF_FIXED: usize = 128;
/// Longest `moof`: duration, size and composition offset for each frame.
const MAX_MOOF: usize = MOOF_FIXED + 12 * limits::MAX_FRAGMENT_FRAMES;

/// A fragment whose headers are whole.
#[derive(Debug)]
pub(super) struct Fragment {
    /// Where it begins, or what fills up the page before it.
    pub start: u64,
    /// Where its frames begin.
    pub data_at: u64,
    /// Where they end; behind the file's end if they are not all there.
    pub end: u64,
    pub sequence: u32,
    /// At least one.
    pub samples: Vec<Sample>,
}

impl Fragment {
    /// What begins at `start`, if it is the headers of a fragment, whole and as we write them. The
    /// header of its `mdat` may lie behind the end of the file.
    pub fn read<F: Read + Seek>(source: &mut Source<F>, start: u64) -> Result<Option<Self>, IoFailure> {
        let mut head = [0; HEAD_BYTES];
        let mut length = source.read_some(start, &mut head)?;
        let mut at = start;
        if let (size @ 8..=MAX_PADDING, b"free") = box_header(&head[..length]) {
            at += size;
            length = source.read_some(at, &mut head)?;
        }
        let (size, kind) = box_header(&head[..length]);
        let size = size as usize;
        if kind != b"moof" || !(8..=MAX_MOOF).contains(&size) {
            return Ok(None);
        }
        let long;
        let (moof, behind) = if size + 8 <= length {
            (&head[..size], &head[size..size + 8])
        } else {
            let mut bytes = vec![0; size + 8];
            let length = source.read_some(at, &mut bytes)?;
            if length < size {
                return Ok(None);
            }
            bytes.truncate(length);
            long = bytes;
            long.split_at(size)
        };
        let Some((sequence, samples)) = read_moof(moof) else { return Ok(None) };
        let data: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
        let mut mdat = Fields(behind);
        let told = (u64::from(mdat.u32()), mdat.four());
        if behind.len() == 8 && told != (data + u64::from(MDAT_HEADER_BYTES), *b"mdat") {
            return Ok(None);
        }
        let data_at = at + size as u64 + u64::from(MDAT_HEADER_BYTES);
        Ok(Some(Self { start, data_at, end: data_at + data, sequence, samples }))
    }

    /// Whether it begins with a keyframe.
    pub fn is_key(&self) -> bool {
        self.samples.first().is_some_and(|sample| sample.keyframe)
    }

    /// Decoding time of the first frame.
    pub fn first_dts(&self) -> u64 {
        self.samples.first().map_or(0, |sample| sample.dts)
    }

    /// Decoding time of the last frame, and how long that is believed to last.
    pub fn last(&self) -> (u64, u32) {
        self.samples.last().map_or((0, 0), |sample| (sample.dts, sample.duration))
    }

    /// How long it lasts, in ticks.
    pub fn ticks(&self) -> u64 {
        let (dts, duration) = self.last();
        dts - self.first_dts() + u64::from(duration)
    }
}

/// Size and letters of a box.
fn box_header(bytes: &[u8]) -> (u64, &[u8; 4]) {
    let kind = bytes.get(4..).and_then(|rest| rest.first_chunk()).unwrap_or(b"    ");
    (Fields(bytes).u32().into(), kind)
}

/// What `fragment::write_header` wrote.
fn read_moof(moof: &[u8]) -> Option<(u32, Vec<Sample>)> {
    let [mfhd, traf] = contents(moof.get(8..)?, [b"mfhd", b"traf"])?;
    let [tfhd, tfdt, trun] = contents(traf, [b"tfhd", b"tfdt", b"trun"])?;
    let [mut mfhd, mut tfhd, mut tfdt] = [mfhd, tfhd, tfdt].map(Fields);
    mfhd.u32(); // version, flags
    let known = tfhd.u32() == TFHD_BASE_IS_MOOF && tfhd.u32() == TRACK_ID && tfdt.u32() >> 24 == 1;
    let dts = tfdt.u64();
    // Ticks that a recording can reach, far from overflow.
    if !known || dts > i64::MAX as u64 / 2 {
        return None;
    }
    let samples = read_run(trun, dts, moof.len() as u32 + MDAT_HEADER_BYTES)?;
    Some((mfhd.u32(), samples))
}

/// The contents of boxes, if these and no others follow each other.
fn contents<'a, const N: usize>(mut bytes: &'a [u8], names: [&[u8; 4]; N]) -> Option<[&'a [u8]; N]> {
    let mut found = [&[][..]; N];
    for (slot, name) in found.iter_mut().zip(names) {
        let (kind, content) = Fields(bytes).boxes().next()?;
        if kind != *name {
            return None;
        }
        *slot = content;
        bytes = bytes.get(content.len() + 8..)?;
    }
    bytes.is_empty().then_some(found)
}

/// The frames of a `trun`, the first of which is decoded at `dts`.
fn read_run(trun: &[u8], mut dts: u64, data_offset: u32) -> Option<Vec<Sample>> {
    let mut fields = Fields(trun);
    let (flags, count) = (fields.u32(), fields.u32() as usize);
    let required = TRUN_DATA_OFFSET | TRUN_DURATION | TRUN_SIZE;
    if flags & !(TRUN_FIRST_FLAGS | TRUN_COMPOSITION) != required || fields.u32() != data_offset {
        return None;
    }
    let keyframe = flags & TRUN_FIRST_FLAGS != 0 && fields.u32() == SYNC_SAMPLE;
    let reordered = flags & TRUN_COMPOSITION != 0;
    if count == 0 || fields.0.len() != count * if reordered { 12 } else { 8 } {
        return None;
    }
    let mut samples = Vec::with_capacity(count);
    for index in 0..count {
        let (duration, size) = (fields.u32(), fields.u32());
        let composition_offset = if reordered { fields.u32() } else { 0 };
        let sensible = (1..=limits::MAX_TICKS).contains(&duration.into())
            && u64::from(composition_offset) <= limits::MAX_TICKS
            && (1..=2 * limits::MAX_ACCESS_UNIT).contains(&(size as usize));
        if !sensible {
            return None;
        }
        samples.push(Sample { dts, duration, composition_offset, size, keyframe: keyframe && index == 0 });
        dts += u64::from(duration);
    }
    Some(samples)
}
