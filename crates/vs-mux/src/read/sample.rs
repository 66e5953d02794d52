// SPDX-License-Identifier: Apache-2.0
//! Samples, as the standard calls frames in a file: where each lies, and when it is decoded and shown.

use std::io::{Read, Seek};

use super::boxes::{BoxAt, Fields};
use super::error::Trouble;
use super::source::Source;
use super::table::Table;

/// One frame in the file, times in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub offset: u64,
    pub size: u32,
    pub dts: i64,
    /// From decoding to presentation. QuickTime and newer files have negative ones.
    pub composition: i32,
    pub duration: u32,
    pub keyframe: bool,
    /// The sample description it is coded by, from 1.
    pub description: u32,
}

/// The sample tables of a `moov` (8.5 to 8.7).
#[derive(Debug)]
pub(super) struct SampleTables {
    count: u64,
    durations: Table,
    compositions: Option<Table>,
    sizes: Sizes,
    runs: Table,
    chunks: Table,
    wide_offsets: bool,
    keyframes: Option<Table>,
    at: u64,
}

/// How far the tables have been read. A copy is a place to return to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TablePosition {
    sample: u64,
    dts: u64,
    duration: RunLength,
    composition: RunLength,
    chunk: u64,
    run: u64,
    left_in_chunk: u32,
    offset: u64,
    description: u32,
    keyframe: u64,
}

/// A place in a table of (how often, value).
#[derive(Debug, Clone, Copy, Default)]
struct RunLength {
    entry: u64,
    left: u32,
    value: u32,
}

impl RunLength {
    fn next<F: Read + Seek>(&mut self, source: &mut Source<F>, table: &mut Table) -> Result<Option<u32>, Trouble> {
        while self.left == 0 {
            let Some(mut entry) = table.get(source, self.entry)? else { return Ok(None) };
            (self.left, self.value) = (entry.u32(), entry.u32());
            self.entry += 1;
        }
        self.left -= 1;
        Ok(Some(self.value))
    }
}

/// `stsz` and `stz2`: 8.7.3.
#[derive(Debug)]
enum Sizes {
    Same(u32),
    Bytes { table: Table, width: usize },
    HalfBytes(Table),
}

impl Sizes {
    /// The sizes, and of how many samples.
    fn read<F: Read + Seek>(source: &mut Source<F>, stbl: &BoxAt) -> Result<(Self, u64), Trouble> {
        if let Some(found) = stbl.find(source, b"stsz")? {
            let head: [u8; 12] = found.head(source)?;
            let mut fields = Fields(&head[4..]);
            let (same, count) = (fields.u32(), u64::from(fields.u32()));
            let sizes = match same {
                0 => Self::Bytes { table: Table::new(found.body + 12, count, 4, &found)?, width: 4 },
                size => Self::Same(size),
            };
            return Ok((sizes, count));
        }
        let found = stbl.need(source, b"stz2", "the track has no sample sizes (`stsz`)")?;
        let head: [u8; 12] = found.head(source)?;
        let (field_bits, count) = (head[7], u64::from(Fields(&head[8..]).u32()));
        let at = found.body + 12;
        let sizes = match field_bits {
            4 => Self::HalfBytes(Table::new(at, count.div_ceil(2), 1, &found)?),
            8 => Self::Bytes { table: Table::new(at, count, 1, &found)?, width: 1 },
            16 => Self::Bytes { table: Table::new(at, count, 2, &found)?, width: 2 },
            _ => return Err(Trouble::broken("sample sizes have an impossible width", found.start)),
        };
        Ok((sizes, count))
    }

    fn get<F: Read + Seek>(&mut self, source: &mut Source<F>, sample: u64) -> Result<Option<u32>, Trouble> {
        Ok(match self {
            Self::Same(size) => Some(*size),
            Self::Bytes { table, width: 1 } => table.get(source, sample)?.map(|mut entry| entry.u8().into()),
            Self::Bytes { table, width: 2 } => table.get(source, sample)?.map(|mut entry| entry.u16().into()),
            Self::Bytes { table, .. } => table.get(source, sample)?.map(|mut entry| entry.u32()),
            Self::HalfBytes(table) => {
                let byte = table.get(source, sample / 2)?.map(|mut entry| entry.u8());
                byte.map(|byte| u32::from(if sample.is_multiple_of(2) { byte >> 4 } else { byte & 15 }))
            }
        })
    }
}

impl SampleTables {
    pub fn open<F: Read + Seek>(source: &mut Source<F>, stbl: &BoxAt) -> Result<Self, Trouble> {
        let (sizes, count) = Sizes::read(source, stbl)?;
        // A frame has at least a byte. It bounds how often a few bytes can be played, too.
        if count > source.length() {
            return Err(Trouble::broken("the track lists more frames than the file has bytes", stbl.start));
        }
        let stts = stbl.need(source, b"stts", "the track has no decoding times (`stts`)")?;
        let stsc = stbl.need(source, b"stsc", "the track has no chunks (`stsc`)")?;
        let (chunks, wide_offsets) = match stbl.find(source, b"co64")? {
            Some(co64) => (Table::counted(source, &co64, 8)?, true),
            None => {
                let stco = stbl.need(source, b"stco", "the track has no chunk offsets (`stco`)")?;
                (Table::counted(source, &stco, 4)?, false)
            }
        };
        let mut optional = |kind, width| match stbl.find(source, kind)? {
            Some(found) => Table::counted(source, &found, width).map(Some),
            None => Ok(None),
        };
        let (compositions, keyframes) = (optional(b"ctts", 8)?, optional(b"stss", 4)?);
        let (durations, runs) = (Table::counted(source, &stts, 8)?, Table::counted(source, &stsc, 12)?);
        Ok(Self { count, durations, compositions, sizes, runs, chunks, wide_offsets, keyframes, at: stbl.start })
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How far the earliest presentation is before its decoding, in ticks: what decoding times must
    /// be moved by so that nothing is shown before it is decoded.
    pub fn lead<F: Read + Seek>(&mut self, source: &mut Source<F>) -> Result<u32, Trouble> {
        let Some(table) = &mut self.compositions else { return Ok(0) };
        let mut lead = 0;
        for index in 0..table.count() {
            if let Some(mut entry) = table.get(source, index)? {
                let (count, offset) = (entry.u32(), entry.i32());
                lead = if count > 0 && offset < 0 { lead.max(offset.unsigned_abs()) } else { lead };
            }
        }
        Ok(lead)
    }

    /// The sample at `position`, which moves on.
    pub fn next<F: Read + Seek>(
        &mut self,
        source: &mut Source<F>,
        position: &mut TablePosition,
    ) -> Result<Option<Sample>, Trouble> {
        if position.sample >= self.count {
            return Ok(None);
        }
        let missing = |what| Trouble::broken(what, self.at);
        let size = self.sizes.get(source, position.sample)?.ok_or(missing("a frame has no size"))?;
        let duration = position.duration.next(source, &mut self.durations)?;
        let duration = duration.ok_or(missing("a frame has no decoding time"))?;
        let composition = match &mut self.compositions {
            Some(table) => position.composition.next(source, table)?.unwrap_or(0) as i32,
            None => 0,
        };
        self.enter_chunk(source, position)?;
        let sample = Sample {
            offset: position.offset,
            size,
            dts: i64::try_from(position.dts).unwrap_or(i64::MAX),
            composition,
            duration,
            keyframe: self.is_keyframe(source, position)?,
            description: position.description,
        };
        position.sample += 1;
        position.dts = position.dts.saturating_add(duration.into());
        position.offset = position.offset.saturating_add(size.into());
        position.left_in_chunk -= 1;
        Ok(Some(sample))
    }

    /// Finds the next chunk that is not empty, unless there are samples left in this one: 8.7.4.
    fn enter_chunk<F: Read + Seek>(
        &mut self,
        source: &mut Source<F>,
        position: &mut TablePosition,
    ) -> Result<(), Trouble> {
        while position.left_in_chunk == 0 {
            let Some(mut offset) = self.chunks.get(source, position.chunk)? else {
                return Err(Trouble::broken("a frame lies in no chunk", self.at));
            };
            position.offset = offset.length(self.wide_offsets);
            position.chunk += 1;
            while let Some(mut next) = self.runs.get(source, position.run)?
                && u64::from(next.u32()) <= position.chunk
            {
                position.run += 1;
            }
            let Some(mut run) = self.runs.get(source, position.run.saturating_sub(1))? else {
                return Err(Trouble::broken("a chunk has no frames (`stsc`)", self.at));
            };
            run.u32();
            (position.left_in_chunk, position.description) = (run.u32(), run.u32());
        }
        Ok(())
    }

    /// 8.6.2: without the table, every sample is one.
    fn is_keyframe<F: Read + Seek>(
        &mut self,
        source: &mut Source<F>,
        position: &mut TablePosition,
    ) -> Result<bool, Trouble> {
        let Some(table) = &mut self.keyframes else { return Ok(true) };
        let number = position.sample + 1;
        while let Some(mut entry) = table.get(source, position.keyframe)? {
            let listed = u64::from(entry.u32());
            if listed >= number {
                return Ok(listed == number);
            }
            position.keyframe += 1;
        }
        Ok(false)
    }
}
