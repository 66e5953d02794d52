// SPDX-License-Identifier: Apache-2.0
//! A buffer in the hands of the program that fills it.

use std::ffi::c_int;
use std::sync::Arc;

use ::vs_frame::{FrameFlags, FrameMeta, WriteSlot};

use crate::argument::{object, object_mut, place, put, room};
use crate::error::{Failure, Outcome, VS_OK, call, call_or};
use crate::format::{SharedFormat, vs_format};
use crate::frame::{VS_NO_TIME, no_such, vs_frame};
use crate::import::Loan;

/// One plane of a buffer, for the CPU to write. Never grows.
#[repr(C)]
pub struct vs_mutable_plane {
    /// The first byte of the first row.
    pub data: *mut u8,
    /// Bytes from there to the end of the plane.
    pub size: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of each row that carry pixels.
    pub row_bytes: usize,
    /// How many rows there are.
    pub rows: usize,
}

/// A buffer to fill, of `vs_publisher_buffer()`, `vs_encoder_buffer()` or `vs_import_buffer()`: write to its planes, say
/// what is to be known of the frame, and publish or submit it. One thread at a time may use it.
pub struct vs_buffer {
    kind: Kind,
    format: Arc<SharedFormat>,
    meta: FrameMeta,
}

enum Kind {
    /// Of a pool; with where each memory is mapped, and how long it is.
    Pool(WriteSlot, Vec<(*mut u8, usize)>),
    /// Memory of the program's own, which it fills by itself.
    Lent(Loan),
}

// SAFETY: the pointers are into mappings that the slot owns.
unsafe impl Send for vs_buffer {}

impl vs_buffer {
    pub(crate) fn give(mut slot: WriteSlot, format: Arc<SharedFormat>) -> Outcome<*mut Self> {
        let memories = slot.write(|maps| maps.iter_mut().map(|map| (map.as_mut_ptr(), map.len())).collect())?;
        let meta = FrameMeta {
            capture_ns: vsclient::monotonic_ns(),
            bytes_used: slot.format().picture_bytes(),
            ..FrameMeta::default()
        };
        Ok(Box::into_raw(Box::new(Self { kind: Kind::Pool(slot, memories), format, meta })))
    }

    pub(crate) fn lend(loan: Loan) -> *mut Self {
        let meta = FrameMeta {
            capture_ns: vsclient::monotonic_ns(),
            bytes_used: loan.format().picture_bytes(),
            ..FrameMeta::default()
        };
        let format = SharedFormat::new(loan.format());
        Box::into_raw(Box::new(Self { kind: Kind::Lent(loan), format, meta }))
    }

    /// Takes a buffer from the caller, for good, and makes a frame of it.
    ///
    /// # Safety
    /// It is NULL or a buffer that the caller has.
    pub(crate) unsafe fn finish(buffer: *mut Self) -> Outcome<(::vs_frame::Frame, Arc<SharedFormat>)> {
        if buffer.is_null() {
            return Err(Failure::argument("buffer is NULL"));
        }
        // SAFETY: it is a box that `give` gave away.
        let Self { kind, format, meta } = *unsafe { Box::from_raw(buffer) };
        let frame = match kind {
            Kind::Pool(mut slot, _) => {
                // The CPU has written outside of any bracket, for C has no closures. An access to a DmaBuf that
                // begins and ends here writes back what the caches have; ordinary memory needs nothing.
                slot.write(|_| ())?;
                slot.finish(meta)?
            }
            Kind::Lent(loan) => loan.finish(meta)?,
        };
        Ok((frame, format))
    }
}

fn set(buffer: *mut vs_buffer, set: impl FnOnce(&mut FrameMeta)) -> c_int {
    call(|| {
        // SAFETY: the header wants a buffer that nobody else uses.
        set(&mut unsafe { object_mut(buffer, "buffer") }?.meta);
        Ok(VS_OK)
    })
}

fn known(ns: i64) -> Option<i64> {
    Some(ns).filter(|ns| *ns != VS_NO_TIME)
}

/// Plane `index`, to be written to until the buffer is published, submitted, finished or given back.
///
/// Errors: `VS_ERROR_NOT_FOUND` if there is no such plane, or the buffer is one of `vs_import_buffer()`, which the
/// program fills by itself.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_plane(buffer: *mut vs_buffer, index: u32, plane: *mut vs_mutable_plane) -> c_int {
    call(|| {
        // SAFETY: the header wants a buffer.
        let buffer = unsafe { object(buffer, "buffer") }?;
        room(plane, "plane")?;
        let Kind::Pool(slot, memories) = &buffer.kind else { return Err(no_such("plane to write to", index)) };
        let format = slot.format();
        let number = index as usize;
        let layout = format.planes.get(number).ok_or_else(|| no_such("plane", index))?;
        let (start, len) = *memories.get(usize::from(layout.memory)).ok_or_else(|| no_such("plane", index))?;
        let (offset, size) = (layout.offset as usize, layout.size as usize);
        if offset.saturating_add(size) > len {
            return Err(no_such("plane", index));
        }
        let seen = vs_mutable_plane {
            data: start.wrapping_add(offset),
            size,
            stride: layout.stride as usize,
            row_bytes: format.plane_row_bytes(number) as usize,
            rows: format.plane_rows(number) as usize,
        };
        // SAFETY: there is room for a plane.
        unsafe { put(plane, seen) };
        Ok(VS_OK)
    })
}

/// The format of a buffer; NULL for NULL. The buffer's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_get_format(buffer: *const vs_buffer) -> *const vs_format {
    // SAFETY: the header wants NULL or a buffer.
    call_or(std::ptr::null(), || Ok(unsafe { object(buffer, "buffer") }?.format.as_ptr()))
}

/// When the picture was taken, in ns of `CLOCK_MONOTONIC`; when the buffer was got unless it is said.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_set_capture_time(buffer: *mut vs_buffer, capture_ns: u64) -> c_int {
    set(buffer, |meta| meta.capture_ns = capture_ns)
}

/// Presentation and decoding time, and duration, in ns; `VS_NO_TIME`, which is also what they are unless
/// it is said, for what is not known.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_set_times(buffer: *mut vs_buffer, pts: i64, dts: i64, duration: i64) -> c_int {
    set(buffer, |meta| {
        (meta.pts, meta.dts) = (known(pts), known(dts));
        meta.duration = u64::try_from(duration).ok();
    })
}

/// The program's own count of its pictures; 0 unless it is said.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_set_sequence(buffer: *mut vs_buffer, sequence: u32) -> c_int {
    set(buffer, |meta| meta.sequence = sequence)
}

/// What is special about the frame: `VS_FRAME_GAP`... Nothing unless it is said.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_set_flags(buffer: *mut vs_buffer, flags: u32) -> c_int {
    set(buffer, |meta| meta.flags = FrameFlags::from_bits_retain(flags))
}

/// How many bytes of memory `index` carry payload, from the first plane in it: those of an access unit. A whole
/// picture unless it is said.
///
/// Errors: `VS_ERROR_ARGUMENT` if there cannot be such a memory; that it has fewer bytes shows when the buffer is
/// used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_set_bytes_used(buffer: *mut vs_buffer, index: u32, bytes: u32) -> c_int {
    call(|| {
        // SAFETY: the header wants a buffer that nobody else uses.
        let used = unsafe { object_mut(buffer, "buffer") }?.meta.bytes_used.get_mut(index as usize);
        *used.ok_or_else(|| Failure::argument(format!("there is no memory {index}")))? = bytes;
        Ok(VS_OK)
    })
}

/// Makes a frame of a buffer, to be published or submitted as often as wanted; the caller gives it up
/// with `vs_frame_unref()`. The buffer is used up, also by an error.
///
/// Errors: `VS_ERROR_ARGUMENT`, `VS_ERROR_SYSTEM`.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_finish(buffer: *mut vs_buffer, frame: *mut *mut vs_frame) -> c_int {
    call(|| {
        // SAFETY: the header wants a buffer that the caller has, and room for a pointer. The buffer goes
        // first: it is used up, come what may.
        let finished = unsafe { vs_buffer::finish(buffer) };
        // SAFETY: as above.
        let place = unsafe { place(frame, "frame") }?;
        let (finished, format) = finished?;
        *place = vs_frame::own(finished, format);
        Ok(VS_OK)
    })
}

/// Gives a buffer back unused. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_buffer_free(buffer: *mut vs_buffer) {
    call(|| {
        if !buffer.is_null() {
            // SAFETY: it is a box that `give` gave away.
            drop(unsafe { Box::from_raw(buffer) });
        }
        Ok(VS_OK)
    });
}
