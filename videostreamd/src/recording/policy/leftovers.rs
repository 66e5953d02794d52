// SPDX-License-Identifier: Apache-2.0
//! Files that were not finished: the daemon was killed, the power went, the disk was full. They are made ordinary MP4s
//! one after the other, on a thread that gives way to everything else: streams do not wait for it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use vs_mux::repair::{RepairError, Report, repair};

use super::clock::Moment;
use super::naming::PART;
use super::store::Store;

/// The lowest priority that a thread can have (setpriority(2)).
const NICE: i32 = 19;

/// Begins with these files of the store, and returns at once.
pub fn finalise(recording: &str, store: &Arc<Mutex<Store>>, torn: Vec<String>) {
    if torn.is_empty() {
        return;
    }
    tracing::info!(recording, files = torn.len(), "finalising recordings that were cut short");
    let (owned, store) = (recording.to_owned(), Arc::clone(store));
    let started = std::thread::Builder::new().name(format!("mend-{recording}")).spawn(move || {
        // Without it, it is merely less considerate.
        let _ = rustix::process::setpriority_process(None, NICE);
        for name in torn {
            if let Err(error) = mend(&owned, &store, &name) {
                tracing::error!(recording = owned, file = name, %error, "cannot finalise a recording: it plays as it lies, and is tried again at the next start");
            }
        }
    });
    if let Err(error) = started {
        tracing::error!(recording, %error, "cannot start a thread to finalise recordings: they play as they lie");
    }
}

fn mend(recording: &str, store: &Mutex<Store>, name: &str) -> io::Result<()> {
    let lock = || store.lock().unwrap_or_else(PoisonError::into_inner);
    let part = format!("{name}{PART}");
    let looked = lock().directory().look(&part)?;
    let Some((bytes, modified_ns)) = looked else {
        lock().released(name);
        return Ok(());
    };
    if bytes == 0 {
        tracing::info!(recording, file = name, "removing a recording that ended before its first picture");
        return lock().discard(name);
    }
    let file = lock().directory().open_file(&part)?;
    // Takes as long as the disk does: nobody waits for the lock meanwhile.
    match repair(&file) {
        Ok(Report { frames, duration_ns, bytes, lost, .. }) => {
            let path = lock().repaired(name, modified_ns, Moment::now())?;
            tracing::info!(
                recording,
                file = path,
                frames,
                seconds = seconds(duration_ns),
                bytes,
                lost_frames = lost.frames,
                lost_seconds = seconds(lost.duration_ns),
                lost_bytes = lost.bytes,
                "finalised a recording that was cut short"
            );
            Ok(())
        }
        Err(error @ (RepairError::InUse | RepairError::NotWritable | RepairError::Io(_))) => {
            Err(io::Error::other(error))
        }
        Err(error) => {
            let path = lock().broken(name, modified_ns, Moment::now())?;
            let error = error.to_string();
            tracing::warn!(recording, file = path, bytes, error, "a recording cannot be repaired: it is kept aside");
            Ok(())
        }
    }
}

fn seconds(ns: i64) -> f64 {
    // A recording that lasts longer than a float counts ns exactly is not one.
    ns as f64 / 1e9
}
