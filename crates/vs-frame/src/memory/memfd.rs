// SPDX-License-Identifier: Apache-2.0
//! Ordinary memory that everyone may read and only its maker may fill.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};

use super::{Memory, MemoryError, MemoryKind, WritableMemory};

const WHAT: &str = "shared memory";

/// Nobody resizes it, and the seals stay as they are.
const FIXED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// The order matters: `F_SEAL_FUTURE_WRITE` leaves existing writable mappings alone and
/// refuses every later one (fcntl(2), since Linux 5.1), so the maker maps first.
pub(super) fn allocate(len: u64) -> Result<WritableMemory, MemoryError> {
    let memory = WritableMemory::map(create(len)?, len, MemoryKind::Memfd, WHAT)?;
    rustix::fs::fcntl_add_seals(&memory.memory.fd, FIXED.union(SealFlags::FUTURE_WRITE)).map_err(failed(len))?;
    Ok(memory)
}

/// Readers get a second open file of the same memory, opened for reading. With the file's
/// mode taken away they cannot open it for writing through `/proc` either, unless they are
/// of the maker's own user, or root. Nobody can change the size.
pub(super) fn allocate_writable(len: u64) -> Result<WritableMemory, MemoryError> {
    let writable = fixed(len)?;
    rustix::fs::fchmod(&writable, Mode::RUSR).map_err(failed(len))?;
    let path = format!("/proc/self/fd/{}", writable.as_raw_fd());
    let readable = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed(len))?;
    let WritableMemory { memory, mapping } = WritableMemory::map(writable, len, MemoryKind::Memfd, WHAT)?;
    let Memory { fd: writable, .. } = memory;
    Ok(WritableMemory { memory: Memory::new(readable, len, MemoryKind::Memfd).with_writable(writable), mapping })
}

/// Memory that anybody who gets the descriptor may fill, and nobody resize.
pub(super) fn fixed(len: u64) -> Result<OwnedFd, MemoryError> {
    let fd = create(len)?;
    rustix::fs::fcntl_add_seals(&fd, FIXED).map_err(failed(len))?;
    Ok(fd)
}

fn create(len: u64) -> Result<OwnedFd, MemoryError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("videostream", flags).map_err(failed(len))?;
    rustix::fs::ftruncate(&fd, len).map_err(failed(len))?;
    Ok(fd)
}

/// Seals what the caller has made and mapped. What has been sealed as far as that is fine.
pub(super) fn seal(fd: &OwnedFd) -> rustix::io::Result<()> {
    let present = rustix::fs::fcntl_get_seals(fd)?;
    let fixed = present.contains(SealFlags::SHRINK | SealFlags::GROW);
    if fixed && present.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        return Ok(());
    }
    rustix::fs::fcntl_add_seals(fd, FIXED.union(SealFlags::FUTURE_WRITE))
}

fn failed(len: u64) -> impl Fn(rustix::io::Errno) -> MemoryError {
    move |source| MemoryError::Allocate { len, what: WHAT, source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use memmap2::MmapOptions;

    use super::*;

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
    fn only_the_second_descriptor_writes_and_none_resizes() {
        let mut ours = allocate_writable(4096).unwrap();
        ours.mapping[7] = 42;
        let reader = ours.memory.as_fd().try_clone_to_owned().unwrap();
        // SAFETY: the mapping is expected to be refused.
        assert!(unsafe { MmapOptions::new().map_mut(&reader) }.is_err());
        assert!(rustix::io::write(&reader, b"x").is_err());
        let writer = ours.memory.writable().unwrap().try_clone_to_owned().unwrap();
        assert_eq!(rustix::fs::ftruncate(&writer, 0), Err(rustix::io::Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&writer, 8192), Err(rustix::io::Errno::PERM));
        // SAFETY: nobody else looks at this memory.
        let mut theirs = unsafe { MmapOptions::new().map_mut(&writer) }.unwrap();
        assert_eq!(theirs[7], 42);
        theirs[7] = 43;
        let imported = Memory::import(reader, MemoryKind::Memfd).unwrap();
        assert_eq!(imported.bytes().unwrap()[7], 43);
        assert!(imported.writable().is_none() && allocate(4096).unwrap().memory.writable().is_none());
    }

    #[test]
    fn what_a_program_made_itself_is_sealed_when_it_is_taken() {
        let create = |flags| {
            let fd = rustix::fs::memfd_create("t", MemfdFlags::CLOEXEC | flags).unwrap();
            rustix::fs::ftruncate(&fd, 4096).unwrap();
            fd
        };
        let fd = create(MemfdFlags::ALLOW_SEALING);
        // SAFETY: nobody else knows the file.
        let mut ours = unsafe { MmapOptions::new().len(4096).map_mut(&fd) }.unwrap();
        let again = fd.try_clone().unwrap();
        let memory = Memory::from_memfd(fd).unwrap();
        ours[3] = 9;
        assert_eq!((memory.bytes().unwrap()[3], memory.len(), memory.is_read_only()), (9, 4096, true));
        assert!(rustix::io::write(&again, b"x").is_err() && rustix::fs::ftruncate(&again, 0).is_err());
        assert!(Memory::from_memfd(again).unwrap().is_read_only(), "it is sealed already, and that is fine");

        let unsealable = Memory::from_memfd(create(MemfdFlags::empty())).unwrap_err();
        assert!(unsealable.to_string().contains("MFD_ALLOW_SEALING"), "{unsealable}");
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
