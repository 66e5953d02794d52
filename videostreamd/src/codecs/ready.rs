// SPDX-License-Identifier: Apache-2.0
//! Waiting for a session on an event loop.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vs_codec::Session;
use vs_frame::clock::monotonic_ns;

/// Tells when a session may have something new.
#[derive(Debug)]
pub struct Readiness(Option<AsyncFd<OwnedFd>>);

impl Readiness {
    /// Of this session. Must be called on the runtime that waits.
    ///
    /// # Errors
    /// What the system says if it has no descriptor to spare.
    pub fn of(session: &dyn Session) -> io::Result<Self> {
        let watch = |fd: BorrowedFd<'_>| {
            let own = fd.try_clone_to_owned()?;
            // SAFETY: the descriptor is this value's own, and stays open and the same as long as
            // it is watched.
            let watched = unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) };
            watched.map_err(io::Error::from)
        };
        session.as_poll_fd().map(watch).transpose().map(Self)
    }

    /// Waits until there may be something to receive, or room for what did not fit; for ever if
    /// the session answers at once. `deadline` is the session's own. Safe to cancel.
    pub async fn wait(&self, deadline: Option<u64>) {
        let readable = async {
            match &self.0 {
                // What is left in it after this is told again only if something new comes: the
                // caller takes everything.
                Some(fd) => match fd.readable().await {
                    Ok(mut guard) => guard.clear_ready(),
                    // The runtime ends.
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        let due = async {
            match deadline {
                Some(at) => tokio::time::sleep(Duration::from_nanos(at.saturating_sub(monotonic_ns()))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = readable => {}
            () = due => {}
        }
    }
}
