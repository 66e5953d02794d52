// SPDX-License-Identifier: Apache-2.0
//! The beginning of our own files, read back: what the final `moov` says but for the frames.

use std::io::{Read, Seek};
use std::num::NonZeroU32;

use crate::mp4::{Edit, IoFailure, PLACEHOLDER, PLACEHOLDER_BYTES, TRACK_ID, Track};
use crate::read::boxes::Fields;
use crate::read::error::Trouble;
use crate::read::source::Source;
use vs_bitstream::Codec;

/// Longest `ftyp` looked at. Ours has 32 bytes.
const MAX_FTYP: usize = 128;
/// Longest `moov` without frames. The parameter sets are what makes it long.
const MAX_HEADER: usize = 4 << 20;

/// How a file begins.
pub(super) enum Beginning {
    /// Like a recording of ours.
    Ours(Box<Header>),
    /// Like a recording of ours, but not even its header is whole.
    Torn,
    /// Like something else.
    Others,
}

/// The header of a recording.
#[derive(Debug)]
pub(super) struct Header {
    pub track: Track,
    pub codec: Codec,
    pub placeholder_at: u64,
    /// Where the fragments begin.
    pub end: u64,
}

impl Beginning {
    pub fn read<F: Read + Seek>(source: &mut Source<F>) -> Result<Self, IoFailure> {
        let mut head = [0; MAX_FTYP + PLACEHOLDER_BYTES as usize + 8];
        let length = source.read_some(0, &mut head)?;
        let head = &head[..length];
        // Too little to be told from anything; or what a power cut leaves of a file whose size the file
        // system had noted, but no data yet.
        if length < 8 || head.iter().all(|&byte| byte == 0) {
            return Ok(Self::Torn);
        }
        let mut fields = Fields(head);
        let (ftyp, kind) = (fields.u32() as usize, fields.four());
        if kind != *b"ftyp" || !(16..=MAX_FTYP).contains(&ftyp) {
            return Ok(Self::Others);
        }
        let mut fields = Fields(head.get(ftyp..).unwrap_or(&[]));
        let placeholder = fields.take(PLACEHOLDER.len());
        let (size, kind) = (fields.u32() as usize, fields.four());
        if placeholder.len() < PLACEHOLDER.len() {
            return Ok(Self::Torn);
        }
        // A finished file has an `mdat` in that place, and hides what follows.
        if placeholder != PLACEHOLDER && placeholder.get(..8) != Some(b"\0\0\0\x01mdat") {
            return Ok(Self::Others);
        }
        let incomplete = if placeholder == PLACEHOLDER { Self::Torn } else { Self::Others };
        let moov_at = ftyp as u64 + PLACEHOLDER_BYTES;
        if kind != *b"moov" || size < 8 {
            return Ok(incomplete);
        }
        let end = moov_at + size as u64;
        let body = match source.read_range(moov_at + 8, end, MAX_HEADER) {
            Ok(body) => body,
            Err(Trouble::Io(failure)) => return Err(failure),
            Err(Trouble::Broken(_)) => return Ok(incomplete),
        };
        Ok(match read_moov(&body) {
            Some((track, codec)) => Self::Ours(Box::new(Header { track, codec, placeholder_at: ftyp as u64, end })),
            None => incomplete,
        })
    }
}

/// The content of the box at the end of a path of boxes.
fn find<'a>(body: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(body, |body, wanted| {
        Fields(body).boxes().find(|(kind, _)| kind == *wanted).map(|(_, content)| content)
    })
}

/// What `moov::write_movie` wrote: `None` if it was not that. All full boxes with times are of
/// version 1.
fn read_moov(moov: &[u8]) -> Option<(Track, Codec)> {
    find(moov, &[b"mvex", b"trex"])?;
    let mut mvhd = Fields(find(moov, &[b"mvhd"])?);
    if mvhd.u32() >> 24 != 1 {
        return None;
    }
    let created = mvhd.u64();
    mvhd.u64(); // modified
    let timescale = NonZeroU32::new(mvhd.u32())?;

    let trak = find(moov, &[b"trak"])?;
    let mut tkhd = Fields(find(trak, &[b"tkhd"])?);
    tkhd.take(20); // version, times
    if tkhd.u32() != TRACK_ID {
        return None;
    }
    tkhd.take(28); // duration, layer, group, volume
    let matrix = [(); 9].map(|()| tkhd.i32());
    let shown_size = [tkhd.u32(), tkhd.u32()];

    let edit = match find(trak, &[b"edts", b"elst"]) {
        Some(elst) => read_edit(Fields(elst))?,
        None => Edit { delay: 0, media_time: 0 },
    };
    let stsd = find(trak, &[b"mdia", b"minf", b"stbl", b"stsd"])?.get(8..)?;
    let (kind, content) = Fields(stsd).boxes().next()?;
    let codec = match &kind {
        b"avc1" | b"avc3" => Codec::H264,
        b"hvc1" | b"hev1" => Codec::H265,
        _ => return None,
    };
    let entry = stsd.get(..content.len() + 8)?.to_vec();
    Some((Track { entry, matrix, shown_size, timescale, edit, created }, codec))
}

/// A delay, if there is one, and where the presentation begins.
fn read_edit(mut elst: Fields<'_>) -> Option<Edit> {
    elst.u32(); // version, flags
    let mut edit = Edit { delay: 0, media_time: 0 };
    for _ in 0..elst.u32().min(2) {
        let (length, media_time) = (elst.u64(), elst.u64() as i64);
        elst.u32(); // rate
        match u64::try_from(media_time) {
            Ok(media_time) => edit.media_time = media_time,
            Err(_) => edit.delay = length,
        }
    }
    // Ticks that a file of ours can reach; sums of them stay far from overflow.
    (edit.delay.max(edit.media_time) <= i64::MAX as u64 / 2).then_some(edit)
}
