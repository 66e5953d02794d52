// SPDX-License-Identifier: Apache-2.0
//! What a client may be told before it connects.

use std::ffi::{c_char, c_int};
use std::path::PathBuf;
use std::time::Duration;

use vsclient::{Backoff, Client, ClientBuilder, Mode};

use crate::argument::{object_mut, path, text, timeout};
use crate::error::{Failure, Outcome, VS_OK, call};

/// How frames are delivered.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum vs_mode {
    /// Each frame is this client's until it is given up, or its lease ends. The default.
    Leased = 0,
    /// A frame may be read for the stream's lifespan after it was published; a lock keeps it longer.
    Notify = 1,
}

const _: () = assert!(vs_mode::Leased as u8 == Mode::Leased.code() && vs_mode::Notify as u8 == Mode::Notify.code());

/// Options of a client. They belong to the program, and one thread at a time may use them; the same
/// may be used for several clients.
pub struct vs_client_options {
    mode: Mode,
    credits: u16,
    lease: Option<Duration>,
    name: Option<String>,
    socket_dir: Option<PathBuf>,
    timeout: Option<Duration>,
    reconnect: Option<Backoff>,
    pub(crate) wait: bool,
}

impl Default for vs_client_options {
    fn default() -> Self {
        Self {
            mode: Mode::Leased,
            credits: 0,
            lease: None,
            name: None,
            socket_dir: None,
            timeout: None,
            reconnect: Some(Backoff::default()),
            wait: false,
        }
    }
}

impl vs_client_options {
    pub(crate) fn builder(&self, stream: &str) -> ClientBuilder {
        let mut builder = Client::builder(stream).mode(self.mode).credits(self.credits);
        if let Some(lease) = self.lease {
            builder = builder.lease(lease);
        }
        if let Some(name) = &self.name {
            builder = builder.name(name);
        }
        if let Some(dir) = &self.socket_dir {
            builder = builder.socket_dir(dir);
        }
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        match self.reconnect {
            Some(backoff) => builder.reconnect(backoff),
            None => builder.no_reconnect(),
        }
    }
}

fn set(options: *mut vs_client_options, set: impl FnOnce(&mut vs_client_options) -> Outcome<()>) -> c_int {
    call(|| {
        // SAFETY: the header wants options that nobody else uses.
        set(unsafe { object_mut(options, "options") }?)?;
        Ok(VS_OK)
    })
}

/// A duration that must be one.
pub(crate) fn duration(ns: i64, what: &str) -> Outcome<Duration> {
    timeout(ns).ok_or_else(|| Failure::argument(format!("{what} is negative: {ns} ns")))
}

/// The default options. Free them with `vs_client_options_free()`. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn vs_client_options_new() -> *mut vs_client_options {
    Box::into_raw(Box::default())
}

/// Frees options. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_free(options: *mut vs_client_options) {
    if !options.is_null() {
        // SAFETY: it is a box that `vs_client_options_new` gave away.
        drop(unsafe { Box::from_raw(options) });
    }
}

/// How frames are delivered: one of `enum vs_mode`.
///
/// Errors: `VS_ERROR_ARGUMENT` for anything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_set_mode(options: *mut vs_client_options, mode: c_int) -> c_int {
    set(options, |options| {
        let known = u8::try_from(mode).ok().and_then(Mode::from_code);
        options.mode = known.ok_or_else(|| Failure::argument(format!("{mode} is no mode")))?;
        Ok(())
    })
}

/// How many frames the program wants to hold at once; the host may allow fewer. 0, the default, leaves
/// it to the host. With all of them in hand no frame comes until one is given up, and then the newest.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_set_credits(options: *mut vs_client_options, credits: u16) -> c_int {
    set(options, |options| {
        options.credits = credits;
        Ok(())
    })
}

/// How long the program wants to hold a frame, in ns; the host may allow less, and decides by default.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_set_lease(options: *mut vs_client_options, lease_ns: i64) -> c_int {
    set(options, |options| {
        options.lease = Some(duration(lease_ns, "the lease")?);
        Ok(())
    })
}

/// The name under which the host's statistics show this client; that of the program by default. It is
/// copied; 64 bytes at most, the rest is cut.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is NULL or not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_set_name(options: *mut vs_client_options, name: *const c_char) -> c_int {
    set(options, |options| {
        // SAFETY: the header wants a text.
        options.name = Some(unsafe { text(name, "name") }?.to_owned());
        Ok(())
    })
}

/// The directory of the sockets, which is copied; counts more than the environment variable
/// `VIDEOSTREAM_DIR`, which counts more than `/run/videostream`.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_set_socket_dir(
    options: *mut vs_client_options,
    dir: *const c_char,
) -> c_int {
    set(options, |options| {
        // SAFETY: the header wants a text.
        options.socket_dir = Some(unsafe { path(dir, "dir") }?);
        Ok(())
    })
}

/// How long an attempt to connect may take, and how long the host may take to answer, in ns. 5 s by
/// default.
///
/// Errors: `VS_ERROR_ARGUMENT` if it is negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_set_timeout(options: *mut vs_client_options, timeout_ns: i64) -> c_int {
    set(options, |options| {
        options.timeout = Some(duration(timeout_ns, "the timeout")?);
        Ok(())
    })
}

/// How a lost connection is made again: after `first_ns` at most, and after twice as long each time, up
/// to `max_ns`. 100 ms and 5 s by default; less than 20 ms counts as 20 ms. A negative `first_ns` makes a
/// lost connection an error, and the end of the client.
///
/// Errors: `VS_ERROR_ARGUMENT` if only `max_ns` is negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_set_reconnect(
    options: *mut vs_client_options,
    first_ns: i64,
    max_ns: i64,
) -> c_int {
    set(options, |options| {
        options.reconnect = match timeout(first_ns) {
            Some(first) => Some(Backoff::new(first, duration(max_ns, "max_ns")?)),
            None => None,
        };
        Ok(())
    })
}

/// Whether the stream need not be there yet: `vs_client_open()` then succeeds at once, and the stream is
/// waited for as after a lost connection. `false` by default.
///
/// Errors: `VS_ERROR_ARGUMENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vs_client_options_set_wait(options: *mut vs_client_options, wait: bool) -> c_int {
    set(options, |options| {
        options.wait = wait;
        Ok(())
    })
}
