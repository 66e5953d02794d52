// SPDX-License-Identifier: Apache-2.0
//! MP4 and QuickTime files: from the `moov` to frames in decoding order.

use std::io::{Read, Seek};
use std::num::NonZeroU32;

use super::boxes::{BoxAt, Fields, box_at};
use super::edit::{Presentation, timescale};
use super::entry::{Description, MAX_DESCRIPTIONS};
use super::error::{OpenMovieError, Trouble};
use super::fragment::{Defaults, FragmentPosition, Fragments};
use super::sample::{Sample, SampleTables, TablePosition};
use super::source::Source;
use super::track::Track;
use crate::mp4::{Rotation, to_ns};

/// Boxes looked at in search of the `moov`. A file with more before it was never finished.
const MAX_BOXES_BEFORE_MOOV: usize = 65_536;
/// Most bytes of all sample descriptions together.
const MAX_STSD: usize = 4 << 20;

/// The frames of one track.
#[derive(Debug)]
pub(super) struct Boxed {
    first: Description,
    more: Vec<Description>,
    pub presentation: Presentation,
    tables: SampleTables,
    fragments: Option<Fragments>,
    start: Position,
    position: Position,
}

/// How far the track has been read. A copy is a place to return to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    tables: TablePosition,
    fragments: FragmentPosition,
    in_fragments: bool,
    /// Samples read.
    pub frame: u64,
}

/// What a `moov` says for all its tracks.
struct Header {
    moov: BoxAt,
    timescale: NonZeroU32,
    mvex: Option<BoxAt>,
}

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

impl Boxed {
    /// Opens the first video track whose codec is known.
    pub fn open<F: Read + Seek>(source: &mut Source<F>) -> Result<(Track, Self), OpenMovieError> {
        let moov = find_moov(source)?;
        if moov.find(source, b"cmov")?.is_some() {
            return Err(OpenMovieError::CompressedHeader);
        }
        let mvhd = moov.need(source, b"mvhd", "the movie has no header (`mvhd`)")?;
        let (timescale, _) = scale_and_duration(source, &mvhd)?;
        let header = Header { moov, timescale, mvex: moov.find(source, b"mvex")? };

        let (mut tracks, mut refused, mut opened) = (0, None, None);
        moov.each_child(source, |source, trak| {
            if trak.kind != *b"trak" {
                return Ok::<_, OpenMovieError>(false);
            }
            tracks += 1;
            match Self::open_track(source, &header, &trak) {
                Ok(track) => opened = track,
                Err(error @ OpenMovieError::Io(_)) => return Err(error),
                Err(error) => refused = refused.take().or(Some(error)),
            }
            Ok(opened.is_some())
        })?;
        opened.ok_or(refused.unwrap_or(OpenMovieError::NoVideo { tracks }))
    }

    /// Opens a track; `None` if it is not of video.
    fn open_track<F: Read + Seek>(
        source: &mut Source<F>,
        header: &Header,
        trak: &BoxAt,
    ) -> Result<Option<(Track, Self)>, OpenMovieError> {
        let mdia = trak.need(source, b"mdia", "a track has no media (`mdia`)")?;
        let hdlr = mdia.need(source, b"hdlr", "a track does not say of what it is (`hdlr`)")?;
        if hdlr.head::<12, F>(source)?[8..] != *b"vide" {
            return Ok(None);
        }
        let tkhd = trak.need(source, b"tkhd", "a track has no header (`tkhd`)")?;
        let (id, rotation) = id_and_rotation(source, &tkhd)?;
        let mdhd = mdia.need(source, b"mdhd", "a track has no media header (`mdhd`)")?;
        let (timescale, media_duration) = scale_and_duration(source, &mdhd)?;
        let minf = mdia.need(source, b"minf", "a track has no media information (`minf`)")?;
        let stbl = minf.need(source, b"stbl", "a track has no sample tables (`stbl`)")?;
        let (first, more) = descriptions(source, &stbl)?;
        let mut tables = SampleTables::open(source, &stbl)?;
        let fragments = match &header.mvex {
            Some(mvex) => Some(Fragments::new(id, Defaults::read(source, mvex, id)?)),
            None => None,
        };

        let mut presentation = Presentation::whole(timescale);
        if let Some(edts) = trak.find(source, b"edts")? {
            presentation = presentation.read(source, &edts, header.timescale, fragments.is_some())?;
        }
        let lead = tables.lead(source)?;
        let frames = fragments.is_none().then_some(tables.count());
        let (tables_start, fragments_start) = (TablePosition::default(), FragmentPosition::behind(header.moov.end));
        let start = Position { tables: tables_start, fragments: fragments_start, in_fragments: false, frame: 0 };
        let mut boxed = Self { first, more, presentation, tables, fragments, start, position: start };
        boxed.presentation = presentation.with_lead(lead.max(boxed.lead_of_first_fragment(source)));

        let duration_ns = match &header.mvex {
            Some(mvex) => fragmented_duration(source, mvex, header.timescale)?,
            None => boxed.presentation.duration_ns(media_duration),
        };
        let average = frames.filter(|&frames| frames > 0 && media_duration > 0);
        let frame_duration_ns = average.map(|frames| to_ns(media_duration, timescale) / frames as i64);
        let track = boxed.describe(rotation, timescale, duration_ns, frame_duration_ns, frames);
        Ok(Some((track, boxed)))
    }

    fn describe(
        &self,
        rotation: Rotation,
        timescale: NonZeroU32,
        duration_ns: Option<i64>,
        frame_duration_ns: Option<i64>,
        frames: Option<u64>,
    ) -> Track {
        let first = &self.first;
        Track {
            codec: first.codec,
            width: first.width,
            height: first.height,
            format: first.format,
            parameter_sets: first.sets.clone(),
            pixel_aspect: first.pixel_aspect,
            colour: first.colour,
            rotation,
            timescale: Some(timescale),
            duration_ns,
            frame_duration_ns: frame_duration_ns.or(first.format.and_then(|format| format.frame_duration_ns)),
            frames,
        }
    }

    /// The description by its number, from 1; the first where there is none of that number.
    pub fn description(&self, number: u32) -> &Description {
        (number as usize).checked_sub(2).and_then(|index| self.more.get(index)).unwrap_or(&self.first)
    }

    pub fn position(&self) -> Position {
        self.position
    }

    pub fn start(&self) -> Position {
        self.start
    }

    pub fn return_to(&mut self, position: Position) {
        self.position = position;
    }

    /// Whether the file was found to be cut off within a fragment.
    pub fn is_torn(&self) -> bool {
        self.position.fragments.is_torn()
    }

    /// The next sample that has data, in decoding order.
    pub fn next<F: Read + Seek>(&mut self, source: &mut Source<F>) -> Result<Option<Sample>, Trouble> {
        loop {
            let Some(sample) = self.next_listed(source)? else { return Ok(None) };
            self.position.frame += 1;
            // Fragments may list the same bytes over and over.
            if self.position.frame > source.length() {
                return Err(Trouble::broken("the file lists more frames than it has bytes", source.length()));
            }
            if sample.size > 0 {
                return Ok(Some(sample));
            }
        }
    }

    fn next_listed<F: Read + Seek>(&mut self, source: &mut Source<F>) -> Result<Option<Sample>, Trouble> {
        let position = &mut self.position;
        if !position.in_fragments {
            if let Some(sample) = self.tables.next(source, &mut position.tables)? {
                position.fragments.continue_at(sample.dts.saturating_add(sample.duration.into()).max(0).unsigned_abs());
                return Ok(Some(sample));
            }
            position.in_fragments = true;
        }
        let Some(fragments) = &mut self.fragments else { return Ok(None) };
        let sample = fragments.next(source, &mut position.fragments)?;
        // A recorder that was killed leaves a fragment whose last frames are missing.
        let whole = sample.filter(|sample| sample.offset.saturating_add(sample.size.into()) <= source.length());
        if whole.is_none() && sample.is_some() {
            position.fragments = FragmentPosition::torn_at(source.length());
        }
        Ok(whole)
    }

    /// What [`SampleTables::lead`] is for, in the frames up to the second keyframe of the fragments:
    /// those after it are no different. Damage is for the reader to find.
    fn lead_of_first_fragment<F: Read + Seek>(&mut self, source: &mut Source<F>) -> u32 {
        /// Frames looked at if there is no second keyframe: more than any encoder holds back.
        const FRAMES: usize = 64;
        let mut lead = 0;
        if self.fragments.is_some() {
            for index in 0..FRAMES {
                let Ok(Some(sample)) = self.next(source) else { break };
                if index > 0 && sample.keyframe {
                    break;
                }
                lead = lead.max(sample.composition.min(0).unsigned_abs());
            }
            self.position = self.start;
        }
        lead
    }
}

/// Timescale and duration of `mvhd` or `mdhd` (8.2.2, 8.4.2); the duration is 0 if it is unknown.
fn scale_and_duration<F: Read + Seek>(source: &mut Source<F>, found: &BoxAt) -> Result<(NonZeroU32, i64), Trouble> {
    let head: [u8; 32] = found.head(source)?;
    let wide = head[0] == 1;
    let mut fields = Fields(&head[if wide { 20 } else { 12 }..]);
    let scale = timescale(fields, found.start)?;
    fields.u32();
    let duration = match fields.length(wide) {
        duration if !wide && duration == u64::from(u32::MAX) => 0,
        duration => i64::try_from(duration).unwrap_or(0),
    };
    Ok((scale, duration))
}

/// `mehd`: 8.8.2.
fn fragmented_duration<F: Read + Seek>(
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
fn id_and_rotation<F: Read + Seek>(source: &mut Source<F>, tkhd: &BoxAt) -> Result<(u32, Rotation), Trouble> {
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
fn descriptions<F: Read + Seek>(
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
