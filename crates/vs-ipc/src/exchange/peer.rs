// SPDX-License-Identifier: Apache-2.0
//! One end of an exchange.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::event::PollFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use vs_frame::{Format, Frame, FrameFlags, FrameMeta};

use super::error::{ExchangeError, LendError, ViolationError};
use super::lending::Lending;
use super::link::{Borrowed, Hangup, Link};
use super::{MAX_BUFFERS, MAX_CREDITS, Word};
use crate::client::buffers::Buffers;
use crate::client::socket::{Descriptors, Inbox, Wait};
use crate::client::{Goodbye, ProtocolError};
use crate::wire::exchange::{
    Adjust, Adjusted, Drain, Drained, Flush, Flushed, Lend, Lost, Opened, Return, VERSION_MAJOR, VERSION_MINOR,
};
use crate::wire::{self, GoodbyeReason, Message, field_time, format_message};

/// Both ends of the socket of an exchange.
///
/// # Errors
/// What the system says.
pub fn pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Messages that concern nobody, one after the other, before the caller gets a turn: a side that
/// sends nothing else must not keep the other one from its work.
const MAX_PASSED_OVER: usize = 64;

/// Which end it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Lends what is to be made into something else.
    Client,
    /// Lends what was made.
    Daemon,
}

/// How many frames may be lent at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credits {
    /// By the client.
    pub inputs: u16,
    /// By the daemon.
    pub outputs: u16,
}

impl Default for Credits {
    fn default() -> Self {
        Self { inputs: super::DEFAULT_CREDITS, outputs: super::DEFAULT_CREDITS }
    }
}

impl Credits {
    /// At least one each way, and at most [`MAX_CREDITS`].
    #[must_use]
    pub fn clamped(self) -> Self {
        Self { inputs: self.inputs.clamp(1, MAX_CREDITS), outputs: self.outputs.clamp(1, MAX_CREDITS) }
    }
}

/// A frame of the other side. Dropping its last handle gives it back.
#[derive(Debug)]
pub struct Loan {
    /// Its number.
    pub number: u64,
    /// Number of the input that it was made from; 0 for inputs.
    pub origin: u64,
    /// The frame.
    pub frame: Frame,
}

/// What the other side has said.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// The daemon is there, and frames may be lent.
    Opened(Credits),
    /// A frame.
    Lent(Loan),
    /// A frame that was lent has come back.
    Returned(u64),
    /// Anything else.
    Word(Word),
    /// The other side ends the connection.
    Goodbye(Goodbye),
}

/// One end of an exchange. Dropping it ends the connection.
#[derive(Debug)]
pub struct Exchange {
    link: Arc<Link>,
    side: Side,
    inbox: Inbox,
    opened: bool,
    lending: Lending,
    /// What the other side has lent.
    buffers: Buffers,
    format: Option<(u32, Arc<Format>)>,
    borrowed_last: u64,
    borrowed_max: u16,
    /// A frame could not be lent for lack of room in the socket.
    crowded: bool,
}

/// What became of one attempt to take a message.
enum Step {
    Nothing,
    /// There was one that concerns nobody else.
    Handled,
    Received(Received),
}

impl Exchange {
    /// The client's end. Frames may be lent when [`Received::Opened`] has come.
    #[must_use]
    pub fn client(socket: OwnedFd) -> Self {
        Self::new(socket, Side::Client)
    }

    /// The daemon's end. Tells the client how many frames may be lent.
    #[must_use]
    pub fn daemon(socket: OwnedFd, credits: Credits) -> Self {
        let mut exchange = Self::new(socket, Side::Daemon);
        let Credits { inputs, outputs } = credits.clamped();
        exchange.open(outputs, inputs);
        let (major, minor) = (VERSION_MAJOR.into(), VERSION_MINOR.into());
        let opened = Opened { major, minor, inputs: inputs.into(), outputs: outputs.into(), ..Opened::default() };
        exchange.link.say(wire::record(opened, &[]));
        exchange
    }

    fn new(socket: OwnedFd, side: Side) -> Self {
        Self {
            link: Arc::new(Link::new(socket)),
            side,
            inbox: Inbox::new(),
            opened: false,
            lending: Lending::default(),
            buffers: Buffers::new(MAX_BUFFERS),
            format: None,
            borrowed_last: 0,
            borrowed_max: 0,
            crowded: false,
        }
    }

    fn open(&mut self, lend: u16, borrow: u16) {
        self.lending.set_max(lend);
        self.borrowed_max = borrow.min(MAX_CREDITS);
        self.opened = true;
    }

    /// How many more frames may be lent now.
    #[must_use]
    pub fn credit(&self) -> usize {
        self.lending.credit()
    }

    /// How many frames are lent.
    #[must_use]
    pub fn lent(&self) -> usize {
        self.lending.lent()
    }

    /// How many frames of the other side have not been given back.
    #[must_use]
    pub fn borrowed(&self) -> usize {
        self.link.borrowed()
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.link.is_closed()
    }

    /// What to wait for at the descriptor before the next [`receive`](Self::receive): something to
    /// read, and room to write if anything waits for it.
    #[must_use]
    pub fn events(&self) -> PollFlags {
        let room = self.crowded || self.link.has_backlog();
        if room { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }

    /// A way to end it from another thread.
    #[must_use]
    pub fn hangup(&self) -> Hangup {
        Hangup(Arc::clone(&self.link))
    }

    /// Lends a frame, made of input number `origin` (0 for inputs), and says under which number.
    /// Its memory must stay as it is until [`Received::Returned`]; the exchange holds a handle to
    /// it until then.
    ///
    /// # Errors
    /// [`LendError`]; the frame was not lent.
    pub fn lend(&mut self, frame: &Frame, origin: u64) -> Result<u64, LendError> {
        let lent = self.lending.lend(&self.link, frame, origin);
        self.crowded = lent == Err(LendError::Full);
        lent
    }

    /// Says something else, now or as soon as the socket has room.
    pub fn say(&self, word: &Word) {
        self.link.say(word.encode());
    }

    /// Tells the other side why, as far as there is room, and ends the connection.
    pub fn goodbye(&self, reason: GoodbyeReason, text: &str) {
        self.link.goodbye(reason, text);
    }

    /// Takes what the other side has said, without waiting; `None` if it has said nothing.
    ///
    /// # Errors
    /// [`ExchangeError`]; the connection has ended then, and the other side was told why.
    pub fn receive(&mut self) -> Result<Option<Received>, ExchangeError> {
        self.link.flush();
        for _ in 0..MAX_PASSED_OVER {
            match self.step() {
                Ok(Step::Nothing) => return Ok(None),
                Ok(Step::Handled) => {}
                Ok(Step::Received(received)) => return Ok(Some(received)),
                Err(error) => {
                    self.end(&error);
                    return Err(error);
                }
            }
        }
        // The descriptor is still readable.
        Ok(None)
    }

    fn end(&self, error: &ExchangeError) {
        match error {
            ExchangeError::Violation(violation @ ViolationError::Version { .. }) => {
                self.goodbye(GoodbyeReason::Version, &violation.to_string());
            }
            ExchangeError::Violation(violation) => self.goodbye(GoodbyeReason::Malformed, &violation.to_string()),
            ExchangeError::TooManyOpenFiles { .. } => self.goodbye(GoodbyeReason::Other, &error.to_string()),
            ExchangeError::Closed | ExchangeError::NotReading | ExchangeError::Io(_) => self.link.close(),
        }
    }

    fn step(&mut self) -> Result<Step, ExchangeError> {
        if self.link.is_overflowed() {
            return Err(ExchangeError::NotReading);
        }
        if self.link.is_closed() {
            return Err(ExchangeError::Closed);
        }
        match self.inbox.receive(self.link.as_fd(), Wait::No)? {
            None => Ok(Step::Nothing),
            Some(descriptors) => self.dispatch(descriptors),
        }
    }

    fn dispatch(&mut self, descriptors: Descriptors) -> Result<Step, ExchangeError> {
        let record = self.inbox.record();
        let kind = wire::kind_of(record)?;
        if !self.expects(kind) {
            return Err(ViolationError::Unexpected { kind }.into());
        }
        let received = match kind {
            Opened::KIND => {
                let opened = wire::parse::<Opened>(record)?.0;
                let (major, credits) =
                    (opened.major.get(), Credits { inputs: opened.inputs.get(), outputs: opened.outputs.get() });
                if major != VERSION_MAJOR {
                    return Err(ViolationError::Version { major }.into());
                }
                if credits != credits.clamped() {
                    return Err(wire::WireError::Field { kind, field: "number of frames" }.into());
                }
                self.open(credits.inputs, credits.outputs);
                Received::Opened(credits)
            }
            wire::FormatMessage::KIND => {
                let (number, format) = format_message::decode(record)?;
                self.format = Some((number, Arc::new(format)));
                self.buffers.format_changed();
                return Ok(Step::Handled);
            }
            Lend::KIND => {
                let lend = *wire::parse::<Lend>(record)?.0;
                Received::Lent(self.borrow(&lend, descriptors)?)
            }
            Return::KIND => {
                let number = wire::parse::<Return>(record)?.0.number.get();
                if !self.lending.take_back(number) {
                    return Err(ViolationError::Return { number }.into());
                }
                Received::Returned(number)
            }
            wire::BufferRetired::KIND => {
                self.buffers.retire(wire::parse::<wire::BufferRetired>(record)?.0.buffer.get());
                return Ok(Step::Handled);
            }
            wire::Goodbye::KIND => {
                let goodbye = Goodbye::decode(record)?;
                self.link.close();
                Received::Goodbye(goodbye)
            }
            _ => match Word::decode(kind, record)? {
                Some(word) => Received::Word(word),
                // A later minor version may have more kinds.
                None => return Ok(Step::Handled),
            },
        };
        Ok(Step::Received(received))
    }

    /// Whether the other side may say that now. What is not known is passed over.
    fn expects(&self, kind: u16) -> bool {
        match kind {
            Opened::KIND => self.side == Side::Client && !self.opened,
            wire::Goodbye::KIND => true,
            Lost::KIND | Drained::KIND | Flushed::KIND | Adjusted::KIND => self.side == Side::Client && self.opened,
            Drain::KIND | Flush::KIND | Adjust::KIND => self.side == Side::Daemon,
            _ => self.opened,
        }
    }

    fn borrow(&mut self, lend: &Lend, descriptors: Descriptors) -> Result<Loan, ExchangeError> {
        let (number, expected) = (lend.number.get(), self.borrowed_last.wrapping_add(1));
        if number != expected {
            return Err(ViolationError::Number { got: number, expected }.into());
        }
        if self.link.borrowed() >= usize::from(self.borrowed_max) {
            return Err(ViolationError::Credit { max: self.borrowed_max }.into());
        }
        let format = match &self.format {
            Some((known, format)) if *known == lend.format.get() => Arc::clone(format),
            _ => {
                let unknown = ProtocolError::UnknownFormat { serial: number, format: lend.format.get() };
                return Err(ViolationError::Message(unknown).into());
            }
        };
        let buffer = self.buffers.resolve(lend.into(), descriptors, &format)?;
        let home = Arc::new(Borrowed::new(&self.link, number));
        let frame = match Frame::new(buffer, format, meta(lend), Some((home, 0))) {
            Ok(frame) => frame,
            Err(source) => return Err(ViolationError::Frame { number, source }.into()),
        };
        self.borrowed_last = number;
        Ok(Loan { number, origin: lend.origin.get(), frame })
    }
}

fn meta(lend: &Lend) -> FrameMeta {
    FrameMeta {
        sequence: lend.sequence.get(),
        capture_ns: lend.capture_ns.get(),
        pts: field_time(lend.pts.get()),
        dts: field_time(lend.dts.get()),
        duration: field_time(lend.duration.get()).and_then(|duration| u64::try_from(duration).ok()),
        bytes_used: lend.bytes_used.map(zerocopy::little_endian::U32::get),
        flags: FrameFlags::from_bits_retain(lend.flags.get()),
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.link.close();
    }
}

impl AsFd for Exchange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl AsRawFd for Exchange {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
