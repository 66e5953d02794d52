// SPDX-License-Identifier: Apache-2.0
//! A frame in a client's hand.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vs_frame::clock::monotonic_ns;
use vs_frame::{Buffer, Format, FrameMeta, FrameView, Home, Memory};

use super::link::Link;
use super::{Ended, MapError, PassOnError, SendError};
use crate::wire::SkipReason;
use crate::wire::codes::SKIP_COUNTERS;

/// How many frames of the stream a client did not get since it connected, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Skipped(pub(super) [u32; SKIP_COUNTERS]);

impl Skipped {
    /// Those skipped for one reason. The counter wraps at 2³².
    #[must_use]
    pub fn get(&self, reason: SkipReason) -> u32 {
        self.0.get(reason.code() as usize).copied().unwrap_or(0)
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }
}

/// A frame, and the right to read it for a while. Cloning copies a pointer; dropping the
/// last clone tells the host that this client is done with the frame. That never blocks.
///
/// The right ends at the deadline, when the host revokes the lease, or with the connection.
/// The bytes may then be those of a later picture: [`map`](Self::map) fails from that moment
/// on, and [`FrameMap::finish`] tells it of a frame that ended while it was being read.
pub struct ReceivedFrame(pub(super) Arc<Inner>);

/// What the handles of a frame share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) link: Arc<Link>,
    pub(super) contents: Contents,
    /// Until when the bytes surely stay as they are.
    pub(super) deadline_ns: AtomicU64,
    pub(super) revoked: AtomicBool,
    /// The host may have a lease of this client on it.
    pub(super) leased: AtomicBool,
    /// A lock of it was requested: its unlock must not overtake that request.
    pub(super) requested: AtomicBool,
    /// Handles in the program's hands. The connection keeps the memory for a later frame, so
    /// that the references to it do not tell.
    pub(super) handles: AtomicUsize,
}

/// What came with the frame.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) buffer: Arc<Buffer>,
    pub(super) format: Arc<Format>,
    pub(super) meta: FrameMeta,
    pub(super) serial: u64,
    pub(super) publish_ns: u64,
    pub(super) received_ns: u64,
    pub(super) skipped: Skipped,
}

impl Clone for ReceivedFrame {
    fn clone(&self) -> Self {
        self.0.handles.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for ReceivedFrame {
    fn drop(&mut self) {
        // What other threads did with their handles happened before this one unlocks.
        if self.0.handles.fetch_sub(1, Ordering::AcqRel) == 1 && self.0.leased.load(Ordering::Acquire) {
            let Inner { link, contents, requested, .. } = &*self.0;
            if requested.load(Ordering::Relaxed) {
                link.unlock(contents.serial);
            } else {
                link.give_back(contents.serial);
            }
        }
    }
}

impl ReceivedFrame {
    /// A lease on it was granted, or prolonged.
    pub(super) fn grant(&self, deadline_ns: u64) {
        self.0.deadline_ns.store(deadline_ns, Ordering::Release);
        self.0.leased.store(true, Ordering::Release);
    }

    /// The host has taken it back: there is nothing left to unlock, and no way back, for
    /// the bytes may have changed.
    pub(super) fn revoke(&self) {
        self.0.revoked.store(true, Ordering::Release);
        self.0.leased.store(false, Ordering::Release);
    }

    /// The host has no lease of this client on it, whatever was hoped.
    pub(super) fn refuse(&self) {
        self.0.leased.store(false, Ordering::Release);
    }

    /// Number of the frame in this life of the host, from 1. Frames that this client did
    /// not get leave gaps.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.0.contents.serial
    }

    /// How its bytes are laid out.
    #[must_use]
    pub fn format(&self) -> &Arc<Format> {
        &self.0.contents.format
    }

    /// Times, the source's own count, payload, flags.
    #[must_use]
    pub fn meta(&self) -> &FrameMeta {
        &self.0.contents.meta
    }

    /// When the host published it, in ns of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn publish_ns(&self) -> u64 {
        self.0.contents.publish_ns
    }

    /// When this process received it, in ns of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn received_ns(&self) -> u64 {
        self.0.contents.received_ns
    }

    /// What this client missed on this connection until this frame was sent.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.0.contents.skipped
    }

    /// The memory it lies in. Holding on to the buffer keeps its descriptors open, but
    /// gives no right to read it.
    #[must_use]
    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.0.contents.buffer
    }

    /// Its memories: file descriptors (`AsFd`) to import into other interfaces, for as long
    /// as the frame is held.
    #[must_use]
    pub fn memories(&self) -> &[Memory] {
        self.0.contents.buffer.memories()
    }

    /// Until when the bytes surely stay as they are, in ns of `CLOCK_MONOTONIC`. Moves when
    /// a lock is granted.
    #[must_use]
    pub fn deadline_ns(&self) -> u64 {
        self.0.deadline_ns.load(Ordering::Acquire)
    }

    /// Whether the host keeps it for this client until it is dropped (or the deadline).
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.0.leased.load(Ordering::Acquire)
    }

    /// Whether it may still be read, as far as this process knows without asking anybody.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self) -> Result<(), Ended> {
        let inner = &*self.0;
        if inner.link.is_closed() {
            Err(Ended::Disconnected)
        } else if inner.revoked.load(Ordering::Acquire) {
            Err(Ended::Revoked)
        } else if monotonic_ns() >= self.deadline_ns() {
            Err(Ended::Expired)
        } else {
            Ok(())
        }
    }

    /// As [`check`](Self::check), after its bytes were read by whatever way: what was read before
    /// belongs to this frame. It also asks the kernel whether the host is still there, for a host
    /// that has closed the connection owes this client nothing.
    ///
    /// # Errors
    /// Why what was read may be torn.
    pub fn check_read(&self) -> Result<(), Ended> {
        // Reads of the frame must not be moved behind the check that vouches for them.
        fence(Ordering::Acquire);
        self.check()?;
        if self.0.link.host_is_gone() { Err(Ended::Disconnected) } else { Ok(()) }
    }

    /// Whether the right to read it has ended.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.check().is_err()
    }

    /// Asks for a lease, or for more time, counted from now; `None` asks for as much as the
    /// host gives by default. Returns the number of the request. The answer comes as
    /// [`Incoming::Locked`](super::Incoming::Locked); this frame's deadline has moved then.
    /// The host prolongs no lease beyond [`Session::lease_max`](super::Session::lease_max)
    /// from its start.
    ///
    /// # Errors
    /// [`SendError`] if the request could not be sent.
    pub fn lock(&self, lease: Option<Duration>) -> Result<u64, SendError> {
        let lease_ns = lease.map_or(0, |lease| u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX).max(1));
        self.0.requested.store(true, Ordering::Relaxed);
        let request = self.0.link.request_lock(self.0.contents.serial, lease_ns)?;
        // From here on the host may have a lease: dropping the frame before the answer
        // arrives must end it.
        self.0.leased.store(true, Ordering::Release);
        Ok(request)
    }

    /// The same frame for others than this client's own program: an
    /// [`Exchange`](crate::exchange::Exchange), which hands it to another process without a copy.
    /// It holds the lease until its last handle is dropped. Whoever reads it does not know of the
    /// lease: look at [`check`](Self::check) when it is back, and throw away what was made of a
    /// frame that has ended meanwhile.
    ///
    /// # Errors
    /// [`PassOnError`] if the frame may not be read any more.
    pub fn pass_on(&self) -> Result<vs_frame::Frame, PassOnError> {
        self.check()?;
        let Contents { buffer, format, meta, .. } = &self.0.contents;
        let home: Arc<dyn Home> = Arc::new(Held(Mutex::new(Some(self.clone()))));
        Ok(vs_frame::Frame::new(Arc::clone(buffer), Arc::clone(format), *meta, Some((home, 0)))?)
    }

    /// Begins CPU reading: maps the memory if that has not happened yet, and synchronises
    /// caches. Reading ends when the map is dropped.
    ///
    /// # Errors
    /// [`MapError`] if the frame may not be read any more, or cannot be mapped.
    pub fn map(&self) -> Result<FrameMap<'_>, MapError> {
        self.check()?;
        let contents = &self.0.contents;
        Ok(FrameMap { view: FrameView::new(contents.buffer.read()?, &contents.format, &contents.meta), frame: self })
    }

    /// Reads the frame with `read`, and makes sure afterwards that it was whole until the
    /// end.
    ///
    /// # Errors
    /// [`MapError`] if the frame may not be read any more, cannot be mapped, or ended while
    /// it was being read: what `read` saw may then be torn, and is thrown away.
    pub fn read<T>(&self, read: impl FnOnce(&FrameView<'_>) -> T) -> Result<T, MapError> {
        let map = self.map()?;
        let result = read(&map);
        map.finish()?;
        Ok(result)
    }
}

impl fmt::Debug for ReceivedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedFrame")
            .field("serial", &self.0.contents.serial)
            .field("fourcc", &self.0.contents.format.fourcc)
            .field("meta", &self.0.contents.meta)
            .field("leased", &self.is_leased())
            .finish_non_exhaustive()
    }
}

/// The home of a frame that was passed on: it gives the handle up.
struct Held(Mutex<Option<ReceivedFrame>>);

impl Home for Held {
    fn take_back(&self, _slot: u32) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A frame's bytes, readable by the CPU: a [`FrameView`] that can tell whether it was whole.
#[derive(Debug)]
pub struct FrameMap<'a> {
    view: FrameView<'a>,
    frame: &'a ReceivedFrame,
}

impl<'a> Deref for FrameMap<'a> {
    type Target = FrameView<'a>;

    fn deref(&self) -> &FrameView<'a> {
        &self.view
    }
}

impl FrameMap<'_> {
    /// Ends reading, and says whether everything that was read belongs to this frame: see
    /// [`ReceivedFrame::check_read`].
    ///
    /// # Errors
    /// Why what was read may be torn.
    pub fn finish(self) -> Result<(), Ended> {
        self.frame.check_read()
    }
}
