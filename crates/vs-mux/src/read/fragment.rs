// SPDX-License-Identifier: Apache-2.0
//! Movie fragments (8.8): the frames of a file that grows, or was cut off while it did.

use std::io::{Read, Seek};

use super::boxes::{BoxAt, Fields, box_at};
use super::error::Trouble;
use super::run::{Defaults, Run};
use super::sample::Sample;
use super::source::Source;
use super::table::Table;

/// Boxes passed over in search of the next frame. A file of nothing else is no movie.
const MAX_IDLE_BOXES: usize = 65_536;

/// `tfhd` fields that are present, and what they mean (8.8.7.1).
const TFHD_BASE_OFFSET: u32 = 0x01;
const TFHD_DESCRIPTION: u32 = 0x02;
const TFHD_DURATION: u32 = 0x08;
const TFHD_SIZE: u32 = 0x10;
const TFHD_FLAGS: u32 = 0x20;
const TFHD_BASE_IS_MOOF: u32 = 0x02_0000;

/// The fragments of one track.
#[derive(Debug)]
pub(super) struct Fragments {
    track: u32,
    defaults: Defaults,
    /// The entries of the run in work.
    entries: Table,
}

/// How far the fragments have been read. A copy is a place to return to.
#[derive(Debug, Clone, Copy)]
pub(super) struct FragmentPosition {
    /// The next box of the file.
    at: u64,
    moof: Option<Fragment>,
    traf: Option<TrackFragment>,
    run: Option<Run>,
    dts: u64,
    torn: bool,
}

/// A `moof`, and its next box.
#[derive(Debug, Clone, Copy)]
struct Fragment {
    start: u64,
    at: u64,
    end: u64,
    /// No `traf` was met yet.
    first: bool,
}

/// A `traf` of the track, and its next box.
#[derive(Debug, Clone, Copy)]
struct TrackFragment {
    at: u64,
    end: u64,
    /// What offsets count from.
    base: u64,
    /// Where the data of the run before end.
    data_end: u64,
    defaults: Defaults,
}

impl FragmentPosition {
    /// Before the first box at or behind `at`.
    pub fn behind(at: u64) -> Self {
        Self { at, moof: None, traf: None, run: None, dts: 0, torn: false }
    }

    /// Behind everything, in a file that was found to end too early.
    pub fn torn_at(at: u64) -> Self {
        Self { torn: true, ..Self::behind(at) }
    }

    /// Where decoding times go on without word of the fragment: behind the `moov`'s own frames.
    pub fn continue_at(&mut self, dts: u64) {
        self.dts = dts;
    }

    /// Whether the file was found to end within a fragment.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// Enters the next box of the file if it is a fragment; whether there is a next.
    fn next_of_file<F: Read + Seek>(&mut self, source: &mut Source<F>) -> Result<bool, Trouble> {
        let Some(found) = box_at(source, self.at, source.length())? else { return Ok(false) };
        self.at = found.end;
        self.torn |= found.torn;
        if found.kind == *b"moof" && !found.torn {
            self.moof = Some(Fragment { start: found.start, at: found.body, end: found.end, first: true });
        }
        Ok(true)
    }

    /// Enters the next box of the `traf` if it is a run of frames.
    fn next_of_traf<F: Read + Seek>(&mut self, source: &mut Source<F>) -> Result<(), Trouble> {
        let Some(traf) = &mut self.traf else { return Ok(()) };
        let Some(found) = whole_box(source, traf.at, traf.end)? else {
            self.traf = None;
            return Ok(());
        };
        traf.at = found.end;
        if found.kind == *b"trun" {
            self.run = Some(Run::open(source, &found, traf.base, traf.data_end, traf.defaults)?);
        }
        Ok(())
    }
}

impl Fragments {
    pub fn new(track: u32, defaults: Defaults) -> Self {
        Self { track, defaults, entries: Table::default() }
    }

    /// The sample at `position`, which moves on. The end of a file that is cut off is the end.
    pub fn next<F: Read + Seek>(
        &mut self,
        source: &mut Source<F>,
        position: &mut FragmentPosition,
    ) -> Result<Option<Sample>, Trouble> {
        for _ in 0..MAX_IDLE_BOXES {
            if let Some(run) = &mut position.run {
                if let Some(sample) = run.next(source, &mut self.entries, &mut position.dts)? {
                    return Ok(Some(sample));
                }
                if let Some(traf) = &mut position.traf {
                    traf.data_end = run.end();
                }
                position.run = None;
            } else if position.traf.is_some() {
                position.next_of_traf(source)?;
            } else if position.moof.is_some() {
                self.next_of_moof(source, position)?;
            } else if !position.next_of_file(source)? {
                return Ok(None);
            }
        }
        Err(Trouble::broken("there are too many boxes without a frame", position.at))
    }

    /// Enters the next box of the `moof` if it is a fragment of this track.
    fn next_of_moof<F: Read + Seek>(
        &self,
        source: &mut Source<F>,
        position: &mut FragmentPosition,
    ) -> Result<(), Trouble> {
        let Some(moof) = &mut position.moof else { return Ok(()) };
        let Some(found) = whole_box(source, moof.at, moof.end)? else {
            position.moof = None;
            return Ok(());
        };
        moof.at = found.end;
        if found.kind == *b"traf" {
            position.traf = self.open_traf(source, &found, moof, &mut position.dts)?;
            moof.first = false;
        }
        Ok(())
    }

    /// Reads what a `traf` begins with, if it is of this track: 8.8.7, 8.8.12.
    fn open_traf<F: Read + Seek>(
        &self,
        source: &mut Source<F>,
        found: &BoxAt,
        moof: &Fragment,
        dts: &mut u64,
    ) -> Result<Option<TrackFragment>, Trouble> {
        let tfhd = found.need(source, b"tfhd", "a fragment does not say its track (`tfhd`)")?;
        let head: [u8; 36] = tfhd.head(source)?;
        let mut fields = Fields(&head);
        let flags = fields.u32() & 0xff_ffff;
        if fields.u32() != self.track {
            return Ok(None);
        }
        let told_base = (flags & TFHD_BASE_OFFSET != 0).then(|| fields.u64());
        if told_base.is_none() && flags & TFHD_BASE_IS_MOOF == 0 && !moof.first {
            return Err(Trouble::broken("where a fragment lies depends on that of another track", found.start));
        }
        let mut told = |bit, default| if flags & bit != 0 { fields.u32() } else { default };
        let defaults = Defaults {
            description: told(TFHD_DESCRIPTION, self.defaults.description),
            duration: told(TFHD_DURATION, self.defaults.duration),
            size: told(TFHD_SIZE, self.defaults.size),
            flags: told(TFHD_FLAGS, self.defaults.flags),
        };
        if let Some(tfdt) = found.find(source, b"tfdt")? {
            let head: [u8; 12] = tfdt.head(source)?;
            *dts = Fields(&head[4..]).length(head[0] == 1);
        }
        let base = told_base.unwrap_or(moof.start);
        Ok(Some(TrackFragment { at: found.body, end: found.end, base, data_end: base, defaults }))
    }
}

/// A box within a fragment that is known to be whole.
fn whole_box<F: Read + Seek>(source: &mut Source<F>, at: u64, end: u64) -> Result<Option<BoxAt>, Trouble> {
    match box_at(source, at, end)? {
        Some(found) if found.torn => Err(Trouble::broken("a box is longer than what contains it", at)),
        found => Ok(found),
    }
}
