// SPDX-License-Identifier: Apache-2.0
//! The input: access units, one after the other.

use std::io::{self, Read, SeekFrom};

use super::error::ConvertError;
use super::report::Note;
use super::{Input, Options, ReadSeek};
use crate::Codec;
use crate::mp4::Rotation;
use crate::read::bare::{PIECE_BYTES, PROBE_BYTES, recognise};
use crate::read::kind::Kind;
use crate::read::{Movie, OpenMovieError, ReadError, SetPlacement, Track, Unit};
use vs_bitstream::{AccessUnits, NalKind, nal_units};

/// Where access units come from.
pub(super) enum Source<'a> {
    Bare(Bare<'a>),
    Movie(Box<Boxed<'a>>),
}

/// A bare stream.
pub(super) struct Bare<'a> {
    pub codec: Codec,
    reader: Box<dyn Read + 'a>,
    units: AccessUnits,
    piece: Vec<u8>,
    ended: bool,
    read: u64,
    /// Bytes of what had no picture since the last one.
    idle: u64,
}

/// An MP4.
pub(super) struct Boxed<'a> {
    pub movie: Movie<&'a mut dyn ReadSeek>,
    pub codec: Codec,
    read: u64,
    damaged: u64,
    cut_off: bool,
}

impl<'a> Source<'a> {
    /// Looks at what the input is.
    pub fn open(input: Input<'a>, options: &Options) -> Result<Self, ConvertError> {
        match input {
            Input::File(file) => {
                let mut head = Vec::new();
                file.seek(SeekFrom::Start(0)).map_err(ConvertError::Input)?;
                (&mut *file).take(PROBE_BYTES as u64).read_to_end(&mut head).map_err(ConvertError::Input)?;
                if matches!(Kind::of(&head), Kind::Boxed) {
                    return Boxed::open(file, options).map(|boxed| Self::Movie(boxed.into()));
                }
                let codec = codec_of(&head, options)?;
                file.seek(SeekFrom::Start(0)).map_err(ConvertError::Input)?;
                Ok(Self::Bare(Bare::new(codec, Box::new(file))))
            }
            Input::Pipe(pipe) => {
                let mut head = Vec::new();
                (&mut *pipe).take(PROBE_BYTES as u64).read_to_end(&mut head).map_err(ConvertError::Input)?;
                if matches!(Kind::of(&head), Kind::Boxed) {
                    return Err(ConvertError::PipedMovie);
                }
                let codec = codec_of(&head, options)?;
                Ok(Self::Bare(Bare::new(codec, Box::new(io::Cursor::new(head).chain(pipe)))))
            }
        }
    }

    pub fn codec(&self) -> Codec {
        match self {
            Self::Bare(bare) => bare.codec,
            Self::Movie(boxed) => boxed.codec,
        }
    }

    /// The video track of an MP4.
    pub fn track(&self) -> Option<&Track> {
        match self {
            Self::Bare(_) => None,
            Self::Movie(boxed) => Some(boxed.movie.track()),
        }
    }

    pub fn place_sets(&mut self, placement: SetPlacement) {
        if let Self::Movie(boxed) = self {
            boxed.movie.place_sets(placement);
        }
    }

    /// The next picture in decoding order.
    pub fn next(&mut self) -> Result<Option<Unit>, ConvertError> {
        match self {
            Self::Bare(bare) => {
                let data = bare.next()?;
                Ok(data.map(|data| Unit { data, times: None, keyframe: false, shown: true }))
            }
            Self::Movie(boxed) => boxed.next(),
        }
    }

    /// Bytes read.
    pub fn read(&self) -> u64 {
        match self {
            Self::Bare(bare) => bare.read,
            Self::Movie(boxed) => boxed.read,
        }
    }

    /// What there is to say at the end.
    pub fn notes(&self, notes: &mut Vec<Note>) {
        match self {
            Self::Bare(bare) if bare.idle > 0 => notes.push(Note::Behind(bare.idle)),
            Self::Bare(_) => {}
            Self::Movie(boxed) => {
                let track = boxed.movie.track();
                if !track.other_tracks.is_empty() {
                    notes.push(Note::OtherTracks(track.other_tracks.clone()));
                }
                if track.other_units > 0 {
                    notes.push(Note::OtherUnits(track.other_units));
                }
                if boxed.damaged > 0 {
                    notes.push(Note::Damaged(boxed.damaged));
                }
                if boxed.cut_off || boxed.movie.is_torn() {
                    notes.push(Note::CutOff);
                }
            }
        }
    }

    pub fn rotation(&self) -> Rotation {
        self.track().map_or(Rotation::None, |track| track.rotation)
    }
}

/// The codec of a bare stream that begins with `head`.
fn codec_of(head: &[u8], options: &Options) -> Result<Codec, ConvertError> {
    if let Some(codec) = options.codec {
        return Ok(codec);
    }
    let Kind::Other(looks_like) = Kind::of(head) else { return Err(ConvertError::PipedMovie) };
    let known = recognise(head).map(|(_, codec)| codec);
    known.ok_or(ConvertError::Open(OpenMovieError::NotAMovie { looks_like }))
}

impl<'a> Bare<'a> {
    fn new(codec: Codec, reader: Box<dyn Read + 'a>) -> Self {
        let (units, piece) = (AccessUnits::new(codec), vec![0; PIECE_BYTES]);
        Self { codec, reader, units, piece, ended: false, read: 0, idle: 0 }
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, ConvertError> {
        loop {
            while let Some(unit) = self.units.next_unit()? {
                if nal_units(unit).any(|nal| NalKind::of(self.codec, nal).is_slice()) {
                    self.idle = 0;
                    return Ok(Some(unit.to_vec()));
                }
                self.idle += unit.len() as u64;
            }
            if self.ended {
                return Ok(None);
            }
            let length = match self.reader.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(ConvertError::Input)?,
            };
            self.read += length as u64;
            self.units.push(&self.piece[..length]);
            if length == 0 {
                self.ended = true;
                self.units.end();
            }
        }
    }
}

impl<'a> Boxed<'a> {
    fn open(file: &'a mut dyn ReadSeek, options: &Options) -> Result<Self, ConvertError> {
        let movie = Movie::open(file)?;
        let codec = movie.track().codec;
        let bitstream = codec.bitstream().ok_or(ConvertError::Codec { codec })?;
        if options.codec.is_some_and(|wanted| wanted != bitstream) {
            return Err(ConvertError::OtherCodec { codec });
        }
        Ok(Self { movie, codec: bitstream, read: 0, damaged: 0, cut_off: false })
    }

    fn next(&mut self) -> Result<Option<Unit>, ConvertError> {
        loop {
            match self.movie.next_unit() {
                Ok(Some(unit)) if nal_units(&unit.data).any(|nal| NalKind::of(self.codec, nal).is_slice()) => {
                    self.read += unit.data.len() as u64;
                    return Ok(Some(unit));
                }
                Ok(Some(_)) => self.damaged += 1,
                Ok(None) => return Ok(None),
                Err(error) if error.is_passing() => self.damaged += 1,
                Err(ReadError::CutOff { .. }) => {
                    self.cut_off = true;
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
