// SPDX-License-Identifier: Apache-2.0
//! Access units: the NAL units of one picture, with what was sent for it.
//!
//! A bare stream does not say where a picture ends, so one is complete when the next begins: with a
//! delimiter, or with a slice that is of another picture (H.264 7.4.1.2.4, H.265 7.4.2.4.5). Parameter
//! sets and SEI messages before that slice are the next picture's already.

use crate::Codec;
use crate::nal::{START_CODE, find_start_code, without_filling};
use crate::role::{Pictures, Role};

/// Largest access unit in bytes. An 8K intra picture at the minimum compression that either codec
/// allows (2:1) has 27 MB.
pub const MAX_ACCESS_UNIT: usize = 64 << 20;

/// More bytes without the beginning of another picture than any picture can have. What was read so
/// far is given up; the stream is hardly one of the codec's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no picture ends within {limit} bytes")]
pub struct AccessUnitTooLarge {
    /// The limit, [`MAX_ACCESS_UNIT`] unless set otherwise.
    pub limit: usize,
}

/// Takes an Annex B stream apart, in whatever pieces it comes.
///
/// An access unit is complete with the first NAL unit of the next. Put together again, the access units
/// are the stream from its first start code on. Memory is bounded by the largest access unit, the NAL
/// unit behind it, and the bytes of one push.
///
/// ```
/// # fn main() -> Result<(), vs_bitstream::AccessUnitTooLarge> {
/// use vs_bitstream::{AccessUnits, Codec};
///
/// let mut units = AccessUnits::new(Codec::H265);
/// units.push(&[0, 0, 0, 1, 0x26, 0x01, 0xaf, 0, 0]);
/// units.push(&[1, 0x02, 0x01, 0xd0]);
/// assert_eq!(units.next_unit()?, None);
/// units.end();
/// assert_eq!(units.next_unit()?, Some(&[0, 0, 0, 1, 0x26, 0x01, 0xaf][..]));
/// assert_eq!(units.next_unit()?, Some(&[0, 0, 1, 0x02, 0x01, 0xd0][..]));
/// assert_eq!(units.next_unit()?, None);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct AccessUnits {
    pictures: Pictures,
    limit: usize,
    buffer: Vec<u8>,
    /// Where in `buffer` the access unit begins that is being gathered.
    start: usize,
    /// The NAL unit whose end is not found yet; `None` before the first start code.
    nal: Option<Nal>,
    /// No start code ends before this place and behind the beginning of `nal`.
    searched: usize,
    /// The access unit has a slice.
    has_picture: bool,
    /// Where the next access unit begins if the next slice is of another picture.
    boundary: Option<usize>,
    ended: bool,
}

/// A NAL unit in the buffer: where its start code begins, and where it ends.
#[derive(Debug, Clone, Copy)]
struct Nal {
    code: usize,
    payload: usize,
}

impl AccessUnits {
    /// A splitter at the beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        Self::with_limit(codec, MAX_ACCESS_UNIT)
    }

    /// The same with another limit, in bytes, to the size of an access unit.
    pub fn with_limit(codec: Codec, limit: usize) -> Self {
        let (pictures, nal, boundary) = (Pictures::new(codec), None, None);
        Self {
            pictures,
            limit,
            buffer: Vec::new(),
            start: 0,
            nal,
            searched: 0,
            has_picture: false,
            boundary,
            ended: false,
        }
    }

    /// Adds the next bytes of the stream. Take all access units that are complete before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.forget_before_start();
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that the stream is over: what is left is the last access unit. Nothing may be pushed after.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next complete access unit, from its start code on; `None` until more bytes came.
    pub fn next_unit(&mut self) -> Result<Option<&[u8]>, AccessUnitTooLarge> {
        let Some(end) = self.unit_end() else {
            // The NAL unit in work may be of the next access unit, and then has its own limit.
            let complete = self.boundary.or(self.nal.map(|nal| nal.code)).unwrap_or(self.start);
            let (gathered, in_work) = (complete - self.start, self.buffer.len() - complete);
            return if gathered.max(in_work) > self.limit { Err(self.give_up()) } else { Ok(None) };
        };
        if end - self.start > self.limit {
            return Err(self.give_up());
        }
        let unit = self.start..end;
        self.start = end;
        Ok(Some(&self.buffer[unit]))
    }

    /// Looks at NAL units until one shows that an access unit ends, and where.
    fn unit_end(&mut self) -> Option<usize> {
        if self.nal.is_none() {
            self.nal = Some(self.first_nal()?);
        }
        while let Some(nal) = self.nal.filter(|nal| nal.code < self.buffer.len())
            && let Some((end, next)) = self.nal_end(nal)
        {
            self.nal = Some(next);
            let role = self.pictures.role(without_filling(&self.buffer[nal.payload..end]));
            let begins = self.has_picture && matches!(role, Role::Delimiter | Role::FirstSlice);
            let boundary = self.boundary.unwrap_or(nal.code);
            match role {
                Role::Prefix if self.has_picture => self.boundary = Some(boundary),
                Role::Slice => self.boundary = None,
                _ => {}
            }
            self.has_picture |= matches!(role, Role::FirstSlice | Role::Slice);
            if begins {
                (self.has_picture, self.boundary) = (role == Role::FirstSlice, None);
                return Some(boundary);
            }
        }
        (self.ended && self.start < self.buffer.len()).then(|| {
            (self.has_picture, self.boundary) = (false, None);
            self.buffer.len()
        })
    }

    /// Finds the stream's first start code and passes over what stands before it.
    fn first_nal(&mut self) -> Option<Nal> {
        let Some(at) = find_start_code(&self.buffer[self.start..]) else {
            // Its beginning, with the zero before it, may have come already.
            let rest = if self.ended { 0 } else { START_CODE.len() };
            self.start = self.start.max(self.buffer.len().saturating_sub(rest));
            return None;
        };
        let nal = self.nal_at(self.start + at, self.start);
        self.start = nal.code;
        Some(nal)
    }

    /// Where `nal` ends, and the one behind it, at the stream's end an empty one; `None` if that is
    /// yet to come.
    fn nal_end(&mut self, nal: Nal) -> Option<(usize, Nal)> {
        let from = nal.payload.max(self.searched);
        match find_start_code(&self.buffer[from..]) {
            Some(at) => {
                let next = self.nal_at(from + at, nal.payload);
                Some((next.code, next))
            }
            None if self.ended => {
                Some((self.buffer.len(), Nal { code: self.buffer.len(), payload: self.buffer.len() }))
            }
            None => {
                self.searched = from.max(self.buffer.len().saturating_sub(START_CODE.len() - 1));
                None
            }
        }
    }

    /// The NAL unit whose start code is at `code`, with the zero byte that may belong to it (B.1.1)
    /// unless it lies before `earliest`.
    fn nal_at(&self, code: usize, earliest: usize) -> Nal {
        let zero_byte = code > earliest && self.buffer[code - 1] == 0;
        Nal { code: code - usize::from(zero_byte), payload: code + START_CODE.len() }
    }

    fn give_up(&mut self) -> AccessUnitTooLarge {
        (self.nal, self.boundary, self.has_picture) = (None, None, false);
        self.start = self.buffer.len();
        AccessUnitTooLarge { limit: self.limit }
    }

    fn forget_before_start(&mut self) {
        let gone = std::mem::take(&mut self.start);
        self.buffer.drain(..gone);
        self.searched = self.searched.saturating_sub(gone);
        self.boundary = self.boundary.map(|at| at - gone);
        self.nal = self.nal.map(|nal| Nal { code: nal.code - gone, payload: nal.payload - gone });
    }
}
