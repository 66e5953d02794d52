// SPDX-License-Identifier: Apache-2.0
//! The buffers that the host has shown.
//!
//! Each event brings a new descriptor, mostly of memory that is known already. Memory is
//! recognised by its inode: a memfd has one of its own, and so has a DmaBuf since Linux 5.3;
//! while a descriptor of it is kept here no other memory can get the same. So each buffer is
//! imported and mapped once.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use vs_frame::{Buffer, Memory, MemoryError, MemoryKind};

/// Buffers remembered. The ancestor's pools have at most 64; a host that shows more costs
/// itself a mapping for each frame, and this process no more descriptors.
const BUFFERS_MAX: usize = 64;

/// Device and number of an inode.
type Inode = (u64, u64);

/// Recently seen last. There are few, so a search is faster than a hash.
#[derive(Debug, Default)]
pub(super) struct Buffers(Vec<(Inode, Arc<Buffer>)>);

impl Buffers {
    /// The buffer behind a descriptor, which is closed if it is known.
    pub(super) fn resolve(&mut self, fd: OwnedFd) -> Result<Arc<Buffer>, MemoryError> {
        let stat = rustix::fs::fstat(&fd).map_err(|errno| MemoryError::Size(errno.into()))?;
        let inode = (stat.st_dev, stat.st_ino);
        if let Some(index) = self.0.iter().position(|(known, _)| *known == inode) {
            self.0[index..].rotate_left(1);
        } else {
            let buffer = import(fd)?;
            if self.0.len() >= BUFFERS_MAX {
                self.0.remove(0);
            }
            self.0.push((inode, Arc::new(buffer)));
        }
        let none = MemoryError::NotThatKind { expected: "frame memory" };
        self.0.last().map(|(_, buffer)| Arc::clone(buffer)).ok_or(none)
    }
}

/// A memfd that cannot shrink, or a DmaBuf. POSIX shared memory, which the ancestor falls
/// back to where there is no DMA heap, could be cut under the reader's feet: it has no seals.
fn import(fd: OwnedFd) -> Result<Buffer, MemoryError> {
    let (fd, kind) = match rustix::fs::fcntl_get_seals(&fd) {
        Ok(_) => (for_reading(fd), MemoryKind::Memfd),
        Err(_) => (fd, MemoryKind::DmaBuf),
    };
    let none = MemoryError::NotThatKind { expected: "frame memory" };
    Buffer::new(vec![Memory::import(fd, kind)?]).ok_or(none)
}

/// A descriptor of the same memory that only reads, for whomever the frame is passed on to:
/// the one that came allows writing, since the ancestor's clients insist on it. Where this
/// process may not open the memory again, and for a DmaBuf, that one must do. Only shared
/// memory has seals, so what is opened is no pipe that could block.
fn for_reading(fd: OwnedFd) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap_or(fd)
}
