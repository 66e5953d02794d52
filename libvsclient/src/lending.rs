// SPDX-License-Identifier: Apache-2.0
//! Memory that the program has already, as frames.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use vs_frame::{Buffer, Format, Frame, FrameError, FrameMeta, Home, MAX_PLANES, Memory, MemoryError, MemoryKind};

/// Why memory cannot be lent.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No memory, or too much of it.
    #[error("a buffer has 1 to {MAX_PLANES} memories, not {0}")]
    Count(usize),
    /// One of them is not what it should be.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Makes a buffer of memory that this program has: 1 to 4 descriptors of one kind. Do this
/// once for each buffer, not for each frame: clients get the descriptors of a buffer once.
///
/// A memfd is sealed now, against resizing and against writing through any mapping that does
/// not exist yet: map it for writing before, and create it with `MFD_ALLOW_SEALING`. A DmaBuf
/// stays as it was exported; clients can write to one that was not exported for reading only
/// ([`Memory::is_read_only`]).
///
/// # Errors
/// [`ImportError`] if a descriptor is something else, or cannot be sealed.
pub fn import(fds: Vec<OwnedFd>, kind: MemoryKind) -> Result<Arc<Buffer>, ImportError> {
    let count = fds.len();
    let take = |fd| match kind {
        MemoryKind::Memfd => Memory::from_memfd(fd),
        MemoryKind::DmaBuf => Memory::import(fd, MemoryKind::DmaBuf),
    };
    let memories = fds.into_iter().map(take).collect::<Result<Vec<_>, _>>()?;
    Buffer::new(memories).map(Arc::new).ok_or(ImportError::Count(count))
}

/// Makes a frame of a buffer that is filled. `released` is called once, when nobody reads the
/// frame any more and the buffer may be filled again, by whichever thread notices, the
/// library's own among them: it must neither block nor call the library. Until then the
/// buffer must not be written to.
///
/// # Errors
/// [`FrameError`] if format or payload do not fit into the buffer; `released` is not called
/// then, for there was no frame.
pub fn lend(
    buffer: &Arc<Buffer>,
    format: &Arc<Format>,
    meta: FrameMeta,
    released: impl FnOnce() + Send + 'static,
) -> Result<Frame, FrameError> {
    let home: Arc<dyn Home> = Arc::new(Release(Mutex::new(Some(released))));
    Frame::new(Arc::clone(buffer), Arc::clone(format), meta, Some((home, 0)))
}

/// A home for one frame.
struct Release<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Home for Release<F> {
    fn take_back(&self, _slot: u32) {
        let released = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(released) = released {
            released();
        }
    }
}
