// SPDX-License-Identifier: Apache-2.0
//! The boxes that describe the movie and its tracks: what is read of each.

use std::io::{Read, Seek};
use std::num::NonZeroU32;

use super::boxes::{BoxAt, Fields, box_at};
use super::entry::{Description, MAX_DESCRIPTIONS};
use super::error::{OpenMovieError, Trouble};
use super::source::Source;
use crate::mp4::{Rotation, to_ns};

/// Boxes looked at in search of the `moov`. A file with more before it was never finished.
const MAX_BOXES_BEFORE_MOOV: usize = 65_536;
/// Most tracks named that are not read.
const MAX_KINDS: usize = 64;
/// Most bytes of all sample descriptions together.
const MAX_STSD: usize = 4 << 20;

/// The first `moov` of the file.
pub(super) fn find_moov<F: Read + Seek>(source: &mut Source<F>) -> Result<BoxAt, OpenMovieError> {
    let mut at = 0;
    for _ in 0..MAX_BOXES_BEFORE_MOOV {
        let Some(found) = box_at(source, at, source.length())? else { break };
        if found.kind == *b"moov" && !found.torn {
            return Ok(found);
        }
        at = found.end;
    }
    Err(OpenMovieError::NoMovieHeader)
}

/// Timescale and duration of `mvhd` or `mdhd` (8.2.2, 8.4.2); the duration is 0 if it is unknown.
pub(super) fn scale_and_duration<F: Read + Seek>(
    source: &mut Source<F>,
    found: &BoxAt,
) -> Result<(NonZeroU32, i64), Trouble> {
    let head: [u8; 32] = found.head(source)?;
    let wide = head[0] == 1;
    let mut fields = Fields(&head[if wide { 20 } else { 12 }..]);
    let scale = NonZeroU32::new(fields.u32()).ok_or(Trouble::broken("a timescale is 0", found.start))?;
    let duration = match fields.length(wide) {
        duration if !wide && duration == u64::from(u32::MAX) => 0,
        duration => i64::try_from(duration).unwrap_or(0),
    };
    Ok((scale, duration))
}

/// `mehd`: 8.8.2.
pub(super) fn fragmented_duration<F: Read + Seek>(
    source: &mut Source<F>,
    mvex: &BoxAt,
    timescale: NonZeroU32,
) -> Result<Option<i64>, Trouble> {
    let Some(mehd) = mvex.find(source, b"mehd")? else { return Ok(None) };
    let head: [u8; 12] = mehd.head(source)?;
    let ticks = i64::try_from(Fields(&head[4..]).length(head[0] == 1)).unwrap_or(0);
    Ok((ticks > 0).then(|| to_ns(ticks, timescale)))
}

/// `tkhd`: 8.3.2.
pub(super) fn id_and_rotation<F: Read + Seek>(
    source: &mut Source<F>,
    tkhd: &BoxAt,
) -> Result<(u32, Rotation), Trouble> {
    let head: [u8; 88] = tkhd.head(source)?;
    let wide = head[0] == 1;
    let id = Fields(&head[if wide { 20 } else { 12 }..]).u32();
    let mut fields = Fields(&head[if wide { 52 } else { 40 }..]);
    let [a, b, _, c, d] = [(); 5].map(|()| fields.i32().signum());
    let rotation = match (a, b, c, d) {
        (0, 1, -1, 0) => Rotation::Clockwise90,
        (-1, 0, 0, -1) => Rotation::Half,
        (0, -1, 1, 0) => Rotation::Clockwise270,
        _ => Rotation::None,
    };
    Ok((id, rotation))
}

/// `stsd`: 8.5.2. There is a first, and all must be of its codec.
pub(super) fn descriptions<F: Read + Seek>(
    source: &mut Source<F>,
    stbl: &BoxAt,
) -> Result<(Description, Vec<Description>), OpenMovieError> {
    const NONE: &str = "a track does not say how it is coded (`stsd`)";
    let stsd = stbl.need(source, b"stsd", NONE)?;
    let bytes = source.read_range(stsd.body, stsd.end, MAX_STSD)?;
    let entries = Fields(bytes.get(8..).unwrap_or(&[])).boxes().take(MAX_DESCRIPTIONS);
    let mut read = entries.map(|(kind, entry)| Description::read(kind, entry));
    let first = read.next().ok_or(Trouble::broken(NONE, stsd.start))??;
    let more = read.collect::<Result<Vec<_>, _>>()?;
    if more.iter().any(|description| description.codec != first.codec) {
        return Err(Trouble::broken("a track is of two codecs", stsd.start).into());
    }
    Ok((first, more))
}

/// What the tracks are of, but for one of them: by their `hdlr` (8.4.3), as far as that can be read.
pub(super) fn kinds_of_tracks<F: Read + Seek>(source: &mut Source<F>, moov: &BoxAt, without: usize) -> Vec<String> {
    let (mut tracks, mut kinds) = (0, Vec::new());
    let walked = moov.each_child(source, |source, child| {
        if child.kind == *b"trak" {
            if tracks != without {
                kinds.push(kind_of_track(source, &child));
            }
            tracks += 1;
        }
        Ok::<_, Trouble>(kinds.len() >= MAX_KINDS)
    });
    // Whoever reads the video need not know what is broken elsewhere.
    let _ = walked;
    kinds
}

fn kind_of_track<F: Read + Seek>(source: &mut Source<F>, trak: &BoxAt) -> String {
    let mut handler = || {
        let hdlr = trak.find(source, b"mdia").ok()??.find(source, b"hdlr").ok()??;
        hdlr.head::<12, F>(source).ok()
    };
    let Some(handler) = handler() else { return "unknown".to_owned() };
    match &handler[8..] {
        b"vide" => "video".to_owned(),
        b"soun" => "audio".to_owned(),
        b"sbtl" | b"subt" | b"text" | b"clcp" => "subtitles".to_owned(),
        b"tmcd" => "timecode".to_owned(),
        b"meta" => "metadata".to_owned(),
        b"hint" => "hints".to_owned(),
        other => format!("`{}`", other.escape_ascii()),
    }
}
