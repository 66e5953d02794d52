// SPDX-License-Identifier: Apache-2.0
//! A client of one stream.

use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vsclient::{Client, Mode, Session, SkipReason};

use crate::argument::{enter, object, place, put, room, text, timeout};
use crate::client_options::{duration, vs_client_options};
use crate::dispatch::Dispatch;
use crate::error::{Outcome, VS_OK, call, call_or};
use crate::event::{Told, c_text, state, vs_event};
use crate::format::{FormatCache, SharedFormat, vs_format};
use crate::frame::{frame_place, lease, vs_frame, vs_frame_unref};

/// Reasons for which a host does not send a frame to a client: index of `vs_counters.skipped`.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum vs_skip_reason {
    /// It held as many frames as it may.
    NoCredit = 0,
    /// It did not read fast enough.
    NotReading = 1,
    /// All clients together held as many frames as the source can spare.
    Pool = 2,
    /// Frames were scarce, and it or its user held more than its share.
    Share = 3,
}

const _: () = {
    assert!(SkipReason::ALL.len() <= VS_SKIP_REASONS && vs_skip_reason::Share as u32 == SkipReason::Share.code());
    assert!(vs_skip_reason::NoCredit as u32 == SkipReason::NoCredit.code());
    assert!(vs_skip_reason::NotReading as u32 == SkipReason::NotReading.code());
    assert!(vs_skip_reason::Pool as u32 == SkipReason::Pool.code());
};

/// Room in `vs_counters.skipped`, for reasons to come.
pub const VS_SKIP_REASONS: usize = 8;

/// What a client got and did not get since it was made, over all its connections. The library's: use
/// pointers, for it may grow at its end.
#[repr(C)]
#[derive(Default)]
pub struct vs_counters {
    /// Frames received.
    pub received: u64,
    /// Frames that the stream published between those received, and that did not come.
    pub lost: u64,
    /// Frames before which the source itself had lost something.
    pub source_gaps: u64,
    /// Frames that the host took back.
    pub revoked: u64,
    /// Connections made, the first included.
    pub connections: u64,
    /// Frames that the host did not send, for whatever reason.
    pub skipped_total: u64,
    /// The same by `enum vs_skip_reason`.
    pub skipped: [u64; VS_SKIP_REASONS],
}

/// What host and client have agreed upon. The library's: use pointers, for it may grow at its end.
#[repr(C)]
pub struct vs_session {
    /// Name of the stream; never NULL.
    pub stream: *const c_char,
    /// Number of this client at the host.
    pub client: u64,
    /// Changes whenever the host starts anew; serials belong to it.
    pub epoch: u64,
    /// Length of a lease in ns.
    pub lease_ns: u64,
    /// The longest this client may hold one frame in ns, renewals included.
    pub lease_max_ns: u64,
    /// How long a frame stays untouched without a lease, in ns.
    pub lifespan_ns: u64,
    /// Frames that this client may hold at once.
    pub credits: u32,
    /// `enum vs_mode`.
    pub mode: c_int,
}

/// A client of one stream. One thread at a time may use it; a second one gets `VS_ERROR_BUSY`. Its frames
/// may be used by any thread.
pub struct vs_client(Mutex<State>);

struct State {
    client: Client,
    dispatch: Option<Dispatch>,
    formats: FormatCache,
    /// What was given out by pointer, until the next call.
    event: Option<Box<Told>>,
    format: Option<Arc<SharedFormat>>,
    counters: Box<vs_counters>,
    session: Option<Box<Agreed>>,
    text: CString,
}

struct Agreed {
    seen: vs_session,
    _stream: CString,
}

// SAFETY: the pointer in it is to its own text.
unsafe impl Send for Agreed {}

const fn any_thread<T: Send + Sync>() {}
const _: () = any_thread::<vs_client>();

impl State {
    fn new(client: Client) -> Self {
        Self {
            client,
            dispatch: None,
            formats: FormatCache::default(),
            event: None,
            format: None,
            counters: Box::default(),
            session: None,
            text: CString::default(),
        }
    }

    /// Lets the client work, and sees to it that its descriptor tells what it waits for then.
    fn work<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        // A frame in it is given up before another one is waited for.
        self.event = None;
        let done = work(self);
        match &mut self.dispatch {
            Some(dispatch) => dispatch.update(&self.client).and(done),
            None => done,
        }
    }

    fn next_event(&mut self, timeout: Option<Duration>) -> Outcome<Option<*const vs_event>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut left = timeout;
        loop {
            let Some(event) = self.client.next_event(left)? else { return Ok(None) };
            if let Some(told) = Told::new(event, &mut self.formats) {
                return Ok(Some(self.event.insert(told).as_ptr()));
            }
            left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// Enters a client.
///
/// # Safety
/// It is NULL or a client.
unsafe fn with(client: *mut vs_client, work: impl FnOnce(&mut State) -> Outcome) -> Outcome {
    // SAFETY: as the caller says.
    let client = unsafe { object(client, "client") }?;
    work(&mut *enter(&client.0, "client")?)
}

/// Connects to a stream: its name, or the path of its socket (anything with a `/`). `options` may be
/// NULL and are not kept. Close the client with `vs_client_close()`.
///
/// Errors: `VS_ERROR_NOT_FOUND` if there is no such stream, `VS_ERROR_NOT_RUNNING` if nobody publishes it any
/// more, `VS_ERROR_DENIED`, `VS_ERROR_REFUSED`, `VS_ERROR_PROTOCOL`, `VS_ERROR_TIMEOUT`, `VS_ERROR_SYSTEM`. `*client`
/// is NULL then. Any thread may call it.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_open(
    stream: *const c_char,
    options: *const vs_client_options,
    client: *mut *mut vs_client,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a text, NULL or options, and room for a pointer.
        let (place, stream) = unsafe { (place(client, "client")?, text(stream, "stream")?) };
        let default = vs_client_options::default();
        // SAFETY: as above.
        let options = unsafe { options.as_ref() }.unwrap_or(&default);
        let builder = options.builder(stream);
        let client = if options.wait { builder.connect_or_wait()? } else { builder.connect()? };
        *place = Box::into_raw(Box::new(vs_client(Mutex::new(State::new(client)))));
        Ok(VS_OK)
    })
}

/// Ends the connection and frees the client. Its frames can no longer be read; they are still to be
/// given up. NULL does nothing. No thread may be in the client, or enter it later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_close(client: *mut vs_client) {
    call(|| {
        if !client.is_null() {
            // SAFETY: it is a box that `vs_client_open` gave away.
            drop(unsafe { Box::from_raw(client) });
        }
        Ok(VS_OK)
    });
}

/// Waits for the next frame, at most for `timeout_ns`: 0 does not wait, `VS_FOREVER` waits for ever. Other
/// events are taken note of and not told. The frame is the caller's: give it up with `vs_frame_unref()`.
///
/// Returns 1 with a frame, and 0 with NULL if the time has passed. While a lost connection is being made
/// again a call may take 100 ms more.
///
/// Errors: those of `vs_client_open()` and `VS_ERROR_DISCONNECTED` if no more can come: the client has ended,
/// and every further call gives `VS_ERROR_ENDED`.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_next_frame(
    client: *mut vs_client,
    timeout_ns: i64,
    frame: *mut *mut vs_frame,
) -> c_int {
    // SAFETY: the header wants a client, and room for a pointer.
    call(|| unsafe { take(client, frame, |client| Ok(client.next_frame(timeout(timeout_ns))?)) })
}

/// The newest frame there is: those that wait are passed over, and if none waits, the next one is waited
/// for. Otherwise as `vs_client_next_frame()`.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_newest(client: *mut vs_client, timeout_ns: i64, frame: *mut *mut vs_frame) -> c_int {
    // SAFETY: the header wants a client, and room for a pointer.
    call(|| unsafe { take(client, frame, |client| Ok(client.newest(timeout(timeout_ns))?)) })
}

/// Takes a frame.
///
/// # Safety
/// `client` is NULL or a client, `frame` NULL or room for a pointer.
unsafe fn take(
    client: *mut vs_client,
    frame: *mut *mut vs_frame,
    next: impl FnOnce(&mut Client) -> Outcome<Option<vsclient::Frame>>,
) -> Outcome {
    // SAFETY: as the caller says.
    let place = unsafe { frame_place(frame) }?;
    let work = |state: &mut State| {
        state.work(|state| {
            let Some(frame) = next(&mut state.client)? else { return Ok(0) };
            let format = state.formats.get(frame.format());
            *place = vs_frame::of_stream(frame, format);
            Ok(1)
        })
    };
    // SAFETY: as the caller says.
    let done = unsafe { with(client, work) };
    if done.is_err() {
        // The frame was there, and then the descriptor could not be kept up to date.
        // SAFETY: it is NULL, or was given away a moment ago, to nobody yet.
        unsafe { vs_frame_unref(*frame) };
        // SAFETY: there is room for a pointer.
        unsafe { put(frame, std::ptr::null_mut()) };
    }
    done
}

/// Waits for the next thing that happens, at most for `timeout_ns`: 0 does not wait, `VS_FOREVER` waits for
/// ever. A client's first events are `VS_EVENT_TYPE_CONNECTED` and `VS_EVENT_TYPE_STATE`. The event, with the frame and all
/// else in it, is the client's and good until its next call.
///
/// Returns 1 with an event, and 0 with NULL if the time has passed. Errors are those of
/// `vs_client_next_frame()`.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_next_event(
    client: *mut vs_client,
    timeout_ns: i64,
    event: *mut *const vs_event,
) -> c_int {
    call(|| {
        room(event, "event")?;
        // SAFETY: there is room for a pointer.
        unsafe { put(event, std::ptr::null()) };
        let work = |state: &mut State| {
            state.work(|state| {
                let Some(told) = state.next_event(timeout(timeout_ns))? else { return Ok(0) };
                // SAFETY: as above.
                unsafe { put(event, told) };
                Ok(1)
            })
        };
        // SAFETY: the header wants a client.
        let done = unsafe { with(client, work) };
        if done.is_err() {
            // SAFETY: there is room for a pointer.
            unsafe { put(event, std::ptr::null()) };
        }
        done
    })
}

/// The descriptor for event loops, one for the client's whole life, whatever becomes of the connection:
/// when it is readable, call `vs_client_next_event()`, or `vs_client_next_frame()`, with a timeout of 0 until
/// it gives 0. It is the client's: not to be read or closed. It may be readable although there is
/// nothing, and stays readable when the client has ended.
///
/// Errors: a negative `enum vs_error`: `VS_ERROR_SYSTEM` if there are no descriptors left.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_fd(client: *mut vs_client) -> c_int {
    let work = |state: &mut State| {
        let dispatch = match &mut state.dispatch {
            Some(dispatch) => dispatch,
            none => none.insert(Dispatch::new()?),
        };
        dispatch.update(&state.client)?;
        Ok(dispatch.fd())
    };
    // SAFETY: the header wants a client.
    call(|| unsafe { with(client, work) })
}

/// Locks a frame, or prolongs its lease, and waits for the answer, at most for `timeout_ns`, which must
/// not be negative. `lease_ns` counts from now; the usual lease is asked for if it is not positive.
/// Whatever else happens meanwhile is told afterwards, in order.
///
/// Errors: `VS_ERROR_FULL` if the host has no frame to spare, `VS_ERROR_EXPIRED` if the frame is gone,
/// `VS_ERROR_TIMEOUT`, `VS_ERROR_BUSY`, `VS_ERROR_DISCONNECTED`, `VS_ERROR_ARGUMENT` for a frame of no stream; the frame
/// is as it was before.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_lock(
    client: *mut vs_client,
    frame: *mut vs_frame,
    lease_ns: i64,
    timeout_ns: i64,
) -> c_int {
    call(|| {
        // SAFETY: the header wants a frame.
        let frame = unsafe { object(frame, "frame") }?.received()?;
        let timeout = duration(timeout_ns, "the timeout")?;
        let work = |state: &mut State| {
            state.work(|state| {
                state.client.lock(frame, lease(lease_ns), timeout)?;
                Ok(VS_OK)
            })
        };
        // SAFETY: the header wants a client.
        unsafe { with(client, work) }
    })
}

/// Whether there is a connection: 1 or 0, or a negative `enum vs_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_is_connected(client: *mut vs_client) -> c_int {
    // SAFETY: the header wants a client.
    call(|| unsafe { with(client, |state| Ok(state.client.is_connected().into())) })
}

/// What the stream is doing, as of the last call: `enum vs_stream_state`, or a negative `enum vs_error`.
/// Without a connection it is waiting. Why is put at `text`, which may be NULL; it is the client's, and
/// good until the next call of this function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_state(client: *mut vs_client, text: *mut *const c_char) -> c_int {
    let work = |client: &mut State| {
        let status = client.client.state();
        client.text = c_text(&status.reason);
        // SAFETY: the header wants NULL or room for a pointer.
        unsafe { put(text, client.text.as_ptr()) };
        Ok(state(status.state))
    };
    // SAFETY: the header wants a client.
    call(|| unsafe { with(client, work) })
}

/// The format of the frames, as of the last call; NULL before the first one, and for NULL. The client's:
/// good until the next call of this function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_format(client: *mut vs_client) -> *const vs_format {
    given(client, |state| {
        let format = state.client.format()?;
        let format = state.formats.get(format);
        Some(state.format.insert(format).as_ptr())
    })
}

/// What was agreed upon with the host; NULL while there is no connection, and for NULL. The client's:
/// good until the next call of this function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_session(client: *mut vs_client) -> *const vs_session {
    given(client, |state| {
        let agreed = agreed(state.client.session()?);
        Some(&raw const state.session.insert(agreed).seen)
    })
}

/// What the client got and did not get. Never NULL, but for NULL, or if another thread is in the client.
/// The client's: good until the next call of this function, which writes to the same place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_counters(client: *mut vs_client) -> *const vs_counters {
    given(client, |state| {
        let counters = state.client.counters();
        let mut skipped = [0; VS_SKIP_REASONS];
        for (total, reason) in skipped.iter_mut().zip(SkipReason::ALL) {
            *total = counters.skipped(*reason);
        }
        *state.counters = vs_counters {
            received: counters.received,
            lost: counters.lost,
            source_gaps: counters.source_gaps,
            revoked: counters.revoked,
            connections: counters.connections,
            skipped_total: counters.skipped_total(),
            skipped,
        };
        Some(&raw const *state.counters)
    })
}

fn given<T>(client: *mut vs_client, give: impl FnOnce(&mut State) -> Option<*const T>) -> *const T {
    call_or(std::ptr::null(), || {
        let mut given = None;
        // SAFETY: the header wants NULL or a client.
        unsafe {
            with(client, |state| {
                given = give(state);
                Ok(VS_OK)
            })
        }?;
        Ok(given.unwrap_or(std::ptr::null()))
    })
}

/// How long frames took from their publication to this process: the time in ns, put at `latency_ns`, that
/// a fraction `quantile` of them (0.5: half of them) did not exceed. It is at most an eighth too high.
///
/// Returns 1, and 0 if there is none yet. Errors: `VS_ERROR_ARGUMENT`, `VS_ERROR_BUSY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_latency(client: *mut vs_client, quantile: f64, latency_ns: *mut u64) -> c_int {
    call(|| {
        room(latency_ns, "latency_ns")?;
        let work = |state: &mut State| {
            let Some(latency) = state.client.latency().quantile(quantile) else { return Ok(0) };
            // SAFETY: the header wants room for a number.
            unsafe { put(latency_ns, latency) };
            Ok(1)
        };
        // SAFETY: the header wants a client.
        unsafe { with(client, work) }
    })
}

/// Path of the stream's socket; NULL for NULL. The client's: good until the next call of
/// `vs_client_state()` or of this function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_path(client: *mut vs_client) -> *const c_char {
    given(client, |state| {
        state.text = CString::new(state.client.path().as_os_str().as_bytes()).unwrap_or_default();
        Some(state.text.as_ptr())
    })
}

fn agreed(session: &Session) -> Box<Agreed> {
    let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let stream = c_text(&session.stream);
    let seen = vs_session {
        stream: stream.as_ptr(),
        client: session.client,
        epoch: session.epoch,
        lease_ns: ns(session.lease),
        lease_max_ns: ns(session.lease_max),
        lifespan_ns: ns(session.lifespan),
        credits: session.credits.into(),
        mode: match session.mode {
            Mode::Leased => crate::client_options::vs_mode::Leased,
            Mode::Notify => crate::client_options::vs_mode::Notify,
        } as c_int,
    };
    Box::new(Agreed { seen, _stream: stream })
}
