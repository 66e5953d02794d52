// SPDX-License-Identifier: Apache-2.0
//! Decoders of the daemon.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Mutex;

use vsclient::codec::{Decoder, DecoderBuilder};
use vsclient::dbus::Bus;
use vsclient::{FourCc, FrameFlags, FrameMeta};

use crate::argument::{enter, object, object_mut, place, put, room, slice, text, timeout};
use crate::codec::{Described, Made, vs_codec_info, vs_output};
use crate::error::{Outcome, VS_OK, call, call_or};
use crate::format::FormatCache;
use crate::frame::{VS_NO_TIME, vs_frame};

/// What is to be decoded; what is not said is left to the daemon. Options belong to the program, and one
/// thread at a time may use them.
pub struct vs_decoder_options(DecoderBuilder);

/// A decoder of the daemon. Each frame that is submitted comes out once, done or lost, with the tag that
/// it was submitted with. One thread at a time may use it; a second one gets `VS_ERROR_BUSY`.
pub struct vs_decoder {
    state: Mutex<State>,
    info: Described,
}

struct State {
    decoder: Decoder,
    formats: FormatCache,
    output: Option<Box<Made>>,
}

const fn any_thread<T: Send + Sync>() {}
const _: () = any_thread::<vs_decoder>();

/// Enters a decoder.
///
/// # Safety
/// It is NULL or a decoder.
unsafe fn with(decoder: *mut vs_decoder, work: impl FnOnce(&mut State) -> Outcome) -> c_int {
    call(|| {
        // SAFETY: as the caller says.
        let decoder = unsafe { object(decoder, "decoder") }?;
        work(&mut *enter(&decoder.state, "decoder")?)
    })
}

fn set(options: *mut vs_decoder_options, set: impl FnOnce(DecoderBuilder) -> Outcome<DecoderBuilder>) -> c_int {
    call(|| {
        // SAFETY: the header wants options that nobody else uses.
        let options = unsafe { object_mut(options, "options") }?;
        options.0 = set(options.0.clone())?;
        Ok(VS_OK)
    })
}

/// The default options. Free them with `vs_decoder_options_free()`. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn vs_decoder_options_new() -> *mut vs_decoder_options {
    Box::into_raw(Box::new(vs_decoder_options(DecoderBuilder::default())))
}

/// Frees options. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_options_free(options: *mut vs_decoder_options) {
    if !options.is_null() {
        // SAFETY: it is a box that `vs_decoder_options_new` gave away.
        drop(unsafe { Box::from_raw(options) });
    }
}

/// The codec: `VS_FOURCC_H264`, which it is unless it is said, or whatever the daemon decodes.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_options_set_codec(options: *mut vs_decoder_options, codec: u32) -> c_int {
    set(options, |builder| Ok(builder.codec(FourCc::from_u32(codec))))
}

/// The size of the pictures in pixels, if it is known; the access units have the last word.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_options_set_size(
    options: *mut vs_decoder_options,
    width: u32,
    height: u32,
) -> c_int {
    set(options, |builder| Ok(builder.size(width, height)))
}

/// `count` pixel formats from the most wanted to the least, which are copied. A decoder that has none of
/// them gives its own.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_options_set_formats(
    options: *mut vs_decoder_options,
    fourccs: *const u32,
    count: usize,
) -> c_int {
    set(options, |builder| {
        // SAFETY: the header wants so many numbers.
        let fourccs = unsafe { slice(fourccs, count, "fourccs") }?;
        let formats: Vec<_> = fourccs.iter().copied().map(FourCc::from_u32).collect();
        Ok(builder.formats(&formats))
    })
}

/// Who decodes: "auto", "v4l2" (hardware) or "software". The text is copied.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is NULL or not UTF-8; what it means is looked at by the daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_options_set_backend(
    options: *mut vs_decoder_options,
    backend: *const c_char,
) -> c_int {
    // SAFETY: the header wants a text.
    set(options, |builder| Ok(builder.backend(unsafe { text(backend, "backend") }?)))
}

/// How many access units may be submitted and not come back, and how many pictures the program may have
/// in hand: 1 to 32 each, 8 unless it is said.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_options_set_frames(
    options: *mut vs_decoder_options,
    inputs: u32,
    outputs: u32,
) -> c_int {
    set(options, |builder| Ok(builder.frames(inputs, outputs)))
}

/// The bus on which the daemon is: "system", "session" or an address; by default the one that the environment
/// variable `VIDEOSTREAM_BUS` names, or the system bus.
///
/// Errors: `VS_ERROR_ARGUMENT` for anything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_options_set_bus(options: *mut vs_decoder_options, bus: *const c_char) -> c_int {
    // SAFETY: the header wants a text.
    set(options, |builder| Ok(builder.bus(unsafe { text(bus, "bus") }?.parse::<Bus>()?)))
}

/// How long `vs_decoder_submit()` waits for room, in ns, or `VS_FOREVER`. 10 s by default.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_options_set_timeout(options: *mut vs_decoder_options, timeout_ns: i64) -> c_int {
    set(options, |builder| Ok(builder.timeout(timeout(timeout_ns))))
}

/// Asks the daemon for a decoder, and waits for it. `options` may be NULL, and are not kept. Close the decoder with `vs_decoder_close()`.
///
/// Errors: `VS_ERROR_NOT_RUNNING` if there is no daemon, `VS_ERROR_BUSY` if there are as many sessions as may be,
/// `VS_ERROR_FORMAT` if there is no decoder for that, `VS_ERROR_DENIED`, `VS_ERROR_ARGUMENT`, `VS_ERROR_SYSTEM`,
/// `VS_ERROR_TIMEOUT`. `*decoder` is NULL then. Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_open(options: *const vs_decoder_options, decoder: *mut *mut vs_decoder) -> c_int {
    call(|| {
        // SAFETY: the header wants NULL or options, and room for a pointer.
        let place = unsafe { place(decoder, "decoder") }?;
        // SAFETY: as above.
        let builder = unsafe { options.as_ref() }.map_or_else(DecoderBuilder::default, |options| options.0.clone());
        let decoder = builder.open()?;
        let info = decoder.info();
        let credits = (info.inputs, info.outputs);
        let info = Described::new(&info.name, &info.backend, &info.reason, credits, (0, 0));
        let state = Mutex::new(State { decoder, formats: FormatCache::default(), output: None });
        *place = Box::into_raw(Box::new(vs_decoder { state, info }));
        Ok(VS_OK)
    })
}

/// Closes the session at once and frees the decoder; what is still inside is lost: `vs_decoder_drain()` before.
/// Pictures in hand stay good. NULL does nothing. No thread may be in it, or enter it later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_close(decoder: *mut vs_decoder) {
    call(|| {
        if !decoder.is_null() {
            // SAFETY: it is a box that `vs_decoder_open` gave away.
            drop(unsafe { Box::from_raw(decoder) });
        }
        Ok(VS_OK)
    });
}

/// Which decoder it was when it was opened; NULL for NULL. The decoder's, and as long as it. Any thread may
/// call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_info(decoder: *const vs_decoder) -> *const vs_codec_info {
    // SAFETY: the header wants NULL or a decoder.
    call_or(std::ptr::null(), || Ok(&raw const unsafe { object(decoder, "decoder") }?.info.seen))
}

/// Submits an access unit that is a frame already, of a coded stream or an encoder, without a copy; the
/// caller may give it up at once. Units come in decoding order, with parameter sets in front of keyframes.
/// Each comes out as one picture with this tag and its times, or is lost; pictures come in the order in
/// which they are to be shown, each in its own format. Waits until the daemon can take it.
///
/// A frame of a stream counts against that client's credits until the session has brought it back, which
/// submitting and receiving do. Its lease may end meanwhile: hold it, and ask `vs_frame_check()` when it has
/// come out.
///
/// Errors: `VS_ERROR_FULL` if outputs must be received first, `VS_ERROR_TIMEOUT`, `VS_ERROR_FORMAT`, `VS_ERROR_REVOKED`,
/// `VS_ERROR_EXPIRED`, and those of `vs_decoder_receive()`; the access unit was not submitted.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_submit(decoder: *mut vs_decoder, frame: *mut vs_frame, tag: u64) -> c_int {
    let work = |state: &mut State| {
        // SAFETY: the header wants a frame.
        let frame = unsafe { object(frame, "frame") }?.pass_on()?;
        state.decoder.submit(&frame, tag)?;
        Ok(VS_OK)
    };
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, work) }
}

/// As `vs_decoder_submit()`, without waiting: `VS_ERROR_FULL` if there is no credit at present.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_try_submit(decoder: *mut vs_decoder, frame: *mut vs_frame, tag: u64) -> c_int {
    let work = |state: &mut State| {
        // SAFETY: the header wants a frame.
        let frame = unsafe { object(frame, "frame") }?.pass_on()?;
        state.decoder.try_submit(&frame, tag)?;
        Ok(VS_OK)
    };
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, work) }
}

/// Submits an access unit of `size` bytes that lies in ordinary memory, by copying it. `pts` and `dts` are in
/// ns, or `VS_NO_TIME`; `flags` is `VS_FRAME_KEYFRAME` or 0. Otherwise as `vs_decoder_submit()`.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is too long, and those of `vs_decoder_submit()`.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_submit_bytes(
    decoder: *mut vs_decoder,
    data: *const u8,
    size: usize,
    pts: i64,
    dts: i64,
    flags: u32,
    tag: u64,
) -> c_int {
    let work = |state: &mut State| {
        // SAFETY: the header wants so many bytes.
        let unit = unsafe { slice(data, size, "data") }?;
        let known = |ns: i64| Some(ns).filter(|ns| *ns != VS_NO_TIME);
        let flags = FrameFlags::from_bits_retain(flags);
        let meta = FrameMeta { pts: known(pts), dts: known(dts), flags, ..FrameMeta::default() };
        state.decoder.submit_unit(unit, meta, tag)?;
        Ok(VS_OK)
    };
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, work) }
}

/// Waits for what comes out next, at most for `timeout_ns`: 0 does not wait, `VS_FOREVER` waits for ever. The
/// output, with the frame in it, is the decoder's and good until the next call of this function.
///
/// Returns 1 with an output, and 0 with NULL if the time has passed.
///
/// Errors: `VS_ERROR_REFUSED` or `VS_ERROR_DISCONNECTED` if the daemon has ended the session, `VS_ERROR_PROTOCOL`;
/// `VS_ERROR_ENDED` from then on.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_receive(
    decoder: *mut vs_decoder,
    timeout_ns: i64,
    output: *mut *const vs_output,
) -> c_int {
    let work = |state: &mut State| {
        room(output, "output")?;
        // SAFETY: there is room for a pointer.
        unsafe { put(output, std::ptr::null()) };
        state.output = None;
        loop {
            let received = match timeout_ns {
                0 => state.decoder.try_receive()?,
                ns => state.decoder.receive(timeout(ns))?,
            };
            let Some(received) = received else { return Ok(0) };
            if let Some(made) = Made::new(received, &mut state.formats) {
                // SAFETY: as above.
                unsafe { put(output, state.output.insert(made).as_ptr()) };
                return Ok(1);
            }
        }
    };
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, work) }
}

/// Asks for everything that is still inside; `VS_OUTPUT_TYPE_DRAINED` says that it was all. Further access units
/// may be submitted at once, beginning with a keyframe.
///
/// Errors: `VS_ERROR_FULL` if too many requests have no answer yet, and those of `vs_decoder_receive()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_drain(decoder: *mut vs_decoder) -> c_int {
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, |state| Ok(state.decoder.drain().map(|()| VS_OK)?)) }
}

/// Forgets everything that was submitted and has not been received, drains included: a seek. What comes
/// next must begin with a keyframe.
///
/// Errors: those of `vs_decoder_drain()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_flush(decoder: *mut vs_decoder) -> c_int {
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, |state| Ok(state.decoder.flush().map(|()| VS_OK)?)) }
}

/// Access units that could be submitted now without waiting, or a negative `enum vs_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_credit(decoder: *mut vs_decoder) -> c_int {
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, |state| Ok(state.decoder.credit() as c_int)) }
}

/// Access units that were submitted and have not come out, or a negative `enum vs_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_inside(decoder: *mut vs_decoder) -> c_int {
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, |state| Ok(state.decoder.inside() as c_int)) }
}

/// The descriptor for event loops: when it is readable, call `vs_decoder_receive()` with a timeout of 0 until it
/// gives 0; if `vs_decoder_wants_write()` gives 1, also when it is writable. It is the decoder's: not to be
/// read or closed. A negative `enum vs_error` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_fd(decoder: *mut vs_decoder) -> c_int {
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, |state| Ok(state.decoder.as_fd().as_raw_fd())) }
}

/// Whether an event loop is to wait until the descriptor is writable, too: 1 or 0, or a negative
/// `enum vs_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_decoder_wants_write(decoder: *mut vs_decoder) -> c_int {
    // SAFETY: the header wants a decoder.
    unsafe { with(decoder, |state| Ok(state.decoder.wants_write().into())) }
}
