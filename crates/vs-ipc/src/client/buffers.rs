// SPDX-License-Identifier: Apache-2.0
//! The buffers whose descriptors this client has.
//!
//! A buffer is imported when its descriptors arrive and forgotten when the host retires it;
//! frames in hand keep theirs. The format is checked against a buffer once, not for each
//! frame: the table remembers which buffers the current format fits.

use std::sync::Arc;

use vs_frame::{Buffer, Format, Memory, MemoryKind};

use super::socket::Descriptors;
use super::{ProtocolError, ReceiveError};
use crate::wire::{FrameEvent, Message, WireError};

/// The most buffers a client keeps for one connection. A host has as many as its source,
/// 32 at most with V4L2's older drivers, some spares, and for a moment those of the format
/// before; the bound keeps a mad host from using up this process's descriptors.
pub(super) const MAX_BUFFERS: usize = 256;

/// Buffers by the host's numbers. There are few, so a search is faster than a hash.
#[derive(Debug, Default)]
pub(super) struct Buffers(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    number: u64,
    buffer: Arc<Buffer>,
    /// The current format has been checked against it.
    fits: bool,
}

impl Buffers {
    /// A new format is in force: nothing has been checked against it.
    pub(super) fn format_changed(&mut self) {
        self.0.iter_mut().for_each(|entry| entry.fits = false);
    }

    /// Forgets a buffer.
    pub(super) fn retire(&mut self, number: u64) {
        self.0.retain(|entry| entry.number != number);
    }

    /// The buffer of a frame, imported if it came with the frame, and fit for the format.
    pub(super) fn resolve(
        &mut self,
        event: &FrameEvent,
        descriptors: Descriptors,
        format: &Format,
    ) -> Result<Arc<Buffer>, ReceiveError> {
        let (number, serial) = (event.buffer.get(), event.serial.get());
        let known = self.0.iter().position(|entry| entry.number == number);
        let entry = match known {
            // Descriptors of a buffer that is known already are closed unseen.
            Some(index) => &mut self.0[index],
            None if event.fds == 0 => return Err(ProtocolError::UnknownBuffer { serial, buffer: number }.into()),
            None if self.0.len() >= MAX_BUFFERS => return Err(ProtocolError::TooManyBuffers(MAX_BUFFERS).into()),
            None => {
                let buffer = Arc::new(import(event, descriptors)?);
                self.0.push(Entry { number, buffer, fits: false });
                let last = self.0.len() - 1;
                &mut self.0[last]
            }
        };
        if !entry.fits {
            let checked = format.check(&entry.buffer.memory_lens());
            checked.map_err(|source| ProtocolError::Format { serial, source })?;
            entry.fits = true;
        }
        Ok(entry.buffer.clone())
    }
}

fn import(event: &FrameEvent, descriptors: Descriptors) -> Result<Buffer, ReceiveError> {
    let impossible = |field| ProtocolError::Wire(WireError::Field { kind: FrameEvent::KIND, field });
    let (serial, expected, received) = (event.serial.get(), usize::from(event.fds), descriptors.count);
    if event.fds != event.memories {
        return Err(impossible("number of descriptors").into());
    }
    if received < expected {
        return Err(if descriptors.truncated {
            ReceiveError::TooManyOpenFiles { expected, received }
        } else {
            ProtocolError::MissingDescriptors { serial, expected, received }.into()
        });
    }
    let kind = match event.memory_kind {
        0 => MemoryKind::Memfd,
        1 => MemoryKind::DmaBuf,
        _ => return Err(impossible("memory kind").into()),
    };
    let fds = descriptors.fds.into_iter().flatten().take(expected);
    let memories: Result<Vec<Memory>, _> = fds.map(|fd| Memory::import(fd, kind)).collect();
    let memories = memories.map_err(|source| ProtocolError::Memory { serial, source })?;
    Buffer::new(memories).ok_or_else(|| impossible("number of memories").into())
}
