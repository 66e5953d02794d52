// SPDX-License-Identifier: Apache-2.0
//! Waiting for what will happen.

use std::time::{Duration, Instant};

/// After this, what has not happened is taken for what never will. It only bounds how long a
/// failing test takes; the slowest event of a passing one takes a few seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look where nothing tells of a change.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits for something that announces itself to nobody: counters have no change signals.
/// `what` completes the sentence "waited in vain for …".
///
/// # Panics
/// If it does not happen.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}
