// SPDX-License-Identifier: Apache-2.0
//! The driver's buffers, each memory of each exported once as a DmaBuf for reading, and where
//! it is asked for a second time for writing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;
use v4l2r::QueueType;
use vs_frame::{Buffer, Memory};

use super::error::{GrowError, OpenError};
use super::queue::{BufferQueue, DeviceQueue};
use crate::node::NodeError;
use crate::sys::{self, Export};

/// What each buffer of a camera is.
#[derive(Debug)]
pub(super) struct Allocator {
    pub(super) devnode: PathBuf,
    pub(super) queue: QueueType,
    /// Memories of a buffer.
    pub(super) memories: u32,
    /// Bytes of a buffer.
    pub(super) bytes: u64,
    /// Whether there shall be descriptors for writing, too.
    pub(super) writable: bool,
    /// The number of a buffer that the driver has made but not exported.
    pub(super) unexported: Option<u32>,
}

impl Allocator {
    /// Has the driver allocate so many buffers and exports them.
    pub(super) fn begin(&self, fd: OwnedFd, buffers: u32) -> Result<BufferQueue<DeviceQueue>, OpenError> {
        let no_memory = || OpenError::NoMemory { devnode: self.devnode.clone(), buffers, bytes: self.bytes };
        let count = sys::request_buffers(fd.as_fd(), self.queue, buffers).map_err(|errno| match errno {
            Errno::NOMEM => no_memory(),
            errno => NodeError::new("allocate the buffers of", &self.devnode, errno).into(),
        })?;
        let buffers = (0..count).map(|index| self.export(fd.as_fd(), index)).collect::<Result<Vec<_>, _>>()?;
        if buffers.is_empty() {
            return Err(no_memory());
        }
        Ok(BufferQueue::new(Arc::new(DeviceQueue { fd, queue: self.queue }), buffers))
    }

    /// Has the driver make one more and adds it to its queue.
    pub(super) fn grow(&mut self, queue: &mut BufferQueue<DeviceQueue>, lens: &[u64]) -> Result<(), GrowError> {
        let fd = queue.driver().as_fd();
        let refused = |errno| match errno {
            Errno::NOMEM => GrowError::NoMemory { devnode: self.devnode.clone(), bytes: self.bytes },
            source => GrowError::Refused { devnode: self.devnode.clone(), source },
        };
        let index = match self.unexported {
            Some(index) => index,
            None => sys::create_buffer(fd, self.queue).map_err(refused)?,
        };
        if !queue.is_free(index) {
            return Err(refused(Errno::PROTO));
        }
        match self.export(fd, index) {
            Ok(buffer) if buffer.memory_lens() == lens => {
                self.unexported = None;
                queue.add(index, buffer);
                Ok(())
            }
            made => {
                // It cannot be unmade everywhere: the next attempt begins with it.
                self.unexported = Some(index);
                Err(match made {
                    Ok(_) => GrowError::Unlike { devnode: self.devnode.clone() },
                    Err(error) => error.into(),
                })
            }
        }
    }

    fn export(&self, fd: BorrowedFd<'_>, index: u32) -> Result<Arc<Buffer>, OpenError> {
        let memory = |plane| {
            let export = |access| self.export_memory(fd, (index, plane), access);
            let readable = Memory::from_dmabuf(export(Export::Read)?)
                .map_err(|source| OpenError::Memory { devnode: self.devnode.clone(), source })?;
            Ok(if self.writable { readable.with_writable(export(Export::ReadWrite)?) } else { readable })
        };
        let memories = (0..self.memories).map(memory).collect::<Result<Vec<_>, OpenError>>()?;
        // A format has 1 to 4 memories, as many as a buffer can have.
        let none = || NodeError::new("export the buffers of", &self.devnode, Errno::PROTO);
        Ok(Buffer::new(memories).map(Arc::new).ok_or_else(none)?)
    }

    fn export_memory(
        &self,
        fd: BorrowedFd<'_>,
        (index, plane): (u32, u32),
        access: Export,
    ) -> Result<OwnedFd, OpenError> {
        sys::export(fd, self.queue, index, plane, access).map_err(|errno| match errno {
            Errno::NODEV => NodeError::new("export the buffers of", &self.devnode, errno).into(),
            source => OpenError::Export { devnode: self.devnode.clone(), source },
        })
    }
}
