// SPDX-License-Identifier: Apache-2.0
//! Pictures in, access units out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use vs_frame::{CpuPool, Format, Frame, WriteSlot};
use vs_ipc::exchange::Adjustment;

use super::error::{BufferError, OpenError, ReceiveError, RequestError, SubmitError};
use super::session::{Output, Patience, Session};
use super::{EncoderBuilder, EncoderInfo};

/// An encoder of the daemon. See the [module](super) for an example.
///
/// It belongs to one thread at a time (`Send`). Dropping it closes the session at once, and what
/// is still inside is lost: [`drain`](Self::drain) before.
#[derive(Debug)]
pub struct Encoder {
    session: Session,
    info: EncoderInfo,
    format: Arc<Format>,
    /// Made when it is first needed: most programs have frames of their own.
    pool: Option<CpuPool>,
    inputs: u16,
    timeout: Option<Duration>,
}

impl Encoder {
    /// Options for an encoder.
    #[must_use]
    pub fn builder() -> EncoderBuilder {
        EncoderBuilder::default()
    }

    pub(super) fn new(
        socket: OwnedFd,
        info: EncoderInfo,
        format: Arc<Format>,
        timeout: Option<Duration>,
        greeting: Duration,
    ) -> Result<Self, OpenError> {
        let mut session = Session::new(socket);
        let inputs = session.greet(greeting)?.inputs;
        Ok(Self { session, info, format, pool: None, inputs, timeout })
    }

    /// Which encoder it was when it was opened, and what it does.
    #[must_use]
    pub fn info(&self) -> &EncoderInfo {
        &self.info
    }

    /// A buffer for a picture of the format that the encoder was opened for, waiting until one
    /// comes back if all are in use. [`WriteSlot::finish`] makes a frame of it.
    ///
    /// # Errors
    /// [`BufferError`] if there is no memory, none comes back in time, or the session has ended.
    pub fn buffer(&mut self) -> Result<WriteSlot, BufferError> {
        let pool = match self.pool.take() {
            Some(pool) => pool,
            None => Session::pool(Arc::clone(&self.format), self.inputs)?,
        };
        self.session.buffer(self.pool.insert(pool), Patience::of(self.timeout))
    }

    /// Submits a picture, which comes out as one access unit with this tag and the picture's times
    /// (its capture time in place of a presentation time if it has none). Waits until the daemon
    /// can take it. A picture of another size or pixel format than the one before makes the daemon
    /// open the encoder anew, which begins with a keyframe.
    ///
    /// # Errors
    /// [`SubmitError`]; the picture was not submitted.
    pub fn submit(&mut self, frame: &Frame, tag: u64) -> Result<(), SubmitError> {
        self.session.submit(frame, tag, Patience::of(self.timeout))
    }

    /// As [`submit`](Self::submit), without waiting: [`SubmitError::Full`] if there is no credit
    /// at present.
    ///
    /// # Errors
    /// [`SubmitError`]; the picture was not submitted.
    pub fn try_submit(&mut self, frame: &Frame, tag: u64) -> Result<(), SubmitError> {
        self.session.try_submit(frame, tag)
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
    /// pictures may be submitted at once: they come out behind it, beginning with a keyframe.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn drain(&mut self) -> Result<(), RequestError> {
        self.session.drain()
    }

    /// Forgets everything that was submitted and has not been received, drains included. What is
    /// submitted from now on begins with a keyframe.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn flush(&mut self) -> Result<(), RequestError> {
        self.session.flush()
    }

    /// Makes the next picture that is submitted a keyframe.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn force_keyframe(&mut self) -> Result<(), RequestError> {
        self.session.adjust(Adjustment { force_keyframe: true, ..Adjustment::default() })
    }

    /// Changes the bit rate, in bit/s, from the next picture that is submitted on.
    /// [`Output::Adjusted`] says what came of it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn set_bitrate(&mut self, bits: u64) -> Result<(), RequestError> {
        self.session.adjust(Adjustment { bitrate: Some(bits), ..Adjustment::default() })
    }

    /// Changes how far keyframes are apart at most, from the next picture that is submitted on.
    /// [`Output::Adjusted`] says what came of it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn set_keyframe_interval(&mut self, interval: Duration) -> Result<(), RequestError> {
        let ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.session.adjust(Adjustment { keyframe_interval_ns: Some(ns), ..Adjustment::default() })
    }

    /// Pictures that could be submitted now without waiting.
    #[must_use]
    pub fn credit(&self) -> usize {
        self.session.credit()
    }

    /// Pictures that were submitted and have not come out.
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

impl AsFd for Encoder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.session.as_fd()
    }
}
