// SPDX-License-Identifier: Apache-2.0
//! Frames: of a stream, of a codec, or of the program itself. One handle for all of them, counted,
//! for any thread.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::vs_frame::FrameView;
use vsclient::{Frame as Received, FrameMap, FrameMeta, MemoryKind};

use crate::argument::{object, place, put, room, timeout};
use crate::error::{Failure, Outcome, VS_OK, call, call_or, vs_error};
use crate::format::{SharedFormat, VS_MAX_PLANES, vs_format};

/// A time that is not known.
pub const VS_NO_TIME: i64 = i64::MIN;

/// Decoding can start with this frame.
pub const VS_FRAME_KEYFRAME: u32 = 1;
/// The source lost frames, or time, just before this one.
pub const VS_FRAME_GAP: u32 = 2;
/// A picture of even rows only, from 0.
pub const VS_FRAME_TOP_FIELD: u32 = 4;
/// A picture of odd rows only.
pub const VS_FRAME_BOTTOM_FIELD: u32 = 8;

const _: () = {
    use ::vs_frame::FrameFlags as F;
    assert!(VS_FRAME_KEYFRAME == F::KEYFRAME.bits() && VS_FRAME_GAP == F::GAP.bits());
    assert!(VS_FRAME_TOP_FIELD == F::TOP_FIELD.bits() && VS_FRAME_BOTTOM_FIELD == F::BOTTOM_FIELD.bits());
};

/// What is known of a frame beside its bytes. The library's: use pointers, for it may grow at its end.
#[repr(C)]
#[derive(Default)]
pub struct vs_frame_info {
    /// Number of the frame in this life of the stream's host, from 1; frames that this client did not
    /// get leave gaps. 0 for a frame of no stream.
    pub serial: u64,
    /// Number of the buffer in this process, never given twice: who imports buffers elsewhere keeps
    /// what came of it under this number.
    pub buffer: u64,
    /// When the source had the picture, in ns of `CLOCK_MONOTONIC`.
    pub capture_ns: u64,
    /// When the host published it, in ns of `CLOCK_MONOTONIC`; 0 for a frame of no stream.
    pub publish_ns: u64,
    /// When this process received it, in ns of `CLOCK_MONOTONIC`; 0 for a frame of no stream.
    pub received_ns: u64,
    /// Presentation time in ns on the source's own timeline, or `VS_NO_TIME`.
    pub pts: i64,
    /// Decoding time in ns on the source's own timeline; `VS_NO_TIME` if unknown, or equal to `pts`.
    pub dts: i64,
    /// How long it is to be shown, in ns, or `VS_NO_TIME`.
    pub duration: i64,
    /// Frames that this client did not get on this connection, until this one was sent.
    pub skipped: u64,
    /// The source's own count (V4L2's sequence).
    pub sequence: u32,
    /// `VS_FRAME_KEYFRAME`, `VS_FRAME_GAP`... Others may come.
    pub flags: u32,
    /// Bytes of payload in each memory, from the first plane in it.
    pub bytes_used: [u32; VS_MAX_PLANES],
}

/// One plane of a frame, for the CPU to read. Never grows.
#[repr(C)]
pub struct vs_plane {
    /// The first byte of the first row.
    pub data: *const u8,
    /// Bytes from there to the end of the plane.
    pub size: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of each row that carry pixels.
    pub row_bytes: usize,
    /// How many rows there are.
    pub rows: usize,
}

/// What kind of memory a frame lies in.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum vs_memory_kind {
    /// Ordinary memory, sealed against writing and resizing.
    Memfd = 0,
    /// A DmaBuf: devices can import it. Who reads it by a mapping of its own brackets that with
    /// `DMA_BUF_IOCTL_SYNC`; `vs_frame_plane()` does so itself.
    Dmabuf = 1,
}

/// One memory of a frame. Never grows.
#[repr(C)]
pub struct vs_memory {
    /// Its descriptor, for reading. It is the frame's: good as long as the frame is held, not to be
    /// closed; dup(2) it to keep it.
    pub fd: c_int,
    /// `enum vs_memory_kind`.
    pub kind: c_int,
    /// Its bytes.
    pub size: u64,
}

/// A picture or access unit, and the right to read it for a while. Counted: any thread may use it,
/// hold it with `vs_frame_ref()` and give it up with `vs_frame_unref()`.
pub struct vs_frame {
    /// Reading that is under way. It borrows from `source`, so it stands, and goes, before it.
    reading: Mutex<Option<Reading>>,
    source: Source,
    format: Arc<SharedFormat>,
    info: vs_frame_info,
}

/// Where a frame comes from.
pub(crate) enum Source {
    /// A stream: it may be taken back.
    Stream(Received),
    /// A codec, or the program itself.
    Own(::vs_frame::Frame),
}

enum Reading {
    Stream(FrameMap<'static>),
    Own(FrameView<'static>),
}

impl Reading {
    fn view(&self) -> &FrameView<'static> {
        match self {
            Self::Stream(map) => map,
            Self::Own(view) => view,
        }
    }
}

const fn any_thread<T: Send + Sync>() {}
const _: () = any_thread::<vs_frame>();

impl vs_frame {
    pub(crate) fn of_stream(frame: Received, format: Arc<SharedFormat>) -> *mut Self {
        let info = vs_frame_info {
            serial: frame.serial(),
            buffer: frame.buffer().id().0,
            publish_ns: frame.publish_ns(),
            received_ns: frame.received_ns(),
            skipped: frame.skipped().total(),
            ..told(frame.meta())
        };
        Self::give(Source::Stream(frame), format, info)
    }

    pub(crate) fn own(frame: ::vs_frame::Frame, format: Arc<SharedFormat>) -> *mut Self {
        let info = vs_frame_info { buffer: frame.buffer().id().0, ..told(frame.meta()) };
        Self::give(Source::Own(frame), format, info)
    }

    fn give(source: Source, format: Arc<SharedFormat>, info: vs_frame_info) -> *mut Self {
        Arc::into_raw(Arc::new(Self { reading: Mutex::new(None), source, format, info })).cast_mut()
    }

    /// The frame of a stream, which alone has a lease.
    pub(crate) fn received(&self) -> Outcome<&Received> {
        match &self.source {
            Source::Stream(frame) => Ok(frame),
            Source::Own(_) => Err(Failure::argument("the frame is of no stream, so it has no lease")),
        }
    }

    /// The same frame for a codec or publisher, without a copy.
    pub(crate) fn pass_on(&self) -> Outcome<::vs_frame::Frame> {
        Ok(match &self.source {
            Source::Stream(frame) => frame.pass_on()?,
            Source::Own(frame) => frame.clone(),
        })
    }

    fn check(&self) -> Outcome<()> {
        match &self.source {
            Source::Stream(frame) => Ok(frame.check()?),
            Source::Own(_) => Ok(()),
        }
    }

    fn reading(&self) -> MutexGuard<'_, Option<Reading>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Outcome<Reading> {
        Ok(match &self.source {
            Source::Stream(frame) => {
                let map = frame.map()?;
                // SAFETY: it borrows from `source`, which lives in an `Arc` from which nobody takes it, and
                // is dropped after `reading`, where the map goes or dies at once.
                Reading::Stream(unsafe { std::mem::transmute::<FrameMap<'_>, FrameMap<'static>>(map) })
            }
            Source::Own(frame) => {
                let view = frame.map()?;
                // SAFETY: as above.
                Reading::Own(unsafe { std::mem::transmute::<FrameView<'_>, FrameView<'static>>(view) })
            }
        })
    }

    /// Looks at the bytes, beginning to read them if that has not happened.
    fn look<T>(&self, look: impl FnOnce(&FrameView<'static>) -> Outcome<T>) -> Outcome<T> {
        self.check()?;
        let mut reading = self.reading();
        let reading = match &mut *reading {
            Some(reading) => reading,
            none => none.insert(self.begin()?),
        };
        look(reading.view())
    }

    /// Another thread may have ended the reading; what this one has read is vouched for all the same.
    fn finish(&self) -> Outcome<()> {
        drop(self.reading().take());
        match &self.source {
            Source::Stream(frame) => Ok(frame.check_read()?),
            Source::Own(_) => Ok(()),
        }
    }
}

fn told(meta: &FrameMeta) -> vs_frame_info {
    vs_frame_info {
        capture_ns: meta.capture_ns,
        pts: meta.pts.unwrap_or(VS_NO_TIME),
        dts: meta.dts.unwrap_or(VS_NO_TIME),
        duration: meta.duration.and_then(|ns| i64::try_from(ns).ok()).unwrap_or(VS_NO_TIME),
        sequence: meta.sequence,
        flags: meta.flags.bits(),
        bytes_used: meta.bytes_used,
        ..vs_frame_info::default()
    }
}

/// Holds a frame once more; returns it. NULL gives NULL. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_ref(frame: *mut vs_frame) -> *mut vs_frame {
    if !frame.is_null() {
        // SAFETY: the header wants a frame that the caller holds, and every one lies in an `Arc`.
        unsafe { Arc::increment_strong_count(frame) };
    }
    frame
}

/// Gives a frame up. When it is held no more its memory goes back to be filled anew. Never blocks.
/// NULL does nothing. Any thread may call it, also after the client has been closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_unref(frame: *mut vs_frame) {
    call(|| {
        if !frame.is_null() {
            // SAFETY: the header wants a frame that the caller holds; it gives that up here.
            unsafe { Arc::decrement_strong_count(frame) };
        }
        Ok(VS_OK)
    });
}

/// What is known of a frame beside its bytes. The frame's, as long as it is held. NULL for NULL. Any
/// thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_get_info(frame: *const vs_frame) -> *const vs_frame_info {
    // SAFETY: the header wants NULL or a frame.
    call_or(std::ptr::null(), || Ok(&raw const unsafe { object(frame, "frame") }?.info))
}

/// How its bytes are laid out. The frame's, as long as it is held; frames of one format usually give
/// the same pointer. NULL for NULL. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_get_format(frame: *const vs_frame) -> *const vs_format {
    // SAFETY: the header wants NULL or a frame.
    call_or(std::ptr::null(), || Ok(unsafe { object(frame, "frame") }?.format.as_ptr()))
}

/// Gives plane `index` to the CPU, mapping the frame and synchronising caches where that is needed.
/// Reading begins with the first call and ends with `vs_frame_finish()`; the pointer stays good as long
/// as the frame is held, its bytes only as long as the right to read them.
///
/// Errors: `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or `VS_ERROR_DISCONNECTED` if the right to read it has
/// ended, `VS_ERROR_NOT_FOUND` if there is no such plane. Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_plane(frame: *mut vs_frame, index: u32, plane: *mut vs_plane) -> c_int {
    call(|| {
        // SAFETY: the header wants a frame, and room for a plane.
        let frame = unsafe { object(frame, "frame") }?;
        room(plane, "plane")?;
        let seen = frame.look(|view| {
            let seen = view.plane(index as usize).ok_or_else(|| no_such("plane", index))?;
            let data = seen.data.as_ptr();
            Ok(vs_plane {
                data,
                size: seen.data.len(),
                stride: seen.stride,
                row_bytes: seen.row_bytes,
                rows: seen.rows,
            })
        })?;
        // SAFETY: as above.
        unsafe { put(plane, seen) };
        Ok(VS_OK)
    })
}

/// Gives the payload of a coded frame to the CPU: an access unit. As `vs_frame_plane()`, to which it is
/// an alternative.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_payload(frame: *mut vs_frame, data: *mut *const u8, size: *mut usize) -> c_int {
    call(|| {
        // SAFETY: the header wants a frame, and room for both.
        let frame = unsafe { object(frame, "frame") }?;
        room(data, "data")?;
        room(size, "size")?;
        let (start, len) = frame.look(|view| Ok((view.payload().as_ptr(), view.payload().len())))?;
        // SAFETY: as above.
        unsafe {
            put(data, start);
            put(size, len);
        }
        Ok(VS_OK)
    })
}

/// Ends reading, and says whether everything that this thread has read of the frame belongs to it. Only
/// then use what came of it. Several threads that read one frame each call it.
///
/// Errors: `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or `VS_ERROR_DISCONNECTED`: what was read may be torn.
/// Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_finish(frame: *mut vs_frame) -> c_int {
    call(|| {
        // SAFETY: the header wants a frame.
        unsafe { object(frame, "frame") }?.finish()?;
        Ok(VS_OK)
    })
}

/// Whether a frame may still be read, as far as this process knows without asking anybody. It does not
/// vouch for what was read: `vs_frame_finish()` does.
///
/// Errors: `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or `VS_ERROR_DISCONNECTED`. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_check(frame: *const vs_frame) -> c_int {
    call(|| {
        // SAFETY: the header wants a frame.
        unsafe { object(frame, "frame") }?.check()?;
        Ok(VS_OK)
    })
}

/// Until when the bytes surely stay as they are, in ns of `CLOCK_MONOTONIC`; `UINT64_MAX` for a frame of
/// no stream, which stays as long as it is held, and 0 for NULL. A lock that is granted moves it. Any
/// thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_deadline(frame: *const vs_frame) -> u64 {
    call_or(0, || {
        // SAFETY: the header wants NULL or a frame.
        let frame = unsafe { object(frame, "frame") }?;
        Ok(frame.received().map_or(u64::MAX, Received::deadline_ns))
    })
}

/// Asks for a lease on a frame, or for a longer one, without waiting: `lease_ns` counted from now, or as
/// much as the host gives by default if it is not positive. The answer is an event,
/// `VS_EVENT_TYPE_LOCKED` with the number that is put at `request`, which may be NULL. `vs_client_lock()` waits
/// for it instead.
///
/// Errors: `VS_ERROR_BUSY` if the host takes no requests at present, `VS_ERROR_DISCONNECTED`,
/// `VS_ERROR_ARGUMENT` for a frame of no stream. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_request_lock(frame: *mut vs_frame, lease_ns: i64, request: *mut u64) -> c_int {
    call(|| {
        // SAFETY: the header wants a frame.
        let frame = unsafe { object(frame, "frame") }?;
        let number = frame.received()?.lock(lease(lease_ns))?;
        // SAFETY: the header wants NULL or room for a number.
        unsafe { put(request, number) };
        Ok(VS_OK)
    })
}

pub(crate) fn lease(ns: i64) -> Option<std::time::Duration> {
    timeout(ns).filter(|lease| !lease.is_zero())
}

/// How many memories a frame has, 1 to `VS_MAX_PLANES`; a negative `enum vs_error` for NULL. Any thread
/// may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_memory_count(frame: *const vs_frame) -> c_int {
    // SAFETY: the header wants a frame.
    call(|| Ok(memories(unsafe { object(frame, "frame") }?).len() as c_int))
}

/// Memory `index` of a frame, to be imported into other interfaces (DRM, EGL, Vulkan, V4L2) without a
/// copy. Bytes that a device reads are as good as those that the CPU reads: until the frame is given up
/// or its time has passed.
///
/// Errors: `VS_ERROR_NOT_FOUND` if there is no such memory, `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or
/// `VS_ERROR_DISCONNECTED`. Any thread may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_frame_memory(frame: *const vs_frame, index: u32, memory: *mut vs_memory) -> c_int {
    call(|| {
        // SAFETY: the header wants a frame, and room for a memory.
        let frame = unsafe { object(frame, "frame") }?;
        room(memory, "memory")?;
        frame.check()?;
        let seen = memories(frame).get(index as usize).ok_or_else(|| no_such("memory", index))?;
        let kind = match seen.kind() {
            MemoryKind::Memfd => vs_memory_kind::Memfd,
            MemoryKind::DmaBuf => vs_memory_kind::Dmabuf,
        };
        let seen = vs_memory { fd: seen.as_fd().as_raw_fd(), kind: kind as c_int, size: seen.len() };
        // SAFETY: as above.
        unsafe { put(memory, seen) };
        Ok(VS_OK)
    })
}

fn memories(frame: &vs_frame) -> &[vsclient::Memory] {
    match &frame.source {
        Source::Stream(frame) => frame.memories(),
        Source::Own(frame) => frame.buffer().memories(),
    }
}

pub(crate) fn no_such(what: &str, index: u32) -> Failure {
    Failure::new(vs_error::NotFound, format!("there is no {what} {index}"))
}

/// Where a frame is to be put.
///
/// # Safety
/// It is NULL or points to room for a pointer.
pub(crate) unsafe fn frame_place<'a>(frame: *mut *mut vs_frame) -> Outcome<&'a mut *mut vs_frame> {
    // SAFETY: as the caller says.
    unsafe { place(frame, "frame") }
}
