// SPDX-License-Identifier: Apache-2.0
//! The handle that a publishing program holds.

use std::path::Path;
use std::sync::Arc;

use vs_frame::{CpuMemory, CpuPool, Format, Frame, MemoryError, WriteSlot};
use vs_ipc::host::HostSnapshot;
use vs_ipc::wire::StreamState;

use super::builder::pool;
use super::thread::Worker;
use super::{BufferError, PublishError, PublisherBuilder};

/// Publishes one stream at one socket. See the [module](super) for an example.
///
/// It may be shared between threads. Dropping it tells the clients that the stream is gone,
/// removes the socket and waits for the thread, which waits for nobody.
#[derive(Debug)]
pub struct Publisher {
    worker: Worker,
    pool: Option<CpuPool>,
    buffers: usize,
    memory: CpuMemory,
}

impl Publisher {
    /// Options for publishing `stream`: its name, or the path of its socket (anything with a
    /// `/`). Names are those of sockets in `/run/videostream`, where only the daemon may put
    /// some unless the administrator lets others.
    #[must_use]
    pub fn builder(stream: &str) -> PublisherBuilder {
        PublisherBuilder::new(stream)
    }

    pub(super) fn new(worker: Worker, pool: Option<CpuPool>, buffers: usize, memory: CpuMemory) -> Self {
        Self { worker, pool, buffers, memory }
    }

    /// A buffer to fill; [`WriteSlot::finish`] makes a frame of it. Never waits for a client:
    /// all of them together cannot hold so many buffers that the program has none.
    ///
    /// # Errors
    /// [`BufferError`] if there is no pool, no memory, or this program itself holds too much.
    pub fn buffer(&self) -> Result<WriteSlot, BufferError> {
        let pool = self.pool.as_ref().ok_or(BufferError::NoPool)?;
        if let Some(slot) = pool.acquire()? {
            return Ok(slot);
        }
        // The thread may have frames to send yet, some of which nobody will take. A thread
        // that has ended has none.
        let _ = self.worker.catch_up();
        pool.acquire()?.ok_or(BufferError::Exhausted(self.buffers))
    }

    /// Sends a frame to every client that may have it, and says under which serial. It also
    /// tells them that the stream is running, if they do not know. Never waits for a client:
    /// what they may not have now is skipped for them, and counted.
    ///
    /// The frame may have another format than the one before, and other memory than the
    /// pool's: see [`lend`](super::lend).
    ///
    /// # Errors
    /// [`PublishError::Ended`]; the frame's buffer has gone home.
    pub fn publish(&self, frame: Frame) -> Result<u64, PublishError> {
        self.worker.offer(frame)
    }

    /// The serial that the next frame will get, if no other thread publishes meanwhile.
    #[must_use]
    pub fn next_serial(&self) -> u64 {
        self.worker.next_serial()
    }

    /// Tells the clients what the stream is doing, and why; returns when that is done. Frames
    /// published before are sent before. A stream that does not run has no newest frame
    /// for those who come.
    ///
    /// # Errors
    /// [`PublishError::Ended`].
    pub fn set_state(&self, state: StreamState, text: impl Into<String>) -> Result<(), PublishError> {
        self.worker.set_state(state, text.into())
    }

    /// Makes the pool anew, for another format. Frames and slots of the old one stay good.
    ///
    /// # Errors
    /// [`MemoryError`] if there is no memory for it; the pool is then as it was.
    pub fn set_format(&mut self, format: impl Into<Arc<Format>>) -> Result<(), MemoryError> {
        self.pool = Some(pool(format.into(), self.memory.clone(), self.buffers)?);
        Ok(())
    }

    /// Format of the buffers in the pool; `None` without a pool.
    #[must_use]
    pub fn format(&self) -> Option<&Arc<Format>> {
        self.pool.as_ref().map(CpuPool::format)
    }

    /// The counters, those of each client included, as of now. Frames published before are
    /// counted.
    ///
    /// # Errors
    /// [`PublishError::Ended`].
    pub fn snapshot(&self) -> Result<HostSnapshot, PublishError> {
        self.worker.snapshot()
    }

    /// Path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.worker.options().path
    }

    /// As dropping it, with a reason that the clients are told.
    pub fn stop(mut self, reason: &str) {
        self.worker.stop(reason);
    }
}
