// SPDX-License-Identifier: Apache-2.0
//! The driver's buffers, each memory of each exported once as a DmaBuf for reading, and where
//! it is asked for a second time for writing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use v4l2r::QueueType;
use vs_frame::{Buffer, Format, Memory};

use super::error::OpenError;
use super::queue::{BufferQueue, DeviceQueue};
use crate::node::NodeError;
use crate::sys::{self, Export};

/// What is to be allocated.
pub(super) struct Allocation<'a> {
    /// How many buffers.
    pub(super) buffers: u32,
    /// Bytes of each.
    pub(super) bytes: u64,
    /// What lies in them.
    pub(super) format: &'a Format,
    /// Whether there shall be descriptors for writing, too.
    pub(super) writable: bool,
}

/// Has the driver allocate buffers and exports each memory of each, once.
pub(super) fn allocate(
    fd: OwnedFd,
    devnode: &Path,
    queue: QueueType,
    wanted: &Allocation<'_>,
) -> Result<BufferQueue<DeviceQueue>, OpenError> {
    let buffers = wanted.buffers;
    let no_memory = || OpenError::NoMemory { devnode: devnode.to_owned(), buffers, bytes: wanted.bytes };
    let count = sys::request_buffers(fd.as_fd(), queue, buffers).map_err(|errno| match errno {
        Errno::NOMEM => no_memory(),
        errno => NodeError::new("allocate the buffers of", devnode, errno).into(),
    })?;
    let export = |index| {
        let memory = |plane| {
            let export = |access| export_memory(fd.as_fd(), devnode, queue, (index, plane), access);
            let readable = Memory::from_dmabuf(export(Export::Read)?)
                .map_err(|source| OpenError::Memory { devnode: devnode.to_owned(), source })?;
            Ok(if wanted.writable { readable.with_writable(export(Export::ReadWrite)?) } else { readable })
        };
        let memories = (0..wanted.format.memories() as u32).map(memory).collect::<Result<Vec<_>, OpenError>>()?;
        Buffer::new(memories).map(Arc::new).ok_or_else(no_memory)
    };
    let buffers = (0..count).map(export).collect::<Result<Vec<_>, _>>()?;
    if buffers.is_empty() {
        return Err(no_memory());
    }
    Ok(BufferQueue::new(Arc::new(DeviceQueue { fd, queue }), buffers))
}

fn export_memory(
    fd: BorrowedFd<'_>,
    devnode: &Path,
    queue: QueueType,
    (index, plane): (u32, u32),
    access: Export,
) -> Result<OwnedFd, OpenError> {
    sys::export(fd, queue, index, plane, access).map_err(|errno| match errno {
        Errno::NODEV => NodeError::new("export the buffers of", devnode, errno).into(),
        source => OpenError::Export { devnode: devnode.to_owned(), source },
    })
}
