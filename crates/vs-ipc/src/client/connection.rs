// SPDX-License-Identifier: Apache-2.0
//! One connection: takes messages from the socket, checks them, keeps what they change.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use vs_frame::clock::monotonic_ns;
use vs_frame::{Buffer, Format, FrameFlags, FrameMeta};

use super::buffers::{Buffers, MAX_BUFFERS};
use super::frame::{Contents, ReceivedFrame, Skipped};
use super::held::Held;
use super::incoming::{Goodbye, Incoming, LockReply, StreamStatus};
use super::link::Link;
use super::socket::{Descriptors, Inbox, Wait};
use super::{ProtocolError, ReceiveError, Session};
use crate::unlock_page::ClientPage;
use crate::wire::{self, FrameEvent, Message, WireError, field_time, format_message, revocation};

/// A connection to one stream. Dropping it ends it, and the right to read its frames.
#[derive(Debug)]
pub struct Connection {
    link: Arc<Link>,
    inbox: Inbox,
    session: Session,
    status: StreamStatus,
    format: Option<(u32, Arc<Format>)>,
    buffers: Buffers,
    held: Held,
}

/// What became of one attempt to take a message.
enum Step {
    /// There was none.
    Nothing,
    /// There was one that concerns nobody else.
    Handled,
    /// There was one for the user.
    Message(Incoming),
}

impl Connection {
    pub(super) fn new(link: Link, inbox: Inbox, session: Session, status: StreamStatus) -> Self {
        let (buffers, held) = (Buffers::new(MAX_BUFFERS), Held::default());
        Self { link: Arc::new(link), inbox, session, status, format: None, buffers, held }
    }

    /// What was agreed upon.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What the stream is doing, as far as messages have been taken.
    #[must_use]
    pub fn status(&self) -> &StreamStatus {
        &self.status
    }

    /// The current format; `None` if the host has not sent one yet.
    #[must_use]
    pub fn format(&self) -> Option<&Arc<Format>> {
        self.format.as_ref().map(|(_, format)| format)
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    /// Whether something waits for room in the socket. An event loop then also waits until
    /// the descriptor is writable, and calls [`receive`](Self::receive).
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        self.link.has_backlog()
    }

    /// Takes the next message without waiting; `None` if there is none yet. For event
    /// loops: wait until the descriptor is readable, then call this until it gives `None`.
    ///
    /// # Errors
    /// [`ReceiveError`]; the connection has ended then.
    pub fn receive(&mut self) -> Result<Option<Incoming>, ReceiveError> {
        self.link.flush();
        loop {
            match self.step(Wait::No)? {
                Step::Nothing => return Ok(None),
                Step::Handled => {}
                Step::Message(incoming) => return Ok(Some(incoming)),
            }
        }
    }

    /// Waits for the next message, at most for `timeout`; `None` waits for ever. Gives
    /// `None` when the time has passed. A constant timeout costs no more than none.
    ///
    /// # Errors
    /// [`ReceiveError`]; the connection has ended then.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Incoming>, ReceiveError> {
        if timeout == Some(Duration::ZERO) {
            return self.receive();
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut left = deadline.and(timeout);
        loop {
            // While an unlock waits for room the host may be waiting for that very unlock.
            let wait = if self.link.flush() { Wait::Block(left) } else { self.wait_for_room(left)? };
            if let Step::Message(incoming) = self.step(wait)? {
                return Ok(Some(incoming));
            }
            if let Some(deadline) = deadline {
                let remaining = deadline.saturating_duration_since(Instant::now());
                if remaining.is_zero() {
                    return Ok(None);
                }
                left = Some(remaining);
            }
        }
    }

    /// Waits until something can be read or sent.
    fn wait_for_room(&self, timeout: Option<Duration>) -> Result<Wait, ReceiveError> {
        let mut fds = [PollFd::new(&*self.link, PollFlags::IN | PollFlags::OUT)];
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(Wait::No),
            Err(error) => Err(self.fail(ReceiveError::Io(error.into()))),
        }
    }

    fn step(&mut self, wait: Wait) -> Result<Step, ReceiveError> {
        if self.link.is_closed() {
            return Err(ReceiveError::Closed);
        }
        let received = self.inbox.receive(self.link.as_fd(), wait).and_then(|descriptors| match descriptors {
            None => Ok(Step::Nothing),
            Some(descriptors) => self.dispatch(descriptors),
        });
        received.map_err(|error| self.fail(error))
    }

    fn fail(&self, error: ReceiveError) -> ReceiveError {
        self.link.close();
        error
    }

    fn dispatch(&mut self, descriptors: Descriptors) -> Result<Step, ReceiveError> {
        let record = self.inbox.record();
        let incoming = match wire::kind_of(record).map_err(ProtocolError::Wire)? {
            FrameEvent::KIND => {
                let event = *parse::<FrameEvent>(record)?;
                Incoming::Frame(self.frame(&event, descriptors)?)
            }
            wire::FormatMessage::KIND => {
                let (number, format) = format_message::decode(record).map_err(ProtocolError::Wire)?;
                let format = Arc::new(format);
                self.format = Some((number, format.clone()));
                self.buffers.format_changed();
                Incoming::Format(format)
            }
            wire::State::KIND => {
                self.status = StreamStatus::decode(record).map_err(ProtocolError::Wire)?;
                Incoming::State(self.status.clone())
            }
            wire::Revoked::KIND => {
                let (serial, reason) = revocation::decode(record).map_err(ProtocolError::Wire)?;
                if let Some(frame) = self.held.find(serial) {
                    frame.revoke();
                }
                // The host sends no further frame before it has heard of its client again.
                self.link.answer(serial)?;
                Incoming::Revoked { serial, reason }
            }
            wire::LockResponse::KIND => {
                let reply = LockReply::decode(record).map_err(ProtocolError::Wire)?;
                self.answered(&reply)?;
                Incoming::Locked(reply)
            }
            wire::BufferRetired::KIND => {
                let number = parse::<wire::BufferRetired>(record)?.buffer.get();
                self.buffers.retire(number);
                self.held.tidy();
                return Ok(Step::Handled);
            }
            wire::UnlockPage::KIND => {
                self.take_page(descriptors)?;
                return Ok(Step::Handled);
            }
            wire::Goodbye::KIND => {
                let goodbye = Goodbye::decode(record).map_err(ProtocolError::Wire)?;
                self.link.close();
                Incoming::Goodbye(goodbye)
            }
            // A later minor version may have more kinds.
            _ => return Ok(Step::Handled),
        };
        Ok(Step::Message(incoming))
    }

    /// A page that this process has no room for is done without: there are messages.
    fn take_page(&self, mut descriptors: Descriptors) -> Result<(), ProtocolError> {
        let entries = parse::<wire::UnlockPage>(self.inbox.record())?.entries.get();
        let Some(fd) = descriptors.fds[0].take() else { return Ok(()) };
        match ClientPage::map(&fd, entries as usize) {
            Ok(page) => self.link.set_page(page),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                return Err(WireError::Field { kind: wire::UnlockPage::KIND, field: "memory" }.into());
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn answered(&mut self, reply: &LockReply) -> Result<(), ProtocolError> {
        match (self.held.find(reply.serial), reply.result) {
            (Some(frame), Ok(deadline_ns)) => frame.grant(deadline_ns),
            (Some(frame), Err(_)) => frame.refuse(),
            // Granted, but dropped meanwhile.
            (None, Ok(_)) => self.link.answer(reply.serial)?,
            (None, Err(_)) => {}
        }
        Ok(())
    }

    fn frame(&mut self, event: &FrameEvent, descriptors: Descriptors) -> Result<ReceivedFrame, ReceiveError> {
        let serial = event.serial.get();
        let format = match &self.format {
            Some((number, format)) if *number == event.format.get() => format.clone(),
            _ => return Err(ProtocolError::UnknownFormat { serial, format: event.format.get() }.into()),
        };
        let buffer = self.buffers.resolve(event.into(), descriptors, &format)?;
        let meta = meta(event, &buffer)?;
        let contents = Contents {
            buffer,
            format,
            meta,
            serial,
            publish_ns: event.publish_ns.get(),
            received_ns: monotonic_ns(),
            skipped: Skipped(event.skipped.map(zerocopy::little_endian::U32::get)),
        };
        Ok(self.held.add(&self.link, contents, event.expires_ns.get(), event.leased != 0))
    }
}

fn parse<M: Message>(record: &[u8]) -> Result<&M, ProtocolError> {
    wire::parse(record).map(|(message, _)| message).map_err(ProtocolError::Wire)
}

fn meta(event: &FrameEvent, buffer: &Buffer) -> Result<FrameMeta, ProtocolError> {
    let serial = event.serial.get();
    let bytes_used = event.bytes_used.map(zerocopy::little_endian::U32::get);
    for (memory, (held, bytes_used)) in buffer.memories().iter().zip(bytes_used).enumerate() {
        if u64::from(bytes_used) > held.len() {
            return Err(ProtocolError::BytesUsed { serial, memory, bytes_used, len: held.len() });
        }
    }
    Ok(FrameMeta {
        sequence: event.sequence.get(),
        capture_ns: event.capture_ns.get(),
        pts: field_time(event.pts.get()),
        dts: field_time(event.dts.get()),
        duration: field_time(event.duration.get()).and_then(|duration| u64::try_from(duration).ok()),
        bytes_used,
        flags: FrameFlags::from_bits_retain(event.flags.get()),
    })
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.link.close();
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
