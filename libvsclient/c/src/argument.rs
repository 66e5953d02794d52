// SPDX-License-Identifier: Apache-2.0
//! What arrives from C, checked as far as it can be: a pointer is NULL, or it is what the header
//! wants. That rule is what every function relies on that calls these.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use crate::error::{Failure, Outcome, vs_error};

/// A pointer that must not be NULL.
///
/// # Safety
/// It is NULL or points to a `T` that stays there, and that nobody changes meanwhile.
pub(crate) unsafe fn object<'a, T>(pointer: *const T, what: &str) -> Outcome<&'a T> {
    // SAFETY: as the caller says.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// As [`object`], for what is to be changed.
///
/// # Safety
/// It is NULL or points to a `T` that stays there, and that nobody else uses meanwhile.
pub(crate) unsafe fn object_mut<'a, T>(pointer: *mut T, what: &str) -> Outcome<&'a mut T> {
    // SAFETY: as the caller says.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(what))
}

/// Where a pointer is to be put; it is NULL until it is.
///
/// # Safety
/// It is NULL or points to room for a pointer.
pub(crate) unsafe fn place<'a, T>(pointer: *mut *mut T, what: &str) -> Outcome<&'a mut *mut T> {
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: there is room for a pointer, which gets its first value here.
    unsafe {
        pointer.write(std::ptr::null_mut());
        Ok(&mut *pointer)
    }
}

/// Room that the caller must have for what comes out.
pub(crate) fn room<T>(pointer: *mut T, what: &str) -> Outcome<()> {
    if pointer.is_null() { Err(null(what)) } else { Ok(()) }
}

/// Writes to room that the caller has; into the void if that is NULL and may be.
///
/// # Safety
/// It is NULL or points to room for a `T`.
pub(crate) unsafe fn put<T>(pointer: *mut T, value: T) {
    if !pointer.is_null() {
        // SAFETY: as the caller says.
        unsafe { pointer.write(value) };
    }
}

/// A text that must be there.
///
/// # Safety
/// It is NULL or ends with a zero byte, and stays as it is.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Outcome<&'a str> {
    // SAFETY: as the caller says.
    unsafe { optional_text(pointer, what) }?.ok_or_else(|| null(what))
}

/// A text, or none.
///
/// # Safety
/// As of [`text`].
pub(crate) unsafe fn optional_text<'a>(pointer: *const c_char, what: &str) -> Outcome<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| Failure::argument(format!("{what} is not UTF-8: {text:?}")))
}

/// So many values; none may be at NULL.
///
/// # Safety
/// It is NULL or points to `count` values, which stay as they are.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, count: usize, what: &str) -> Outcome<&'a [T]> {
    match (pointer.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(null(what)),
        // SAFETY: as the caller says.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(pointer, count) }),
    }
}

/// A path, whatever its bytes.
///
/// # Safety
/// As of [`text`].
pub(crate) unsafe fn path(pointer: *const c_char, what: &str) -> Outcome<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: as the caller says.
    let bytes = unsafe { CStr::from_ptr(pointer) }.to_bytes();
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

fn null(what: &str) -> Failure {
    Failure::argument(format!("{what} is NULL"))
}

/// How long to wait: for ever if it is negative.
pub(crate) fn timeout(ns: i64) -> Option<Duration> {
    u64::try_from(ns).ok().map(Duration::from_nanos)
}

/// Enters an object that one thread at a time may use.
pub(crate) fn enter<'a, T>(mutex: &'a Mutex<T>, what: &str) -> Outcome<MutexGuard<'a, T>> {
    match mutex.try_lock() {
        Ok(guard) => Ok(guard),
        // A panic in it was reported as what it was; that is no reason for another one.
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new(vs_error::Busy, format!("another thread is using this {what}: one at a time may")))
        }
    }
}
