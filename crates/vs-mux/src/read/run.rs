// SPDX-License-Identifier: Apache-2.0
//! A run of frames within a fragment (8.8.8): what each is, and what goes without saying.

use std::io::{Read, Seek};

use super::boxes::{BoxAt, Fields};
use super::error::Trouble;
use super::sample::Sample;
use super::source::Source;
use super::table::Table;

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

/// A `trun`, and how far it has been read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
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
    /// Reads what `found` begins with. Offsets count from `base`; a run without one follows the data
    /// that end at `data_end`.
    pub fn open<F: Read + Seek>(
        source: &mut Source<F>,
        found: &BoxAt,
        base: u64,
        data_end: u64,
        defaults: Defaults,
    ) -> Result<Self, Trouble> {
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
            Some(offset) => base.saturating_add_signed((offset as i32).into()),
            None => data_end,
        };
        let first_flags = told(TRUN_FIRST_FLAGS);
        Ok(Self { found: *found, entries_at, flags, count, index: 0, first_flags, offset, defaults })
    }

    /// Where the data of the frames read so far end.
    pub fn end(&self) -> u64 {
        self.offset
    }

    /// The next frame, which is decoded at `dts`. `entries` is whatever table was read last, in which
    /// those of this run are kept from one call to the next.
    pub fn next<F: Read + Seek>(
        &mut self,
        source: &mut Source<F>,
        entries: &mut Table,
        dts: &mut u64,
    ) -> Result<Option<Sample>, Trouble> {
        // Frames of which nothing is said, not even a size, could be listed for hours by one word.
        if self.index >= self.count || self.flags & TRUN_SIZE == 0 && self.defaults.size == 0 {
            return Ok(None);
        }
        if entries.at() != self.entries_at {
            *entries = Table::new(self.entries_at, self.count.into(), self.entry_bytes(), &self.found)?;
        }
        let Some(mut fields) = entries.get(source, self.index.into())? else { return Ok(None) };
        let mut told = |bit| (self.flags & bit != 0).then(|| fields.u32());
        let duration = told(TRUN_DURATION).unwrap_or(self.defaults.duration);
        let size = told(TRUN_SIZE).unwrap_or(self.defaults.size);
        let flags = told(TRUN_FLAGS).unwrap_or(self.defaults.flags);
        let flags = self.first_flags.filter(|_| self.index == 0).unwrap_or(flags);
        let sample = Sample {
            offset: self.offset,
            size,
            dts: i64::try_from(*dts).unwrap_or(i64::MAX),
            composition: told(TRUN_COMPOSITION).unwrap_or(0) as i32,
            duration,
            keyframe: flags & NOT_A_KEYFRAME == 0,
            description: self.defaults.description,
        };
        self.index += 1;
        self.offset = self.offset.saturating_add(size.into());
        *dts = dts.saturating_add(duration.into());
        Ok(Some(sample))
    }

    fn entry_bytes(&self) -> usize {
        4 * (self.flags & (TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS | TRUN_COMPOSITION)).count_ones() as usize
    }
}
