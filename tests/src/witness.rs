// SPDX-License-Identifier: Apache-2.0
//! An honest client that looks at every byte of every frame while others misbehave.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vsclient::{Client, Mode};

use crate::PATIENCE;
use crate::client::{Checker, builder};

/// Frames that it asks to hold at once. It holds one at a time; the rest bridges the moments
/// in which a busy machine does not let it run.
const CREDITS: u16 = 16;

/// How often it looks whether it shall end, when no frames come.
const TICK: Duration = Duration::from_millis(100);

/// A client on a thread of its own.
#[derive(Debug)]
pub struct Witness {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Account>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    frames: u64,
    last_serial: u64,
    ended: bool,
}

/// What it has seen.
#[derive(Debug, Default)]
pub struct Account {
    /// Frames received, one after the other without a gap in their serials, or there would be
    /// `trouble`.
    pub frames: u64,
    /// The first serial.
    pub first_serial: u64,
    /// The last serial.
    pub last_serial: u64,
    /// Everything that was not as it should be.
    pub trouble: Vec<String>,
}

impl Witness {
    /// Connects, and waits for the first frame.
    #[must_use]
    pub fn start(socket: &Path) -> Self {
        Self::start_in(socket, Mode::Leased)
    }

    /// The same in another mode.
    #[must_use]
    pub fn start_in(socket: &Path, mode: Mode) -> Self {
        let client = builder(socket).mode(mode).credits(CREDITS).name("witness").connect().unwrap();
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || watch(client, &shared)
        });
        let witness = Self { shared, thread: Some(thread) };
        witness.passes(1);
        witness
    }

    /// Waits while so many further frames come.
    ///
    /// # Panics
    /// If they do not come.
    pub fn passes(&self, frames: u64) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.shared.seen.lock().unwrap();
        let target = seen.frames + frames;
        while seen.frames < target {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!seen.ended && !left.is_zero(), "the witness sees no more frames: {seen:?}");
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// The last serial that has come so far.
    #[must_use]
    pub fn last_serial(&self) -> u64 {
        self.shared.seen.lock().unwrap().last_serial
    }

    /// Ends it; what it has seen.
    ///
    /// # Panics
    /// If anything was not as it should be.
    pub fn all_was_well(self) -> Account {
        let account = self.end();
        assert!(account.trouble.is_empty(), "the witness saw trouble: {account:#?}");
        account
    }

    /// Ends it; what it has seen, trouble included.
    #[must_use]
    pub fn end(mut self) -> Account {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(mut client: Client, shared: &Shared) -> Account {
    let (mut account, mut checker) = (Account::default(), Checker::default());
    while !shared.stop.load(Ordering::Relaxed) {
        let frame = match client.next_frame(TICK) {
            Ok(Some(frame)) => frame,
            Ok(None) => continue,
            Err(error) => {
                account.trouble.push(error.to_string());
                break;
            }
        };
        let serial = frame.serial();
        if account.frames > 0 && serial != account.last_serial + 1 {
            account.trouble.push(format!("frame {serial} follows {}: {:?}", account.last_serial, frame.skipped()));
        }
        if let Err(error) = checker.check(&frame) {
            account.trouble.push(format!("frame {serial}: {error}"));
        }
        if account.frames == 0 {
            account.first_serial = serial;
        }
        account.frames += 1;
        account.last_serial = serial;
        shared.tell(|seen| (seen.frames, seen.last_serial) = (account.frames, serial));
    }
    shared.tell(|seen| seen.ended = true);
    account
}

impl Shared {
    fn tell(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }
}
