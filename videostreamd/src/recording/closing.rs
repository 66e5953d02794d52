// SPDX-License-Identifier: Apache-2.0
//! A file is finished on a helper thread while the next one is written: its index and two `fdatasync`s can take longer
//! on a slow disk than the queue of access units reaches. One file at a time is finished; as long as that lasts, the
//! next cut waits, so that a disk that does not keep up makes longer files, not more threads. Who must have another
//! file, because the format has changed, waits.

use tokio::task::{JoinHandle, spawn_blocking};

use super::movie::{Finished, Movie};
use super::progress::Entry;

/// See the module.
pub(super) struct Closing {
    task: JoinHandle<Finished>,
    /// What is known of it until then.
    so_far: Entry,
}

impl Closing {
    /// Begins to finish a file. While it was written, `dropped` frames were.
    pub(super) fn start(movie: Movie, dropped: u64) -> Self {
        let so_far = movie.torn(dropped);
        Self { task: spawn_blocking(move || movie.finish(dropped)), so_far }
    }

    /// What is known of it.
    pub(super) fn so_far(&self) -> &Entry {
        &self.so_far
    }
}

/// Waits for the file that is being finished, and takes it away; for ever if there is none. Safe to cancel.
pub(super) async fn closed(closing: &mut Option<Closing>) -> Finished {
    let Some(current) = closing else { return std::future::pending().await };
    let finished = (&mut current.task).await;
    let so_far = current.so_far.clone();
    *closing = None;
    finished.unwrap_or_else(|crash| Finished { entry: so_far, lost: 0, failure: Some(crash.into()) })
}
