// SPDX-License-Identifier: Apache-2.0
//! Who has which buffer: the driver, a reader, or nobody.
//!
//! A buffer goes to the driver only while the queue streams, and only if nobody holds it.
//! Both are decided under one lock, so that a reader's last handle may be dropped on any
//! thread at any moment: before a stop, during it, after the queue is closed. What comes
//! back to a stopped queue waits for the next start; what comes back to a closed one is
//! memory that the kernel frees with its last descriptor.
//!
//! One queue is one format. Buffers come and go while it streams: a new one gets a number
//! that is free, and one that is to go first comes to **rest**, which means that it is not
//! given to the driver when it comes home. Only a resting buffer is removed, and nobody holds
//! one, so a buffer can never return to a driver that has another one under its number.
//!
//! Readers keep descriptors of buffers that they know. So a resting buffer first gets a new
//! name: under the old one readers are told to forget it, and it is removed when they have. One
//! that somebody does not let go of rests on, and is still there when it is needed: whatever
//! readers do, there is no more memory than the queue knows of.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use v4l2r::QueueType;
use vs_frame::{Buffer, Home};

use crate::sys::{self, Dequeued, Result};

/// The kernel's side of a queue.
pub(super) trait Driver: Send + Sync + 'static {
    /// Gives a buffer to the driver.
    fn enqueue(&self, index: u32) -> Result<()>;
    /// Takes a filled buffer; `None` if there is none yet.
    fn dequeue(&self) -> Result<Option<Dequeued>>;
    /// Begins to fill buffers.
    fn stream_on(&self) -> Result<()>;
    /// Ends it; the driver gives up every buffer.
    fn stream_off(&self) -> Result<()>;
    /// Whether somebody outside of this process still has the memory of a buffer.
    fn is_shared(&self, buffer: &Buffer) -> bool;
    /// Gives one buffer back to the system that the driver does not have.
    fn remove(&self, index: u32) -> Result<()>;
    /// Gives all buffers back to the system, as far as nobody holds them.
    fn release(&self) -> Result<()>;
}

/// A capture queue of a V4L2 node.
#[derive(Debug)]
pub(super) struct DeviceQueue {
    pub(super) fd: OwnedFd,
    pub(super) queue: QueueType,
}

impl AsFd for DeviceQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Driver for DeviceQueue {
    fn enqueue(&self, index: u32) -> Result<()> {
        sys::enqueue(self.as_fd(), self.queue, index)
    }

    fn dequeue(&self) -> Result<Option<Dequeued>> {
        sys::dequeue(self.as_fd(), self.queue)
    }

    fn stream_on(&self) -> Result<()> {
        sys::stream_on(self.as_fd(), self.queue)
    }

    fn stream_off(&self) -> Result<()> {
        sys::stream_off(self.as_fd(), self.queue)
    }

    fn is_shared(&self, buffer: &Buffer) -> bool {
        buffer.is_shared()
    }

    fn remove(&self, index: u32) -> Result<()> {
        sys::remove_buffer(self.as_fd(), self.queue, index)
    }

    fn release(&self) -> Result<()> {
        sys::request_buffers(self.as_fd(), self.queue, 0).map(|_| ())
    }
}

/// A driver's buffers. Closing it (by dropping it) stops the driver.
pub(super) struct BufferQueue<D: Driver> {
    driver: Arc<D>,
    /// By number; `None` under a number that no buffer has.
    buffers: Vec<Option<Arc<Buffer>>>,
    book: Arc<Book<D>>,
}

struct Book<D> {
    entries: Mutex<Entries<D>>,
}

struct Entries<D> {
    /// Away once the queue is closed: then nothing goes to the driver any more.
    driver: Option<Arc<D>>,
    streaming: bool,
    /// By number.
    slots: Vec<Slot>,
    /// So many of those that come home next shall rest.
    to_rest: u32,
    refused: Refused,
}

/// Who has a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    /// It goes to the driver as soon as that is possible.
    Nobody,
    Driver,
    Reader,
    /// Nobody, and it shall not go to the driver.
    Resting,
    /// As before, and it has a new name, which no reader knows.
    Renamed,
    /// There is no buffer of this number.
    Absent,
}

impl Slot {
    fn rests(self) -> bool {
        matches!(self, Self::Resting | Self::Renamed)
    }
}

/// What came of letting buffers go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct LetGo {
    /// Buffers that readers are to forget.
    pub(super) renamed: u32,
    /// Buffers that the system has back.
    pub(super) removed: u32,
    /// Why the driver kept one. It rests on, as do those after it.
    pub(super) refused: Option<Errno>,
}

/// Buffers that the driver did not take back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Refused {
    pub(super) count: u64,
    pub(super) last: Option<Errno>,
}

/// Beyond all numbers of buffers: a queue of the kernel's (`MAX_BUFFER_INDEX` of videobuf2) has
/// no more. A driver that gives another one is not to be believed.
const INDEX_END: u32 = 1 << 15;

/// How many buffers are where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holders {
    pub(super) driver: u32,
    pub(super) readers: u32,
    pub(super) nobody: u32,
    pub(super) resting: u32,
}

impl Holders {
    /// Buffers that there are.
    pub(super) fn all(self) -> u32 {
        self.driver + self.readers + self.nobody + self.resting
    }
}

/// Why a queue does not start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StartFailure {
    /// Every buffer that was offered was refused; the last one for this reason.
    NoBuffer(Errno),
    /// The driver does not begin to stream.
    StreamOn(Errno),
}

impl<D: Driver> Entries<D> {
    /// Gives a buffer to the driver if that is possible now. A refused one stays with nobody
    /// and is offered again later.
    fn offer(&mut self, index: usize) {
        let Some(driver) = self.driver.as_ref().filter(|_| self.streaming) else { return };
        match driver.enqueue(index as u32) {
            Ok(()) => self.slots[index] = Slot::Driver,
            Err(errno) => self.refused = Refused { count: self.refused.count + 1, last: Some(errno) },
        }
    }

    fn offer_all(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots[index] == Slot::Nobody {
                self.offer(index);
            }
        }
    }

    fn count(&self, slot: Slot) -> u32 {
        self.slots.iter().filter(|held| **held == slot).count() as u32
    }

    fn resting(&self) -> u32 {
        self.slots.iter().filter(|slot| slot.rests()).count() as u32
    }
}

impl<D: Driver> Book<D> {
    fn lock(&self) -> MutexGuard<'_, Entries<D>> {
        // Nothing under the lock can panic halfway; a poisoned book is still right.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Driver> Home for Book<D> {
    fn take_back(&self, slot: u32) {
        let mut entries = self.lock();
        let rests = entries.to_rest > 0;
        if let Some(held) = entries.slots.get_mut(slot as usize) {
            *held = if rests { Slot::Resting } else { Slot::Nobody };
            if rests { entries.to_rest -= 1 } else { entries.offer(slot as usize) }
        }
    }
}

impl<D: Driver> BufferQueue<D> {
    /// A queue of these buffers, which are numbered as the driver numbers them, stopped.
    pub(super) fn new(driver: Arc<D>, buffers: Vec<Arc<Buffer>>) -> Self {
        let slots = vec![Slot::Nobody; buffers.len()];
        let buffers = buffers.into_iter().map(Some).collect();
        let refused = Refused::default();
        let entries = Entries { driver: Some(Arc::clone(&driver)), streaming: false, slots, to_rest: 0, refused };
        Self { driver, buffers, book: Arc::new(Book { entries: Mutex::new(entries) }) }
    }

    /// The driver's side.
    pub(super) fn driver(&self) -> &D {
        &self.driver
    }

    /// The buffer of that number.
    pub(super) fn buffer(&self, index: u32) -> Option<&Arc<Buffer>> {
        self.buffers.get(index as usize)?.as_ref()
    }

    /// Whether a new buffer may have that number: none has it, and it is one that a kernel
    /// gives.
    pub(super) fn is_free(&self, index: u32) -> bool {
        index < INDEX_END && self.buffer(index).is_none()
    }

    /// Takes in a buffer that the driver has made under a number that
    /// [is free](Self::is_free), and gives it to the driver. None is to rest now.
    pub(super) fn add(&mut self, index: u32, buffer: Arc<Buffer>) {
        let index = index as usize;
        let len = self.buffers.len().max(index + 1);
        self.buffers.resize(len, None);
        self.buffers[index] = Some(buffer);
        let mut entries = self.book.lock();
        entries.to_rest = 0;
        entries.slots.resize(len, Slot::Absent);
        entries.slots[index] = Slot::Nobody;
        entries.offer(index);
    }

    /// From now on the next `count` buffers that come home rest.
    pub(super) fn rest(&self, count: u32) {
        self.book.lock().to_rest = count;
    }

    /// No buffer is to rest any more; returns how many that did are back in use.
    pub(super) fn wake(&self) -> u32 {
        let mut entries = self.book.lock();
        entries.to_rest = 0;
        let resting = entries.resting();
        for slot in entries.slots.iter_mut().filter(|slot| slot.rests()) {
            *slot = Slot::Nobody;
        }
        entries.offer_all();
        resting
    }

    /// Renames what rests, and gives back to the system what had been renamed before, unless
    /// somebody still has it.
    pub(super) fn let_go(&mut self) -> LetGo {
        let mut gone = LetGo::default();
        for index in 0..self.buffers.len() {
            // Nobody else does anything to a resting buffer: the lock need not be held while
            // its memory is freed.
            let slot = self.book.lock().slots.get(index).copied();
            let now = match (slot, self.buffers[index].take()) {
                (Some(Slot::Resting), Some(buffer)) => match Arc::try_unwrap(buffer) {
                    Ok(buffer) => {
                        self.buffers[index] = Some(Arc::new(buffer.renamed()));
                        gone.renamed += 1;
                        Slot::Renamed
                    }
                    // Its last frame is just being dropped, on another thread.
                    Err(buffer) => {
                        self.buffers[index] = Some(buffer);
                        continue;
                    }
                },
                (Some(Slot::Renamed), Some(buffer)) if !self.driver.is_shared(&buffer) => {
                    if let Err(errno) = self.driver.remove(index as u32) {
                        self.buffers[index] = Some(buffer);
                        gone.refused = Some(errno);
                        return gone;
                    }
                    gone.removed += 1;
                    Slot::Absent
                }
                (_, buffer) => {
                    self.buffers[index] = buffer;
                    continue;
                }
            };
            self.book.lock().slots[index] = now;
        }
        gone
    }

    /// Where its buffers go when readers are done.
    pub(super) fn home(&self) -> Arc<dyn Home> {
        Arc::<Book<D>>::clone(&self.book)
    }

    /// Gives the driver every buffer that nobody holds and lets it begin. Starting a queue
    /// that streams does nothing.
    pub(super) fn start(&self) -> std::result::Result<(), StartFailure> {
        {
            let mut entries = self.book.lock();
            if entries.streaming {
                return Ok(());
            }
            entries.streaming = true;
            entries.refused.last = None;
            entries.offer_all();
            if let (0, Some(errno)) = (entries.count(Slot::Driver), entries.refused.last) {
                entries.streaming = false;
                return Err(StartFailure::NoBuffer(errno));
            }
        }
        self.driver.stream_on().map_err(|errno| {
            self.stop();
            StartFailure::StreamOn(errno)
        })
    }

    /// Stops the driver, which gives up its buffers. What readers hold they keep.
    pub(super) fn stop(&self) {
        self.book.lock().streaming = false;
        // From here on no return reaches the driver, so the lock need not be held while it
        // stops, which may take as long as a frame. A driver that is gone has stopped.
        let _ = self.driver.stream_off();
        for slot in &mut self.book.lock().slots {
            if *slot == Slot::Driver {
                *slot = Slot::Nobody;
            }
        }
    }

    /// Takes a filled buffer for a reader; it comes back through [`home`](Self::home).
    pub(super) fn dequeue(&self) -> Result<Option<Dequeued>> {
        self.book.lock().offer_all();
        let Some(taken) = self.driver.dequeue()? else { return Ok(None) };
        match self.book.lock().slots.get_mut(taken.index as usize) {
            Some(slot) if *slot == Slot::Driver => *slot = Slot::Reader,
            // A number that the driver does not have is nobody's to read.
            _ => return Err(Errno::PROTO),
        }
        Ok(Some(taken))
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.book.lock().streaming
    }

    pub(super) fn holders(&self) -> Holders {
        let entries = self.book.lock();
        Holders {
            driver: entries.count(Slot::Driver),
            readers: entries.count(Slot::Reader),
            nobody: entries.count(Slot::Nobody),
            resting: entries.resting(),
        }
    }

    pub(super) fn refused(&self) -> Refused {
        self.book.lock().refused
    }
}

impl<D: Driver> Drop for BufferQueue<D> {
    fn drop(&mut self) {
        self.stop();
        self.book.lock().driver = None;
        // What readers hold is orphaned: the kernel keeps it for their descriptors. Kernels
        // before 4.20 refuse this while buffers are in use; closing the node does it then.
        let _ = self.driver.release();
    }
}

impl<D: Driver> fmt::Debug for BufferQueue<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferQueue").field("holders", &self.holders()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
