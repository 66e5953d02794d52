// SPDX-License-Identifier: Apache-2.0
//! Waiting for what a host says next, in a way that GStreamer can interrupt at any time.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};

use super::upstream::{Said, Upstream, UpstreamError};

/// Ends waits.
#[derive(Debug)]
pub struct Interrupt {
    event: Option<OwnedFd>,
    set: AtomicBool,
}

/// Where there is no descriptor to interrupt a wait with, it looks up so often.
const WITHOUT_EVENT: Duration = Duration::from_millis(100);

impl Default for Interrupt {
    fn default() -> Self {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok();
        Self { event, set: AtomicBool::new(false) }
    }
}

/// What a wait ended with.
#[derive(Debug)]
pub enum Wait {
    /// Something has happened.
    Said(Said),
    /// The time has passed.
    TimedOut,
    /// [`Interrupt::set`].
    Interrupted,
}

impl Interrupt {
    /// The wait that is on, and those to come, end at once.
    pub fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
        if let Some(event) = &self.event {
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    /// One may wait again.
    pub fn clear(&self) {
        if let Some(event) = &self.event {
            let _ = rustix::io::read(event, &mut [0u8; 8]);
        }
        self.set.store(false, Ordering::SeqCst);
    }

    /// Waits for what the host says next, at most until `deadline`.
    pub fn wait(&self, upstream: &mut Upstream, deadline: Option<Instant>) -> Result<Wait, UpstreamError> {
        loop {
            if self.set.load(Ordering::SeqCst) {
                return Ok(Wait::Interrupted);
            }
            if let Some(said) = upstream.next()? {
                return Ok(Wait::Said(said));
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(Wait::TimedOut);
            }
            let spare = self.event.is_none().then(|| now + WITHOUT_EVENT);
            let until = [deadline, upstream.retry_at(), spare].into_iter().flatten().min();
            self.poll(upstream, until.map(|until| until.saturating_duration_since(now)));
        }
    }

    fn poll(&self, upstream: &Upstream, timeout: Option<Duration>) {
        let socket = upstream.socket();
        let mut fds = Vec::with_capacity(2);
        if let Some(socket) = &socket {
            let writable = if upstream.has_backlog() { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::from_borrowed_fd(*socket, PollFlags::IN | writable));
        }
        if let Some(event) = &self.event {
            fds.push(PollFd::new(event, PollFlags::IN));
        }
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        // A signal ends it early, which does no harm.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
    }
}
