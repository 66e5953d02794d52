// SPDX-License-Identifier: Apache-2.0
//! Buffers of the pipeline as frames, without a copy.
//!
//! A pool has few buffers and fills them again and again; readers get the descriptors of each once.
//! So what was imported is kept, and found again by what the kernel calls the memory (device and
//! inode): a number that no other memory can have while a descriptor of it is kept here.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gstreamer as gst;
use gstreamer::glib::translate::from_glib_none;
use gstreamer::prelude::*;
use gstreamer_allocators as gst_allocators;
use gstreamer_video as gst_video;
use rustix::fs::SealFlags;

use vsclient::publish::{Buffer, Frame, FrameMeta, Memory, MemoryKind, lend};
use vsclient::{Format, MAX_PLANES, PlaneLayout};

use super::allocator::FrameAllocator;
use crate::caps::Media;

/// Buffers that are remembered: more than any pool has. Those that are forgotten cost readers two more descriptors.
const REMEMBERED: usize = 64;

/// Buffers of somebody else's pool that readers never have: one that is filled while the next is waited for.
const UPSTREAM_FLOOR: usize = 2;

/// What the kernel calls one memory.
type Identity = (u64, u64);

/// Buffers that were published before, the latest last.
#[derive(Debug)]
pub struct Lender {
    own: FrameAllocator,
    known: Vec<(Vec<Identity>, Arc<Buffer>)>,
    format: Option<Arc<Format>>,
    /// Buffers of others' pools that are out now.
    held: Arc<AtomicUsize>,
}

/// Descriptors of a buffer, each of them once.
struct Descriptors<'a> {
    kind: MemoryKind,
    fds: Vec<(Identity, BorrowedFd<'a>)>,
    /// For each memory of the buffer: which of those it lies in.
    of_memory: Vec<usize>,
}

impl Lender {
    /// With the allocator of the sink's own pool.
    pub fn of(own: &FrameAllocator) -> Self {
        Self { own: own.clone(), known: Vec::new(), format: None, held: Arc::default() }
    }

    /// The buffer as a frame that holds it; `None` if readers cannot be given its memory. Access units, which
    /// are small and of any length, never are lent.
    pub fn lend(&mut self, media: &Media, buffer: &gst::Buffer, mut meta: FrameMeta) -> Option<Frame> {
        let descriptors = Descriptors::of(buffer)?;
        let layouts = descriptors.layouts(media, buffer)?;
        let lent = self.buffer(&descriptors)?;
        let own = buffer.iter_memories().all(|memory| self.own.made(memory));
        let foreign = descriptors.kind == MemoryKind::DmaBuf && !own;
        if foreign && self.starves_upstream(buffer) {
            return None;
        }
        let format = self.format(media, &layouts)?;
        for (memory, used) in meta.bytes_used.iter_mut().enumerate().take(lent.memories().len()) {
            *used = bytes_used(&layouts, memory as u8);
        }
        let (buffer, held) = (buffer.clone(), Arc::clone(&self.held));
        held.fetch_add(usize::from(foreign), Ordering::Relaxed);
        let out = Arc::clone(&held);
        let frame = lend(&lent, &format, meta, move || {
            out.fetch_sub(usize::from(foreign), Ordering::Relaxed);
            drop(buffer);
        });
        if frame.is_err() {
            held.fetch_sub(usize::from(foreign), Ordering::Relaxed);
        }
        frame.ok()
    }

    /// A camera's pool has few buffers, of which readers must not have the last. It has as many as it says, or as
    /// have come so far, if those are more.
    fn starves_upstream(&self, buffer: &gst::BufferRef) -> bool {
        let held = self.held.load(Ordering::Relaxed);
        let starves = |buffers: usize| held >= buffers.saturating_sub(UPSTREAM_FLOOR).max(1);
        starves(self.known.len()) && starves(pool_buffers(buffer))
    }

    /// What follows has other caps, and comes from another pool.
    pub fn forget_format(&mut self) {
        self.format = None;
        self.known.clear();
    }

    fn buffer(&mut self, descriptors: &Descriptors<'_>) -> Option<Arc<Buffer>> {
        let identity: Vec<_> = descriptors.fds.iter().map(|(identity, _)| *identity).collect();
        if let Some(at) = self.known.iter().position(|(known, _)| *known == identity) {
            return Some(Arc::clone(&self.known[at].1));
        }
        let mut memories = Vec::with_capacity(descriptors.fds.len());
        for (_, fd) in &descriptors.fds {
            let fd = fd.try_clone_to_owned().ok()?;
            memories.push(Memory::import(fd, descriptors.kind).ok()?);
        }
        let buffer = Arc::new(Buffer::new(memories)?);
        if self.known.len() >= REMEMBERED {
            self.known.remove(0);
        }
        self.known.push((identity, Arc::clone(&buffer)));
        Some(buffer)
    }

    fn format(&mut self, media: &Media, layouts: &[PlaneLayout]) -> Option<Arc<Format>> {
        match &self.format {
            Some(format) if format.planes[..] == *layouts => Some(Arc::clone(format)),
            _ => {
                let format = Arc::new(media.laid_out(layouts).ok()?);
                self.format = Some(Arc::clone(&format));
                Some(format)
            }
        }
    }
}

/// Buffers that the pool has at least from which this one comes; 0 if it comes from none.
fn pool_buffers(buffer: &gst::BufferRef) -> usize {
    // SAFETY: a buffer keeps its pool alive for as long as it is out of it, and a null pointer makes `None`.
    let pool: Option<gst::BufferPool> = unsafe { from_glib_none((*buffer.as_ptr()).pool) };
    pool.and_then(|pool| pool.config().params()).map_or(0, |(_, _, min, _)| min as usize)
}

impl<'a> Descriptors<'a> {
    fn of(buffer: &'a gst::BufferRef) -> Option<Self> {
        let mut all = Self { kind: MemoryKind::DmaBuf, fds: Vec::new(), of_memory: Vec::new() };
        for (index, memory) in buffer.iter_memories().enumerate() {
            let (kind, fd) = descriptor(memory)?;
            if index > 0 && kind != all.kind {
                return None;
            }
            all.kind = kind;
            let identity = identify(kind, fd)?;
            let at = all.fds.iter().position(|(known, _)| *known == identity).unwrap_or_else(|| {
                all.fds.push((identity, fd));
                all.fds.len() - 1
            });
            all.of_memory.push(at);
        }
        (1..=MAX_PLANES).contains(&all.fds.len()).then_some(all)
    }

    /// Where the planes of a picture lie.
    fn layouts(&self, media: &Media, buffer: &gst::BufferRef) -> Option<Vec<PlaneLayout>> {
        let Media::Raw(info) = media else { return None };
        let packed = media.packed().ok()?;
        let meta = buffer.meta::<gst_video::VideoMeta>();
        let mut layouts = Vec::with_capacity(packed.planes.len());
        for plane in 0..packed.planes.len() {
            let (offset, stride) = match &meta {
                Some(meta) => (*meta.offset().get(plane)?, *meta.stride().get(plane)?),
                None => (*info.offset().get(plane)?, *info.stride().get(plane)?),
            };
            let stride = u32::try_from(stride).ok()?;
            let layout = self.layout(buffer, offset, stride)?;
            let rows = packed.plane_rows(plane);
            let size = u64::from(stride) * u64::from(rows.saturating_sub(1)) + u64::from(packed.plane_row_bytes(plane));
            layouts.push(PlaneLayout { size: u32::try_from(size).ok()?, ..layout });
        }
        Some(layouts)
    }

    /// What lies at an offset of the whole buffer, as GStreamer counts.
    fn layout(&self, buffer: &gst::BufferRef, offset: usize, stride: u32) -> Option<PlaneLayout> {
        let (memories, skip) = buffer.find_memory(offset..offset + 1)?;
        let memory = buffer.peek_memory(memories.start);
        let offset = u32::try_from(memory.offset() + skip).ok()?;
        let memory = u8::try_from(*self.of_memory.get(memories.start)?).ok()?;
        Some(PlaneLayout { memory, offset, stride, size: 0 })
    }
}

/// The descriptor of a memory that readers can be given.
fn descriptor(memory: &gst::MemoryRef) -> Option<(MemoryKind, BorrowedFd<'_>)> {
    if let Some(memory) = memory.downcast_memory_ref::<gst_allocators::DmaBufMemory>() {
        return Some((MemoryKind::DmaBuf, borrow(memory.fd())?));
    }
    let memory = memory.downcast_memory_ref::<gst_allocators::FdMemory>()?;
    Some((MemoryKind::Memfd, borrow(memory.fd())?))
}

fn borrow<'a>(fd: RawFd) -> Option<BorrowedFd<'a>> {
    // SAFETY: the memory owns the descriptor, and outlives what is done with it here.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Readers of a memfd that anybody may still change could be shown something else than was checked, or be killed by
/// a shorter one (SIGBUS). Sealing it here would take it from its owner, who may want to map it once more.
fn identify(kind: MemoryKind, fd: BorrowedFd<'_>) -> Option<Identity> {
    if kind == MemoryKind::Memfd {
        let seals = rustix::fs::fcntl_get_seals(fd).ok()?;
        let fixed = seals.contains(SealFlags::SHRINK | SealFlags::GROW);
        if !fixed || !seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
            return None;
        }
    }
    let stat = rustix::fs::fstat(fd).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// Bytes from the first plane in a memory to the end of the last.
fn bytes_used(layouts: &[PlaneLayout], memory: u8) -> u32 {
    let within = || layouts.iter().filter(|layout| layout.memory == memory);
    let first = within().map(|layout| layout.offset).min().unwrap_or(0);
    let end = within().map(|layout| layout.offset.saturating_add(layout.size)).max().unwrap_or(0);
    end - first
}
