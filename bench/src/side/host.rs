// SPDX-License-Identifier: Apache-2.0
//! Our side: a host on a runtime of one thread, as each stream of the daemon has it.
//!
//! Its pictures are filled beforehand: what a source does to get one is not measured.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_ipc::host::{Host, HostOptions, HostSnapshot};

use crate::children::Children;
use crate::pacer::{Burst, Pacer, Tick};

/// Buffers to begin with, as the daemon's test pattern has it.
const INITIAL_BUFFERS: usize = 4;

/// What a source keeps for itself, beyond what clients may hold.
const SOURCE_BUFFERS: usize = 2;

/// How often a receiver that has ended early is looked for while all are awaited.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// A host with its pictures.
#[derive(Debug)]
pub struct HostSender {
    host: Host,
    pool: CpuPool,
    pacer: AsyncFd<Pacer>,
    /// Dropped last: the others are registered with it.
    runtime: Runtime,
}

impl HostSender {
    pub fn bind(path: &Path, size: (u32, u32), fps: u32) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let options = HostOptions::new("bench", path);
        let pool = filled_pool(size, fps, options.frames + SOURCE_BUFFERS)?;
        // SAFETY: a `Pacer` names the same open descriptor until it is dropped, and the
        // `AsyncFd` owns it.
        let pacer = unsafe { AsyncFd::register_with_interest(Pacer::new(fps, false)?, Interest::READABLE) }
            .map_err(std::io::Error::from)?;
        let host = Host::bind(options)?;
        drop(entered);
        Ok(Self { host, pool, pacer, runtime })
    }

    /// Waits until all of them have said HELLO.
    pub fn accept(&mut self, count: usize, children: &mut Children, patience: Duration) -> anyhow::Result<()> {
        let Self { host, runtime, .. } = self;
        let joined = async {
            while host.client_count() < count {
                match tokio::time::timeout(CHECK_EVERY, host.turn()).await {
                    Ok(turned) => turned?,
                    Err(_) => children.check()?,
                }
            }
            anyhow::Ok(())
        };
        let outcome = runtime.block_on(async { tokio::time::timeout(patience, joined).await });
        match outcome {
            Ok(joined) => joined,
            Err(_) => bail!("{} of {count} receivers connected within {patience:?}", self.host.client_count()),
        }
    }

    /// Clients that have said HELLO.
    pub fn client_count(&self) -> usize {
        self.host.client_count()
    }

    /// What the host has counted.
    pub fn snapshot(&mut self) -> HostSnapshot {
        self.host.snapshot()
    }

    /// Publishes the frames of a burst; the processor time that took, in ns.
    pub fn burst(&mut self, burst: Burst) -> anyhow::Result<u64> {
        let Self { host, pool, pacer, runtime } = self;
        let mut next = burst.ticks();
        runtime.block_on(async {
            pacer.get_ref().start()?;
            loop {
                tokio::select! {
                    ticked = tick(pacer) => {
                        ticked?;
                        match next() {
                            Tick::Publish(number) => publish(host, pool, number)?,
                            Tick::Done(cpu_ns) => return Ok(cpu_ns),
                        }
                    }
                    turned = host.turn() => turned?,
                }
            }
        })
    }

    /// Makes something that must be made on the host's runtime.
    pub fn on_runtime<T>(&self, make: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        make()
    }

    /// Publishes one frame and serves its client until `done`.
    pub fn serve<T>(&mut self, done: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let Self { host, pool, runtime, .. } = self;
        runtime.block_on(async {
            publish(host, pool, 0)?;
            let mut done = pin!(done);
            loop {
                tokio::select! {
                    outcome = &mut done => return outcome,
                    turned = host.turn() => turned?,
                }
            }
        })
    }
}

/// Waits for the next tick, as the daemon's sources wait.
async fn tick(pacer: &AsyncFd<Pacer>) -> anyhow::Result<()> {
    loop {
        let mut guard = pacer.readable().await?;
        let ticked = guard.get_inner().tick()?;
        // A tick that has been read leaves nothing to read.
        guard.clear_ready();
        if ticked {
            return Ok(());
        }
    }
}

fn publish(host: &mut Host, pool: &CpuPool, number: u32) -> anyhow::Result<()> {
    match frame(pool, number)? {
        Some(frame) => host.publish(frame),
        None => host.pass_over(),
    };
    Ok(())
}

fn frame(pool: &CpuPool, number: u32) -> anyhow::Result<Option<Frame>> {
    let Some(slot) = pool.acquire()? else { return Ok(None) };
    let meta = FrameMeta { sequence: number, ..FrameMeta::default() };
    Ok(Some(slot.finish(meta)?))
}

/// A pool whose first buffers hold a picture.
fn filled_pool((width, height): (u32, u32), fps: u32, max: usize) -> anyhow::Result<CpuPool> {
    let format = Format::packed(FourCc::NV12, width, height, Rate::fps(fps));
    let format = format.context("the benchmark's pictures have an impossible format")?;
    let pool = CpuPool::new(Arc::new(format), CpuMemory::Memfd, INITIAL_BUFFERS.min(max), max)?;
    let mut slots = Vec::new();
    while slots.len() < pool.len() {
        let Some(mut slot) = pool.acquire()? else { break };
        slot.write(|memories| memories.iter_mut().for_each(|memory| memory.fill(0x80)))?;
        slots.push(slot);
    }
    drop(slots);
    Ok(pool)
}
