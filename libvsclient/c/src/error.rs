// SPDX-License-Identifier: Apache-2.0
//! How a function says that it failed: a negative number, and a message for people.
//!
//! The message belongs to the thread, like `errno`: no function needs an argument for it, and no
//! program can forget to free one.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use vsclient::codec::{BufferError as CodecBufferError, EndedError, OpenError, RequestError, SubmitError};
use vsclient::dbus::{CallError, ConnectError as BusError};
use vsclient::publish::{
    BindError, BufferError, FrameError, HostError, ImportError, MemoryError, PublishError, StartError,
};
use vsclient::{
    ConnectError, Ended, GoodbyeReason, LockError, LockStatus, MapError, PassOnError, ReceiveError, SendError,
};

/// What a function returns when it has done what it should, and has nothing to count.
pub const VS_OK: c_int = 0;

/// Why a function failed. Functions return these as `int`; a number is never given a new meaning,
/// and a later version may have more.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vs_error {
    /// An argument is NULL that must not be, or out of range.
    Argument = -1,
    /// A fault of the library itself. What was being worked on is best closed.
    Internal = -2,
    /// The system has no memory, or no descriptors, left for it.
    Memory = -3,
    /// The system refused something else.
    System = -4,
    /// The other side did not answer in time.
    Timeout = -5,
    /// Not now: another thread is in the same object, or something else is using what is needed.
    Busy = -6,
    /// There is no such stream, device, recording or plane.
    NotFound = -7,
    /// What should answer does not run: the daemon, whoever published the stream, or the stream.
    NotRunning = -8,
    /// This user may not do that.
    Denied = -9,
    /// The host or the daemon has said no, and why.
    Refused = -10,
    /// The other side speaks another protocol or version, or breaks it.
    Protocol = -11,
    /// The connection has ended, and with it the right to read its frames.
    Disconnected = -12,
    /// An earlier error has ended this object: close it, and make another one.
    Ended = -13,
    /// The host has taken the frame back: what was read of it may be torn.
    Revoked = -14,
    /// The frame's time has passed: what was read of it may be torn.
    Expired = -15,
    /// No such format, or it does not fit.
    Format = -16,
    /// All buffers or credits are in use: give some back, or receive first.
    Full = -17,
    /// It was tried and did not work.
    Failed = -18,
}

/// An error on its way to the caller.
#[derive(Debug)]
pub(crate) struct Failure {
    code: vs_error,
    text: String,
}

pub(crate) type Outcome<T = c_int> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: vs_error, text: impl ToString) -> Self {
        Self { code, text: text.to_string() }
    }

    pub(crate) fn argument(text: impl ToString) -> Self {
        Self::new(vs_error::Argument, text)
    }
}

thread_local! {
    static LAST: RefCell<Option<CString>> = const { RefCell::new(None) };
}

fn remember(text: String) {
    // A text of the other side may have anything in it.
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    LAST.with(|last| *last.borrow_mut() = Some(text));
}

/// Runs the body of a function of the API: whatever goes wrong in it, a panic included, becomes a
/// number and a message.
pub(crate) fn call(body: impl FnOnce() -> Outcome) -> c_int {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(failure)) => failure,
        Err(_) => {
            Failure::new(vs_error::Internal, "a fault in libvsclient (standard error says where); please report it")
        }
    };
    remember(failure.text);
    failure.code as c_int
}

/// As [`call`], for functions that give a pointer, or something else that has a word for "none".
pub(crate) fn call_or<T>(none: T, body: impl FnOnce() -> Outcome<T>) -> T {
    let mut value = None;
    call(|| {
        value = Some(body()?);
        Ok(VS_OK)
    });
    value.unwrap_or(none)
}

/// Message of the last function that failed in this thread: what was tried, why it failed and, where
/// anybody knows, what to do. Never NULL; empty if nothing has failed yet. Functions that succeed
/// leave it as it is.
///
/// The text is the library's, and good until the next function fails in this thread. Any thread may
/// call it.
#[unsafe(no_mangle)]
pub extern "C" fn vs_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ref().map_or(c"".as_ptr(), |text| text.as_ptr())).unwrap_or(c"".as_ptr())
}

/// What a number stands for, in a few words; "unknown error" for one that this version does not
/// know. A constant, never NULL. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn vs_error_text(error: c_int) -> *const c_char {
    describe(error).as_ptr()
}

fn describe(error: c_int) -> &'static CStr {
    use vs_error as E;
    const NAMES: [(vs_error, &CStr); 18] = [
        (E::Argument, c"bad argument"),
        (E::Internal, c"fault of the library"),
        (E::Memory, c"out of memory or descriptors"),
        (E::System, c"refused by the system"),
        (E::Timeout, c"no answer in time"),
        (E::Busy, c"busy"),
        (E::NotFound, c"not found"),
        (E::NotRunning, c"not running"),
        (E::Denied, c"not permitted"),
        (E::Refused, c"refused by the other side"),
        (E::Protocol, c"protocol error"),
        (E::Disconnected, c"disconnected"),
        (E::Ended, c"ended by an earlier error"),
        (E::Revoked, c"frame revoked"),
        (E::Expired, c"frame expired"),
        (E::Format, c"bad format"),
        (E::Full, c"all buffers or credits in use"),
        (E::Failed, c"failed"),
    ];
    if error >= 0 {
        return c"success";
    }
    NAMES.iter().find(|(code, _)| *code as c_int == error).map_or(c"unknown error", |(_, text)| text)
}

/// Which number an error of the Rust API gets.
trait Code: std::error::Error {
    fn code(&self) -> vs_error;
}

macro_rules! failures {
    ($($error:ty => $code:expr;)*) => {$(
        impl Code for $error {
            fn code(&self) -> vs_error {
                let code: fn(&$error) -> vs_error = $code;
                code(self)
            }
        }

        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.code(), error)
            }
        }
    )*};
}

failures! {
    vsclient::NameError => |_| vs_error::Argument;
    vsclient::dbus::ParseBusError => |_| vs_error::Argument;
    std::io::Error => |_| vs_error::System;
    MemoryError => |error| match error {
        MemoryError::Allocate { .. } => vs_error::Memory,
        MemoryError::NotThatKind { .. } | MemoryError::Seal(_) => vs_error::Argument,
        _ => vs_error::System,
    };
    vs_frame::MapError => |error| match error {
        vs_frame::MapError::Map { .. } => vs_error::Memory,
        vs_frame::MapError::Sync(_) => vs_error::System,
        vs_frame::MapError::NoSuchMemory(_) => vs_error::NotFound,
    };
    vs_frame::FormatError => |_| vs_error::Format;
    FrameError => |_| vs_error::Format;
    Ended => |error| match error {
        Ended::Revoked => vs_error::Revoked,
        Ended::Expired => vs_error::Expired,
        Ended::Disconnected => vs_error::Disconnected,
    };
    MapError => |error| match error {
        MapError::Ended(error) => error.code(),
        MapError::Memory(error) => error.code(),
    };
    PassOnError => |error| match error {
        PassOnError::Ended(error) => error.code(),
        PassOnError::Frame(error) => error.code(),
    };
    SendError => |error| match error {
        SendError::Busy => vs_error::Busy,
        SendError::Closed => vs_error::Disconnected,
    };
    ConnectError => |error| match error {
        ConnectError::Name(error) => error.code(),
        ConnectError::Connection(error) => connection(error),
    };
    ReceiveError => |error| match error {
        ReceiveError::Goodbye(goodbye) => dismissal(goodbye.reason),
        ReceiveError::Connection(error) => reception(error),
        ReceiveError::Reconnect(error) => error.code(),
        ReceiveError::Ended => vs_error::Ended,
    };
    LockError => |error| match error {
        LockError::Refused(status) => refusal(*status),
        LockError::Send(error) => error.code(),
        LockError::Timeout(_) => vs_error::Timeout,
        LockError::Receive(error) => error.code(),
    };
    BusError => |error| match error {
        BusError::NotRunning { .. } => vs_error::NotRunning,
        BusError::NoBus { .. } | BusError::Bus { .. } | BusError::Activation { .. } => vs_error::System,
    };
    CallError => |error| match error {
        CallError::NoSuchStream(_)
        | CallError::NoSuchRecording(_)
        | CallError::NoSuchDevice(_)
        | CallError::NoSuchObject(_)
        | CallError::NoSuchControl(_) => vs_error::NotFound,
        CallError::NotRunning(_) => vs_error::NotRunning,
        CallError::BadOption(_) | CallError::BadFile(_) | CallError::BadControl(_) => vs_error::Argument,
        CallError::BadFormat(_) => vs_error::Format,
        CallError::Busy(_) => vs_error::Busy,
        CallError::Denied(_) => vs_error::Denied,
        CallError::Gone => vs_error::Disconnected,
        _ => vs_error::Failed,
    };
    OpenError => |error| match error {
        OpenError::Bus(error) => error.code(),
        OpenError::Connect(error) => error.code(),
        OpenError::Refused(error) => error.code(),
        OpenError::System(error) => error.code(),
        OpenError::Ended(error) => error.code(),
        OpenError::Silent => vs_error::Timeout,
    };
    EndedError => |error| match error {
        EndedError::Goodbye(_) => vs_error::Refused,
        EndedError::Closed => vs_error::Disconnected,
        EndedError::Exchange(_) | EndedError::Origin(_) => vs_error::Protocol,
        EndedError::Before => vs_error::Ended,
    };
    SubmitError => |error| match error {
        SubmitError::Full => vs_error::Full,
        SubmitError::Timeout => vs_error::Timeout,
        SubmitError::Frame(error) => error.code(),
        SubmitError::Buffer(error) => error.code(),
        SubmitError::Ended(error) => error.code(),
    };
    vsclient::codec::ReceiveError => |error| match error {
        vsclient::codec::ReceiveError::Ended(error) => error.code(),
    };
    RequestError => |error| match error {
        RequestError::TooMany => vs_error::Full,
        RequestError::Ended(error) => error.code(),
    };
    CodecBufferError => |error| match error {
        CodecBufferError::Exhausted(_) => vs_error::Full,
        CodecBufferError::TooLong { .. } => vs_error::Argument,
        CodecBufferError::Memory(error) => error.code(),
        CodecBufferError::Map(error) => error.code(),
        CodecBufferError::Ended(error) => error.code(),
    };
    BufferError => |error| match error {
        BufferError::NoPool => vs_error::Format,
        BufferError::Exhausted(_) => vs_error::Full,
        BufferError::Memory(error) => error.code(),
    };
    ImportError => |error| match error {
        ImportError::Count(_) => vs_error::Argument,
        ImportError::Memory(error) => error.code(),
    };
    StartError => |error| match error {
        StartError::Name(error) => error.code(),
        StartError::Memory(error) => error.code(),
        StartError::Host(HostError::Bind(error)) => binding(error),
        StartError::Host(_) | StartError::Thread(_) => vs_error::System,
    };
    PublishError => |_| vs_error::Ended;
}

fn connection(error: &vs_ipc::client::ConnectError) -> vs_error {
    use vs_ipc::client::ConnectError as E;
    match error {
        E::NotFound { .. } => vs_error::NotFound,
        E::NotListening { .. } => vs_error::NotRunning,
        E::Denied { .. } => vs_error::Denied,
        E::PathTooLong { .. } => vs_error::Argument,
        E::NotAStream { .. } | E::Version { .. } | E::Libvideostream => vs_error::Protocol,
        E::Io { .. } => vs_error::System,
        E::Timeout(_) => vs_error::Timeout,
        E::Refused(goodbye) => dismissal(goodbye.reason),
        E::Receive(error) => reception(error),
    }
}

fn reception(error: &vs_ipc::client::ReceiveError) -> vs_error {
    use vs_ipc::client::ReceiveError as E;
    match error {
        E::Closed => vs_error::Disconnected,
        E::TooManyOpenFiles { .. } => vs_error::Memory,
        E::Protocol(_) => vs_error::Protocol,
        E::Io(_) => vs_error::System,
    }
}

fn dismissal(reason: GoodbyeReason) -> vs_error {
    match reason {
        GoodbyeReason::Version | GoodbyeReason::Malformed => vs_error::Protocol,
        _ => vs_error::Refused,
    }
}

pub(crate) fn refusal(status: LockStatus) -> vs_error {
    match status {
        LockStatus::NoCredit | LockStatus::Pool | LockStatus::Share => vs_error::Full,
        LockStatus::Gone | LockStatus::Granted => vs_error::Expired,
    }
}

fn binding(error: &BindError) -> vs_error {
    match error {
        BindError::NotASocket(_) => vs_error::Argument,
        BindError::InUse(_) => vs_error::Busy,
        _ => vs_error::System,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        // SAFETY: it is a text of this thread, and nothing fails before it is copied.
        unsafe { CStr::from_ptr(vs_last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn a_panic_becomes_an_error_of_its_thread() {
        assert_eq!(call(|| panic!("on purpose")), vs_error::Internal as c_int);
        assert!(last().contains("fault"), "{}", last());
        assert_eq!(call(|| Ok(3)), 3);
        assert_eq!(std::thread::spawn(last).join().unwrap(), "");
        assert_eq!(call_or(7, || Err(Failure::argument("a\0b"))), 7);
        assert_eq!(last(), "a b");
    }

    #[test]
    fn every_number_has_words() {
        for error in -18..0 {
            assert_ne!(describe(error), c"unknown error", "{error}");
        }
        assert_eq!(describe(-19), c"unknown error");
    }
}
