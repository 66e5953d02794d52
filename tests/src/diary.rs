// SPDX-License-Identifier: Apache-2.0
//! A client that writes down which frame was taken when, and looks at nothing else.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use vsclient::Client;

use crate::client::builder;

/// A client that gives frames back at once needs few; the rest bridges the moments in which a
/// busy machine does not let it run.
const CREDITS: u16 = 16;

/// How often it looks whether it shall end, when no frames come.
const TICK: Duration = Duration::from_millis(100);

/// One frame of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number, which test patterns also show.
    pub serial: u64,
    /// When it was taken, in ns of `CLOCK_MONOTONIC`.
    pub capture_ns: u64,
}

/// Written by a thread of its own, from the connection on.
#[derive(Debug)]
pub struct Diary {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Entry>>,
}

impl Diary {
    /// Connects to the stream with this socket.
    #[must_use]
    pub fn begin(socket: &Path) -> Self {
        let client = builder(socket).credits(CREDITS).name("diary").connect().unwrap();
        let enough = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&enough);
        Self { enough, thread: std::thread::spawn(move || keep(client, &asked)) }
    }

    /// Ends it, or waits for its end if the host has died: what was on its way is still read.
    #[must_use]
    pub fn end(self) -> Vec<Entry> {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the diary does not panic")
    }
}

fn keep(mut client: Client, enough: &AtomicBool) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let asked = enough.load(Ordering::Relaxed);
        match client.next_frame(if asked { Duration::ZERO } else { TICK }) {
            Ok(Some(frame)) => {
                entries.push(Entry { serial: frame.serial(), capture_ns: frame.meta().capture_ns });
            }
            Ok(None) if asked => return entries,
            Ok(None) => {}
            Err(_) => return entries,
        }
    }
}
