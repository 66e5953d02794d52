// SPDX-License-Identifier: Apache-2.0
//! The handle that everything passes around.

use std::fmt;
use std::sync::Arc;

use crate::buffer::{Buffer, ReadGuard};
use crate::format::{Format, FormatError};
use crate::memory::MapError;
use crate::meta::{FrameFlags, FrameMeta};

/// Where buffers go when nobody reads them any more: a driver's queue, a pool's free list.
pub trait Home: Send + Sync {
    /// Takes buffer number `slot` back. Called exactly once for each frame, by whichever
    /// thread drops the last handle; it must not block.
    fn take_back(&self, slot: u32);
}

/// One picture or access unit. Cloning copies a pointer; dropping the last clone sends the
/// buffer home.
#[derive(Clone)]
pub struct Frame(Arc<Inner>);

struct Inner {
    buffer: Arc<Buffer>,
    format: Arc<Format>,
    meta: FrameMeta,
    home: Option<(Arc<dyn Home>, u32)>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((home, slot)) = self.home.take() {
            home.take_back(slot);
        }
    }
}

/// Why buffer, format and metadata do not make a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The format does not fit into the buffer.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// More payload than memory.
    #[error("memory {memory} is said to carry {bytes_used} bytes but has {len}")]
    BytesUsed {
        /// Index of the memory.
        memory: usize,
        /// Payload claimed, in bytes.
        bytes_used: u32,
        /// Length of the memory in bytes.
        len: u64,
    },
}

impl Frame {
    /// A frame of `buffer`. When its last handle is dropped, `home` (if any) gets the slot
    /// back; on error it does not, for then there never was a frame.
    ///
    /// # Errors
    /// [`FrameError`] if a plane or the payload reaches outside the buffer.
    pub fn new(
        buffer: Arc<Buffer>,
        format: Arc<Format>,
        meta: FrameMeta,
        home: Option<(Arc<dyn Home>, u32)>,
    ) -> Result<Self, FrameError> {
        format.check(&buffer.memory_lens())?;
        for (memory, held) in buffer.memories().iter().enumerate() {
            let bytes_used = meta.bytes_used[memory];
            if u64::from(bytes_used) > held.len() {
                return Err(FrameError::BytesUsed { memory, bytes_used, len: held.len() });
            }
        }
        Ok(Self(Arc::new(Inner { buffer, format, meta, home })))
    }

    /// The memory it lies in.
    #[must_use]
    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.0.buffer
    }

    /// How its bytes are laid out.
    #[must_use]
    pub fn format(&self) -> &Arc<Format> {
        &self.0.format
    }

    /// Times, order, payload.
    #[must_use]
    pub fn meta(&self) -> &FrameMeta {
        &self.0.meta
    }

    /// Says what is special about a frame that nobody else has yet, and its number in its source.
    /// Returns whether that was possible: what several have is not changed.
    pub fn mark(&mut self, sequence: u32, flags: FrameFlags) -> bool {
        let Some(inner) = Arc::get_mut(&mut self.0) else { return false };
        (inner.meta.sequence, inner.meta.flags) = (sequence, flags);
        true
    }

    /// Says when the picture of a frame was taken, and when it is shown, of one that nobody else has
    /// yet: what is played is told when its turn comes. Returns whether that was possible.
    pub fn retime(&mut self, capture_ns: u64, pts: Option<i64>) -> bool {
        let Some(inner) = Arc::get_mut(&mut self.0) else { return false };
        (inner.meta.capture_ns, inner.meta.pts) = (capture_ns, pts);
        true
    }

    /// Gives a frame that nobody else has yet another format: one that knows more of the same
    /// bytes. Returns whether that was possible.
    ///
    /// # Errors
    /// [`FormatError`] if a plane would lie outside of the buffer; the frame is as before.
    pub fn describe(&mut self, format: &Arc<Format>) -> Result<bool, FormatError> {
        format.check(&self.0.buffer.memory_lens())?;
        let Some(inner) = Arc::get_mut(&mut self.0) else { return Ok(false) };
        inner.format = Arc::clone(format);
        Ok(true)
    }

    /// Begins CPU reading; ends when the view is dropped.
    ///
    /// # Errors
    /// [`MapError`] if the memory cannot be mapped or synchronised.
    pub fn map(&self) -> Result<FrameView<'_>, MapError> {
        Ok(FrameView { guard: self.0.buffer.read()?, format: &self.0.format, meta: &self.0.meta })
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("buffer", &self.0.buffer.id())
            .field("fourcc", &self.0.format.fourcc)
            .field("meta", &self.0.meta)
            .finish_non_exhaustive()
    }
}

/// A frame's bytes, readable by the CPU.
#[derive(Debug)]
pub struct FrameView<'a> {
    guard: ReadGuard<'a>,
    format: &'a Format,
    meta: &'a FrameMeta,
}

/// One plane of a picture.
#[derive(Clone, Copy, Debug)]
pub struct PlaneView<'a> {
    /// From the first byte of the first row to the end of the plane.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of each row that carry pixels.
    pub row_bytes: usize,
    /// How many rows there are.
    pub rows: usize,
}

impl<'a> PlaneView<'a> {
    /// The rows, without their padding. Rows that would lie outside the plane are left out.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Self { data, stride, row_bytes, rows } = *self;
        (0..rows).map_while(move |row| data.get(row * stride..row * stride + row_bytes))
    }
}

impl<'a> FrameView<'a> {
    /// Makes a view from its parts; for crates that get their buffers elsewhere.
    #[must_use]
    pub fn new(guard: ReadGuard<'a>, format: &'a Format, meta: &'a FrameMeta) -> Self {
        Self { guard, format, meta }
    }

    /// How the bytes are laid out, and what they mean.
    #[must_use]
    pub fn format(&self) -> &'a Format {
        self.format
    }

    /// How many planes there are.
    #[must_use]
    pub fn plane_count(&self) -> usize {
        self.format.planes.len()
    }

    /// Plane `index`; `None` if the format has no such plane.
    #[must_use]
    pub fn plane(&self, index: usize) -> Option<PlaneView<'_>> {
        let layout = self.format.planes.get(index)?;
        let start = layout.offset as usize;
        let data = self.guard.memory(usize::from(layout.memory)).get(start..start + layout.size as usize)?;
        Some(PlaneView {
            data,
            stride: layout.stride as usize,
            row_bytes: self.format.plane_row_bytes(index) as usize,
            rows: self.format.plane_rows(index) as usize,
        })
    }

    /// The payload of a coded frame: the first `bytes_used` bytes of its plane; empty if they
    /// are not all there.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let start = self.format.planes.first().map_or(0, |plane| plane.offset as usize);
        let end = start.saturating_add(self.meta.bytes_used[0] as usize);
        self.guard.memory(0).get(start..end).unwrap_or_default()
    }

    /// All bytes of memory `index`, padding included; empty if there is no such memory.
    #[must_use]
    pub fn memory(&self, index: usize) -> &[u8] {
        self.guard.memory(index)
    }
}
