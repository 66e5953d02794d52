// SPDX-License-Identifier: Apache-2.0
//! CPU access to a DmaBuf is bracketed by `DMA_BUF_IOCTL_SYNC` (kernel doc, "Buffer Sharing
//! and Synchronization", "CPU Access to DMA Buffer Objects"); without it a CPU may see stale
//! cache lines. Ordinary memory needs nothing.

use std::os::fd::{AsFd, AsRawFd};

use super::{MapError, Memory, MemoryKind};

const DMA_BUF_SYNC_READ: u64 = 1;
const DMA_BUF_SYNC_WRITE: u64 = 2;
const DMA_BUF_SYNC_START: u64 = 0;
const DMA_BUF_SYNC_END: u64 = 4;

nix::ioctl_write_ptr!(dma_buf_ioctl_sync, b'b', 0, u64);

/// What the CPU is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Read,
    Write,
}

/// CPU access to one memory, from creation to drop.
#[derive(Debug)]
pub(crate) struct CpuAccess<'a> {
    memory: &'a Memory,
    access: Access,
}

impl<'a> CpuAccess<'a> {
    pub(crate) fn begin(memory: &'a Memory, access: Access) -> Result<Self, MapError> {
        sync(memory, access, DMA_BUF_SYNC_START).map_err(MapError::Sync)?;
        Ok(Self { memory, access })
    }
}

impl Drop for CpuAccess<'_> {
    fn drop(&mut self) {
        // The end of an access cannot be refused in a way that anyone could act upon.
        let _ = sync(self.memory, self.access, DMA_BUF_SYNC_END);
    }
}

fn sync(memory: &Memory, access: Access, phase: u64) -> std::io::Result<()> {
    if memory.kind() == MemoryKind::Memfd {
        return Ok(());
    }
    let flags = phase
        | match access {
            Access::Read => DMA_BUF_SYNC_READ,
            Access::Write => DMA_BUF_SYNC_WRITE,
        };
    loop {
        // SAFETY: `flags` is the `struct dma_buf_sync` (one u64) that this request reads.
        match unsafe { dma_buf_ioctl_sync(memory.as_fd().as_raw_fd(), &raw const flags) } {
            Ok(_) => return Ok(()),
            // The kernel's documentation asks for these two to be retried.
            Err(nix::Error::EINTR | nix::Error::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
