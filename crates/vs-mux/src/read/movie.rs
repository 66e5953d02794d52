// SPDX-License-Identifier: Apache-2.0
//! A file that is being read.

use std::io::{Read, Seek};

use super::bare::Bare;
use super::boxed::Boxed;
use super::compose::{Picture, has_key_slice};
use super::error::{OpenMovieError, ReadError};
use super::kind::{Kind, recognise};
use super::sample::Sample;
use super::source::Source;
use super::track::{Track, Unit};
use vs_bitstream::{MAX_ACCESS_UNIT, ParameterSets, is_keyframe, length_prefixed, nal_units};

/// Bytes that parameter sets usually need. More is no harm.
const ROOM_FOR_SETS: usize = 128;

/// Where parameter sets that do not stand among the frames are put in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SetPlacement {
    /// Before each keyframe that brings none: decoding can begin there.
    #[default]
    Keyframes,
    /// Before the first keyframe, and the first after the file changed them, unless it brings some: the fewest with
    /// which the whole can be decoded.
    Once,
}

/// Follows where sets are put in.
#[derive(Debug)]
struct Placing {
    placement: SetPlacement,
    /// Those in force were not put in yet.
    owed: bool,
}

impl Default for Placing {
    fn default() -> Self {
        Self { placement: SetPlacement::default(), owed: true }
    }
}

impl Placing {
    /// Whether the next unit gets the sets in force unless it brings its own. `entry`: decoding can begin there.
    fn wants(&mut self, entry: bool) -> bool {
        let wants = entry && (self.owed || self.placement == SetPlacement::Keyframes);
        self.owed &= !entry;
        wants
    }
}

/// A file with a video track, read from its beginning on.
#[derive(Debug)]
pub struct Movie<F> {
    track: Track,
    content: Content,
    units: Units<F>,
}

/// What makes access units of what stands in the file.
#[derive(Debug)]
struct Units<F> {
    source: Source<F>,
    /// The parameter sets in force at the place of reading.
    sets: ParameterSets,
    /// The sample description in force, from 1.
    description: u32,
    placing: Placing,
    /// The sample as it stands in the file. The memory is kept from one to the next.
    sample: Vec<u8>,
}

#[derive(Debug)]
enum Content {
    Boxed(Box<Boxed>),
    Bare(Box<Bare>),
}

impl<F: Read + Seek> Movie<F> {
    /// Opens a file, which must stay as it is while it is read: a change makes errors or rubbish, but
    /// nothing worse.
    pub fn open(file: F) -> Result<Self, OpenMovieError> {
        let mut source = Source::new(file)?;
        let (track, content) = match recognise(&mut source)? {
            Kind::Boxed => Boxed::open(&mut source).map(|(track, boxed)| (track, Content::Boxed(boxed.into())))?,
            Kind::Other(looks_like) => match Bare::open(&mut source)? {
                Some((track, bare)) => (track, Content::Bare(bare.into())),
                None => return Err(OpenMovieError::NotAMovie { looks_like }),
            },
        };
        let units = Units::new(source, track.parameter_sets.clone());
        Ok(Self { track, content, units })
    }

    /// Says where parameter sets that do not stand among the frames are put in; [`SetPlacement::Keyframes`] unless
    /// something else is said.
    pub fn place_sets(&mut self, placement: SetPlacement) {
        self.units.placing.placement = placement;
    }

    /// What is known of the video.
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// The next frame in decoding order; `None` at the end. After an error that
    /// [is passing](ReadError::is_passing) the next call goes on behind the frame.
    pub fn next_unit(&mut self) -> Result<Option<Unit>, ReadError> {
        match &mut self.content {
            Content::Boxed(boxed) => match boxed.next(&mut self.units.source)? {
                Some(sample) => self.units.of_sample(boxed, &sample).map(Some),
                None => Ok(None),
            },
            Content::Bare(bare) => self.units.of_stream(bare),
        }
    }

    /// Returns to the first frame, as if the file had just been opened.
    pub fn rewind(&mut self) {
        match &mut self.content {
            Content::Boxed(boxed) => boxed.return_to(boxed.start()),
            Content::Bare(bare) => bare.rewind(),
        }
        self.units.sets.clone_from(&self.track.parameter_sets);
        self.units.description = 1;
        self.units.placing.owed = true;
    }

    /// Goes to the last keyframe that is shown at `pts_ns` or before, in nanoseconds after the
    /// beginning; to the first frame if there is none, and in a bare stream, which has no times.
    ///
    /// Takes time in proportion to how far it is from the beginning: some tens of nanoseconds a frame
    /// in an ordinary file, and a few reads for each fragment of a fragmented one.
    pub fn seek(&mut self, pts_ns: i64) -> Result<(), ReadError> {
        self.rewind();
        let (Content::Boxed(boxed), source) = (&mut self.content, &mut self.units.source) else { return Ok(()) };
        let mut best = boxed.start();
        loop {
            let here = boxed.position();
            let Some(sample) = boxed.next(source)? else { break };
            let times = boxed.presentation.times(&sample);
            if times.dts_ns > pts_ns {
                break;
            }
            if sample.keyframe && times.pts_ns <= pts_ns {
                best = here;
            }
        }
        boxed.return_to(best);
        Ok(())
    }

    /// Whether a fragmented file was found to be cut off within a fragment: known at its end.
    pub fn is_torn(&self) -> bool {
        match &self.content {
            Content::Boxed(boxed) => boxed.is_torn(),
            Content::Bare(_) => false,
        }
    }
}

impl<F: Read + Seek> Units<F> {
    fn new(source: Source<F>, sets: ParameterSets) -> Self {
        Self { source, sets, description: 1, placing: Placing::default(), sample: Vec::new() }
    }

    /// Reads a sample and makes it what a decoder takes.
    fn of_sample(&mut self, boxed: &Boxed, sample: &Sample) -> Result<Unit, ReadError> {
        let frame = boxed.position().frame.saturating_sub(1);
        let end = sample.offset.saturating_add(sample.size.into());
        let length = self.source.length();
        if end > length {
            return Err(ReadError::CutOff { frame, end, length });
        }
        if sample.size as usize > MAX_ACCESS_UNIT {
            return Err(ReadError::TooLarge { frame, bytes: sample.size.into() });
        }
        self.sample.resize(sample.size as usize, 0);
        self.source.read_at(sample.offset, &mut self.sample)?;
        let unit = |data| Unit {
            data,
            times: Some(boxed.presentation.times(sample)),
            keyframe: sample.keyframe,
            shown: boxed.presentation.shows(sample),
        };
        let description = boxed.description(sample.description);
        let Some(codec) = description.codec.bitstream() else { return Ok(unit(std::mem::take(&mut self.sample))) };
        if sample.description != self.description {
            self.sets.clone_from(&description.sets);
            self.description = sample.description;
            self.placing.owed = true;
        }
        let mut nals = length_prefixed(&self.sample, description.length_size);
        let entry = sample.keyframe || has_key_slice(codec, nals.clone());
        let begins = self.placing.wants(entry);
        let picture = Picture::new(codec, nals.clone(), begins, &mut self.sets);
        let mut data = Vec::with_capacity(self.sample.len() + ROOM_FOR_SETS);
        picture.write(&mut data);
        nals.by_ref().for_each(drop);
        if nals.is_damaged() { Err(ReadError::Damaged { frame }) } else { Ok(unit(data)) }
    }

    /// The same for the next access unit of a bare stream.
    fn of_stream(&mut self, bare: &mut Bare) -> Result<Option<Unit>, ReadError> {
        let mut stream = Vec::new();
        if !bare.next(&mut self.source, &mut stream)? {
            return Ok(None);
        }
        let keyframe = is_keyframe(bare.codec, &stream);
        let begins = self.placing.wants(keyframe || has_key_slice(bare.codec, nal_units(&stream)));
        let picture = Picture::new(bare.codec, nal_units(&stream), begins, &mut self.sets);
        let data = if picture.is_complete() {
            stream
        } else {
            let mut data = Vec::with_capacity(stream.len() + ROOM_FOR_SETS);
            picture.write(&mut data);
            data
        };
        Ok(Some(Unit { data, times: None, keyframe, shown: true }))
    }
}
