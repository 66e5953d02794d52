// SPDX-License-Identifier: Apache-2.0
//! Frames as buffers of the pipeline, without a copy.
//!
//! A host has few buffers and fills them again and again. Each gets one `GstMemory`, with a mapping that
//! lasts; each frame gets a share of it, which GStreamer makes read-only, and which the frame is tied to: it
//! is given back exactly when the last reference to the share goes, whichever buffer that was in by then.

use std::os::fd::{AsFd, IntoRawFd};
use std::sync::{Arc, LazyLock, Weak};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::translate::IntoGlib;
use gstreamer_allocators as gst_allocators;
use gstreamer_allocators::prelude::*;
use gstreamer_video as gst_video;

use vsclient::{Buffer, Format, MapError, Memory, MemoryKind};

use super::held::Held;

static FRAME: LazyLock<glib::Quark> = LazyLock::new(|| glib::Quark::from_str("videostream-frame"));

/// The memories of the host's buffers.
#[derive(Debug, Default)]
pub struct Wrapper {
    descriptors: gst_allocators::FdAllocator,
    dmabufs: gst_allocators::DmaBufAllocator,
    known: Vec<(Weak<Buffer>, Vec<gst::Memory>)>,
}

impl Wrapper {
    /// A picture with its lease.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub fn picture(&mut self, frame: &Held, info: &gst_video::VideoInfo) -> Result<gst::Buffer, glib::BoolError> {
        let memories = self.memories(frame.buffer())?;
        let mut buffer = gst::Buffer::new();
        let buffer_ref = buffer.make_mut();
        let mut starts = Vec::with_capacity(memories.len());
        let format = frame.format();
        for (index, memory) in memories.iter().enumerate() {
            let (first, end) = extent(format, index, memory.size());
            starts.push(buffer_ref.size() as i64 - first as i64);
            buffer_ref.append_memory(tie(memory.share(first..end), frame.clone()));
        }
        let (offsets, strides): (Vec<_>, Vec<_>) = (format.planes.iter())
            .map(|plane| {
                let start = starts.get(usize::from(plane.memory)).copied().unwrap_or(0);
                ((start + i64::from(plane.offset)).max(0) as usize, plane.stride as i32)
            })
            .unzip();
        let flags = gst_video::VideoFrameFlags::empty();
        let (width, height) = (format.width, format.height);
        gst_video::VideoMeta::add_full(buffer_ref, flags, info.format(), width, height, &offsets, &strides)?;
        Ok(buffer)
    }

    /// An access unit with its lease.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub fn unit(&mut self, frame: &Held) -> Result<gst::Buffer, glib::BoolError> {
        let memories = self.memories(frame.buffer())?;
        let memory = memories.first().ok_or_else(|| glib::bool_error!("the frame has no memory"))?;
        let first = frame.format().planes.first().map_or(0, |plane| plane.offset as usize).min(memory.size());
        let end = (first + frame.meta().bytes_used[0] as usize).min(memory.size());
        let mut buffer = gst::Buffer::new();
        buffer.make_mut().append_memory(tie(memory.share(first..end), frame.clone()));
        Ok(buffer)
    }

    fn memories(&mut self, buffer: &Arc<Buffer>) -> Result<&[gst::Memory], glib::BoolError> {
        // What the host has taken out of use goes with the last frame that lay in it.
        self.known.retain(|(known, _)| known.strong_count() > 0);
        let at = match self.known.iter().position(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(buffer))) {
            Some(at) => at,
            None => {
                let memories = buffer.memories().iter().map(|memory| self.memory(memory)).collect::<Result<_, _>>()?;
                self.known.push((Arc::downgrade(buffer), memories));
                self.known.len() - 1
            }
        };
        Ok(&self.known[at].1)
    }

    fn memory(&self, memory: &Memory) -> Result<gst::Memory, glib::BoolError> {
        let fd = memory.as_fd().try_clone_to_owned().map_err(|error| glib::bool_error!("no descriptor: {error}"))?;
        let size = usize::try_from(memory.len()).map_err(|_| glib::bool_error!("too large"))?;
        let flags = gst_allocators::FdMemoryFlags::KEEP_MAPPED;
        // SAFETY: the descriptor is handed over with the call.
        unsafe {
            match memory.kind() {
                MemoryKind::DmaBuf => self.dmabufs.alloc_dmabuf_with_flags(fd.into_raw_fd(), size, flags),
                MemoryKind::Memfd => self.descriptors.alloc_fd(fd.into_raw_fd(), size, flags),
            }
        }
    }
}

/// From the first plane in a memory to the end of the last.
fn extent(format: &Format, memory: usize, size: usize) -> (usize, usize) {
    let within = || format.planes.iter().filter(|plane| usize::from(plane.memory) == memory);
    let first = within().map(|plane| plane.offset as usize).min().unwrap_or(0).min(size);
    let end = within().map(|plane| (plane.offset as usize).saturating_add(plane.size as usize)).max().unwrap_or(size);
    (first, end.clamp(first, size))
}

/// The frame is given back when nobody has the memory any more.
fn tie(mut memory: gst::Memory, frame: Held) -> gst::Memory {
    unsafe extern "C" fn give_back(frame: glib::ffi::gpointer) {
        // SAFETY: it is what into_raw has made, and GStreamer calls this once.
        drop(unsafe { Box::from_raw(frame.cast::<Held>()) });
    }
    if let Some(memory) = memory.get_mut() {
        let frame = Box::into_raw(Box::new(frame)).cast();
        // SAFETY: the memory is this function's alone; the frame is handed over with its destructor.
        unsafe {
            gst::ffi::gst_mini_object_set_qdata(memory.as_mut_ptr().cast(), FRAME.into_glib(), frame, Some(give_back));
        }
    }
    memory
}

/// A copy in the layout that GStreamer expects of pictures that say nothing of it.
///
/// # Errors
/// [`MapError`] if the frame is not this reader's any more, or cannot be mapped.
pub fn copy_picture(frame: &Held, info: &gst_video::VideoInfo) -> Result<gst::Buffer, MapError> {
    frame.read(|view| {
        let mut bytes = vec![0u8; info.size()];
        for index in 0..view.plane_count().min(info.n_planes() as usize) {
            let Some(plane) = view.plane(index) else { continue };
            let (offset, stride) = (info.offset()[index], usize::try_from(info.stride()[index]).unwrap_or(0));
            for (number, row) in plane.rows().enumerate() {
                let at = offset + number * stride;
                if let Some(to) = bytes.get_mut(at..at + row.len()) {
                    to.copy_from_slice(row);
                }
            }
        }
        gst::Buffer::from_mut_slice(bytes)
    })
}

/// A copy of an access unit.
///
/// # Errors
/// [`MapError`] as [`copy_picture`].
pub fn copy_unit(frame: &Held) -> Result<gst::Buffer, MapError> {
    frame.read(|view| gst::Buffer::from_mut_slice(view.payload().to_vec()))
}
