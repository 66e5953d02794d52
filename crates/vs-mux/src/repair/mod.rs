// SPDX-License-Identifier: Apache-2.0
//! Finishing recordings that were interrupted: the process killed, the power cut, the disk full.
//!
//! What is left of a recording of ours plays as it lies, but as a fragmented file with a torn end.
//! [`repair`] goes the steps that the [recorder](crate::mp4) could not go any more, in place: it
//! writes the index of all whole fragments over the torn end, syncs, hides the fragments behind one
//! header, and syncs. Interrupted itself, it leaves a file that plays and can be repaired again; a file
//! that is whole is left alone. Memory is needed for the index only, and of the file little more is
//! read than the headers of its fragments.
//!
//! What is kept are whole fragments. A fragment whose frames were not on the disk yet, so that zeros
//! or something else stand in their place, is none. A finished file whose end is missing is repaired,
//! too: its fragments are still in it.
//!
//! Files of other programs are refused. To finish them in place there is no room before their first
//! frame, and what is whole in them only their own recorder knows.

mod error;
mod fragment;
mod frames;
mod header;
mod medium;
mod report;
mod salvage;

use std::fs::File;
use std::io::{Read, Seek};

use crate::mp4::{IoFailure, Sink, Storage, final_moov, finish_in_place};
use crate::read::boxes::box_at;
use crate::read::error::Trouble;
use crate::read::source::Source;
use crate::read::{Movie, OpenMovieError};
use header::{Beginning, Header};
use medium::Medium;
use salvage::Salvage;

pub use error::RepairError;
pub use report::{Lost, Report, State};

/// Makes an ordinary MP4 of a recording that was interrupted, in place.
///
/// `file` must be open for reading and writing, and is locked meanwhile (`flock`): a recorder that is
/// at work on it, or another repair, is [in the way](RepairError::InUse). Its position moves. Takes
/// the time to read a page for each fragment, of which a recording has some ten a second, and the
/// frames of its last minute.
pub fn repair(file: &File) -> Result<Report, RepairError> {
    finish(&mut Medium::open(file, true)?)
}

/// Says what [`repair`] would do, and changes nothing. `file` must be open for reading.
pub fn check(file: &File) -> Result<Report, RepairError> {
    inspect(&mut Medium::open(file, false)?)
}

/// [`repair`] for whatever can be read and written. That nobody else changes it is the caller's care.
pub fn finish<F: Read + Seek + Sink>(file: &mut F) -> Result<Report, RepairError> {
    if !file.rewritable() {
        return Err(RepairError::NotWritable);
    }
    let (header, salvage, length) = match look(file)? {
        Look::Whole(report) => return Ok(report),
        Look::Unfinished { header, salvage, length } => (header, salvage, length),
    };
    let mut storage = Storage::torn(file, salvage.end);
    let (_, finished) = finish_in_place(&mut storage, &header.track, header.placeholder_at, &salvage.table);
    finished?;
    Ok(report(&header, &salvage, length, storage.end()))
}

/// [`check`] for whatever can be read.
pub fn inspect<F: Read + Seek>(file: &mut F) -> Result<Report, RepairError> {
    match look(file)? {
        Look::Whole(report) => Ok(report),
        Look::Unfinished { header, salvage, length } => {
            let bytes = salvage.end + final_moov(&header.track, &salvage.table).len() as u64;
            Ok(report(&header, &salvage, length, bytes))
        }
    }
}

/// What a file turns out to be.
enum Look {
    Whole(Report),
    Unfinished { header: Box<Header>, salvage: Salvage, length: u64 },
}

fn look<F: Read + Seek>(file: &mut F) -> Result<Look, RepairError> {
    let mut source = Source::new(&mut *file)?;
    let length = source.length();
    let beginning = Beginning::read(&mut source)?;
    let ends = ends_with_a_whole_box(&mut source)?;
    let opened = match Movie::open(&mut *file) {
        Err(OpenMovieError::Io(failure)) => return Err(failure.into()),
        opened => opened,
    };
    // Only an ordinary file says how many frames it has.
    let frames = opened.as_ref().ok().and_then(|movie| movie.track().frames).filter(|&frames| frames > 0);
    match (beginning, frames, opened) {
        (_, Some(frames), Ok(movie)) if ends => {
            let duration_ns = movie.track().duration_ns.unwrap_or(0);
            let lost = Lost::default();
            Ok(Look::Whole(Report { state: State::Whole, frames, duration_ns, bytes: length, cut_bytes: 0, lost }))
        }
        (Beginning::Ours(mut header), ..) => match Salvage::search(&mut Source::new(file)?, &header)? {
            Some(salvage) => {
                header.track.edit = salvage.edit;
                Ok(Look::Unfinished { header, salvage, length })
            }
            None => Err(RepairError::Nothing { bytes: length }),
        },
        (Beginning::Torn, ..) => Err(RepairError::Nothing { bytes: length }),
        (Beginning::Others, Some(_), _) => Err(RepairError::OthersTorn),
        (Beginning::Others, None, Ok(_)) => Err(RepairError::OthersFragments),
        (Beginning::Others, None, Err(error)) => Err(RepairError::NotOurs(error)),
    }
}

fn report(header: &Header, salvage: &Salvage, length: u64, bytes: u64) -> Report {
    Report {
        state: State::Unfinished,
        frames: salvage.table.frames(),
        duration_ns: header.track.shown_ns(&salvage.table),
        bytes,
        cut_bytes: length - salvage.end,
        lost: salvage.lost,
    }
}

/// Whether no box of the file reaches beyond its end.
fn ends_with_a_whole_box<F: Read + Seek>(source: &mut Source<F>) -> Result<bool, IoFailure> {
    /// An ordinary file has a handful. One with more is looked at no further.
    const MAX_BOXES: usize = 1000;
    let mut at = 0;
    for _ in 0..MAX_BOXES {
        match box_at(source, at, source.length()) {
            Ok(Some(found)) if found.torn => return Ok(false),
            Ok(Some(found)) => at = found.end,
            Ok(None) | Err(Trouble::Broken(_)) => return Ok(true),
            Err(Trouble::Io(failure)) => return Err(failure),
        }
    }
    Ok(true)
}
