// SPDX-License-Identifier: Apache-2.0
//! Buffers that the CPU fills: test patterns, software codecs, programs that publish.
//!
//! The pool starts small and grows up to its bound only when every buffer is in somebody's
//! hands; [`trim`](CpuPool::trim) gives back what nobody has needed for a while ([`Spares`]
//! has the rule). A slot taken for writing belongs to the writer alone; finishing it makes a
//! frame, dropping it puts it back unseen.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

use crate::buffer::Buffer;
use crate::format::Format;
use crate::frame::{Frame, FrameError, Home};
use crate::memory::{Access, CpuAccess, MapError, MemoryError, MemoryKind, WritableMemory};
use crate::meta::FrameMeta;
use crate::spares::Spares;

/// Where a pool's memory comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CpuMemory {
    /// Sealed memfds: readable by everyone, writable by nobody but the pool.
    Memfd,
    /// Memfds of fixed size with a second descriptor for writing ([`Memory::writable`]),
    /// for streams that clients of libvideostream read: such a client maps for writing or
    /// not at all. The pool's own readers get the descriptor for reading, but **whoever is
    /// given the other one can change the pictures that everybody sees**.
    ///
    /// [`Memory::writable`]: crate::Memory::writable
    WritableMemfd,
    /// A DMA heap, by its device node: importable by devices, but every client that gets a
    /// buffer could write to it.
    DmaHeap(PathBuf),
    /// The same of ordinary memory, by way of `/dev/udmabuf`, where there is no heap.
    Udmabuf,
}

impl CpuMemory {
    /// The kind of memory that readers meet.
    #[must_use]
    pub fn kind(&self) -> MemoryKind {
        match self {
            Self::Memfd | Self::WritableMemfd => MemoryKind::Memfd,
            Self::DmaHeap(_) | Self::Udmabuf => MemoryKind::DmaBuf,
        }
    }
}

/// A bounded set of equal buffers for one format.
#[derive(Debug)]
pub struct CpuPool {
    format: Arc<Format>,
    memory: CpuMemory,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    came_home: Option<Hook>,
}

/// What is called after a buffer has come home, by whichever thread brought it: it must not block.
pub type Hook = Box<dyn Fn() + Send + Sync>;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    /// Those that were trimmed leave a hole, for the numbers of the others must stay.
    slots: Vec<Option<Slot>>,
    holes: Vec<u32>,
    free: Vec<u32>,
    spares: Spares,
}

impl State {
    fn len(&self) -> usize {
        self.slots.len() - self.holes.len()
    }

    fn slot(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index as usize)?.as_mut()
    }
}

#[derive(Debug)]
struct Slot {
    buffer: Arc<Buffer>,
    /// Away while a writer has the slot.
    mappings: Option<Vec<MmapMut>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic halfway; a poisoned pool is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Home for Shared {
    fn take_back(&self, slot: u32) {
        self.lock().free.push(slot);
        if let Some(hook) = &self.came_home {
            hook();
        }
    }
}

impl CpuPool {
    /// A pool of `initial` buffers for pictures of `format`, growing up to `max`.
    ///
    /// # Errors
    /// [`MemoryError`] if the first buffers cannot be had.
    pub fn new(format: Arc<Format>, memory: CpuMemory, initial: usize, max: usize) -> Result<Self, MemoryError> {
        Self::build(format, memory, initial, max, None)
    }

    /// As [`new`](Self::new), for a writer that waits for its pictures to come home: `came_home` is
    /// called whenever one could be [acquired](Self::acquire) again.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_hook(
        format: Arc<Format>,
        memory: CpuMemory,
        initial: usize,
        max: usize,
        came_home: Hook,
    ) -> Result<Self, MemoryError> {
        Self::build(format, memory, initial, max, Some(came_home))
    }

    fn build(
        format: Arc<Format>,
        memory: CpuMemory,
        initial: usize,
        max: usize,
        came_home: Option<Hook>,
    ) -> Result<Self, MemoryError> {
        let state = State { slots: Vec::new(), holes: Vec::new(), free: Vec::new(), spares: Spares::new(initial, max) };
        let pool = Self { format, memory, shared: Arc::new(Shared { state: Mutex::new(state), came_home }) };
        for _ in 0..initial {
            pool.add_slot()?;
        }
        Ok(pool)
    }

    /// The format of its buffers.
    #[must_use]
    pub fn format(&self) -> &Arc<Format> {
        &self.format
    }

    /// Buffers that exist now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.lock().len()
    }

    /// Buffers that it can have at most.
    #[must_use]
    pub fn max(&self) -> usize {
        self.shared.lock().spares.max()
    }

    /// Whether the pool has no buffer yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Buffers that could be taken now, those not yet allocated included.
    #[must_use]
    pub fn available(&self) -> usize {
        let state = self.shared.lock();
        state.free.len() + state.spares.max().saturating_sub(state.len())
    }

    fn add_slot(&self) -> Result<(), MemoryError> {
        let (mut memories, mut mappings) = (Vec::new(), Vec::new());
        for index in 0..self.format.memories() {
            let len = self.format.memory_size(index).next_multiple_of(PAGE);
            let WritableMemory { memory, mapping } = match &self.memory {
                CpuMemory::Memfd => WritableMemory::memfd(len)?,
                CpuMemory::WritableMemfd => WritableMemory::writable_memfd(len)?,
                CpuMemory::DmaHeap(path) => WritableMemory::dma_heap(path, len)?,
                CpuMemory::Udmabuf => WritableMemory::udmabuf(len)?,
            };
            memories.push(memory);
            mappings.push(mapping);
        }
        // A format has 1 to 4 planes, so there are 1 to 4 memories.
        if let Some(buffer) = Buffer::new(memories) {
            let mut state = self.shared.lock();
            let slot = Some(Slot { buffer: Arc::new(buffer), mappings: Some(mappings) });
            let index = match state.holes.pop() {
                Some(hole) => {
                    state.slots[hole as usize] = slot;
                    hole
                }
                None => {
                    state.slots.push(slot);
                    state.slots.len() as u32 - 1
                }
            };
            state.free.push(index);
        }
        Ok(())
    }

    fn may_grow(&self) -> bool {
        let state = self.shared.lock();
        state.spares.may_grow(state.len())
    }

    /// Takes a buffer for writing; allocates one if all are in use and the bound allows it.
    /// `Ok(None)` if the bound is reached: the caller skips this frame.
    ///
    /// # Errors
    /// [`MemoryError`] if a further buffer was allowed but could not be had.
    pub fn acquire(&self) -> Result<Option<WriteSlot>, MemoryError> {
        if let Some(slot) = self.take_free() {
            return Ok(Some(slot));
        }
        if !self.may_grow() {
            return Ok(None);
        }
        self.add_slot()?;
        Ok(self.take_free())
    }

    /// Gives back buffers that nobody has needed since the last call, down to the number that
    /// the pool began with. Returns how many went. Call it every few seconds.
    pub fn trim(&self) -> usize {
        let mut state = self.shared.lock();
        let (len, idle) = (state.len(), state.free.len());
        let unneeded = state.spares.unneeded(len, idle);
        for _ in 0..unneeded {
            // The bottom of the stack is what has rested longest.
            let index = state.free.remove(0);
            state.slots[index as usize] = None;
            state.holes.push(index);
        }
        unneeded
    }

    fn take_free(&self) -> Option<WriteSlot> {
        let mut state = self.shared.lock();
        let index = state.free.pop()?;
        let idle = state.free.len();
        state.spares.note(idle);
        let slot = state.slot(index)?;
        let mappings = slot.mappings.take()?;
        let buffer = Arc::clone(&slot.buffer);
        Some(WriteSlot {
            shared: Arc::clone(&self.shared),
            index,
            buffer,
            mappings,
            format: Arc::clone(&self.format),
            owned: true,
        })
    }
}

/// Memory is handed out in pages; a multiple keeps every buffer mappable and importable.
const PAGE: u64 = 4096;

/// A buffer in the hands of its writer.
#[derive(Debug)]
pub struct WriteSlot {
    shared: Arc<Shared>,
    index: u32,
    buffer: Arc<Buffer>,
    mappings: Vec<MmapMut>,
    format: Arc<Format>,
    /// Until the slot has become a frame.
    owned: bool,
}

impl WriteSlot {
    /// The format that the picture must have.
    #[must_use]
    pub fn format(&self) -> &Arc<Format> {
        &self.format
    }

    /// Lets `fill` write to the buffer's memories, with caches synchronised around it.
    ///
    /// # Errors
    /// [`MapError::Sync`] if the kernel refuses CPU access to a DmaBuf.
    pub fn write<T>(&mut self, fill: impl FnOnce(&mut [MmapMut]) -> T) -> Result<T, MapError> {
        let memories = self.buffer.memories().iter();
        let _access: Vec<_> = memories.map(|m| CpuAccess::begin(m, Access::Write)).collect::<Result<_, _>>()?;
        Ok(fill(&mut self.mappings))
    }

    /// Makes the frame. Its buffer comes back to the pool when the last handle is dropped.
    ///
    /// # Errors
    /// [`FrameError::BytesUsed`] if `meta` claims more payload than there is memory.
    pub fn finish(self, meta: FrameMeta) -> Result<Frame, FrameError> {
        let format = Arc::clone(&self.format);
        self.finish_as(format, meta)
    }

    /// As [`finish`](Self::finish), under a format that says more than the pool's (coded
    /// streams learn their parameter sets from the first access unit).
    ///
    /// # Errors
    /// [`FrameError`] if that format does not fit into the buffer.
    pub fn finish_as(mut self, format: Arc<Format>, meta: FrameMeta) -> Result<Frame, FrameError> {
        let (buffer, index) = (Arc::clone(&self.buffer), self.index);
        let home: Arc<dyn Home> = self.shared.clone();
        let frame = Frame::new(buffer, format, meta, Some((home, index)))?;
        // From here on the frame sends the slot home, not this writer.
        self.owned = false;
        Ok(frame)
    }
}

impl Drop for WriteSlot {
    fn drop(&mut self) {
        let mappings = std::mem::take(&mut self.mappings);
        if let Some(slot) = self.shared.lock().slot(self.index) {
            slot.mappings = Some(mappings);
        }
        if self.owned {
            self.shared.take_back(self.index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{FourCc, Rate};

    fn pool(initial: usize, max: usize) -> CpuPool {
        let format = Format::packed(FourCc::NV12, 64, 32, Rate::fps(30)).unwrap();
        CpuPool::new(Arc::new(format), CpuMemory::Memfd, initial, max).unwrap()
    }

    #[test]
    fn grows_to_its_bound_and_no_further() {
        let pool = pool(1, 3);
        let slots: Vec<_> = (0..3).map(|_| pool.acquire().unwrap().unwrap()).collect();
        assert!(pool.acquire().unwrap().is_none());
        assert_eq!((pool.len(), pool.available()), (3, 0));
        drop(slots);
        assert_eq!(pool.available(), 3);
    }

    #[test]
    fn what_nobody_needs_is_given_back_and_can_be_had_again() {
        let pool = pool(1, 4);
        let slots: Vec<_> = (0..4).map(|_| pool.acquire().unwrap().unwrap()).collect();
        assert_eq!(pool.trim(), 0, "all are in use");
        drop(slots);
        assert_eq!(pool.trim(), 0, "all were in use since the last call");
        drop(pool.acquire().unwrap().unwrap());
        assert_eq!((pool.trim(), pool.len()), (3, 1));
        let slots: Vec<_> = (0..4).map(|_| pool.acquire().unwrap().unwrap()).collect();
        assert_eq!((slots.len(), pool.len()), (4, 4));
    }

    #[test]
    fn a_buffer_comes_home_with_the_last_handle_only() {
        let pool = pool(1, 1);
        let mut slot = pool.acquire().unwrap().unwrap();
        slot.write(|memories| memories[0][0] = 7).unwrap();
        let frame = slot.finish(FrameMeta::default()).unwrap();
        let other = frame.clone();
        drop(frame);
        assert!(pool.acquire().unwrap().is_none());
        assert_eq!(other.map().unwrap().plane(0).unwrap().data[0], 7);
        drop(other);
        assert!(pool.acquire().unwrap().is_some());
    }

    #[test]
    fn a_waiting_writer_is_told_when_a_buffer_is_there_again() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let format = Format::packed(FourCc::NV12, 64, 32, Rate::fps(30)).unwrap();
        let hook = Box::new(move || _ = counted.fetch_add(1, Ordering::SeqCst));
        let pool = CpuPool::with_hook(Arc::new(format), CpuMemory::Memfd, 1, 1, hook).unwrap();
        let frame = pool.acquire().unwrap().unwrap().finish(FrameMeta::default()).unwrap();
        assert_eq!((calls.load(Ordering::SeqCst), pool.available()), (0, 0));
        drop(frame);
        assert_eq!((calls.load(Ordering::SeqCst), pool.available()), (1, 1));
    }

    #[test]
    fn a_frame_that_cannot_be_leaves_the_buffer_in_the_pool() {
        let pool = pool(1, 1);
        let slot = pool.acquire().unwrap().unwrap();
        let meta = FrameMeta { bytes_used: [u32::MAX, 0, 0, 0], ..FrameMeta::default() };
        assert!(matches!(slot.finish(meta), Err(FrameError::BytesUsed { .. })));
        assert!(pool.acquire().unwrap().is_some());
    }
}
