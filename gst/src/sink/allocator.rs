// SPDX-License-Identifier: Apache-2.0
//! Memory for the elements in front of the sink, which readers can be given as it is.
//!
//! Sealed memfds: the pipeline writes through a mapping that exists when the seal is set, and nobody
//! can make another one for writing, or change the size (`F_SEAL_FUTURE_WRITE`, fcntl(2)). GStreamer's
//! own allocator for descriptors keeps that mapping.

use std::os::fd::{IntoRawFd, OwnedFd};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::translate::IntoGlibPtr;
use gstreamer::subclass::prelude::*;
use gstreamer_allocators as gst_allocators;
use gstreamer_allocators::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};

glib::wrapper! {
    /// Allocates sealed memfds.
    pub struct MemfdAllocator(ObjectSubclass<Allocator>) @extends gst::Allocator, gst::Object;
}

impl MemfdAllocator {
    pub fn new() -> Self {
        glib::Object::new()
    }
}

/// What [`MemfdAllocator`] is made of.
#[derive(Debug, Default)]
pub struct Allocator {
    descriptors: gst_allocators::FdAllocator,
}

#[glib::object_subclass]
impl ObjectSubclass for Allocator {
    const NAME: &'static str = "VslMemfdAllocator";
    type Type = MemfdAllocator;
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
