// SPDX-License-Identifier: Apache-2.0
//! What belongs to no object.

use std::ffi::{CStr, c_char};

/// Waits for ever.
pub const VS_FOREVER: i64 = -1;

/// Version of the library that runs, such as "1.2.3"; the macros `VSCLIENT_VERSION_*` are that of the
/// header. A constant. Any thread may call it.
#[unsafe(no_mangle)]
pub extern "C" fn vs_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}

/// The clock of all times but `pts`, `dts` and `duration`: ns of `CLOCK_MONOTONIC`. Any thread may
/// call it.
#[unsafe(no_mangle)]
pub extern "C" fn vs_monotonic_ns() -> u64 {
    vsclient::monotonic_ns()
}
