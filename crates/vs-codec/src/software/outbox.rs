// SPDX-License-Identifier: Apache-2.0
//! What a decoder or converter has made, the buffers it makes it in, and the descriptor that says
//! when there is something to do.
//!
//! A buffer is taken before a picture is made, so that whatever has been submitted can come out.
//! Whoever waits for one to come home is woken by it; nobody else is.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use vs_frame::{CpuMemory, CpuPool, Format, Frame, FrameMeta, WriteSlot};

use crate::session::{BackendError, FrameTag, Output, Picture};

/// Outputs that wait to be received before `submit` refuses: a caller that never receives must
/// not fill the memory.
const MAX_WAITING: usize = 32;

/// An event descriptor that is readable while there is something to do.
#[derive(Debug)]
struct Bell {
    event: OwnedFd,
    /// Whether the next buffer that comes home is to ring.
    awaited: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        // It fails only if it has rung 2^64 - 2 times and nobody came.
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }

    fn silence(&self) {
        // It fails if it has not rung.
        let _ = rustix::io::read(&self.event, &mut [0u8; 8]);
    }

    fn came_home(&self) {
        if self.awaited.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }
}

/// Why there is no buffer for a picture.
pub(super) enum NoSlot {
    /// All are in use, or nothing is received.
    Full,
    /// There is no memory.
    Memory(BackendError),
}

#[derive(Debug)]
pub(super) struct Outbox {
    /// The session, for errors.
    session: String,
    waiting: VecDeque<Output<Picture>>,
    pool: Option<CpuPool>,
    bell: Arc<Bell>,
    /// Something was not submitted for want of a buffer.
    refused: bool,
}

impl Outbox {
    pub(super) fn new(session: String) -> Result<Self, BackendError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|errno| BackendError {
            session: session.clone(),
            call: "eventfd",
            reason: errno.to_string(),
        })?;
        let bell = Arc::new(Bell { event, awaited: AtomicBool::new(false) });
        Ok(Self { session, waiting: VecDeque::new(), pool: None, bell, refused: false })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.event.as_fd()
    }

    /// The format of its pictures, once there is one.
    pub(super) fn format(&self) -> Option<&Arc<Format>> {
        self.pool.as_ref().map(CpuPool::format)
    }

    /// Makes pictures of this format from now on, in at most `max` buffers. Those of another
    /// format stay with whoever has them.
    pub(super) fn set_format(&mut self, format: Format, max: usize) -> Result<(), BackendError> {
        if self.pool.as_ref().is_some_and(|pool| **pool.format() == format && pool.max() == max) {
            return Ok(());
        }
        let bell = Arc::clone(&self.bell);
        let came_home = Box::new(move || bell.came_home());
        let pool = CpuPool::with_hook(Arc::new(format), CpuMemory::Memfd, 1, max, came_home);
        self.pool = Some(pool.map_err(|error| self.failed("allocate a picture", error.to_string()))?);
        Ok(())
    }

    /// Whether one more can be submitted that needs no buffer.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// A buffer to make a picture in; `Ok(None)` while there is no format.
    pub(super) fn slot(&mut self) -> Result<Option<WriteSlot>, NoSlot> {
        let Some(pool) = &self.pool else { return Ok(None) };
        if !self.has_room() {
            return Err(NoSlot::Full);
        }
        let acquire = || pool.acquire().map_err(|error| self.failed("allocate a picture", error.to_string()));
        let mut slot = acquire().map_err(NoSlot::Memory)?;
        if slot.is_none() {
            // From here on, one that comes home rings; it may have done so just before.
            self.bell.awaited.store(true, Ordering::SeqCst);
            slot = acquire().map_err(NoSlot::Memory)?;
        }
        self.refused = slot.is_none();
        slot.map(Some).ok_or(NoSlot::Full)
    }

    /// The picture in a buffer that has been filled.
    pub(super) fn picture(&self, slot: WriteSlot, tag: FrameTag) -> Result<Picture, BackendError> {
        let meta = FrameMeta {
            sequence: tag.serial as u32,
            capture_ns: tag.capture_ns,
            pts: Some(tag.pts_ns),
            duration: tag.duration_ns,
            bytes_used: slot.format().picture_bytes(),
            ..FrameMeta::default()
        };
        let frame: Frame = slot.finish(meta).map_err(|error| self.failed("make a frame", error.to_string()))?;
        Ok(Picture { frame, tag })
    }

    pub(super) fn push(&mut self, output: Output<Picture>) {
        self.waiting.push_back(output);
        self.bell.ring();
    }

    pub(super) fn receive(&mut self) -> Output<Picture> {
        let output = self.waiting.pop_front().unwrap_or(Output::Pending);
        self.settle();
        output
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.settle();
    }

    /// Makes the descriptor say what is so.
    fn settle(&self) {
        if !self.waiting.is_empty() {
            return;
        }
        self.bell.silence();
        if self.refused {
            self.bell.awaited.store(true, Ordering::SeqCst);
            if self.pool.as_ref().is_some_and(|pool| pool.available() > 0) {
                self.bell.ring();
            }
        }
    }

    pub(super) fn failed(&self, call: &'static str, reason: impl Into<String>) -> BackendError {
        BackendError { session: self.session.clone(), call, reason: reason.into() }
    }
}
