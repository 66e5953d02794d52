// SPDX-License-Identifier: Apache-2.0
//! The frames that this side has lent, and what the other side knows of their buffers and formats.

use std::sync::{Arc, Weak};

use vs_frame::{Buffer, BufferId, Format, Frame, MemoryKind};

use super::error::LendError;
use super::link::Link;
use super::{MAX_BUFFERS, MAX_CREDITS};
use crate::record::Sent;
use crate::wire::exchange::Lend;
use crate::wire::{self, BufferRetired, format_message, record};

#[derive(Debug, Default)]
pub(super) struct Lending {
    /// How many may be lent at once; 0 before that is known.
    max: u16,
    /// Number of the last frame that was lent.
    last: u64,
    /// Frames in the other side's hands.
    lent: Vec<(u64, Frame)>,
    format: Option<(u32, Arc<Format>)>,
    /// Buffers whose descriptors the other side has, those last lent at the end.
    known: Vec<(BufferId, Weak<Buffer>)>,
}

impl Lending {
    pub(super) fn set_max(&mut self, max: u16) {
        self.max = max.min(MAX_CREDITS);
    }

    /// How many more may be lent now.
    pub(super) fn credit(&self) -> usize {
        usize::from(self.max).saturating_sub(self.lent.len())
    }

    /// How many are lent.
    pub(super) fn lent(&self) -> usize {
        self.lent.len()
    }

    /// The other side is done with a frame; whether it had it.
    pub(super) fn take_back(&mut self, number: u64) -> bool {
        let found = self.lent.iter().position(|(lent, _)| *lent == number);
        found.map(|index| drop(self.lent.swap_remove(index))).is_some()
    }

    /// Lends a frame, made of input number `origin`; its number.
    pub(super) fn lend(&mut self, link: &Link, frame: &Frame, origin: u64) -> Result<u64, LendError> {
        if link.is_closed() {
            return Err(LendError::Closed);
        }
        if self.credit() == 0 {
            return Err(LendError::NoCredit);
        }
        self.retire_gone(link);
        self.announce(link, frame.format())?;
        let buffer = frame.buffer();
        let known = self.known.iter().position(|(id, _)| *id == buffer.id());
        if known.is_none() && self.known.len() >= MAX_BUFFERS {
            self.retire_oldest(link);
        }
        let number = self.last + 1;
        let bytes = record(self.message(frame, number, origin, known.is_none()), &[]);
        sent(link.send(&bytes, if known.is_none() { buffer.memories() } else { &[] }))?;
        let entry = known.map(|index| self.known.remove(index));
        self.known.push(entry.unwrap_or_else(|| (buffer.id(), Arc::downgrade(buffer))));
        self.last = number;
        self.lent.push((number, frame.clone()));
        Ok(number)
    }

    /// Says how the frames that follow are laid out, if that is news.
    fn announce(&mut self, link: &Link, format: &Arc<Format>) -> Result<(), LendError> {
        let last = self.format.as_ref();
        if last.is_some_and(|(_, last)| Arc::ptr_eq(last, format) || last == format) {
            return Ok(());
        }
        let number = last.map_or(1, |(number, _)| number.wrapping_add(1));
        sent(link.send(&format_message::encode(number, format), &[]))?;
        self.format = Some((number, Arc::clone(format)));
        Ok(())
    }

    fn message(&self, frame: &Frame, number: u64, origin: u64, introduce: bool) -> Lend {
        let (buffer, meta) = (frame.buffer(), frame.meta());
        let memories = buffer.memories().len() as u8;
        Lend {
            number: number.into(),
            origin: origin.into(),
            buffer: buffer.id().0.into(),
            format: self.format.as_ref().map_or(0, |(number, _)| *number).into(),
            flags: meta.flags.bits().into(),
            sequence: meta.sequence.into(),
            memories,
            memory_kind: match buffer.kind() {
                MemoryKind::Memfd => 0,
                MemoryKind::DmaBuf => 1,
            },
            fds: if introduce { memories } else { 0 },
            capture_ns: meta.capture_ns.into(),
            pts: wire::time_field(meta.pts).into(),
            dts: wire::time_field(meta.dts).into(),
            duration: wire::time_field(meta.duration.and_then(|duration| i64::try_from(duration).ok())).into(),
            bytes_used: meta.bytes_used.map(Into::into),
            ..Lend::default()
        }
    }

    /// Buffers that nobody here has any more will not be lent again.
    fn retire_gone(&mut self, link: &Link) {
        self.known.retain(|(id, buffer)| {
            let there = buffer.strong_count() > 0;
            if !there {
                retire(link, *id);
            }
            there
        });
    }

    /// Makes room for another buffer: frames in the other side's hands keep theirs, and one that
    /// comes again is introduced anew.
    fn retire_oldest(&mut self, link: &Link) {
        let (id, _) = self.known.remove(0);
        retire(link, id);
    }
}

fn retire(link: &Link, id: BufferId) {
    link.say(record(BufferRetired { buffer: id.0.into(), ..BufferRetired::default() }, &[]));
}

fn sent(sent: Sent) -> Result<(), LendError> {
    match sent {
        Sent::Yes => Ok(()),
        Sent::Full => Err(LendError::Full),
        Sent::Busy => Err(LendError::Busy),
        // Whether it is really over is for the receiving side to find out: there may be messages
        // left to read.
        Sent::Gone => Err(LendError::Closed),
    }
}
