// SPDX-License-Identifier: Apache-2.0
//! The one clock of the house.
//!
//! Capture, publication, expiry and lease deadlines are all nanoseconds of
//! `CLOCK_MONOTONIC`: V4L2 stamps buffers with it (kernel doc, "Buffers", section
//! "Timestamp"), every process on the machine reads the same value, and nobody can set it.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds in a second.
pub const NS_PER_SEC: u64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // The kernel's monotonic clock starts at boot: it is never negative.
    now.tv_sec as u64 * NS_PER_SEC + now.tv_nsec as u64
}
