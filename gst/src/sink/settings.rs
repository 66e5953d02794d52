// SPDX-License-Identifier: Apache-2.0
//! The properties of `vslsink` that are set, and what they mean for its host.

use std::time::Duration;

use vsclient::publish::{CpuMemory, HostOptions, Publisher, PublisherBuilder};

/// Buffers without which a pipeline with readers does not get on: one that is filled while the next is waited for, and
/// one that is read. Who asks for fewer gets these.
pub const POOL_MIN: u32 = 3;
/// The ancestor's bounds and default.
pub const POOL_MAX: u32 = 64;
pub const POOL_DEFAULT: u32 = 8;

/// What no reader can write to.
pub const MEMORY_DEFAULT: &str = "memfd";

/// What was set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the socket lies; empty: in /tmp, by the names of the element and of its thread.
    pub path: String,
    /// What the kernel calls the thread that has made the element (gettid(2)): the ancestor's way to a name of its own.
    pub thread: i32,
    /// Permission bits of the socket.
    pub socket_mode: u32,
    /// Buffers of the pipeline's pool.
    pub pool_size: u32,
    /// What the pipeline's pool is made of, as [`origin`](super::allocator::origin) reads it.
    pub memory: String,
    /// How long a frame that was announced stays untouched without a lease, in ms.
    pub lifespan: u32,
    /// The lease of readers that do not ask, in ms.
    pub lease: u32,
    /// The longest lease, in ms.
    pub lease_max: u32,
    /// Frames that one reader may hold; 0: half of what all may.
    pub credits_max: u32,
    /// Connections at once.
    pub clients_max: u32,
    /// Socket for clients of libvideostream 2.x; empty: none.
    pub vsl_path: String,
}

impl Default for Settings {
    fn default() -> Self {
        let ms = |ns: u64| (ns / 1_000_000) as u32;
        Self {
            path: String::new(),
            thread: rustix::thread::gettid().as_raw_nonzero().get(),
            socket_mode: HostOptions::DEFAULT_MODE,
            pool_size: POOL_DEFAULT,
            memory: MEMORY_DEFAULT.to_owned(),
            lifespan: ms(HostOptions::DEFAULT_LIFESPAN_NS),
            lease: ms(HostOptions::DEFAULT_LEASE_NS),
            lease_max: ms(HostOptions::DEFAULT_LEASE_MAX_NS),
            credits_max: 0,
            clients_max: HostOptions::DEFAULT_CLIENTS_MAX as u32,
            vsl_path: String::new(),
        }
    }
}

impl Settings {
    /// Where the socket lies. A name without any `/` is one of the daemon's folder, as for other publishers.
    pub fn path(&self, element: &str) -> String {
        match self.path.as_str() {
            "" => format!("/tmp/{element}.{}", self.thread),
            path => path.to_owned(),
        }
    }

    /// Buffers that upstream should have at least, whoever allocates them: what one reader may hold, the newest, and
    /// one on its way. A camera's pool does not grow, and what is not there to be lent is copied.
    pub fn buffers_min(&self) -> u32 {
        let one_reader = self.pool_size.saturating_sub(2).div_ceil(2);
        (one_reader + 2).clamp(POOL_MIN, self.pool_size.max(POOL_MIN))
    }

    /// The host that was asked for; what it copies goes into memory of the same kind.
    pub fn publisher(&self, element: &str, memory: CpuMemory) -> PublisherBuilder {
        let settings = self.clone();
        // Clients of the ancestor write to what they map, or fail: their memory is of another kind.
        let memory = if self.vsl_path.is_empty() { memory } else { CpuMemory::WritableMemfd };
        Publisher::builder(&self.path(element)).buffers(self.pool_size as usize).memory(memory).host(move |options| {
            let ns = |ms: u32| Duration::from_millis(ms.into()).as_nanos() as u64;
            options.mode = settings.socket_mode;
            options.lifespan_ns = ns(settings.lifespan);
            options.lease_max_ns = ns(settings.lease_max.max(settings.lease));
            options.lease_ns = ns(settings.lease);
            options.clients_max = settings.clients_max as usize;
            if settings.credits_max > 0 {
                options.credits_max = u16::try_from(settings.credits_max).unwrap_or(u16::MAX);
                options.credits = options.credits.min(options.credits_max);
            }
            if !settings.vsl_path.is_empty() {
                let path = settings.vsl_path.clone().into();
                options.vsl = Some(vs_ipc::host::VslOptions { path, mode: settings.socket_mode, group: None });
            }
        })
    }
}
