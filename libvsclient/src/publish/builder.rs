// SPDX-License-Identifier: Apache-2.0
//! The options of a publisher.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vs_frame::{CpuMemory, CpuPool, Format, MemoryError};
use vs_ipc::host::{Host, HostOptions};

use super::publisher::Publisher;
use super::thread;
use super::{BindError, StartError};
use crate::address::{SOCKET_DIR_ENV, socket_path};

/// Buffers that clients never get: one that the program fills, one to follow without a pause.
pub(super) const PROGRAM_FLOOR: usize = 2;

/// As many as the daemon gives a stream: what clients may hold is then enough for some that
/// work on frames of different age.
const DEFAULT_BUFFERS: usize = 12;

/// Buffers that a pool begins with; it grows when clients hold frames.
const INITIAL_BUFFERS: usize = 2;

/// A change of the host's options.
type Change = Box<dyn FnOnce(&mut HostOptions) + Send>;

/// Says what is to be published; made by [`Publisher::builder`].
pub struct PublisherBuilder {
    stream: String,
    dir: Option<PathBuf>,
    format: Option<Arc<Format>>,
    buffers: usize,
    memory: CpuMemory,
    change: Change,
}

impl PublisherBuilder {
    pub(super) fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            dir: None,
            format: None,
            buffers: DEFAULT_BUFFERS,
            memory: CpuMemory::Memfd,
            change: Box::new(|_| {}),
        }
    }

    /// The format of the frames in the pool. Without it there is no pool, only what the
    /// program [imports](super::import). Frames say their format themselves, so others can
    /// be published as well.
    #[must_use]
    pub fn format(mut self, format: impl Into<Arc<Format>>) -> Self {
        self.format = Some(format.into());
        self
    }

    /// How many buffers there are, in the pool or imported: 12 unless said otherwise, and at
    /// least 3. Two of them stay with the program, the others are what all clients together
    /// may hold, and half of those what one client may hold at most.
    #[must_use]
    pub fn buffers(mut self, buffers: usize) -> Self {
        self.buffers = buffers.max(PROGRAM_FLOOR + 1);
        self
    }

    /// Where the pool's memory comes from; sealed memfds unless said otherwise.
    #[must_use]
    pub fn memory(mut self, memory: CpuMemory) -> Self {
        self.memory = memory;
        self
    }

    /// The directory of the socket if the stream was given as a name; counts more than the
    /// environment variable `VIDEOSTREAM_DIR`, which counts more than `/run/videostream`.
    #[must_use]
    pub fn socket_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Changes what else a host can be told: permission bits of the socket, credits, leases,
    /// how many clients there may be. Called when everything else has been said, so that its
    /// word is the last.
    #[must_use]
    pub fn host(mut self, change: impl FnOnce(&mut HostOptions) + Send + 'static) -> Self {
        self.change = Box::new(change);
        self
    }

    /// Publishes the stream, in state "waiting", from a thread of its own. Frames make it
    /// "running".
    ///
    /// # Errors
    /// [`StartError`]; its message says what to do.
    pub fn start(self) -> Result<Publisher, StartError> {
        let pool = self.pool()?;
        let (buffers, memory) = (self.buffers, self.memory.clone());
        let worker = thread::start(self.options()?)?;
        Ok(Publisher::new(worker, pool, buffers, memory))
    }

    /// Publishes the stream from the tokio runtime on which this is called (with I/O and time
    /// enabled). The owner of the [`Host`] publishes, and awaits [`Host::turn`] meanwhile.
    /// There is no pool: see [`CpuPool`].
    ///
    /// # Errors
    /// [`StartError`]; its message says what to do.
    pub fn bind(self) -> Result<Host, StartError> {
        Ok(Host::bind(self.options()?)?)
    }

    fn pool(&self) -> Result<Option<CpuPool>, MemoryError> {
        let Some(format) = &self.format else { return Ok(None) };
        pool(Arc::clone(format), self.memory.clone(), self.buffers).map(Some)
    }

    fn options(self) -> Result<HostOptions, StartError> {
        let env = std::env::var_os(SOCKET_DIR_ENV).map(PathBuf::from);
        let path = socket_path(&self.stream, self.dir.as_deref(), env)?;
        let name = stream_name(&path)
            .ok_or_else(|| BindError::NotASocket(path.clone()))
            .map_err(vs_ipc::host::HostError::from)?;
        let mut options = HostOptions::new(name, path);
        options.frames = self.buffers - PROGRAM_FLOOR;
        // One client alone must not be able to hold everything.
        let half = u16::try_from(options.frames.div_ceil(2)).unwrap_or(u16::MAX);
        options.credits_max = options.credits_max.min(half);
        options.credits = options.credits.min(options.credits_max);
        (self.change)(&mut options);
        Ok(options)
    }
}

pub(super) fn pool(format: Arc<Format>, memory: CpuMemory, buffers: usize) -> Result<CpuPool, MemoryError> {
    CpuPool::new(format, memory, INITIAL_BUFFERS, buffers)
}

fn stream_name(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

impl std::fmt::Debug for PublisherBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublisherBuilder")
            .field("stream", &self.stream)
            .field("dir", &self.dir)
            .field("format", &self.format)
            .field("buffers", &self.buffers)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}
