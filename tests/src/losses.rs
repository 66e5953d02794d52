// SPDX-License-Identifier: Apache-2.0
//! Frames that a camera's driver lost, and those that it lost only because the machine stood still.
//!
//! An emulated machine stands still when its host is busy, and its camera counts on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vsclient::Frame;

/// Sleeps, and notes when it is woken too late.
#[derive(Debug)]
pub struct Watch {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Watch {
    /// Watches from now on, for a camera with this interval.
    #[must_use]
    pub fn start(interval: Duration) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&enough);
        let thread = std::thread::spawn(move || {
            let mut excused = 0;
            while !ended.load(Ordering::Relaxed) {
                let begin = Instant::now();
                std::thread::sleep(interval / 10);
                let stood_still = begin.elapsed();
                // Half a frame is what a camera's own thread may be late for without a loss.
                if stood_still > interval / 2 {
                    excused += 1 + (stood_still.as_nanos() / interval.as_nanos()) as u64;
                }
            }
            excused
        });
        Self { enough, thread }
    }

    /// Frames that it takes as lost because nothing ran.
    #[must_use]
    pub fn end(self) -> u64 {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch does not panic")
    }
}

/// Where a frame is in its stream, and in its driver's count.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The stream's number.
    pub serial: u64,
    sequence: u32,
}

impl Place {
    /// That of a frame.
    #[must_use]
    pub fn of(frame: &Frame) -> Self {
        Self { serial: frame.serial(), sequence: frame.meta().sequence }
    }

    /// Goes on to a later frame; returns how many of the driver's are missing in between, for
    /// which the stream has no serial.
    pub fn follow(&mut self, next: Self) -> u64 {
        let counted = u64::from(next.sequence.wrapping_sub(self.sequence));
        let published = next.serial - self.serial;
        *self = next;
        counted.saturating_sub(published)
    }
}
