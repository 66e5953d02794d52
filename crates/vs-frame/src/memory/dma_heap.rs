// SPDX-License-Identifier: Apache-2.0
//! CPU-filled memory as a DmaBuf, for consumers whose device must import it.
//!
//! A heap buffer has one file: whoever gets its descriptor can write what the maker can.
//! The kernel offers no seal for it, so such memory is used only where a stream asks for it.

use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::{Memory, MemoryError, WritableMemory, Writing};

const WHAT: &str = "DMA heap memory";

/// `struct dma_heap_allocation_data` of `linux/dma-heap.h`.
#[repr(C)]
struct AllocationData {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

nix::ioctl_readwrite!(dma_heap_ioctl_alloc, b'H', 0x0, AllocationData);

pub(super) fn allocate(path: &Path, len: u64) -> Result<WritableMemory, MemoryError> {
    use std::os::fd::AsRawFd;

    let heap = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| MemoryError::OpenHeap { path: path.to_owned(), source: e.into() })?;
    let fd_flags = (OFlags::RDWR | OFlags::CLOEXEC).bits();
    let mut data = AllocationData { len, fd: 0, fd_flags, heap_flags: 0 };
    // SAFETY: `data` is the structure that this request reads and writes, alive for the call.
    unsafe { dma_heap_ioctl_alloc(heap.as_raw_fd(), &raw mut data) }.map_err(|e| MemoryError::Allocate {
        len,
        what: WHAT,
        source: e.into(),
    })?;
    // SAFETY: on success the kernel has put a new descriptor there that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(data.fd as i32) };
    let len = Memory::from_dmabuf(fd.try_clone().map_err(MemoryError::Size)?)?.len();
    let mut heap = WritableMemory::map(fd, len, super::MemoryKind::DmaBuf, WHAT)?;
    heap.memory.writing = Writing::Anybody;
    Ok(heap)
}
