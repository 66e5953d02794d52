// SPDX-License-Identifier: Apache-2.0
//! A session: a state machine, a node, and a caller's thread.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use vs_frame::clock::monotonic_ns;
use vs_frame::{Format, Frame, FrameMeta};

use super::controls::{EffectiveControl, EncoderControl};
use super::device::{Device, Plan};
use super::error::{OpenSessionError, SubmitError};
use super::machine::{Command, Failure, LossCause, Machine, Output, Refusal, Repair};
use super::request::{ConverterRequest, DecoderRequest, EncoderRequest, Tuning};
use super::wake::{self, Homecoming, Waker};
use crate::planar::Planar;

/// What a device is to work on.
#[derive(Clone, Debug)]
pub struct Input {
    payload: Payload,
    meta: FrameMeta,
}

#[derive(Clone, Debug)]
pub(super) enum Payload {
    Frame(Frame, Wish),
    Bytes(Arc<[u8]>),
}

/// How a picture is to be coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    Any,
    Keyframe,
}

impl Input {
    /// An access unit. Times and flags of `meta` come back with what is made of it.
    #[must_use]
    pub fn unit(bytes: impl Into<Arc<[u8]>>, meta: FrameMeta) -> Self {
        Self { payload: Payload::Bytes(bytes.into()), meta }
    }

    /// The same with other times and flags to come back.
    #[must_use]
    pub fn with_meta(self, meta: FrameMeta) -> Self {
        Self { meta, ..self }
    }

    /// A picture that an encoder is to make a keyframe of, if it
    /// [can be told so](Session::forces_keyframes).
    #[must_use]
    pub fn as_keyframe(self) -> Self {
        let payload = match self.payload {
            Payload::Frame(frame, _) => Payload::Frame(frame, Wish::Keyframe),
            bytes @ Payload::Bytes(_) => bytes,
        };
        Self { payload, ..self }
    }
}

impl From<Frame> for Input {
    /// A picture, or an access unit, which is held until the device is done with it. Its times
    /// come back with what is made of it.
    fn from(frame: Frame) -> Self {
        let meta = *frame.meta();
        Self { payload: Payload::Frame(frame, Wish::Any), meta }
    }
}

/// What a session has for its caller, in order.
#[derive(Debug)]
pub enum Delivery {
    /// What became of the input of this token. Dropping the frame's last handle gives the
    /// buffer back to the device.
    Frame {
        /// The caller's token.
        token: u64,
        /// The picture or the access unit.
        frame: Frame,
    },
    /// Parameter sets that an encoder delivers by themselves.
    Headers(Frame),
    /// The format of what follows.
    Format(Arc<Format>),
    /// The input of this token has no result.
    Lost {
        /// The caller's token.
        token: u64,
        /// Why.
        cause: LossCause,
    },
    /// Everything that was submitted before a [`drain`](Session::drain) has been delivered.
    Drained,
    /// Nothing that was submitted before a [`flush`](Session::flush) comes any more.
    Flushed,
    /// The driver did not go on; this is done about it.
    Repaired(Repair),
    /// The session has ended. Every input has been accounted for.
    Failed(Failure),
}

/// An open encoder, decoder or converter. It belongs to one thread, and never blocks but in
/// [`wait`](Self::wait).
///
/// For an event loop: when the descriptor ([`AsFd`]) is readable, or
/// [`deadline`](Self::deadline) has come, call [`process`](Self::process), and take everything
/// that [`next`](Self::next) has.
#[derive(Debug)]
pub struct Session {
    machine: Machine<Payload>,
    device: Device,
    waker: Waker,
    /// By the number of an input, which is the machine's token.
    origins: BTreeMap<u64, Origin>,
    inputs: u64,
    deliveries: VecDeque<Delivery>,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Origin {
    token: u64,
    meta: FrameMeta,
}

/// More commands than any sequence has: a driver that always has something new must not keep
/// the caller's thread.
const MAX_COMMANDS: u32 = 1000;

impl Session {
    /// Opens a stateful decoder.
    ///
    /// # Errors
    /// [`OpenSessionError`]; the device is closed again then.
    pub fn decoder(devnode: &Path, request: &DecoderRequest) -> Result<Self, OpenSessionError> {
        Self::open(devnode, Plan::Decoder(request.clone()), &request.tuning)
    }

    /// Opens a stateful encoder.
    ///
    /// # Errors
    /// [`OpenSessionError`]; the device is closed again then.
    pub fn encoder(devnode: &Path, request: &EncoderRequest) -> Result<Self, OpenSessionError> {
        Self::open(devnode, Plan::Encoder(request.clone()), &request.tuning)
    }

    /// Opens a converter.
    ///
    /// # Errors
    /// [`OpenSessionError`]; the device is closed again then.
    pub fn converter(devnode: &Path, request: &ConverterRequest) -> Result<Self, OpenSessionError> {
        Self::open(devnode, Plan::Converter(request.clone()), &request.tuning)
    }

    fn open(devnode: &Path, plan: Plan, tuning: &Tuning) -> Result<Self, OpenSessionError> {
        let mut session = Self {
            machine: Machine::new(plan.role(), tuning.settings()),
            device: Device::new(devnode, plan),
            waker: Waker::new().map_err(OpenSessionError::Waker)?,
            origins: BTreeMap::new(),
            inputs: 0,
            deliveries: VecDeque::new(),
            failure: None,
        };
        session.process();
        match session.failure {
            None => Ok(session),
            Some(failure) => Err(session.refusal(failure)),
        }
    }

    fn refusal(&mut self, failure: Failure) -> OpenSessionError {
        let devnode = self.device.devnode().to_owned();
        match (failure, self.device.problem.take()) {
            (Failure::Busy, _) => OpenSessionError::Busy(devnode),
            (_, Some(problem)) => problem,
            (Failure::NoMemory, None) => OpenSessionError::NoMemory(devnode),
            (Failure::Refused { action, errno }, None) => OpenSessionError::Refused { action, devnode, source: errno },
            (Failure::Gone | Failure::Broken, None) => {
                OpenSessionError::Refused { action: "set the device up", devnode, source: Errno::NODEV }
            }
        }
    }

    /// Gives the device an input. What becomes of it is delivered under `token`, once: as a
    /// frame or as a loss.
    ///
    /// # Errors
    /// [`SubmitError`], with the input.
    pub fn submit(&mut self, token: u64, input: Input) -> Result<(), SubmitError> {
        let Input { payload, meta } = input;
        self.inputs += 1;
        let memory = match &payload {
            Payload::Frame(frame, _) if self.device.imports => frame.buffer().id().0,
            Payload::Frame(..) | Payload::Bytes(_) => 0,
        };
        match self.machine.submit(monotonic_ns(), self.inputs, (memory, payload)) {
            Ok(()) => {
                self.origins.insert(self.inputs, Origin { token, meta });
                self.process();
                Ok(())
            }
            Err((Refusal::Full, payload)) => Err(SubmitError::Full(Input { payload, meta })),
            Err((Refusal::Failed, payload)) => Err(SubmitError::Failed(Input { payload, meta })),
        }
    }

    /// Whether an input would be taken now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.machine.has_room()
    }

    /// Has everything that was submitted so far delivered; [`Delivery::Drained`] follows the
    /// last of it. Inputs may be submitted meanwhile: they come afterwards. An encoder begins
    /// anew then, with a keyframe (encoder document, "Reset").
    pub fn drain(&mut self) {
        self.machine.drain(monotonic_ns());
        self.process();
    }

    /// Forgets everything that was submitted, and everything that has not been fetched from
    /// [`next`](Self::next), ends of drains included, for a seek. [`Delivery::Flushed`] comes
    /// next. A decoder needs a keyframe then.
    pub fn flush(&mut self) {
        self.deliveries.retain(|delivery| matches!(delivery, Delivery::Format(_) | Delivery::Failed(_)));
        self.origins.clear();
        self.machine.flush(monotonic_ns());
        self.process();
    }

    /// Closes the device now, for somebody else who needs it. The session has failed then.
    pub fn close(&mut self) {
        self.machine.close();
        self.process();
    }

    /// What is there for the caller. Never blocks.
    #[expect(clippy::should_implement_trait, reason = "an iterator would say that there is an end")]
    pub fn next(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// Whether [`next`](Self::next) has something.
    #[must_use]
    pub fn has_next(&self) -> bool {
        !self.deliveries.is_empty()
    }

    /// Does everything that can be done now. Never blocks.
    pub fn process(&mut self) {
        let now = monotonic_ns();
        for (index, generation) in self.waker.returns.take() {
            self.machine.give_back(now, index, generation);
        }
        self.machine.tick(now);
        if let Some(node) = self.device.fd() {
            self.machine.ready(wake::readiness(node, self.machine.interest()));
        }
        let at_rest = self.carry_out();
        if self.waker.watch(self.device.fd(), self.machine.interest()).is_err() || !at_rest {
            // There is more to do, or nothing would say that there is.
            self.waker.returns.ring();
        }
    }

    /// Whether there is no command left.
    fn carry_out(&mut self) -> bool {
        for _ in 0..MAX_COMMANDS {
            self.collect();
            let Some(command) = self.machine.next_command() else { return true };
            if command == Command::Close {
                self.waker.forget(self.device.fd());
            }
            let answer = self.device.execute(command, self.machine.first_in_line());
            self.machine.answer(monotonic_ns(), command, answer);
        }
        self.collect();
        false
    }

    /// Makes deliveries of what the machine has, while it is what the device fetched last.
    fn collect(&mut self) {
        while let Some(output) = self.machine.next_output() {
            let delivery = match output {
                Output::Done { token, index } => self.done(token, index),
                Output::Headers { index } => self.frame(index, FrameMeta::default()).map(Delivery::Headers),
                Output::Format => self.device.given.clone().map(Delivery::Format),
                Output::Lost { token, cause } => {
                    self.origins.remove(&token).map(|origin| Delivery::Lost { token: origin.token, cause })
                }
                Output::Drained => Some(Delivery::Drained),
                Output::Flushed => Some(Delivery::Flushed),
                Output::Repaired(repair) => Some(Delivery::Repaired(repair)),
                Output::Failed(failure) => {
                    self.failure = Some(failure);
                    Some(Delivery::Failed(failure))
                }
            };
            self.deliveries.extend(delivery);
        }
    }

    fn done(&mut self, number: u64, index: u32) -> Option<Delivery> {
        let Some(Origin { token, meta }) = self.origins.remove(&number) else {
            self.machine.give_back(monotonic_ns(), index, self.machine.generation());
            return None;
        };
        Some(match self.frame(index, meta) {
            Some(frame) => Delivery::Frame { token, frame },
            None => Delivery::Lost { token, cause: LossCause::Corrupt },
        })
    }

    fn frame(&mut self, index: u32, meta: FrameMeta) -> Option<Frame> {
        let generation = self.machine.generation();
        let home = Arc::new(Homecoming { returns: Arc::clone(&self.waker.returns), generation });
        let frame = self.device.frame(index, meta, home);
        if frame.is_none() {
            self.machine.give_back(monotonic_ns(), index, generation);
        }
        frame
    }

    /// Waits until there is something to [take](Self::next), or so long. Returns whether there
    /// is.
    ///
    /// # Errors
    /// What `poll` says.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, Errno> {
        let limit = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let end = monotonic_ns().saturating_add(limit);
        self.process();
        while self.deliveries.is_empty() {
            let now = monotonic_ns();
            if now >= end {
                return Ok(false);
            }
            let until = self.deadline().map_or(end, |deadline| deadline.min(end));
            self.waker.wait(until.saturating_sub(now))?;
            self.process();
        }
        Ok(true)
    }

    /// When [`process`](Self::process) is to be called even if the descriptor is not readable:
    /// ns of `CLOCK_MONOTONIC`. `None` if the driver owes nothing.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.machine.deadline()
    }

    /// Whether everything that was submitted has been accounted for.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.machine.is_idle()
    }

    /// The node it was opened at.
    #[must_use]
    pub fn devnode(&self) -> &Path {
        self.device.devnode()
    }

    /// The buffer API that its driver speaks; `None` while the device is closed.
    #[must_use]
    pub fn planar(&self) -> Option<Planar> {
        self.device.planar()
    }

    /// The format of what it gives; of a decoder `None` until the stream is known.
    #[must_use]
    pub fn format(&self) -> Option<&Arc<Format>> {
        self.device.given.as_ref()
    }

    /// Whether pictures are read where they are, without a copy.
    #[must_use]
    pub fn imports(&self) -> bool {
        self.device.imports
    }

    /// What became of an encoder's settings.
    #[must_use]
    pub fn controls(&self) -> &[EffectiveControl] {
        &self.device.effective
    }

    /// What an encoder works with now; `None` if it has no such setting, or the device is closed.
    #[must_use]
    pub fn control(&self, control: EncoderControl) -> Option<i64> {
        self.device.control(control)
    }

    /// Whether an encoder can be told which picture is to be a keyframe. One that cannot
    /// makes one after each [drain](Self::drain).
    #[must_use]
    pub fn forces_keyframes(&self) -> bool {
        self.device.forces_keyframes()
    }

    /// Bytes of the longest access unit that a decoder takes; `None` while the device is closed.
    #[must_use]
    pub fn unit_bytes(&self) -> Option<usize> {
        self.device.unit_bytes()
    }

    /// Changes a setting of an encoder while it runs, as near to `value` as the device can.
    /// Returns what it works with now; `None` if it has no such setting.
    ///
    /// # Errors
    /// What the driver says: `EBUSY` if it cannot be changed while it runs, `EBADF` while the
    /// device is closed for a repair. Then it stays as it was.
    pub fn set_control(&mut self, control: EncoderControl, value: i64) -> Result<Option<i64>, Errno> {
        self.device.set_control(control, value)
    }

    /// Buffers that the driver delivered beside those that answered an input: duplicates, and
    /// frames that came after they had been given up.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.machine.strays()
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use vs_frame::FourCc;

    use super::*;
    use crate::node::NodeError;

    #[test]
    fn a_session_may_move_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Session>();
    }

    #[test]
    fn what_is_no_codec_says_so() {
        let error = |path: &str| Session::decoder(Path::new(path), &DecoderRequest::new(FourCc::H264)).err().unwrap();
        assert!(matches!(error("/dev/null"), OpenSessionError::Node(NodeError::NotV4l2 { .. })));
        assert!(matches!(error("/dev/video-that-is-not-there"), OpenSessionError::Node(NodeError::Gone { .. })));
    }
}
