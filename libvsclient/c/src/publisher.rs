// SPDX-License-Identifier: Apache-2.0
//! Publishing frames of the program's own.

use std::ffi::{CString, c_char, c_int};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use ::vs_frame::CpuMemory;
use vsclient::StreamState;
use vsclient::publish::Publisher;

use crate::argument::{object, object_mut, optional_text, path, place, put, room, text};
use crate::buffer::vs_buffer;
use crate::error::{Failure, Outcome, VS_OK, call, call_or};
use crate::event::vs_stream_state;
use crate::format::{FormatCache, read, vs_format};
use crate::frame::vs_frame;

/// Options of a publisher. They belong to the program, and one thread at a time may use them.
#[derive(Default)]
pub struct vs_publisher_options {
    buffers: Option<usize>,
    socket_dir: Option<PathBuf>,
    socket_mode: Option<u32>,
    memory: Option<CpuMemory>,
}

/// What a publisher has counted since it was started. Never grows.
#[repr(C)]
pub struct vs_publisher_counters {
    /// Frames published, delivered to anybody or not.
    pub published: u64,
    /// Frames delivered, to all clients together.
    pub delivered: u64,
    /// Frames that clients did not get, for whatever reason.
    pub skipped: u64,
    /// Leases taken back, for whatever reason.
    pub revoked: u64,
    /// Clients that are connected.
    pub clients: u32,
    /// Leases that all clients together hold.
    pub held: u32,
}

/// Publishes one stream at one socket, from a thread of its own. Any threads may use it at once.
pub struct vs_publisher {
    publisher: RwLock<Publisher>,
    formats: Mutex<FormatCache>,
    path: CString,
}

const fn any_thread<T: Send + Sync>() {}
const _: () = any_thread::<vs_publisher>();

impl vs_publisher {
    fn read(&self) -> RwLockReadGuard<'_, Publisher> {
        self.publisher.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(options: *mut vs_publisher_options, set: impl FnOnce(&mut vs_publisher_options) -> Outcome<()>) -> c_int {
    call(|| {
        // SAFETY: the header wants options that nobody else uses.
        set(unsafe { object_mut(options, "options") }?)?;
        Ok(VS_OK)
    })
}

/// The default options. Free them with `vs_publisher_options_free()`. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn vs_publisher_options_new() -> *mut vs_publisher_options {
    Box::into_raw(Box::default())
}

/// Frees options. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_options_free(options: *mut vs_publisher_options) {
    if !options.is_null() {
        // SAFETY: it is a box that `vs_publisher_options_new` gave away.
        drop(unsafe { Box::from_raw(options) });
    }
}

/// How many buffers the publisher has: 12 unless it is said, and at least 3. Two of them stay with the
/// program, the others are what all clients together may hold.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_options_set_buffers(options: *mut vs_publisher_options, buffers: u32) -> c_int {
    set(options, |options| {
        options.buffers = Some(buffers as usize);
        Ok(())
    })
}

/// The directory of the socket if the stream is given as a name, which is copied; counts more than the
/// environment variable `VIDEOSTREAM_DIR`, which counts more than `/run/videostream`.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_options_set_socket_dir(
    options: *mut vs_publisher_options,
    dir: *const c_char,
) -> c_int {
    set(options, |options| {
        // SAFETY: the header wants a text.
        options.socket_dir = Some(unsafe { path(dir, "dir") }?);
        Ok(())
    })
}

/// Permission bits of the socket: whoever may write to it may read the stream.
///
/// Errors: `VS_ERROR_ARGUMENT` if it has other bits than 0777.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_options_set_socket_mode(options: *mut vs_publisher_options, mode: u32) -> c_int {
    set(options, |options| {
        if mode & !0o777 != 0 {
            return Err(Failure::argument(format!("{mode:#o} is more than permission bits")));
        }
        options.socket_mode = Some(mode);
        Ok(())
    })
}

/// Takes the buffers from a DMA heap, given by its device node (which is copied), so that clients' devices
/// can import them. The kernel cannot make those read-only: every client could write to them.
/// Unless it is said they are sealed memfds.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_options_set_dma_heap(
    options: *mut vs_publisher_options,
    heap: *const c_char,
) -> c_int {
    set(options, |options| {
        // SAFETY: the header wants a text.
        options.memory = Some(CpuMemory::DmaHeap(unsafe { path(heap, "heap") }?));
        Ok(())
    })
}

/// Publishes `stream` (its name, or the path of its socket: anything with a `/`) in state "waiting". Frames
/// make it "running". `format` is that of `vs_publisher_buffer()`; NULL if frames come from elsewhere.
/// `options` may be NULL. Neither is kept. Close the publisher with `vs_publisher_close()`.
///
/// Errors: `VS_ERROR_ARGUMENT`, `VS_ERROR_FORMAT`, `VS_ERROR_BUSY` if somebody else publishes there,
/// `VS_ERROR_MEMORY`, `VS_ERROR_SYSTEM`. `*publisher` is NULL then. Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_open(
    stream: *const c_char,
    format: *const vs_format,
    options: *const vs_publisher_options,
    publisher: *mut *mut vs_publisher,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a text, NULL or options, and room for a pointer.
        let (place, stream) = unsafe { (place(publisher, "publisher")?, text(stream, "stream")?) };
        let mut builder = Publisher::builder(stream);
        if !format.is_null() {
            // SAFETY: the header wants NULL or a format.
            builder = builder.format(unsafe { read(format) }?);
        }
        // SAFETY: as above.
        if let Some(options) = unsafe { options.as_ref() } {
            if let Some(buffers) = options.buffers {
                builder = builder.buffers(buffers);
            }
            if let Some(dir) = &options.socket_dir {
                builder = builder.socket_dir(dir);
            }
            if let Some(memory) = &options.memory {
                builder = builder.memory(memory.clone());
            }
            if let Some(mode) = options.socket_mode {
                builder = builder.host(move |host| host.mode = mode);
            }
        }
        let publisher = builder.start()?;
        let path = std::os::unix::ffi::OsStrExt::as_bytes(publisher.path().as_os_str());
        let path = CString::new(path).unwrap_or_default();
        let publisher = RwLock::new(publisher);
        *place = Box::into_raw(Box::new(vs_publisher { publisher, formats: Mutex::default(), path }));
        Ok(VS_OK)
    })
}

/// Tells the clients that the stream is gone and why (`reason` may be NULL), removes the socket, and frees
/// the publisher. Waits for nobody. NULL does nothing. No thread may be in it, or enter it later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_close(publisher: *mut vs_publisher, reason: *const c_char) {
    call(|| {
        if !publisher.is_null() {
            // SAFETY: it is a box that `vs_publisher_open` gave away.
            let publisher = unsafe { Box::from_raw(publisher) }.publisher;
            let publisher = publisher.into_inner().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: the header wants NULL or a text.
            match unsafe { optional_text(reason, "reason") } {
                Ok(Some(reason)) => publisher.stop(reason),
                _ => drop(publisher),
            }
        }
        Ok(VS_OK)
    });
}

/// A buffer to fill, for `vs_publisher_publish()`. Never waits for a client: all of them together cannot
/// hold so many that the program has none.
///
/// Errors: `VS_ERROR_FORMAT` if the publisher was opened without a format, `VS_ERROR_FULL` if this program
/// itself holds too many, `VS_ERROR_MEMORY`.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_buffer(publisher: *mut vs_publisher, buffer: *mut *mut vs_buffer) -> c_int {
    call(|| {
        // SAFETY: the header wants a publisher, and room for a pointer.
        let (place, publisher) = unsafe { (place(buffer, "buffer")?, object(publisher, "publisher")?) };
        let slot = publisher.read().buffer()?;
        let format = publisher.formats.lock().unwrap_or_else(PoisonError::into_inner).get(slot.format());
        *place = vs_buffer::give(slot, format)?;
        Ok(VS_OK)
    })
}

/// Sends a buffer's frame to every client that may have it. The buffer is used up, also by an error. Its
/// serial is put at `serial`, which may be NULL. Never waits for a client.
///
/// Errors: `VS_ERROR_ENDED` if the publisher has ended, `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_publish(
    publisher: *mut vs_publisher,
    buffer: *mut vs_buffer,
    serial: *mut u64,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a buffer that the caller has.
        let (frame, _) = unsafe { vs_buffer::finish(buffer) }?;
        // SAFETY: the header wants a publisher, and NULL or room for a number.
        unsafe { publish(publisher, frame, serial) }
    })
}

/// Sends a frame of any origin to every client that may have it, without a copy: of another stream, of a
/// codec, or of `vs_buffer_finish()`. The caller still holds it. A frame of another stream counts against
/// that client's credits until all readers are done with it, and its lease may end earlier.
///
/// Errors: `VS_ERROR_ENDED`, `VS_ERROR_ARGUMENT`; `VS_ERROR_REVOKED`, `VS_ERROR_EXPIRED` or `VS_ERROR_DISCONNECTED` if it
/// may not be read any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_publish_frame(
    publisher: *mut vs_publisher,
    frame: *mut vs_frame,
    serial: *mut u64,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a publisher, a frame, and NULL or room for a number.
        unsafe { publish(publisher, object(frame, "frame")?.pass_on()?, serial) }
    })
}

/// Publishes a frame.
///
/// # Safety
/// `publisher` is NULL or a publisher, `serial` NULL or room for a number.
unsafe fn publish(publisher: *mut vs_publisher, frame: ::vs_frame::Frame, serial: *mut u64) -> Outcome {
    // SAFETY: as the caller says.
    let number = unsafe { object(publisher, "publisher") }?.read().publish(frame)?;
    // SAFETY: as the caller says.
    unsafe { put(serial, number) };
    Ok(VS_OK)
}

/// Tells the clients what the stream is doing, one of `enum vs_stream_state`, and why: `text` may be NULL.
/// Returns when that is done.
///
/// Errors: `VS_ERROR_ENDED`, `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_set_state(
    publisher: *mut vs_publisher,
    state: c_int,
    text: *const c_char,
) -> c_int {
    call(|| {
        use vs_stream_state as S;
        let states = [
            (S::Waiting, StreamState::Waiting),
            (S::Running, StreamState::Running),
            (S::Stopped, StreamState::Stopped),
            (S::Failed, StreamState::Failed),
        ];
        let known = states.into_iter().find(|(code, _)| *code as c_int == state);
        let (_, state) = known.ok_or_else(|| Failure::argument(format!("{state} is no state")))?;
        // SAFETY: the header wants a publisher, and NULL or a text.
        let (publisher, text) = unsafe { (object(publisher, "publisher")?, optional_text(text, "text")?) };
        publisher.read().set_state(state, text.unwrap_or_default())?;
        Ok(VS_OK)
    })
}

/// Makes the buffers anew, for another format, which is not kept. Frames and buffers of the old one stay
/// good.
///
/// Errors: `VS_ERROR_FORMAT`, `VS_ERROR_MEMORY`, `VS_ERROR_ARGUMENT`; the buffers are then as they were.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_set_format(publisher: *mut vs_publisher, format: *const vs_format) -> c_int {
    call(|| {
        // SAFETY: the header wants a publisher and a format.
        let (publisher, format) = unsafe { (object(publisher, "publisher")?, read(format)?) };
        publisher.publisher.write().unwrap_or_else(PoisonError::into_inner).set_format(format)?;
        Ok(VS_OK)
    })
}

/// What it has counted, as of now.
///
/// Errors: `VS_ERROR_ENDED`, `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_get_counters(
    publisher: *mut vs_publisher,
    counters: *mut vs_publisher_counters,
) -> c_int {
    call(|| {
        room(counters, "counters")?;
        // SAFETY: the header wants a publisher.
        let now = unsafe { object(publisher, "publisher") }?.read().snapshot()?;
        let seen = vs_publisher_counters {
            published: now.published,
            delivered: now.delivered,
            skipped: now.skipped.total(),
            revoked: now.revoked.total(),
            clients: u32::try_from(now.clients.len()).unwrap_or(u32::MAX),
            held: u32::try_from(now.held).unwrap_or(u32::MAX),
        };
        // SAFETY: the header wants room for the counters.
        unsafe { put(counters, seen) };
        Ok(VS_OK)
    })
}

/// Path of the socket; NULL for NULL. The publisher's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_publisher_path(publisher: *const vs_publisher) -> *const c_char {
    // SAFETY: the header wants NULL or a publisher.
    call_or(std::ptr::null(), || Ok(unsafe { object(publisher, "publisher") }?.path.as_ptr()))
}
