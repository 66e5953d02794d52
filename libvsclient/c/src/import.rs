// SPDX-License-Identifier: Apache-2.0
//! Memory that the program has already, such as what a device of its own fills, as frames without a copy.
//!
//! An eventfd stands for the right to fill it: it is readable while the program has that right, so nobody
//! has to be called back when the last reader is done.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ::vs_frame::{Buffer, Frame, FrameMeta, MemoryKind};
use rustix::event::{EventfdFlags, eventfd};
use vsclient::Format;
use vsclient::publish::{import, lend};

use crate::argument::{object, place, slice};
use crate::buffer::vs_buffer;
use crate::error::{Failure, Outcome, VS_OK, call, vs_error};
use crate::format::{read, vs_format};
use crate::frame::vs_memory_kind;

/// Memory of the program's own, as one buffer. Any threads may use it at once.
pub struct vs_import {
    buffer: Arc<Buffer>,
    right: Right,
}

const fn any_thread<T: Send + Sync>() {}
const _: () = any_thread::<vs_import>();

/// The right to fill the memory: an eventfd, at 1 while the program has it.
#[derive(Clone)]
struct Right(Arc<OwnedFd>);

impl Right {
    fn new() -> Outcome<Self> {
        let fd = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(std::io::Error::from)?;
        Ok(Self(Arc::new(fd)))
    }

    /// Takes it away from the program.
    fn take(&self) -> Outcome<()> {
        let busy =
            |_| Failure::new(vs_error::Busy, "a frame of this memory is still being read, or about to be published");
        rustix::io::read(&*self.0, &mut [0; 8]).map_err(busy)?;
        Ok(())
    }

    fn give_back(&self) {
        // It is at 0, so there is room for 1.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

/// Memory that is about to become a frame.
pub(crate) struct Loan {
    buffer: Arc<Buffer>,
    format: Arc<Format>,
    /// `None` when it has become one.
    right: Option<Right>,
}

impl Loan {
    pub(crate) fn format(&self) -> &Arc<Format> {
        &self.format
    }

    pub(crate) fn finish(mut self, meta: FrameMeta) -> Outcome<Frame> {
        let returned = self.right.clone();
        let frame = lend(&self.buffer, &self.format, meta, move || {
            if let Some(right) = returned {
                right.give_back();
            }
        })?;
        self.right = None;
        Ok(frame)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(right) = &self.right {
            right.give_back();
        }
    }
}

/// Makes a buffer of memory that the program has: `count` descriptors, 1 to `VS_MAX_PLANES`, all of one
/// `enum vs_memory_kind`. They stay the caller's. Do this once for each buffer, not for each frame: clients get
/// the descriptors of a buffer once. Close it with `vs_import_close()`.
///
/// A memfd is sealed now, against resizing and against writing through any mapping that does not exist yet:
/// map it for writing before, and create it with `MFD_ALLOW_SEALING`. A DmaBuf stays as it was exported: clients
/// can write to one that was not exported for reading only.
///
/// Errors: `VS_ERROR_ARGUMENT` if a descriptor is something else, or cannot be sealed; `VS_ERROR_SYSTEM`. `*memory` is
/// NULL then. Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_import_open(
    fds: *const c_int,
    count: u32,
    kind: c_int,
    memory: *mut *mut vs_import,
) -> c_int {
    call(|| {
        // SAFETY: the header wants so many descriptors, and room for a pointer.
        let (place, fds) = unsafe { (place(memory, "memory")?, slice(fds, count as usize, "fds")?) };
        let kind = match kind {
            kind if kind == vs_memory_kind::Memfd as c_int => MemoryKind::Memfd,
            kind if kind == vs_memory_kind::Dmabuf as c_int => MemoryKind::DmaBuf,
            other => return Err(Failure::argument(format!("{other} is no kind of memory"))),
        };
        if let Some(fd) = fds.iter().find(|fd| **fd < 0) {
            return Err(Failure::argument(format!("{fd} is no descriptor")));
        }
        // SAFETY: the header wants open descriptors.
        let own = |fd: &c_int| unsafe { BorrowedFd::borrow_raw(*fd) }.try_clone_to_owned();
        let own = fds.iter().map(own).collect::<Result<_, _>>()?;
        *place = Box::into_raw(Box::new(vs_import { buffer: import(own, kind)?, right: Right::new()? }));
        Ok(VS_OK)
    })
}

/// Closes it. Frames of its memory stay good, and the memory must not be written to until their readers are
/// done. NULL does nothing. No thread may be in it, or enter it later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_import_close(memory: *mut vs_import) {
    call(|| {
        if !memory.is_null() {
            // SAFETY: it is a box that `vs_import_open` gave away.
            drop(unsafe { Box::from_raw(memory) });
        }
        Ok(VS_OK)
    });
}

/// Memory that has been filled, as a buffer in which a frame of `format` lies: to be published or submitted as any
/// other. From now on the program must not write to the memory, until the descriptor of `vs_import_fd()` is
/// readable.
///
/// Errors: `VS_ERROR_BUSY` if that is not yet so, `VS_ERROR_FORMAT` if the format does not fit, `VS_ERROR_ARGUMENT`.
/// `*buffer` is NULL then. Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_import_buffer(
    memory: *mut vs_import,
    format: *const vs_format,
    buffer: *mut *mut vs_buffer,
) -> c_int {
    call(|| {
        // SAFETY: the header wants an import, a format, and room for a pointer.
        let (place, memory, format) = unsafe { (place(buffer, "buffer")?, object(memory, "memory")?, read(format)?) };
        let lens: Vec<u64> = memory.buffer.memories().iter().map(|memory| memory.len()).collect();
        format.check(&lens)?;
        memory.right.take()?;
        let right = Some(memory.right.clone());
        *place = vs_buffer::lend(Loan { buffer: Arc::clone(&memory.buffer), format, right });
        Ok(VS_OK)
    })
}

/// A descriptor that is readable while the program may write to the memory: when no frame of it is on its
/// way or being read. Wait for it with poll(2). It is the import's: not to be read or closed. A negative
/// `enum vs_error` for NULL. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_import_fd(memory: *const vs_import) -> c_int {
    // SAFETY: the header wants NULL or an import.
    call(|| Ok(unsafe { object(memory, "memory") }?.right.0.as_raw_fd()))
}
