// SPDX-License-Identifier: Apache-2.0
//! The subscribing side: takes a stream from a host that speaks libvideostream's protocol.
//!
//! What such a host announces may be overwritten at any moment after its lifespan, so every
//! frame is locked before anybody sees it: [`Connection`] answers each event with a lock
//! request and yields the frame when the lock is granted. A [`Received::frame`] is an
//! ordinary [`Frame`]; dropping its last handle, in whatever thread, unlocks it.
//!
//! Answers carry no number; they come in the order of the requests. So requests leave in one
//! order, are remembered in that order, and an answer that does not fit the request that it
//! must belong to ends the connection: from there on every later one would be mistaken for
//! its neighbour. Nothing waits for an answer, and no event is lost while one is due.
//!
//! The host is believed nothing: sizes are checked against the memory behind a descriptor,
//! memory that could shrink is refused, and what it can make this process keep is bounded.

mod buffers;
mod error;
mod link;

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use vs_frame::clock::monotonic_ns;
use vs_frame::{Format, Frame, FrameFlags, FrameMeta, Home};

use self::buffers::Buffers;
pub use self::error::{ConnectError, ProtocolError, ReceiveError};
use self::link::{Asked, Link};
use super::picture::Picture;
use super::wire::{Event, LOCKS_MAX, Outcome, field_time};
use crate::client::socket::{Descriptors, Inbox, Wait};

/// A frame that the host has locked for this process.
#[derive(Debug)]
pub struct Received {
    /// The host's number for it. Frames that did not come leave gaps.
    pub serial: u64,
    /// When the host published it, in ns of `CLOCK_MONOTONIC`, as it says.
    /// Never later than now.
    pub publish_ns: u64,
    /// When it was asked for, in the same clock. The protocol does not say how long a lock
    /// lasts; however long it is, it has not begun before.
    pub asked_ns: u64,
    /// The frame. The right to read it ends with the connection: see
    /// [`Connection::is_closed`].
    pub frame: Frame,
}

/// What a message came to.
#[derive(Debug)]
pub enum Incoming {
    /// A frame is locked for this process.
    Frame(Received),
    /// Nothing that concerns anybody but the connection.
    Other,
}

/// What became of the host's events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Frames announced.
    pub announced: u64,
    /// Frames locked, and yielded.
    pub locked: u64,
    /// Frames that were gone when the lock request came.
    pub expired: u64,
    /// Frames that the host did not lock, for this process had too many by its count.
    pub refused: u64,
    /// Frames not asked for, for this process held as many as it wanted.
    pub no_credit: u64,
    /// Frames that the host had taken back before they were unlocked: whoever read them may
    /// have seen a later picture.
    pub taken_back: u64,
}

/// A connection to one host. Dropping it ends it, and the right to read its frames.
#[derive(Debug)]
pub struct Connection {
    link: Arc<Link>,
    inbox: Inbox,
    buffers: Buffers,
    /// Frames whose lock is not answered yet, in the order of the requests.
    pending: VecDeque<Pending>,
    /// The last picture, in memory of that length, and the format that it has.
    format: Option<(Picture, u64, Arc<Format>)>,
    /// Serial of the last frame announced.
    announced: u64,
    /// Serial of the last frame asked for.
    last_serial: u64,
    frames: usize,
    counts: Counts,
}

#[derive(Debug)]
struct Pending {
    received: Received,
    lock: Arc<Lock>,
}

/// What a frame of this connection does when its last handle is dropped.
#[derive(Debug)]
struct Lock {
    link: Arc<Link>,
    serial: i64,
    granted: AtomicBool,
}

impl Home for Lock {
    fn take_back(&self, _slot: u32) {
        if self.granted.load(Ordering::Acquire) {
            self.link.unlock(self.serial);
        }
    }
}

impl Connection {
    /// Connects to the host at `path`, waiting at most `timeout`. At most `frames` frames (1
    /// to [`LOCKS_MAX`]) are locked at once; those that come meanwhile are let go.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(path: &Path, frames: usize, timeout: Duration) -> Result<Self, ConnectError> {
        let failed = |source: Errno| ConnectError { path: path.to_owned(), source: source.into() };
        let address = SocketAddrUnix::new(path).map_err(failed)?;
        let kind = SocketType::SEQPACKET;
        let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(failed)?;
        // A host that does not accept leaves connect(2) waiting for room in its queue.
        set_socket_timeout(&socket, Timeout::Send, Some(timeout.max(Duration::from_micros(1)))).map_err(failed)?;
        loop {
            match connect(&socket, &address) {
                Ok(()) => return Ok(Self::over(socket, frames)),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// As [`connect`](Self::connect), over a seqpacket socket in blocking mode that is
    /// connected already.
    #[must_use]
    pub fn over(socket: OwnedFd, frames: usize) -> Self {
        Self {
            link: Arc::new(Link::new(socket)),
            inbox: Inbox::new(),
            buffers: Buffers::default(),
            pending: VecDeque::new(),
            format: None,
            announced: 0,
            last_serial: 0,
            frames: frames.clamp(1, LOCKS_MAX),
            counts: Counts::default(),
        }
    }

    /// What became of the host's events so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the connection has ended, as far as this process has noticed. Frames that it
    /// yielded may be overwritten then.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    /// Whether a request waits for room in the socket. An event loop then also waits until
    /// the descriptor is writable, and calls [`receive`](Self::receive).
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.link.has_backlog()
    }

    /// Whether a lock has been asked for and not been answered.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes one message without waiting; `None` if there is none yet. For event loops that
    /// have other work as well, which a host that floods must not keep them from: wait until
    /// the descriptor is readable, then call this until it gives `None`.
    ///
    /// # Errors
    /// [`ReceiveError`]; the connection has ended then.
    pub fn receive_one(&mut self) -> Result<Option<Incoming>, ReceiveError> {
        self.link.flush();
        Ok(match self.step(Wait::No)? {
            Step::Nothing => None,
            Step::Handled => Some(Incoming::Other),
            Step::Frame(received) => Some(Incoming::Frame(received)),
        })
    }

    /// Takes the next frame without waiting; `None` if there is none yet. For event loops:
    /// wait until the descriptor is readable, then call this until it gives `None`.
    ///
    /// # Errors
    /// [`ReceiveError`]; the connection has ended then.
    pub fn receive(&mut self) -> Result<Option<Received>, ReceiveError> {
        self.link.flush();
        loop {
            match self.step(Wait::No)? {
                Step::Nothing => return Ok(None),
                Step::Handled => {}
                Step::Frame(received) => return Ok(Some(received)),
            }
        }
    }

    /// Waits for the next frame, at most for `timeout`; `None` waits for ever. Gives `None`
    /// when the time has passed.
    ///
    /// # Errors
    /// [`ReceiveError`]; the connection has ended then.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Received>, ReceiveError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return self.receive();
            }
            // While a request waits for room the host may be waiting for that very request.
            let wait = if self.link.flush() { Wait::Block(left) } else { self.wait_for_room(left)? };
            if let Step::Frame(received) = self.step(wait)? {
                return Ok(Some(received));
            }
        }
    }

    fn wait_for_room(&self, timeout: Option<Duration>) -> Result<Wait, ReceiveError> {
        let mut fds = [PollFd::new(&*self.link, PollFlags::IN | PollFlags::OUT)];
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(Wait::No),
            Err(error) => {
                self.link.close();
                Err(ReceiveError::Io(error.into()))
            }
        }
    }

    fn step(&mut self, wait: Wait) -> Result<Step, ReceiveError> {
        if self.link.is_closed() {
            return Err(ReceiveError::Closed);
        }
        let received = self.inbox.receive(self.link.as_fd(), wait).map_err(ReceiveError::from);
        let step = received.and_then(|descriptors| match descriptors {
            None => Ok(Step::Nothing),
            Some(descriptors) => self.dispatch(descriptors),
        });
        step.inspect_err(|_| self.link.close())
    }

    fn dispatch(&mut self, descriptors: Descriptors) -> Result<Step, ReceiveError> {
        let record = self.inbox.record();
        let event = Event::parse(record).ok_or(ProtocolError::TooShort(record.len()))?;
        // Descriptors that come with an answer are closed unseen.
        if event.is_answer() { Ok(self.answered(&event)?) } else { self.announced(&event, descriptors) }
    }

    fn announced(&mut self, event: &Event, descriptors: Descriptors) -> Result<Step, ReceiveError> {
        let serial = u64::try_from(event.serial.get()).map_err(|_| ProtocolError::Serial(event.serial.get()))?;
        if event.error.get() != 0 {
            return Err(ProtocolError::Failed { serial, error: event.error.get() }.into());
        }
        let fd = only_descriptor(serial, descriptors)?;
        // What came before is not to be mistaken for what is new.
        if serial <= self.announced {
            return Err(ProtocolError::Order { serial, last: self.announced }.into());
        }
        self.announced = serial;
        self.counts.announced += 1;
        let now_ns = monotonic_ns();
        if self.link.wanted() >= self.frames {
            self.counts.no_credit += 1;
            return Ok(Step::Handled);
        }
        let pending = self.pending(serial, event, fd, now_ns)?;
        self.pending.push_back(pending);
        self.link.lock(event.serial.get());
        Ok(Step::Handled)
    }

    fn pending(&mut self, serial: u64, event: &Event, fd: OwnedFd, now_ns: u64) -> Result<Pending, ProtocolError> {
        let buffer = self.buffers.resolve(fd).map_err(|source| ProtocolError::Memory { serial, source })?;
        let len = buffer.memories().first().map_or(0, vs_frame::Memory::len);
        let (picture, wrong) = (Picture::said_by(event), |source| ProtocolError::Picture { serial, source });
        let format = match &self.format {
            Some((known, known_len, format)) if (*known, *known_len) == (picture, len) => Arc::clone(format),
            _ => {
                let format = Arc::new(picture.format(len).map_err(wrong)?);
                self.format = Some((picture, len, Arc::clone(&format)));
                format
            }
        };
        let said_ns = u64::try_from(event.timestamp.get()).ok().filter(|ns| *ns > 0);
        let publish_ns = said_ns.unwrap_or(now_ns).min(now_ns);
        let mut flags = FrameFlags::empty();
        flags.set(FrameFlags::GAP, self.last_serial != 0 && serial != self.last_serial.wrapping_add(1));
        self.last_serial = serial;
        let meta = FrameMeta {
            sequence: serial as u32,
            capture_ns: publish_ns,
            pts: field_time(event.pts.get()),
            dts: field_time(event.dts.get()),
            duration: u64::try_from(event.duration.get()).ok(),
            // The format lies within the memory, and its offsets within 32 bits.
            bytes_used: [u32::try_from(picture.size).unwrap_or(0), 0, 0, 0],
            flags,
        };
        let granted = AtomicBool::new(false);
        let lock = Arc::new(Lock { link: Arc::clone(&self.link), serial: event.serial.get(), granted });
        let frame = Frame::new(buffer, format, meta, Some((lock.clone(), 0)));
        let frame = frame.map_err(|source| ProtocolError::Frame { serial, source })?;
        Ok(Pending { received: Received { serial, publish_ns, asked_ns: now_ns, frame }, lock })
    }

    fn answered(&mut self, event: &Event) -> Result<Step, ProtocolError> {
        let outcome = Outcome::from_code(event.error.get());
        let locked = event.locked.get() != 0;
        match self.link.answered().ok_or(ProtocolError::NotAsked)? {
            Asked::Lock => {
                let pending = self.pending.pop_front().ok_or(ProtocolError::NotAsked)?;
                match outcome {
                    Some(Outcome::Success) if locked => {
                        pending.lock.granted.store(true, Ordering::Release);
                        self.counts.locked += 1;
                        return Ok(Step::Frame(pending.received));
                    }
                    Some(Outcome::Expired) if !locked => self.counts.expired += 1,
                    Some(Outcome::TooManyLocked) if !locked => self.counts.refused += 1,
                    _ => return Err(ProtocolError::Mistaken { asked: "lock", error: event.error.get(), locked }),
                }
                self.link.not_granted();
            }
            Asked::Unlock => match outcome {
                Some(Outcome::Success) if !locked => {}
                Some(Outcome::Expired) if !locked => self.counts.taken_back += 1,
                _ => return Err(ProtocolError::Mistaken { asked: "unlock", error: event.error.get(), locked }),
            },
        }
        Ok(Step::Handled)
    }
}

/// What became of one attempt to take a message.
enum Step {
    /// There was none.
    Nothing,
    /// There was one that concerns nobody else.
    Handled,
    /// A frame is this process's.
    Frame(Received),
}

fn only_descriptor(serial: u64, descriptors: Descriptors) -> Result<OwnedFd, ReceiveError> {
    let Descriptors { fds, count, truncated } = descriptors;
    match (fds.into_iter().flatten().next(), count) {
        (Some(fd), 1) if !truncated => Ok(fd),
        (None, _) if truncated => Err(ReceiveError::TooManyOpenFiles),
        _ => Err(ProtocolError::Descriptors { serial, count }.into()),
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.link.close();
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}
