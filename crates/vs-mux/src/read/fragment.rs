// SPDX-License-Identifier: Apache-2.0
//! Movie fragments (8.8): the frames of a file that grows, or was cut off while it did.

use std::io::{Read, Seek};

use super::boxes::{BoxAt, Fields, box_at};
use super::error::Trouble;
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
/// `trun` fields that are present (8.8.8.1).
const TRUN_DATA_OFFSET: u32 = 0x001;
const TRUN_FIRST_FLAGS: u32 = 0x004;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_COMPOSITION: u32 = 0x800;
/// Sample flags (8.8.3.1) of a picture that is no place to begin at: it says so, or it needs others.
const NOT_A_KEYFRAME: u32 = 0x0001_0000 | 0x0100_0000;

/// What a sample is unless something else is said: `trex` (8.8.3), then `tfhd`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Defaults {
    pub description: u32,
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

impl Defaults {
    /// Those of the `trex` of `track` in an `mvex`.
    pub fn read<F: Read + Seek>(source: &mut Source<F>, mvex: &BoxAt, track: u32) -> Result<Self, Trouble> {
        let mut defaults = Self { description: 1, ..Self::default() };
        mvex.each_child(source, |source, child| {
            let head: [u8; 24] = child.head(source)?;
            let mut fields = Fields(&head[4..]);
            if child.kind != *b"trex" || fields.u32() != track {
                return Ok::<_, Trouble>(false);
            }
            let [description, duration, size, flags] = [(); 4].map(|()| fields.u32());
            defaults = Self { description, duration, size, flags };
            Ok(true)
        })?;
        Ok(defaults)
    }
}

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
    /// The next box of the file, of the `moof` and of the `traf`.
    at: u64,
    moof: Option<Inside>,
    traf: Option<TrackFragment>,
    run: Option<Run>,
    dts: u64,
    torn: bool,
}

/// How far a box has been read.
#[derive(Debug, Clone, Copy)]
struct Inside {
    start: u64,
    at: u64,
    end: u64,
    /// No `traf` was met yet.
    first: bool,
}

#[derive(Debug, Clone, Copy)]
struct TrackFragment {
    at: u64,
    end: u64,
    base: u64,
    /// Where the data of the run before end.
    data_end: u64,
    defaults: Defaults,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    found: BoxAt,
    entries_at: u64,
    flags: u32,
    count: u32,
    index: u32,
    first_flags: Option<u32>,
    offset: u64,
    defaults: Defaults,
}

impl Run {
    fn entry_bytes(&self) -> usize {
        4 * (self.flags & (TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS | TRUN_COMPOSITION)).count_ones() as usize
    }
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
                if let Some(sample) = self.next_of_run(source, run, &mut position.dts)? {
                    return Ok(Some(sample));
                }
                if let Some(traf) = &mut position.traf {
                    traf.data_end = run.offset;
                }
                position.run = None;
            } else if let Some(traf) = &mut position.traf {
                match whole_box(source, traf.at, traf.end)? {
                    Some(found) => {
                        traf.at = found.end;
                        position.run =
                            if found.kind == *b"trun" { Some(open_run(source, &found, traf)?) } else { None };
                    }
                    None => position.traf = None,
                }
            } else if let Some(moof) = &mut position.moof {
                match whole_box(source, moof.at, moof.end)? {
                    Some(found) => {
                        moof.at = found.end;
                        if found.kind == *b"traf" {
                            position.traf = self.open_traf(source, &found, moof, &mut position.dts)?;
                            moof.first = false;
                        }
                    }
                    None => position.moof = None,
                }
            } else {
                let Some(found) = box_at(source, position.at, source.length())? else { return Ok(None) };
                position.at = found.end;
                position.torn |= found.torn;
                if found.kind == *b"moof" && !found.torn {
                    let (start, at, end) = (found.start, found.body, found.end);
                    position.moof = Some(Inside { start, at, end, first: true });
                }
            }
        }
        Err(Trouble::broken("there are too many boxes without a frame", position.at))
    }

    /// Reads what a `traf` begins with, if it is of this track: 8.8.7, 8.8.12.
    fn open_traf<F: Read + Seek>(
        &self,
        source: &mut Source<F>,
        found: &BoxAt,
        moof: &Inside,
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

    /// 8.8.8
    fn next_of_run<F: Read + Seek>(
        &mut self,
        source: &mut Source<F>,
        run: &mut Run,
        dts: &mut u64,
    ) -> Result<Option<Sample>, Trouble> {
        // Frames without bytes take no time to list, so that a word could list them for hours.
        if run.index >= run.count || run.flags & TRUN_SIZE == 0 && run.defaults.size == 0 {
            return Ok(None);
        }
        if self.entries.at() != run.entries_at {
            self.entries = Table::new(run.entries_at, run.count.into(), run.entry_bytes(), &run.found)?;
        }
        let Some(mut fields) = self.entries.get(source, run.index.into())? else { return Ok(None) };
        let mut told = |bit| (run.flags & bit != 0).then(|| fields.u32());
        let duration = told(TRUN_DURATION).unwrap_or(run.defaults.duration);
        let size = told(TRUN_SIZE).unwrap_or(run.defaults.size);
        let first_flags = run.first_flags.filter(|_| run.index == 0);
        let flags = told(TRUN_FLAGS).unwrap_or(run.defaults.flags);
        let composition = told(TRUN_COMPOSITION).unwrap_or(0) as i32;
        let sample = Sample {
            offset: run.offset,
            size,
            dts: i64::try_from(*dts).unwrap_or(i64::MAX),
            composition,
            duration,
            keyframe: first_flags.unwrap_or(flags) & NOT_A_KEYFRAME == 0,
            description: run.defaults.description,
        };
        run.index += 1;
        run.offset = run.offset.saturating_add(size.into());
        *dts = dts.saturating_add(duration.into());
        Ok(Some(sample))
    }
}

/// A box within a fragment that is known to be whole.
fn whole_box<F: Read + Seek>(source: &mut Source<F>, at: u64, end: u64) -> Result<Option<BoxAt>, Trouble> {
    match box_at(source, at, end)? {
        Some(found) if found.torn => Err(Trouble::broken("a box is longer than what contains it", at)),
        found => Ok(found),
    }
}

fn open_run<F: Read + Seek>(source: &mut Source<F>, found: &BoxAt, traf: &TrackFragment) -> Result<Run, Trouble> {
    let head: [u8; 16] = found.head(source)?;
    let mut fields = Fields(&head);
    let (flags, count) = (fields.u32() & 0xff_ffff, fields.u32());
    let mut entries_at = found.body + 8;
    let mut told = |bit| {
        (flags & bit != 0).then(|| {
            entries_at += 4;
            fields.u32()
        })
    };
    let offset = match told(TRUN_DATA_OFFSET) {
        Some(offset) => traf.base.saturating_add_signed((offset as i32).into()),
        None => traf.data_end,
    };
    let first_flags = told(TRUN_FIRST_FLAGS);
    Ok(Run { found: *found, entries_at, flags, count, index: 0, first_flags, offset, defaults: traf.defaults })
}
