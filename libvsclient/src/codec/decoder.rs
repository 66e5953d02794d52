// SPDX-License-Identifier: Apache-2.0
//! Access units in, pictures out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use vs_frame::{CpuPool, Format, Frame, FrameMeta};

use super::error::{BufferError, OpenError, ReceiveError, RequestError, SubmitError};
use super::session::{Output, Patience, Session};
use super::{DecoderBuilder, DecoderInfo};

/// A decoder of the daemon: an [`Encoder`](super::Encoder) the other way round.
///
/// Access units are submitted in decoding order, each with parameter sets in front of its keyframe
/// (Annex B for H.264); pictures come out in the order in which they are to be shown, each in its
/// own format ([`Frame::format`]), which may change in the middle.
///
/// It belongs to one thread at a time (`Send`). Dropping it closes the session at once.
#[derive(Debug)]
pub struct Decoder {
    session: Session,
    info: DecoderInfo,
    format: Arc<Format>,
    /// For access units that come as bytes.
    pool: Option<CpuPool>,
    inputs: u16,
    timeout: Option<Duration>,
}

impl Decoder {
    /// Options for a decoder.
    #[must_use]
    pub fn builder() -> DecoderBuilder {
        DecoderBuilder::default()
    }

    pub(super) fn new(
        socket: OwnedFd,
        info: DecoderInfo,
        format: Arc<Format>,
        timeout: Option<Duration>,
        greeting: Duration,
    ) -> Result<Self, OpenError> {
        let mut session = Session::new(socket);
        let inputs = session.greet(greeting)?.inputs;
        Ok(Self { session, info, format, pool: None, inputs, timeout })
    }

    /// Which decoder it was when it was opened.
    #[must_use]
    pub fn info(&self) -> &DecoderInfo {
        &self.info
    }

    /// Submits an access unit that is a frame already, of a coded stream or of an
    /// [`Encoder`](super::Encoder). It comes out as one picture with this tag and its times, or is
    /// lost. Waits until the daemon can take it.
    ///
    /// # Errors
    /// [`SubmitError`]; the access unit was not submitted.
    pub fn submit(&mut self, frame: &Frame, tag: u64) -> Result<(), SubmitError> {
        self.session.submit(frame, tag, Patience::of(self.timeout))
    }

    /// As [`submit`](Self::submit), without waiting: [`SubmitError::Full`] if there is no credit
    /// at present.
    ///
    /// # Errors
    /// [`SubmitError`]; the access unit was not submitted.
    pub fn try_submit(&mut self, frame: &Frame, tag: u64) -> Result<(), SubmitError> {
        self.session.try_submit(frame, tag)
    }

    /// Submits an access unit that lies in ordinary memory, by copying it. Of `meta`, times and
    /// flags count. Waits until the daemon can take it.
    ///
    /// # Errors
    /// [`SubmitError`]; the access unit was not submitted.
    pub fn submit_unit(&mut self, unit: &[u8], meta: FrameMeta, tag: u64) -> Result<(), SubmitError> {
        let frame = self.frame(unit, meta)?;
        self.submit(&frame, tag)
    }

    fn frame(&mut self, unit: &[u8], meta: FrameMeta) -> Result<Frame, SubmitError> {
        let pool = match self.pool.take() {
            Some(pool) => pool,
            None => Session::pool(Arc::clone(&self.format), self.inputs)?,
        };
        let pool = self.pool.insert(pool);
        let mut slot = self.session.buffer(pool, Patience::of(self.timeout))?;
        let copied = slot.write(|memories| {
            let room = memories.first_mut().and_then(|memory| memory.get_mut(..unit.len()));
            room.map(|room| room.copy_from_slice(unit))
        });
        let max = self.format.memory_size(0) as usize;
        copied.map_err(BufferError::from)?.ok_or(BufferError::TooLong { len: unit.len(), max })?;
        Ok(slot.finish(FrameMeta { bytes_used: [unit.len() as u32, 0, 0, 0], ..meta })?)
    }

    /// Waits for what comes out next, at most for `timeout`; `None` waits for ever. Gives `None`
    /// when the time has passed.
    ///
    /// # Errors
    /// [`ReceiveError`] if the session has ended and all that came out before has been received.
    pub fn receive(&mut self, timeout: Option<Duration>) -> Result<Option<Output>, ReceiveError> {
        Ok(self.session.receive(Patience::of(timeout))?)
    }

    /// Takes what comes out next; `None` if nothing has come out yet.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn try_receive(&mut self) -> Result<Option<Output>, ReceiveError> {
        Ok(self.session.try_receive()?)
    }

    /// Asks for everything that is still inside; [`Output::Drained`] says that it was all. Further
    /// access units may be submitted at once, beginning with a keyframe.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn drain(&mut self) -> Result<(), RequestError> {
        self.session.drain()
    }

    /// Forgets everything that was submitted and has not been received, drains included: a seek.
    /// What is submitted from now on must begin with a keyframe.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn flush(&mut self) -> Result<(), RequestError> {
        self.session.flush()
    }

    /// Access units that could be submitted now without waiting.
    #[must_use]
    pub fn credit(&self) -> usize {
        self.session.credit()
    }

    /// Access units that were submitted and have not come out.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.session.inside()
    }

    /// Whether an event loop is to wait until the descriptor is writable, too.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.session.wants_write()
    }
}

impl AsFd for Decoder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.session.as_fd()
    }
}
