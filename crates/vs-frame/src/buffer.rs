// SPDX-License-Identifier: Apache-2.0
//! A buffer: the memories that one frame fills, under one number.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::MAX_PLANES;
use crate::memory::{Access, CpuAccess, MapError, Memory, MemoryKind};

/// Names a buffer within this process: never given twice, so that a reader who knows the
/// number knows the memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BufferId(pub u64);

impl BufferId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for BufferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 1 to [`MAX_PLANES`] memories that are filled together.
#[derive(Debug)]
pub struct Buffer {
    id: BufferId,
    memories: Vec<Memory>,
}

impl Buffer {
    /// A buffer of these memories; `None` if there are none, or more than [`MAX_PLANES`].
    #[must_use]
    pub fn new(memories: Vec<Memory>) -> Option<Self> {
        (1..=MAX_PLANES).contains(&memories.len()).then(|| Self { id: BufferId::next(), memories })
    }

    /// The number under which this process knows it.
    #[must_use]
    pub fn id(&self) -> BufferId {
        self.id
    }

    /// Its memories, in the order that [`PlaneLayout::memory`](crate::PlaneLayout) counts.
    #[must_use]
    pub fn memories(&self) -> &[Memory] {
        &self.memories
    }

    /// The kind of its first memory; a buffer is never mixed in practice.
    #[must_use]
    pub fn kind(&self) -> MemoryKind {
        self.memories[0].kind()
    }

    /// The length of each memory in bytes.
    #[must_use]
    pub fn memory_lens(&self) -> Vec<u64> {
        self.memories.iter().map(Memory::len).collect()
    }

    /// The same memories under a new number, for a buffer that everybody else is to forget.
    #[must_use]
    pub fn renamed(self) -> Self {
        let memories = self.memories.into_iter().map(Memory::unmapped).collect();
        Self { id: BufferId::next(), memories }
    }

    /// Whether another process still has one of its memories open or mapped. The kernel tells
    /// that of DmaBufs (`count` in `/proc/self/fdinfo`); of other memory it is never known.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.memories.iter().any(Memory::is_shared)
    }

    /// Begins CPU reading: maps the memories if that has not happened yet and synchronises
    /// caches. Reading ends when the guard is dropped.
    ///
    /// # Errors
    /// [`MapError`] if a memory cannot be mapped or synchronised.
    pub fn read(&self) -> Result<ReadGuard<'_>, MapError> {
        let mut guard = ReadGuard { bytes: [&[]; MAX_PLANES], access: [const { None }; MAX_PLANES] };
        for (index, memory) in self.memories.iter().enumerate() {
            guard.access[index] = Some(CpuAccess::begin(memory, Access::Read)?);
            guard.bytes[index] = memory.bytes()?;
        }
        Ok(guard)
    }
}

/// CPU access for reading to all memories of a buffer.
#[derive(Debug)]
pub struct ReadGuard<'a> {
    bytes: [&'a [u8]; MAX_PLANES],
    access: [Option<CpuAccess<'a>>; MAX_PLANES],
}

impl ReadGuard<'_> {
    /// All bytes of memory `index`; empty if there is no such memory.
    #[must_use]
    pub fn memory(&self, index: usize) -> &[u8] {
        // The access guards live exactly as long as the slices may be looked at.
        debug_assert!(index >= MAX_PLANES || self.access[index].is_some() || self.bytes[index].is_empty());
        self.bytes.get(index).copied().unwrap_or_default()
    }
}
