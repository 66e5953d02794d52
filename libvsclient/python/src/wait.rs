// SPDX-License-Identifier: Apache-2.0
//! Waiting without keeping Python from working.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors::bad_value;

/// How often a call that waits looks for signals: Ctrl-C is felt at once, and an idle program
/// wakes ten times a second. It is a constant, for with a constant timeout a receive costs one
/// system call.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// A timeout as Python says it: seconds, or `None` for no end.
pub(crate) fn timeout(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    seconds.map(|seconds| duration("timeout", seconds)).transpose()
}

/// Seconds as a duration.
pub(crate) fn duration(what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| bad_value(format!("{what}: {seconds} s is no duration")))
}

/// Seconds as ns, for options of the daemon.
pub(crate) fn nanoseconds(what: &str, seconds: Option<f64>) -> PyResult<Option<u64>> {
    let ns = |seconds| Ok(u64::try_from(duration(what, seconds)?.as_nanos()).unwrap_or(u64::MAX));
    seconds.map(ns).transpose()
}

/// Calls `attempt` without the interpreter's lock, for a slice at a time, until it gives
/// something or the timeout has passed. In between signal handlers run: what they raise ends
/// the wait.
pub(crate) fn sliced<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut attempt: impl FnMut(Duration) -> PyResult<Option<T>> + Send,
) -> PyResult<Option<T>> {
    // The clock is asked only when the first slice has brought nothing.
    let deadline = timeout.filter(|timeout| *timeout > SLICE).and_then(|timeout| Instant::now().checked_add(timeout));
    let mut slice = timeout.map_or(SLICE, |timeout| timeout.min(SLICE));
    loop {
        if let Some(outcome) = py.detach(|| attempt(slice))? {
            return Ok(Some(outcome));
        }
        py.check_signals()?;
        match deadline {
            None if timeout.is_some() => return Ok(None),
            None => {}
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(None);
                }
                slice = left.min(SLICE);
            }
        }
    }
}

/// Nothing that is done under these locks leaves anything half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
