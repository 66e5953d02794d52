// SPDX-License-Identifier: Apache-2.0
//! MP4 and QuickTime files: from the `moov` to frames in decoding order.

use std::io::{Read, Seek};
use std::num::NonZeroU32;

use super::boxes::BoxAt;
use super::edit::Presentation;
use super::entry::Description;
use super::error::{OpenMovieError, Trouble};
use super::fragment::{FragmentPosition, Fragments};
use super::header::{
    descriptions, find_moov, fragmented_duration, id_and_rotation, kinds_of_tracks, scale_and_duration,
};
use super::run::Defaults;
use super::sample::{Sample, SampleTables, TablePosition};
use super::source::Source;
use super::track::Track;
use crate::mp4::{Rotation, to_ns};

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
        if let Some((track, _)) = &mut opened {
            track.other_tracks = kinds_of_tracks(source, &moov, tracks - 1);
        }
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
            other_units: std::iter::once(first).chain(&self.more).map(|description| description.other_units).sum(),
            sets_in_band: first.sets_in_band || self.more.iter().any(|more| more.sets_in_band),
            other_tracks: Vec::new(),
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
