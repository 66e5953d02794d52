// SPDX-License-Identifier: Apache-2.0
//! The memory that frames lie in: one file descriptor, mapped at most once.
//!
//! Two kinds travel between processes. A **DmaBuf** is what devices fill and import; it
//! needs cache synchronisation around CPU access. A **sealed memfd** is what the CPU fills:
//! after sealing, only mappings that already existed can write, and nobody can change its
//! size, so a reader can neither alter what another one sees nor be hit by SIGBUS.

mod dma_heap;
mod memfd;
mod sync;
mod udmabuf;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use memmap2::{Mmap, MmapMut, MmapOptions};
use rustix::fs::{OFlags, SealFlags, SeekFrom};

pub(crate) use sync::{Access, CpuAccess};

/// What stands behind a memory's file descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemoryKind {
    /// Ordinary memory, sealed against writing and resizing.
    Memfd,
    /// A kernel DmaBuf: devices can import it, the CPU must synchronise its caches.
    DmaBuf,
}

/// Why memory could not be had, or not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A DMA heap cannot be opened.
    #[error(
        "cannot open the DMA heap {path}: {source}; load the kernel's dma-buf heaps, give the user access, or use memory = \"memfd\""
    )]
    OpenHeap {
        /// The heap's device node.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The system gave no memory.
    #[error("cannot allocate {len} bytes of {what}: {source}")]
    Allocate {
        /// Bytes wanted.
        len: u64,
        /// The kind of memory.
        what: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// What was received is not what it claims to be.
    #[error("the descriptor received is not {expected}")]
    NotThatKind {
        /// What it should have been.
        expected: &'static str,
    },
    /// A memfd stays writable, or resizable, for whoever gets it.
    #[error(
        "cannot seal a memfd ({0}): create it with MFD_ALLOW_SEALING, open for writing, and add no F_SEAL_SEAL of your own"
    )]
    Seal(#[source] io::Error),
    /// The descriptor's size could not be learnt.
    #[error("cannot learn the size of received memory: {0}")]
    Size(#[source] io::Error),
}

/// Why memory could not be made readable for the CPU.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// `mmap` failed.
    #[error("cannot map {len} bytes of frame memory: {source}")]
    Map {
        /// Bytes wanted.
        len: usize,
        /// The system's word.
        source: io::Error,
    },
    /// `DMA_BUF_IOCTL_SYNC` failed.
    #[error("cannot synchronise CPU access to a DmaBuf: {0}")]
    Sync(#[source] io::Error),
    /// The frame has no such memory.
    #[error("the buffer has no memory number {0}")]
    NoSuchMemory(usize),
}

/// One piece of memory behind a file descriptor. Mapped for reading at the first need, and
/// only once, however many frames use it.
#[derive(Debug)]
pub struct Memory {
    fd: OwnedFd,
    len: u64,
    kind: MemoryKind,
    writing: Writing,
    mapping: OnceLock<Mmap>,
}

/// Through which descriptor another process could write.
#[derive(Debug)]
enum Writing {
    /// None: there is only the one for reading.
    Nobody,
    /// The kernel does not tell readers from writers: any descriptor of this memory writes.
    Anybody,
    /// A second one, given only to those who must map for writing.
    Second(OwnedFd),
}

/// The writing side of memory that this process allocated and fills.
#[derive(Debug)]
pub(crate) struct WritableMemory {
    pub(crate) memory: Memory,
    pub(crate) mapping: MmapMut,
}

impl Memory {
    /// Takes a DmaBuf that a device of this process exported. Its length is asked of the
    /// kernel (`lseek` to the end, kernel doc "Buffer Sharing and Synchronization").
    ///
    /// # Errors
    /// [`MemoryError::Size`] if the kernel does not tell.
    pub fn from_dmabuf(fd: OwnedFd) -> Result<Self, MemoryError> {
        let len = rustix::fs::seek(&fd, SeekFrom::End(0)).map_err(|e| MemoryError::Size(e.into()))?;
        Ok(Self::new(fd, len, MemoryKind::DmaBuf))
    }

    /// Allocates `len` bytes (whole pages) of memory that devices can import, from the DMA heap at `path`, for
    /// somebody else to map and fill. Every process that gets its descriptor can write to it.
    ///
    /// # Errors
    /// [`MemoryError::OpenHeap`] if there is no such heap, [`MemoryError::Allocate`] if it has not as much.
    pub fn from_dma_heap(path: &std::path::Path, len: u64) -> Result<Self, MemoryError> {
        Ok(dma_heap::allocate(path, len)?.memory)
    }

    /// As [`from_dma_heap`](Self::from_dma_heap), of ordinary memory by way of `/dev/udmabuf`.
    ///
    /// # Errors
    /// [`MemoryError::Allocate`] if that is not there, or refuses: it has limits of its own
    /// (`/sys/module/udmabuf/parameters`).
    pub fn from_udmabuf(len: u64) -> Result<Self, MemoryError> {
        Ok(udmabuf::allocate(len)?.memory)
    }

    /// Takes a memfd that this process made and has mapped for writing, and seals it: from
    /// here on only mappings that exist already can write, and its size stays what it is.
    ///
    /// # Errors
    /// [`MemoryError::Seal`] if it cannot be sealed, [`MemoryError::Size`] if the kernel does
    /// not tell its length.
    pub fn from_memfd(fd: OwnedFd) -> Result<Self, MemoryError> {
        memfd::seal(&fd).map_err(|error| MemoryError::Seal(error.into()))?;
        Self::import(fd, MemoryKind::Memfd)
    }

    /// Takes memory that another process sent, and checks that it is safe to read: a memfd
    /// must be sealed against shrinking (else its owner could kill the reader with
    /// SIGBUS); what claims to be a DmaBuf must be one.
    ///
    /// # Errors
    /// [`MemoryError::NotThatKind`] if it is something else, [`MemoryError::Size`] if the
    /// kernel does not tell its length.
    pub fn import(fd: OwnedFd, kind: MemoryKind) -> Result<Self, MemoryError> {
        match kind {
            MemoryKind::DmaBuf => {
                let memory = Self::from_dmabuf(fd)?;
                // Only a DmaBuf knows this request; it does no harm to one.
                let access = CpuAccess::begin(&memory, Access::Read);
                access.map_err(|_| MemoryError::NotThatKind { expected: "a DmaBuf" })?;
                Ok(memory)
            }
            MemoryKind::Memfd => {
                let expected = "a memfd sealed against shrinking";
                let seals = rustix::fs::fcntl_get_seals(&fd).map_err(|_| MemoryError::NotThatKind { expected })?;
                if !seals.contains(SealFlags::SHRINK) {
                    return Err(MemoryError::NotThatKind { expected });
                }
                let stat = rustix::fs::fstat(&fd).map_err(|e| MemoryError::Size(e.into()))?;
                Ok(Self::new(fd, stat.st_size.max(0) as u64, MemoryKind::Memfd))
            }
        }
    }

    fn new(fd: OwnedFd, len: u64, kind: MemoryKind) -> Self {
        Self { fd, len, kind, writing: Writing::Nobody, mapping: OnceLock::new() }
    }

    /// Adds a second descriptor of the same memory through which others may write. What the
    /// memory is asked for by [`AsFd`] stays the first.
    #[must_use]
    pub fn with_writable(mut self, fd: OwnedFd) -> Self {
        self.writing = Writing::Second(fd);
        self
    }

    /// The descriptor for a process that insists on mapping for writing; `None` if there is
    /// none. **Whoever gets it can change what every other reader sees.** Only the endpoint
    /// for clients of libvideostream, which map no other way, hands it out.
    #[must_use]
    pub fn writable(&self) -> Option<BorrowedFd<'_>> {
        match &self.writing {
            Writing::Nobody => None,
            Writing::Anybody => Some(self.fd.as_fd()),
            Writing::Second(fd) => Some(fd.as_fd()),
        }
    }

    /// Bytes behind the descriptor.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// DmaBuf or memfd.
    #[must_use]
    pub fn kind(&self) -> MemoryKind {
        self.kind
    }

    /// Whether a process that gets this descriptor can read the memory and no more: a memfd
    /// sealed against writing, or opened for reading and closed to writers by its mode; a
    /// DmaBuf exported for reading.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        let opened_for_reading =
            rustix::fs::fcntl_getfl(&self.fd).is_ok_and(|flags| !flags.intersects(OFlags::WRONLY | OFlags::RDWR));
        match self.kind {
            MemoryKind::Memfd => {
                let sealed = rustix::fs::fcntl_get_seals(&self.fd)
                    .is_ok_and(|seals| seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE));
                let closed = || rustix::fs::fstat(&self.fd).is_ok_and(|stat| stat.st_mode & 0o222 == 0);
                sealed || (opened_for_reading && closed())
            }
            // It cannot be opened again with more rights: the kernel knows no path to it.
            MemoryKind::DmaBuf => opened_for_reading,
        }
    }

    /// Whether anybody but the owner of this value has the memory open or mapped, as far as
    /// the kernel tells (`/proc/self/fdinfo`): it does for DmaBufs, and not for memfds.
    pub(crate) fn is_shared(&self) -> bool {
        let second = match &self.writing {
            Writing::Second(fd) => Some(fd),
            Writing::Nobody | Writing::Anybody => None,
        };
        self.kind == MemoryKind::DmaBuf && [Some(&self.fd), second].into_iter().flatten().any(is_shared)
    }

    /// The same memory, not mapped.
    pub(crate) fn unmapped(self) -> Self {
        Self { mapping: OnceLock::new(), ..self }
    }

    /// The bytes for reading. The caller holds CPU access to the buffer (see
    /// [`Buffer::read`](crate::Buffer::read)).
    pub(crate) fn bytes(&self) -> Result<&[u8], MapError> {
        if let Some(mapping) = self.mapping.get() {
            return Ok(mapping);
        }
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        // SAFETY: the file cannot shrink: memfds are sealed against it (checked on import,
        // done on allocation) and DmaBufs have a fixed size. Its contents change only when
        // its owner refills it, which the lease rules forbid while a frame is held; a
        // revoked lease can show torn pixels, never an invalid value, for they are bytes.
        let mapping =
            unsafe { MmapOptions::new().len(len).map(&self.fd) }.map_err(|source| MapError::Map { len, source })?;
        Ok(self.mapping.get_or_init(|| mapping))
    }
}

/// Whether a DmaBuf's file is in other hands, too: in those of another process, in a message
/// that nobody has read yet, or in a mapping.
fn is_shared(fd: &OwnedFd) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()));
    let count = info.ok().and_then(|info| {
        let line = info.lines().find_map(|line| line.strip_prefix("count:"))?;
        line.trim().parse::<u64>().ok()
    });
    count.is_some_and(|count| count > 1)
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl WritableMemory {
    /// Allocates `len` bytes of ordinary memory, sealed so that only this process, through
    /// this one mapping, can ever write to it.
    pub(crate) fn memfd(len: u64) -> Result<Self, MemoryError> {
        memfd::allocate(len)
    }

    /// Allocates `len` bytes of ordinary memory that nobody can resize, with one descriptor
    /// for reading and one for writing.
    pub(crate) fn writable_memfd(len: u64) -> Result<Self, MemoryError> {
        memfd::allocate_writable(len)
    }

    /// Allocates `len` bytes of ordinary memory as a DmaBuf.
    pub(crate) fn udmabuf(len: u64) -> Result<Self, MemoryError> {
        udmabuf::allocate(len)
    }

    /// Allocates `len` bytes from the DMA heap at `path`.
    pub(crate) fn dma_heap(path: &std::path::Path, len: u64) -> Result<Self, MemoryError> {
        dma_heap::allocate(path, len)
    }

    fn map(fd: OwnedFd, len: u64, kind: MemoryKind, what: &'static str) -> Result<Self, MemoryError> {
        // SAFETY: this process has just created the file and is alone with it; it has the
        // length that is mapped, and the callers make sure that it keeps it.
        let mapping = unsafe { MmapOptions::new().len(usize::try_from(len).unwrap_or(usize::MAX)).map_mut(&fd) }
            .map_err(|source| MemoryError::Allocate { len, what, source })?;
        Ok(Self { memory: Memory::new(fd, len, kind), mapping })
    }
}
