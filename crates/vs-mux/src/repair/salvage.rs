// SPDX-License-Identifier: Apache-2.0
//! What of a torn file can be kept: which fragments, and so which tables its index has.
//!
//! Fragments are followed from header to header, over the frames, which is what makes it fast on a
//! large file: a read of a page each. Only the frames written last are looked at themselves, because
//! only these can be damaged by what interrupted the recording: what was older had been synced.
//!
//! Behind damage the next fragment is searched that begins with a keyframe: a bad sector in the
//! middle costs a GOP, not the rest of the file. The gap stays a gap in time.

use std::collections::VecDeque;
use std::io::{Read, Seek};

use super::fragment::Fragment;
use super::frames::are_intact;
use super::header::Header;
use super::report::Lost;
use crate::mp4::{Edit, IoFailure, Sample, SampleTable, duration_ns, limits, to_ticks};
use crate::read::source::Source;

/// What is looked at frame by frame at the end of a file, by time. A recording that is not synced
/// waits for the kernel, which writes data that are 30 s old, looks every 5 s (vm.rst:
/// `dirty_expire_centisecs`, `dirty_writeback_centisecs`), and needs a while.
const DOUBTED_NS: i128 = 60_000_000_000;
/// The same in bytes: what the kernel lets a process have unwritten before it must wait is less than
/// that on small machines; and a second or two of reading.
const DOUBTED_BYTES: u64 = 256 << 20;
/// The same in frames, so that memory stays bounded: 24 bytes each.
const DOUBTED_FRAMES: usize = 1 << 18;
/// Bytes read at a time in search of a fragment.
const PIECE_BYTES: usize = 1 << 18;
/// Places that look like a fragment and are none, after which the search is given up. Video contains
/// such a place once in 4 GiB.
const MAX_CANDIDATES: u32 = 1000;

/// What can be kept.
#[derive(Debug)]
pub(super) struct Salvage {
    /// All frames, closed.
    pub table: SampleTable,
    /// Where the last of them ends.
    pub end: u64,
    pub edit: Edit,
    pub lost: Lost,
}

struct Search<'a, F> {
    source: &'a mut Source<F>,
    header: &'a Header,
    table: SampleTable,
    edit: Edit,
    lost: Lost,
    /// Fragments that follow each other and are not in the table yet.
    doubted: VecDeque<Doubted>,
    doubted_frames: usize,
    /// The last fragment found: its number, and when its last frame is decoded.
    found: Option<(u32, u64)>,
    /// Where the last fragment in the table ends.
    end: u64,
    /// When the last frame in the table is decoded, and how long that lasts.
    last: (u64, u32),
    /// What is subtracted from decoding times, because the frames before are lost.
    base: u64,
    /// Frames cannot be decoded before the next keyframe.
    waits_for_key: bool,
    candidates: u32,
    buffer: Vec<u8>,
}

struct Doubted {
    fragment: Fragment,
    /// There is damage before it.
    after_damage: bool,
}

impl Salvage {
    /// Looks for all that can be kept; `None` if there is nothing.
    pub fn search<F: Read + Seek>(source: &mut Source<F>, header: &Header) -> Result<Option<Self>, IoFailure> {
        let mut search = Search {
            source,
            header,
            table: SampleTable::default(),
            edit: header.track.edit,
            lost: Lost::default(),
            doubted: VecDeque::new(),
            doubted_frames: 0,
            found: None,
            end: header.end,
            last: (0, 0),
            base: 0,
            waits_for_key: true,
            candidates: 0,
            buffer: Vec::new(),
        };
        search.follow()?;
        while let Some(doubted) = search.doubted.pop_front() {
            search.keep(doubted, true)?;
        }
        if search.table.frames() == 0 {
            return Ok(None);
        }
        let rest = search.loss(search.end, search.source.length())?;
        search.lost.add(rest);
        search.table.close(search.last.1);
        let Search { table, end, edit, lost, .. } = search;
        Ok(Some(Self { table, end, edit, lost }))
    }
}

impl<F: Read + Seek> Search<'_, F> {
    /// Follows the fragments to the end of the file.
    fn follow(&mut self) -> Result<(), IoFailure> {
        let mut at = self.header.end;
        let mut after_damage = false;
        loop {
            match self.next(at)? {
                Some(fragment) => {
                    at = fragment.end;
                    self.found = Some((fragment.sequence, fragment.last().0));
                    self.doubted_frames += fragment.samples.len();
                    self.doubted.push_back(Doubted { fragment, after_damage });
                    after_damage = false;
                    self.trust_old(at)?;
                }
                None => match self.find_key_fragment(at + 1)? {
                    Some(found) => (at, after_damage) = (found, true),
                    None => return Ok(()),
                },
            }
        }
    }

    /// The fragment at this place, if it is whole and continues those that were found.
    fn next(&mut self, at: u64) -> Result<Option<Fragment>, IoFailure> {
        let (length, found) = (self.source.length(), self.found);
        let follows = |fragment: &Fragment| {
            found.is_none_or(|(sequence, dts)| fragment.sequence > sequence && fragment.first_dts() > dts)
        };
        Ok(Fragment::read(self.source, at)?.filter(|fragment| fragment.end <= length && follows(fragment)))
    }

    /// The first place at or behind `from` where a fragment begins with a keyframe.
    fn find_key_fragment(&mut self, from: u64) -> Result<Option<u64>, IoFailure> {
        let mut at = from;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = self.source.read_some(at, &mut piece)?;
            let Some(read) = piece.get(..length).filter(|read| read.len() > 8) else { return Ok(None) };
            // The first two boxes stand in the same places in all fragments.
            let places = read.windows(8).enumerate().filter(|(_, bytes)| bytes[4..] == *b"moof");
            for (place, _) in places {
                let candidate = at + place as u64;
                if self.next(candidate)?.is_some_and(|fragment| fragment.is_key()) {
                    return Ok(Some(candidate));
                }
                self.candidates += 1;
                if self.candidates > MAX_CANDIDATES {
                    return Ok(None);
                }
            }
            at += length as u64 - 7;
        }
    }

    /// Takes fragments into the table that are so far before `end` that they were synced long ago.
    fn trust_old(&mut self, end: u64) -> Result<(), IoFailure> {
        let ticks = to_ticks(DOUBTED_NS, self.header.track.timescale).unsigned_abs();
        let now = self.found.map_or(0, |(_, dts)| dts);
        while let Some(oldest) = self.doubted.front().map(|doubted| &doubted.fragment)
            && (now - oldest.first_dts() > ticks
                || end - oldest.start > DOUBTED_BYTES
                || self.doubted_frames > DOUBTED_FRAMES)
            && let Some(oldest) = self.doubted.pop_front()
        {
            self.keep(oldest, false)?;
        }
        Ok(())
    }

    /// Takes a fragment into the table, if it can be decoded.
    fn keep(&mut self, Doubted { fragment, after_damage }: Doubted, verify: bool) -> Result<(), IoFailure> {
        self.doubted_frames -= fragment.samples.len();
        self.waits_for_key |= after_damage;
        let intact = !verify || are_intact(self.source, &fragment, self.header.codec, &mut self.buffer)?;
        let room = self.table.frames() + fragment.samples.len() as u64 <= limits::MAX_FRAMES;
        if !intact || !room || self.waits_for_key && !fragment.is_key() {
            self.waits_for_key = true;
            return Ok(());
        }
        self.waits_for_key = false;
        if fragment.start > self.end {
            self.leave_gap(&fragment)?;
        }
        let base = self.base;
        let rebased: Vec<Sample> =
            fragment.samples.iter().map(|sample| Sample { dts: sample.dts.saturating_sub(base), ..*sample }).collect();
        self.table.add_fragment(fragment.data_at, &rebased);
        (self.end, self.last) = (fragment.end, fragment.last());
        Ok(())
    }

    /// Notes what is missing before `fragment`.
    fn leave_gap(&mut self, fragment: &Fragment) -> Result<(), IoFailure> {
        let mut lost = self.loss(self.end, fragment.start)?;
        let missing = fragment.first_dts().saturating_sub(self.last.0 + u64::from(self.last.1));
        // The next frame says how long it was, whoever was in it.
        lost.duration_ns = duration_ns(missing, self.header.track.timescale);
        self.lost.add(lost);
        if self.table.frames() == 0 {
            // The track's own time begins with its first frame; the presentation shows it when it was.
            self.base = fragment.first_dts();
            let composition = fragment.samples.first().map_or(0, |sample| sample.composition_offset);
            self.edit = self.edit.without_beginning(self.base, composition.into());
        }
        Ok(())
    }

    /// What is known of the bytes of a range that is lost.
    fn loss(&mut self, mut from: u64, to: u64) -> Result<Lost, IoFailure> {
        let mut lost = Lost { bytes: to.saturating_sub(from), ..Lost::default() };
        while from < to
            && let Some(fragment) = Fragment::read(self.source, from)?
        {
            lost.frames += fragment.samples.len() as u64;
            lost.duration_ns += duration_ns(fragment.ticks(), self.header.track.timescale);
            from = fragment.end;
        }
        // The recorder had come to the index: no frame follows it.
        let mut name = [0; 8];
        let length = if from < to { self.source.read_some(from, &mut name)? } else { 0 };
        let index = length == 8 && name[4..] == *b"moov";
        match to.saturating_sub(from) {
            rest if index => lost.bytes -= rest,
            rest => lost.unknown_bytes = rest,
        }
        Ok(lost)
    }
}
