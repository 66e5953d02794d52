// SPDX-License-Identifier: Apache-2.0
//! The buffers of another process whose descriptors this one has.
//!
//! A buffer is imported when its descriptors arrive and forgotten when its owner retires it;
//! frames in hand keep theirs. The format is checked against a buffer once, not for each
//! frame: the table remembers which buffers the current format fits.

use std::sync::Arc;

use vs_frame::{Buffer, Format, Memory, MemoryKind};

use super::socket::Descriptors;
use super::{ProtocolError, ReceiveError};
use crate::wire::exchange::Lend;
use crate::wire::{FrameEvent, Message, WireError};

/// The most buffers a client keeps for one connection. A host has as many as its source,
/// 32 at most with V4L2's older drivers, some spares, and for a moment those of the format
/// before; the bound keeps a mad host from using up this process's descriptors.
pub(crate) const MAX_BUFFERS: usize = 256;

/// Buffers by their owner's numbers. There are few, so a search is faster than a hash.
#[derive(Debug)]
pub(crate) struct Buffers {
    entries: Vec<Entry>,
    max: usize,
}

/// What a message says of a frame's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    kind: u16,
    /// Number of the frame, for messages.
    serial: u64,
    /// Number of the buffer.
    buffer: u64,
    memories: u8,
    memory_kind: u8,
    fds: u8,
}

impl From<&FrameEvent> for Announced {
    fn from(event: &FrameEvent) -> Self {
        let &FrameEvent { serial, buffer, memories, memory_kind, fds, .. } = event;
        Self { kind: FrameEvent::KIND, serial: serial.get(), buffer: buffer.get(), memories, memory_kind, fds }
    }
}

impl From<&Lend> for Announced {
    fn from(lend: &Lend) -> Self {
        let &Lend { number, buffer, memories, memory_kind, fds, .. } = lend;
        Self { kind: Lend::KIND, serial: number.get(), buffer: buffer.get(), memories, memory_kind, fds }
    }
}

#[derive(Debug)]
struct Entry {
    number: u64,
    buffer: Arc<Buffer>,
    /// The current format has been checked against it.
    fits: bool,
}

impl Buffers {
    /// None yet, and at most `max`.
    pub(crate) fn new(max: usize) -> Self {
        Self { entries: Vec::new(), max }
    }

    /// A new format is in force: nothing has been checked against it.
    pub(crate) fn format_changed(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.fits = false);
    }

    /// Forgets a buffer.
    pub(crate) fn retire(&mut self, number: u64) {
        self.entries.retain(|entry| entry.number != number);
    }

    /// The buffer of a frame, imported if it came with the frame, and fit for the format.
    pub(crate) fn resolve(
        &mut self,
        announced: Announced,
        descriptors: Descriptors,
        format: &Format,
    ) -> Result<Arc<Buffer>, ReceiveError> {
        let Announced { buffer: number, serial, .. } = announced;
        let known = self.entries.iter().position(|entry| entry.number == number);
        let entry = match known {
            // Descriptors of a buffer that is known already are closed unseen.
            Some(index) => &mut self.entries[index],
            None if announced.fds == 0 => return Err(ProtocolError::UnknownBuffer { serial, buffer: number }.into()),
            None if self.entries.len() >= self.max => return Err(ProtocolError::TooManyBuffers(self.max).into()),
            None => {
                let buffer = Arc::new(import(announced, descriptors)?);
                self.entries.push(Entry { number, buffer, fits: false });
                let last = self.entries.len() - 1;
                &mut self.entries[last]
            }
        };
        if !entry.fits {
            let checked = format.check(&entry.buffer.memory_lens());
            checked.map_err(|source| ProtocolError::Format { serial, source })?;
            entry.fits = true;
        }
        if usize::from(announced.memories) != entry.buffer.memories().len() {
            return Err(ProtocolError::Wire(announced.impossible("number of memories")).into());
        }
        Ok(entry.buffer.clone())
    }
}

impl Announced {
    fn impossible(self, field: &'static str) -> WireError {
        WireError::Field { kind: self.kind, field }
    }
}

fn import(announced: Announced, descriptors: Descriptors) -> Result<Buffer, ReceiveError> {
    let impossible = |field| ProtocolError::Wire(announced.impossible(field));
    let Announced { serial, fds, memories, memory_kind, .. } = announced;
    let (expected, received) = (usize::from(fds), descriptors.count);
    if fds != memories {
        return Err(impossible("number of descriptors").into());
    }
    if received < expected {
        return Err(if descriptors.truncated {
            ReceiveError::TooManyOpenFiles { expected, received }
        } else {
            ProtocolError::MissingDescriptors { serial, expected, received }.into()
        });
    }
    let kind = match memory_kind {
        0 => MemoryKind::Memfd,
        1 => MemoryKind::DmaBuf,
        _ => return Err(impossible("memory kind").into()),
    };
    let fds = descriptors.fds.into_iter().flatten().take(expected);
    let memories: Result<Vec<Memory>, _> = fds.map(|fd| Memory::import(fd, kind)).collect();
    let memories = memories.map_err(|source| ProtocolError::Memory { serial, source })?;
    Buffer::new(memories).ok_or_else(|| impossible("number of memories").into())
}
