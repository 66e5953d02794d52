// SPDX-License-Identifier: Apache-2.0
//! Reading boxes (4.2): where they lie in the file, and the numbers in them.

use std::io::{Read, Seek};

use super::error::Trouble;
use super::source::Source;

/// Most boxes looked at in one container. Real ones have some tens; a file may consist of nothing but
/// empty ones.
const MAX_CHILDREN: usize = 65_536;

/// A box in the file: its four letters, and where its content lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BoxAt {
    pub kind: [u8; 4],
    pub start: u64,
    pub body: u64,
    pub end: u64,
    /// It says to be longer than what contains it; `end` is the container's.
    pub torn: bool,
}

/// The box at `at` in a container that ends at `end`; `None` at its end.
pub(crate) fn box_at<F: Read + Seek>(source: &mut Source<F>, at: u64, end: u64) -> Result<Option<BoxAt>, Trouble> {
    // Some containers of QuickTime end with four zero bytes.
    if end.saturating_sub(at) < 8 {
        return Ok(None);
    }
    let mut header = [0; 16];
    source.read_at(at, &mut header[..8])?;
    let mut fields = Fields(&header);
    let (size, kind) = (fields.u32(), fields.four());
    let (header_bytes, size) = match size {
        0 => (8, end - at),
        1 if end - at >= 16 => {
            source.read_at(at + 8, &mut header[8..])?;
            (16, Fields(&header[8..]).u64())
        }
        // What follows is cut off.
        1 => (end - at, u64::MAX),
        size => (8, u64::from(size)),
    };
    if size < header_bytes {
        return Err(Trouble::broken("a box is smaller than its header", at));
    }
    let torn = size > end - at;
    Ok(Some(BoxAt { kind, start: at, body: at + header_bytes, end: if torn { end } else { at + size }, torn }))
}

impl BoxAt {
    /// Looks at each box in this one until `take` says that it is enough.
    pub fn each_child<F: Read + Seek, E: From<Trouble>>(
        &self,
        source: &mut Source<F>,
        mut take: impl FnMut(&mut Source<F>, BoxAt) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut at = self.body;
        for _ in 0..MAX_CHILDREN {
            let Some(child) = box_at(source, at, self.end)? else { return Ok(()) };
            if child.torn {
                return Err(Trouble::broken("a box is longer than what contains it", at).into());
            }
            at = child.end;
            if take(source, child)? {
                return Ok(());
            }
        }
        Err(Trouble::broken("a box contains more boxes than any sensible one", self.start).into())
    }

    /// The first box of this kind in this one.
    pub fn find<F: Read + Seek>(&self, source: &mut Source<F>, kind: &[u8; 4]) -> Result<Option<BoxAt>, Trouble> {
        let mut found = None;
        self.each_child(source, |_, child| {
            found = found.or((child.kind == *kind).then_some(child));
            Ok::<_, Trouble>(found.is_some())
        })?;
        Ok(found)
    }

    /// The same where the standard demands one.
    pub fn need<F: Read + Seek>(
        &self,
        source: &mut Source<F>,
        kind: &[u8; 4],
        missing: &'static str,
    ) -> Result<BoxAt, Trouble> {
        self.find(source, kind)?.ok_or(Trouble::broken(missing, self.start))
    }

    /// The first `N` bytes of its content; what it has less is zero.
    pub fn head<const N: usize, F: Read + Seek>(&self, source: &mut Source<F>) -> Result<[u8; N], Trouble> {
        let mut bytes = [0; N];
        let length = usize::try_from(self.end - self.body).unwrap_or(N).min(N);
        source.read_at(self.body, &mut bytes[..length])?;
        Ok(bytes)
    }
}

/// Takes big-endian numbers from the front of bytes; behind their end all are zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = self.take(N);
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    pub fn four(&mut self) -> [u8; 4] {
        self.array()
    }

    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.array())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// A number of 64 bits where `wide`, else of 32.
    pub fn length(&mut self, wide: bool) -> u64 {
        if wide { self.u64() } else { self.u32().into() }
    }

    /// The boxes among these bytes, as far as they are whole: their letters and contents.
    pub fn boxes(mut self) -> impl Iterator<Item = ([u8; 4], &'a [u8])> {
        std::iter::from_fn(move || {
            let mut rest = self;
            let (size, kind) = (rest.u32() as usize, rest.four());
            let whole = size >= 8 && size <= self.0.len();
            whole.then(|| (kind, &self.take(size)[8..]))
        })
    }
}
