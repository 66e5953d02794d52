// SPDX-License-Identifier: Apache-2.0
//! Ordinary memory that everyone may read and only its maker may fill.

use rustix::fs::{MemfdFlags, SealFlags};

use super::{MemoryError, MemoryKind, WritableMemory};

const WHAT: &str = "shared memory";

/// The order matters: `F_SEAL_FUTURE_WRITE` leaves existing writable mappings alone and
/// refuses every later one (fcntl(2), since Linux 5.1), so the maker maps first.
pub(super) fn allocate(len: u64) -> Result<WritableMemory, MemoryError> {
    let failed = |source: rustix::io::Errno| MemoryError::Allocate { len, what: WHAT, source: source.into() };
    let fd =
        rustix::fs::memfd_create("videostream", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).map_err(failed)?;
    rustix::fs::ftruncate(&fd, len).map_err(failed)?;
    let memory = WritableMemory::map(fd, len, MemoryKind::Memfd, WHAT)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&memory.memory, seals).map_err(failed)?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use memmap2::MmapOptions;

    use super::*;
    use crate::memory::Memory;

    #[test]
    fn only_the_maker_can_write() {
        let mut ours = allocate(4096).unwrap();
        ours.mapping[7] = 42;
        let theirs = ours.memory.as_fd().try_clone_to_owned().unwrap();
        // SAFETY: the mapping is expected to be refused.
        let writable = unsafe { MmapOptions::new().map_mut(&theirs) };
        assert_eq!(writable.unwrap_err().raw_os_error(), Some(rustix::io::Errno::PERM.raw_os_error()));
        assert!(rustix::io::write(&theirs, b"x").is_err());
        assert!(rustix::fs::ftruncate(&theirs, 0).is_err());
        let theirs = Memory::import(theirs, MemoryKind::Memfd).unwrap();
        assert_eq!(theirs.bytes().unwrap()[7], 42);
    }

    #[test]
    fn memory_that_could_shrink_is_refused() {
        let fd = rustix::fs::memfd_create("t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&fd, 4096).unwrap();
        assert!(Memory::import(fd.try_clone().unwrap(), MemoryKind::Memfd).is_err());
        assert!(Memory::import(fd, MemoryKind::DmaBuf).is_err());
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        assert!(Memory::import(pipe.try_clone().unwrap(), MemoryKind::Memfd).is_err());
        assert!(Memory::import(pipe, MemoryKind::DmaBuf).is_err());
    }
}
