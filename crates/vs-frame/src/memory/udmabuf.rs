// SPDX-License-Identifier: Apache-2.0
//! Ordinary memory behind a DmaBuf (`include/uapi/linux/udmabuf.h`), where there is no DMA heap.
//!
//! As with a heap's, whoever gets the descriptor can write what the maker can.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::{Memory, MemoryError, MemoryKind, WritableMemory, Writing, memfd};

const WHAT: &str = "memory of /dev/udmabuf";
const NODE: &str = "/dev/udmabuf";

/// `UDMABUF_FLAGS_CLOEXEC`.
const CLOEXEC: u32 = 1;

/// `struct udmabuf_create`.
#[repr(C)]
struct Create {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

nix::ioctl_write_ptr!(udmabuf_create, b'u', 0x42, Create);

/// `len` is a multiple of the page size.
pub(super) fn allocate(len: u64) -> Result<WritableMemory, MemoryError> {
    let failed = |source: std::io::Error| MemoryError::Allocate { len, what: WHAT, source };
    let node = rustix::fs::open(NODE, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(|e| failed(e.into()))?;
    let memfd = memfd::fixed(len)?;
    let create = Create { memfd: memfd.as_raw_fd() as u32, flags: CLOEXEC, offset: 0, size: len };
    // SAFETY: `create` is the structure that this request reads, alive for the call.
    let fd = unsafe { udmabuf_create(node.as_raw_fd(), &raw const create) }.map_err(|e| failed(e.into()))?;
    // SAFETY: on success the kernel has returned a new descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let len = Memory::from_dmabuf(fd.try_clone().map_err(MemoryError::Size)?)?.len();
    let mut made = WritableMemory::map(fd, len, MemoryKind::DmaBuf, WHAT)?;
    made.memory.writing = Writing::Anybody;
    Ok(made)
}
