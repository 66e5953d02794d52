// SPDX-License-Identifier: Apache-2.0
//! Memory for the elements in front of the sink, which readers can be given as it is.
//!
//! Sealed memfds: the pipeline writes through a mapping that exists when the seal is set, and nobody
//! can make another one for writing, or change the size (`F_SEAL_FUTURE_WRITE`, fcntl(2)). GStreamer's
//! own allocator for descriptors keeps that mapping. Or DmaBufs, where that was asked for.

use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::sync::OnceLock;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::translate::IntoGlibPtr;
use gstreamer::subclass::prelude::*;
use gstreamer_allocators as gst_allocators;
use gstreamer_allocators::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::param::page_size;
use vsclient::publish::{CpuMemory, Memory, MemoryError};

glib::wrapper! {
    /// Allocates sealed memfds, or DmaBufs.
    pub struct FrameAllocator(ObjectSubclass<Allocator>) @extends gst::Allocator, gst::Object;
}

impl FrameAllocator {
    pub fn new(origin: CpuMemory) -> Self {
        let allocator: Self = glib::Object::new();
        // It is set once, here.
        let _ = allocator.imp().origin.set(origin);
        allocator
    }

    /// Whether a DmaBuf is one of its own: it comes from a pool that grows when readers hold what it has.
    pub fn made(&self, memory: &gst::MemoryRef) -> bool {
        memory.allocator().is_some_and(|allocator| allocator == self.imp().dmabufs.upcast_ref::<gst::Allocator>())
    }
}

/// What [`FrameAllocator`] is made of.
#[derive(Debug, Default)]
pub struct Allocator {
    origin: OnceLock<CpuMemory>,
    descriptors: gst_allocators::FdAllocator,
    dmabufs: gst_allocators::DmaBufAllocator,
}

#[glib::object_subclass]
impl ObjectSubclass for Allocator {
    const NAME: &'static str = "VslFrameAllocator";
    type Type = FrameAllocator;
    type ParentType = gst::Allocator;
}

impl ObjectImpl for Allocator {}

impl GstObjectImpl for Allocator {}

// SAFETY: what alloc gives is memory of the allocator for descriptors, by which GStreamer frees it.
unsafe impl AllocatorImpl for Allocator {
    unsafe fn alloc(&self, size: usize, params: &gst::AllocationParams) -> *mut gst::ffi::GstMemory {
        let (prefix, padding) = (params.prefix(), params.padding());
        let Some(whole) = size.checked_add(prefix).and_then(|size| size.checked_add(padding)) else {
            return std::ptr::null_mut();
        };
        match self.allocate(whole) {
            Ok(mut memory) => {
                if let Some(memory) = memory.get_mut() {
                    memory.resize(prefix..prefix + size);
                }
                memory.into_glib_ptr()
            }
            Err(error) => {
                gst::warning!(super::element::CAT, "no shared memory of {whole} bytes: {error}");
                std::ptr::null_mut()
            }
        }
    }
}

impl Allocator {
    fn allocate(&self, size: usize) -> Result<gst::Memory, glib::BoolError> {
        match self.origin.get() {
            Some(origin @ (CpuMemory::DmaHeap(_) | CpuMemory::Udmabuf)) => self.dmabuf(origin, size),
            _ => self.memfd(size),
        }
    }

    fn dmabuf(&self, origin: &CpuMemory, size: usize) -> Result<gst::Memory, glib::BoolError> {
        let len = size.next_multiple_of(page_size()) as u64;
        let memory = dmabuf(origin, len).map_err(|error| glib::bool_error!("{error}"))?;
        let fd = memory.as_fd().try_clone_to_owned().map_err(|error| glib::bool_error!("dup: {error}"))?;
        let flags = gst_allocators::FdMemoryFlags::KEEP_MAPPED;
        // SAFETY: the descriptor is handed over with the call, whatever comes of it is closed once.
        unsafe { self.dmabufs.alloc_dmabuf_with_flags(fd.into_raw_fd(), size, flags) }
    }

    fn memfd(&self, size: usize) -> Result<gst::Memory, glib::BoolError> {
        let failed = |what: &str, error: rustix::io::Errno| glib::bool_error!("{what}: {error}");
        let memfd = rustix::fs::memfd_create("vslsink", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(|error| failed("memfd_create", error))?;
        rustix::fs::ftruncate(&memfd, size as u64).map_err(|error| failed("ftruncate", error))?;
        let sealed = memfd.try_clone().map_err(|error| glib::bool_error!("dup: {error}"))?;
        let memory = self.mapped(memfd, size)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&sealed, seals).map_err(|error| failed("sealing", error))?;
        Ok(memory)
    }

    /// Memory with a mapping for reading and writing that lasts as long as it does.
    fn mapped(&self, memfd: OwnedFd, size: usize) -> Result<gst::Memory, glib::BoolError> {
        // SAFETY: the descriptor is handed over with the call, whatever comes of it is closed once.
        let memory = unsafe {
            self.descriptors.alloc_fd(memfd.into_raw_fd(), size, gst_allocators::FdMemoryFlags::KEEP_MAPPED)
        }?;
        match memory.into_mapped_memory_writable() {
            Ok(mapped) => Ok(mapped.into_memory()),
            Err(_) => Err(glib::bool_error!("cannot map it")),
        }
    }
}

/// Memory of one of the kinds that devices can import.
fn dmabuf(origin: &CpuMemory, len: u64) -> Result<Memory, MemoryError> {
    match origin {
        CpuMemory::DmaHeap(path) => Memory::from_dma_heap(path, len),
        _ => Memory::from_udmabuf(len),
    }
}

/// Why there is no memory as the property asks for it.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// It asks for nothing that there is.
    #[error("'{0}' is not a kind of memory: use memfd, dmabuf, dma-heap, dma-heap:NAME or udmabuf")]
    Unknown(String),
    /// There is none.
    #[error(transparent)]
    None(#[from] MemoryError),
}

/// Where memory comes from, by the words of the property: the first that gives a page of all that will do.
///
/// # Errors
/// [`OriginError`].
pub fn origin(text: &str) -> Result<CpuMemory, OriginError> {
    let heap = |name: &str| CpuMemory::DmaHeap(format!("/dev/dma_heap/{name}").into());
    let wanted = match text.split_once(':') {
        None if text == "memfd" => vec![CpuMemory::Memfd],
        None if text == "dmabuf" => vec![heap("system"), CpuMemory::Udmabuf, CpuMemory::Memfd],
        None if text == "dma-heap" => vec![heap("system")],
        None if text == "udmabuf" => vec![CpuMemory::Udmabuf],
        Some(("dma-heap", name)) if !name.is_empty() && !name.contains('/') && name != ".." => vec![heap(name)],
        _ => return Err(OriginError::Unknown(text.to_owned())),
    };
    let mut last = OriginError::Unknown(text.to_owned());
    for origin in wanted {
        if matches!(origin, CpuMemory::Memfd) {
            return Ok(origin);
        }
        match dmabuf(&origin, page_size() as u64) {
            Ok(_) => return Ok(origin),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_was_asked_for_or_what_there_is() {
        assert_eq!(origin("memfd").unwrap(), CpuMemory::Memfd);
        // On any machine: a heap, udmabuf, or neither.
        assert!(origin("dmabuf").is_ok());
        for wrong in ["", "heap", "dma-heap:", "dma-heap:..", "dma-heap:a/b", "memfd:1"] {
            assert!(matches!(origin(wrong), Err(OriginError::Unknown(_))), "{wrong}");
        }
        let error = origin("dma-heap:none such").unwrap_err().to_string();
        assert!(error.contains("/dev/dma_heap/none such"), "{error}");
    }
}
