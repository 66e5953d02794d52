// SPDX-License-Identifier: Apache-2.0
//! Encoders of the daemon.

use std::ffi::{c_char, c_int};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex};

use vsclient::FourCc;
use vsclient::codec::{Encoder, EncoderBuilder};
use vsclient::dbus::Bus;

use crate::argument::{enter, object, object_mut, place, put, room, text, timeout};
use crate::buffer::vs_buffer;
use crate::client_options::duration;
use crate::codec::{Described, Made, vs_codec_info, vs_output};
use crate::error::{Failure, Outcome, VS_OK, call, call_or};
use crate::format::{FormatCache, read, vs_format};
use crate::frame::vs_frame;

/// What is to be encoded, and how; what is not said is left to the daemon. Options belong to the program,
/// and one thread at a time may use them.
pub struct vs_encoder_options(EncoderBuilder);

/// An encoder of the daemon. Each frame that is submitted comes out once, done or lost, with the tag that
/// it was submitted with. One thread at a time may use it; a second one gets `VS_ERROR_BUSY`.
pub struct vs_encoder {
    state: Mutex<State>,
    info: Described,
}

struct State {
    encoder: Encoder,
    formats: FormatCache,
    output: Option<Box<Made>>,
}

const fn any_thread<T: Send + Sync>() {}
const _: () = any_thread::<vs_encoder>();

/// Enters an encoder.
///
/// # Safety
/// It is NULL or an encoder.
unsafe fn with(encoder: *mut vs_encoder, work: impl FnOnce(&mut State) -> Outcome) -> c_int {
    call(|| {
        // SAFETY: as the caller says.
        let encoder = unsafe { object(encoder, "encoder") }?;
        work(&mut *enter(&encoder.state, "encoder")?)
    })
}

fn set(options: *mut vs_encoder_options, set: impl FnOnce(EncoderBuilder) -> Outcome<EncoderBuilder>) -> c_int {
    call(|| {
        // SAFETY: the header wants options that nobody else uses.
        let options = unsafe { object_mut(options, "options") }?;
        options.0 = set(options.0.clone())?;
        Ok(VS_OK)
    })
}

/// The default options. Free them with `vs_encoder_options_free()`. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn vs_encoder_options_new() -> *mut vs_encoder_options {
    Box::into_raw(Box::new(vs_encoder_options(EncoderBuilder::default())))
}

/// Frees options. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_free(options: *mut vs_encoder_options) {
    if !options.is_null() {
        // SAFETY: it is a box that `vs_encoder_options_new` gave away.
        drop(unsafe { Box::from_raw(options) });
    }
}

/// The codec: `VS_FOURCC_H264`, which it is unless it is said, or `VS_FOURCC_HEVC`.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_codec(options: *mut vs_encoder_options, codec: u32) -> c_int {
    set(options, |builder| Ok(builder.codec(FourCc::from_u32(codec))))
}

/// So many bits per second on average.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_bitrate(options: *mut vs_encoder_options, bits: u64) -> c_int {
    set(options, |builder| Ok(builder.bitrate(bits)))
}

/// So many bits per second, as near as possible at each moment.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_constant_bitrate(options: *mut vs_encoder_options, bits: u64) -> c_int {
    set(options, |builder| Ok(builder.constant_bitrate(bits)))
}

/// The same quality always, from 1 (smallest) to 100 (best).
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_quality(options: *mut vs_encoder_options, quality: u32) -> c_int {
    set(options, |builder| {
        if !(1..=100).contains(&quality) {
            return Err(Failure::argument(format!("a quality is from 1 to 100, not {quality}")));
        }
        Ok(builder.quality(quality))
    })
}

/// How far keyframes are apart at most, in ns; 0 makes every picture one.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_keyframe_interval(
    options: *mut vs_encoder_options,
    interval_ns: i64,
) -> c_int {
    set(options, |builder| Ok(builder.keyframe_interval(duration(interval_ns, "the interval")?)))
}

/// The profile: "baseline", "main" or "high". The text is copied.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is NULL or not UTF-8; what it means is looked at by the daemon.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_profile(
    options: *mut vs_encoder_options,
    profile: *const c_char,
) -> c_int {
    // SAFETY: the header wants a text.
    set(options, |builder| Ok(builder.profile(unsafe { text(profile, "profile") }?)))
}

/// The level, such as "4.1". The text is copied.
///
/// Errors: as of `vs_encoder_options_set_profile()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_level(options: *mut vs_encoder_options, level: *const c_char) -> c_int {
    // SAFETY: the header wants a text.
    set(options, |builder| Ok(builder.level(unsafe { text(level, "level") }?)))
}

/// Who encodes: "auto", "v4l2" (hardware) or "software". The text is copied.
///
/// Errors: as of `vs_encoder_options_set_profile()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_backend(
    options: *mut vs_encoder_options,
    backend: *const c_char,
) -> c_int {
    // SAFETY: the header wants a text.
    set(options, |builder| Ok(builder.backend(unsafe { text(backend, "backend") }?)))
}

/// How many pictures may be submitted and not come back, and how many access units the program may have
/// in hand: 1 to 32 each, 8 unless it is said.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_frames(
    options: *mut vs_encoder_options,
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
pub unsafe extern "C" fn vs_encoder_options_set_bus(options: *mut vs_encoder_options, bus: *const c_char) -> c_int {
    // SAFETY: the header wants a text.
    set(options, |builder| Ok(builder.bus(unsafe { text(bus, "bus") }?.parse::<Bus>()?)))
}

/// How long `vs_encoder_submit()` and `vs_encoder_buffer()` wait for room, in ns, or `VS_FOREVER`. 10 s by default.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_options_set_timeout(options: *mut vs_encoder_options, timeout_ns: i64) -> c_int {
    set(options, |builder| Ok(builder.timeout(timeout(timeout_ns))))
}

/// Asks the daemon for an encoder for pictures of this format, and waits for it. `options` may be NULL.
/// Neither is kept. Close the encoder with `vs_encoder_close()`.
///
/// Errors: `VS_ERROR_NOT_RUNNING` if there is no daemon, `VS_ERROR_BUSY` if there are as many sessions as may be,
/// `VS_ERROR_FORMAT` if there is no encoder for that, `VS_ERROR_DENIED`, `VS_ERROR_ARGUMENT`, `VS_ERROR_SYSTEM`,
/// `VS_ERROR_TIMEOUT`. `*encoder` is NULL then. Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_open(
    format: *const vs_format,
    options: *const vs_encoder_options,
    encoder: *mut *mut vs_encoder,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a format, NULL or options, and room for a pointer.
        let (place, format) = unsafe { (place(encoder, "encoder")?, read(format)?) };
        // SAFETY: as above.
        let builder = unsafe { options.as_ref() }.map_or_else(EncoderBuilder::default, |options| options.0.clone());
        let encoder = builder.open(&format)?;
        let info = encoder.info();
        let (credits, rate) = ((info.inputs, info.outputs), (info.bitrate, info.keyframe_interval));
        let info = Described::new(&info.name, &info.backend, &info.reason, credits, rate);
        let state = Mutex::new(State { encoder, formats: FormatCache::default(), output: None });
        *place = Box::into_raw(Box::new(vs_encoder { state, info }));
        Ok(VS_OK)
    })
}

/// Closes the session at once and frees the encoder; what is still inside is lost: `vs_encoder_drain()` before.
/// Access units in hand stay good. NULL does nothing. No thread may be in it, or enter it later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_close(encoder: *mut vs_encoder) {
    call(|| {
        if !encoder.is_null() {
            // SAFETY: it is a box that `vs_encoder_open` gave away.
            drop(unsafe { Box::from_raw(encoder) });
        }
        Ok(VS_OK)
    });
}

/// Which encoder it was when it was opened; NULL for NULL. The encoder's, and as long as it. Any thread may
/// call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_info(encoder: *const vs_encoder) -> *const vs_codec_info {
    // SAFETY: the header wants NULL or an encoder.
    call_or(std::ptr::null(), || Ok(&raw const unsafe { object(encoder, "encoder") }?.info.seen))
}

/// A buffer for a picture of the format that the encoder was opened for, waiting until one comes back if
/// all are in use. Make a frame of it with `vs_buffer_finish()`.
///
/// Errors: `VS_ERROR_FULL` if none comes back in time, `VS_ERROR_MEMORY`, and those of `vs_encoder_receive()`.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_buffer(encoder: *mut vs_encoder, buffer: *mut *mut vs_buffer) -> c_int {
    let work = |state: &mut State| {
        // SAFETY: the header wants room for a pointer.
        let place = unsafe { place(buffer, "buffer") }?;
        let slot = state.encoder.buffer()?;
        let format = state.formats.get(&Arc::clone(slot.format()));
        *place = vs_buffer::give(slot, format)?;
        Ok(VS_OK)
    };
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, work) }
}

/// Submits a picture of any origin, without a copy; the caller may give it up at once. It comes out as one
/// access unit with this tag and the picture's times. Waits until the daemon can take it. A picture of
/// another size or pixel format than the one before makes the daemon open the encoder anew.
///
/// A frame of a stream counts against that client's credits until the session has brought it back, which
/// submitting and receiving do. Its lease may end meanwhile: hold it, and ask `vs_frame_check()` when it has
/// come out.
///
/// Errors: `VS_ERROR_FULL` if outputs must be received first, `VS_ERROR_TIMEOUT`, `VS_ERROR_FORMAT`, `VS_ERROR_REVOKED`,
/// `VS_ERROR_EXPIRED`, and those of `vs_encoder_receive()`; the picture was not submitted.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_submit(encoder: *mut vs_encoder, frame: *mut vs_frame, tag: u64) -> c_int {
    let work = |state: &mut State| {
        // SAFETY: the header wants a frame.
        let frame = unsafe { object(frame, "frame") }?.pass_on()?;
        state.encoder.submit(&frame, tag)?;
        Ok(VS_OK)
    };
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, work) }
}

/// As `vs_encoder_submit()`, without waiting: `VS_ERROR_FULL` if there is no credit at present.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_try_submit(encoder: *mut vs_encoder, frame: *mut vs_frame, tag: u64) -> c_int {
    let work = |state: &mut State| {
        // SAFETY: the header wants a frame.
        let frame = unsafe { object(frame, "frame") }?.pass_on()?;
        state.encoder.try_submit(&frame, tag)?;
        Ok(VS_OK)
    };
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, work) }
}

/// Waits for what comes out next, at most for `timeout_ns`: 0 does not wait, `VS_FOREVER` waits for ever. The
/// output, with the frame in it, is the encoder's and good until the next call of this function.
///
/// Returns 1 with an output, and 0 with NULL if the time has passed.
///
/// Errors: `VS_ERROR_REFUSED` or `VS_ERROR_DISCONNECTED` if the daemon has ended the session, `VS_ERROR_PROTOCOL`;
/// `VS_ERROR_ENDED` from then on.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_receive(
    encoder: *mut vs_encoder,
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
                0 => state.encoder.try_receive()?,
                ns => state.encoder.receive(timeout(ns))?,
            };
            let Some(received) = received else { return Ok(0) };
            if let Some(made) = Made::new(received, &mut state.formats) {
                // SAFETY: as above.
                unsafe { put(output, state.output.insert(made).as_ptr()) };
                return Ok(1);
            }
        }
    };
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, work) }
}

/// Asks for everything that is still inside; `VS_OUTPUT_TYPE_DRAINED` says that it was all. Further pictures may
/// be submitted at once.
///
/// Errors: `VS_ERROR_FULL` if too many requests have no answer yet, and those of `vs_encoder_receive()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_drain(encoder: *mut vs_encoder) -> c_int {
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, |state| Ok(state.encoder.drain().map(|()| VS_OK)?)) }
}

/// Forgets everything that was submitted and has not been received, drains included.
///
/// Errors: those of `vs_encoder_drain()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_flush(encoder: *mut vs_encoder) -> c_int {
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, |state| Ok(state.encoder.flush().map(|()| VS_OK)?)) }
}

/// Makes the next picture that is submitted a keyframe.
///
/// Errors: those of `vs_encoder_drain()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_force_keyframe(encoder: *mut vs_encoder) -> c_int {
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, |state| Ok(state.encoder.force_keyframe().map(|()| VS_OK)?)) }
}

/// Changes the bit rate, in bit/s, from the next picture that is submitted on. `VS_OUTPUT_TYPE_ADJUSTED` says
/// what came of it.
///
/// Errors: those of `vs_encoder_drain()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_set_bitrate(encoder: *mut vs_encoder, bits: u64) -> c_int {
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, |state| Ok(state.encoder.set_bitrate(bits).map(|()| VS_OK)?)) }
}

/// Changes how far keyframes are apart at most, in ns, from the next picture that is submitted on.
/// `VS_OUTPUT_TYPE_ADJUSTED` says what came of it.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is negative, and those of `vs_encoder_drain()`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_set_keyframe_interval(encoder: *mut vs_encoder, interval_ns: i64) -> c_int {
    let work = |state: &mut State| {
        state.encoder.set_keyframe_interval(duration(interval_ns, "the interval")?)?;
        Ok(VS_OK)
    };
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, work) }
}

/// Pictures that could be submitted now without waiting, or a negative `enum vs_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_credit(encoder: *mut vs_encoder) -> c_int {
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, |state| Ok(state.encoder.credit() as c_int)) }
}

/// Pictures that were submitted and have not come out, or a negative `enum vs_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_inside(encoder: *mut vs_encoder) -> c_int {
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, |state| Ok(state.encoder.inside() as c_int)) }
}

/// The descriptor for event loops: when it is readable, call `vs_encoder_receive()` with a timeout of 0 until it
/// gives 0; if `vs_encoder_wants_write()` gives 1, also when it is writable. It is the encoder's: not to be
/// read or closed. A negative `enum vs_error` for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_fd(encoder: *mut vs_encoder) -> c_int {
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, |state| Ok(state.encoder.as_fd().as_raw_fd())) }
}

/// Whether an event loop is to wait until the descriptor is writable, too: 1 or 0, or a negative
/// `enum vs_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_encoder_wants_write(encoder: *mut vs_encoder) -> c_int {
    // SAFETY: the header wants an encoder.
    unsafe { with(encoder, |state| Ok(state.encoder.wants_write().into())) }
}
