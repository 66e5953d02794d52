// SPDX-License-Identifier: Apache-2.0
//! What encoders and decoders have in common: frames go in with a tag, and come out with it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vs_frame::{CpuMemory, CpuPool, Format, Frame, WriteSlot};
use vs_ipc::exchange::{Adjustment, Credits, Exchange, LendError, Loan, MAX_REQUESTS, Received, Settings, Word};
use vs_ipc::wire::{GoodbyeReason, LossCause};

use super::error::{BufferError, EndedError, OpenError, RequestError, SubmitError};

/// Buffers of a pool beyond those that can be lent: one that the program fills, and one that it
/// has filled and is about to submit.
const PROGRAM_BUFFERS: usize = 2;

/// How long to wait before descriptors are sent again for which the system had no room.
const RETRY: Duration = Duration::from_millis(10);

/// What came out of a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// What was made of a frame that was submitted.
    Done(Done),
    /// Nothing was made of a frame that was submitted.
    Lost(Lost),
    /// Everything that was submitted before `drain` has come out.
    Drained,
    /// What the encoder does now, or why it goes on as before: the answer to a change.
    Adjusted(Result<Settings, String>),
}

/// What was made.
#[derive(Debug)]
pub struct Done {
    /// The tag of the frame that it was made of.
    pub tag: u64,
    /// The access unit ([`FrameView::payload`](crate::FrameView::payload)) or picture, with the times
    /// of that frame. Dropping the last handle makes room for another one.
    pub frame: Frame,
}

/// What was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The tag of the frame.
    pub tag: u64,
    /// Why, for programs.
    pub cause: LossCause,
    /// Why, for people.
    pub text: String,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    Until(Instant),
    Forever,
}

impl Patience {
    pub(super) fn of(timeout: Option<Duration>) -> Self {
        timeout.and_then(|timeout| Instant::now().checked_add(timeout)).map_or(Self::Forever, Self::Until)
    }

    /// What is left of it; `None` if nothing is.
    fn left(self) -> Option<Option<Duration>> {
        match self {
            Self::Forever => Some(None),
            Self::Until(end) => {
                Some(end.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero()).map(Some)
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Session {
    exchange: Exchange,
    credits: Option<Credits>,
    /// Frames that were submitted and have not come out: their numbers and tags.
    submitted: VecDeque<(u64, u64)>,
    /// Nothing that was made of frames up to this number is wanted any more.
    flushed: u64,
    last: u64,
    ready: VecDeque<Output>,
    request: u64,
    unanswered: Vec<(u64, Request)>,
    ended: bool,
    /// Why, until somebody has been told.
    reason: Option<EndedError>,
}

/// What was asked of the daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Request {
    Drain,
    Flush,
    Adjust,
    /// An adjustment whose answer says nothing.
    Keyframe,
}

impl Session {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            exchange: Exchange::client(socket),
            credits: None,
            submitted: VecDeque::new(),
            flushed: 0,
            last: 0,
            ready: VecDeque::new(),
            request: 0,
            unanswered: Vec::new(),
            ended: false,
            reason: None,
        }
    }

    /// Waits for the daemon's first word, which it has sent before anybody got the socket.
    pub(super) fn greet(&mut self, timeout: Duration) -> Result<Credits, OpenError> {
        let patience = Patience::of(Some(timeout));
        loop {
            self.pump()?;
            if let Some(credits) = self.credits {
                return Ok(credits);
            }
            if !self.wait(patience) {
                return Err(OpenError::Silent);
            }
        }
    }

    pub(super) fn wants_write(&self) -> bool {
        self.exchange.events().contains(PollFlags::OUT)
    }

    /// Frames that could be submitted now.
    pub(super) fn credit(&self) -> usize {
        self.exchange.credit()
    }

    /// Frames that were submitted and have not come out.
    pub(super) fn inside(&self) -> usize {
        self.submitted.len()
    }

    pub(super) fn try_submit(&mut self, frame: &Frame, tag: u64) -> Result<(), SubmitError> {
        self.pump_unless_ended()?;
        match self.exchange.lend(frame, 0) {
            Ok(number) => {
                self.last = number;
                self.submitted.push_back((number, tag));
                Ok(())
            }
            Err(LendError::NoCredit | LendError::Full | LendError::Busy) => Err(SubmitError::Full),
            Err(LendError::Closed) => Err(self.end(EndedError::Closed).into()),
        }
    }

    pub(super) fn submit(&mut self, frame: &Frame, tag: u64, patience: Patience) -> Result<(), SubmitError> {
        loop {
            match self.try_submit(frame, tag) {
                Err(SubmitError::Full) => {}
                done => return done,
            }
            // The daemon may be waiting for this very program.
            if !self.ready.is_empty() {
                return Err(SubmitError::Full);
            }
            if !self.wait_for_credit(patience) {
                return Err(SubmitError::Timeout);
            }
        }
    }

    pub(super) fn try_receive(&mut self) -> Result<Option<Output>, EndedError> {
        if self.ready.is_empty() {
            self.pump_unless_ended()?;
        }
        Ok(self.ready.pop_front())
    }

    pub(super) fn receive(&mut self, patience: Patience) -> Result<Option<Output>, EndedError> {
        loop {
            if let Some(output) = self.try_receive()? {
                return Ok(Some(output));
            }
            if !self.wait(patience) {
                return Ok(None);
            }
        }
    }

    pub(super) fn drain(&mut self) -> Result<(), RequestError> {
        self.ask(Request::Drain, Word::Drain)
    }

    /// Forgets all that was submitted and has not been received.
    pub(super) fn flush(&mut self) -> Result<(), RequestError> {
        self.ask(Request::Flush, Word::Flush)?;
        self.flushed = self.last;
        self.submitted.clear();
        self.ready.retain(|output| matches!(output, Output::Adjusted(_)));
        self.unanswered.retain(|(_, request)| *request != Request::Drain);
        Ok(())
    }

    pub(super) fn adjust(&mut self, adjustment: Adjustment) -> Result<(), RequestError> {
        let silent = adjustment == Adjustment { force_keyframe: true, ..Adjustment::default() };
        let request = if silent { Request::Keyframe } else { Request::Adjust };
        self.ask(request, |number| Word::Adjust(number, adjustment))
    }

    fn ask(&mut self, request: Request, word: impl FnOnce(u64) -> Word) -> Result<(), RequestError> {
        self.pump_unless_ended()?;
        if self.unanswered.len() >= MAX_REQUESTS {
            return Err(RequestError::TooMany);
        }
        self.request += 1;
        self.unanswered.push((self.request, request));
        self.exchange.say(&word(self.request));
        Ok(())
    }

    /// A buffer of `pool`, waiting until one comes back.
    pub(super) fn buffer(&mut self, pool: &CpuPool, patience: Patience) -> Result<WriteSlot, BufferError> {
        loop {
            if let Some(slot) = pool.acquire()? {
                return Ok(slot);
            }
            self.pump_unless_ended()?;
            if let Some(slot) = pool.acquire()? {
                return Ok(slot);
            }
            // No wait brings back what this program has.
            if self.exchange.lent() == 0 || !self.ready.is_empty() || !self.wait(patience) {
                return Err(BufferError::Exhausted(pool.max()));
            }
        }
    }

    /// A pool from which as many frames can be lent as there is credit for.
    pub(super) fn pool(format: Arc<Format>, inputs: u16) -> Result<CpuPool, BufferError> {
        Ok(CpuPool::new(format, CpuMemory::Memfd, 0, usize::from(inputs) + PROGRAM_BUFFERS)?)
    }

    /// As [`pump`](Self::pump); what was made before the end can still be received.
    fn pump_unless_ended(&mut self) -> Result<(), EndedError> {
        match self.pump() {
            Err(error) if self.ready.is_empty() => Err(error),
            Err(error) => {
                self.reason = Some(error);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Takes all that the daemon has said.
    fn pump(&mut self) -> Result<(), EndedError> {
        if self.ended {
            return Err(self.reason.take().unwrap_or(EndedError::Before));
        }
        loop {
            match self.exchange.receive() {
                Ok(None) => return Ok(()),
                Ok(Some(received)) => self.take(received)?,
                Err(error) => return Err(self.end(error.into())),
            }
        }
    }

    fn take(&mut self, received: Received) -> Result<(), EndedError> {
        match received {
            Received::Opened(credits) => self.credits = Some(credits),
            Received::Lent(Loan { origin, frame, .. }) => {
                if let Some(tag) = self.answered(origin)? {
                    self.ready.push_back(Output::Done(Done { tag, frame }));
                }
            }
            Received::Word(Word::Lost { origin, cause, text }) => {
                if let Some(tag) = self.answered(origin)? {
                    self.ready.push_back(Output::Lost(Lost { tag, cause, text }));
                }
            }
            Received::Word(Word::Drained(request)) => self.answer(request, Request::Drain, Output::Drained),
            Received::Word(Word::Flushed(request)) => self.unanswered.retain(|(asked, _)| *asked != request),
            Received::Word(Word::Adjusted(request, outcome)) => {
                self.answer(request, Request::Adjust, Output::Adjusted(outcome));
            }
            Received::Goodbye(goodbye) => return Err(self.end(EndedError::Goodbye(goodbye))),
            // A frame that has come back is room for the next one.
            _ => {}
        }
        Ok(())
    }

    /// The tag of a frame that has come out; `None` if it was flushed.
    fn answered(&mut self, origin: u64) -> Result<Option<u64>, EndedError> {
        let found = self.submitted.iter().position(|(number, _)| *number == origin);
        match found.and_then(|index| self.submitted.remove(index)) {
            Some((_, tag)) => Ok(Some(tag)),
            None if (1..=self.flushed).contains(&origin) => Ok(None),
            None => Err(self.end(EndedError::Origin(origin))),
        }
    }

    /// Notes the answer to a request, and tells it if the request was of this kind. One to a drain
    /// that was flushed is nobody's.
    fn answer(&mut self, number: u64, kind: Request, output: Output) {
        if let Some(index) = self.unanswered.iter().position(|(asked, _)| *asked == number)
            && self.unanswered.remove(index).1 == kind
        {
            self.ready.push_back(output);
        }
    }

    fn end(&mut self, error: EndedError) -> EndedError {
        self.ended = true;
        if let EndedError::Origin(_) = error {
            self.exchange.goodbye(GoodbyeReason::Malformed, &error.to_string());
        }
        error
    }

    /// Waits until there is something to take; whether there may be.
    fn wait(&self, patience: Patience) -> bool {
        self.wait_for(self.exchange.events(), patience)
    }

    fn wait_for_credit(&self, patience: Patience) -> bool {
        let busy = self.exchange.credit() > 0 && !self.wants_write();
        let brief = Patience::of(Some(RETRY));
        let waited = self.wait(if busy { brief } else { patience });
        waited || (busy && patience.left().is_some())
    }

    fn wait_for(&self, events: PollFlags, patience: Patience) -> bool {
        let Some(left) = patience.left() else { return false };
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        // An error is a reason to look, too: receiving says what is wrong.
        poll(&mut [PollFd::new(&self.exchange, events)], timeout.as_ref()) != Ok(0)
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.exchange.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use vs_frame::{FourCc, FrameMeta, Rate};
    use vs_ipc::exchange::pair;

    use super::*;

    const CREDITS: Credits = Credits { inputs: 2, outputs: 2 };

    /// A session, and the daemon's end of it.
    fn session() -> (Session, Exchange, CpuPool) {
        let (ours, theirs) = pair().unwrap();
        let (daemon, mut session) = (Exchange::daemon(theirs, CREDITS), Session::new(ours));
        assert_eq!(session.greet(Duration::from_secs(60)).unwrap(), CREDITS);
        let format = Arc::new(Format::packed(FourCc::NV12, 16, 16, Rate::fps(30)).unwrap());
        (session, daemon, Session::pool(format, CREDITS.inputs).unwrap())
    }

    fn frame(pool: &CpuPool) -> Frame {
        pool.acquire().unwrap().unwrap().finish(FrameMeta::default()).unwrap()
    }

    fn heard(daemon: &mut Exchange) -> Vec<Received> {
        std::iter::from_fn(|| daemon.receive().unwrap()).collect()
    }

    #[test]
    fn a_program_that_does_not_receive_is_told_so_instead_of_waiting() {
        let (mut session, mut daemon, pool) = session();
        for tag in [7, 8] {
            session.submit(&frame(&pool), tag, Patience::Forever).unwrap();
        }
        let third = frame(&pool);
        assert!(matches!(session.try_submit(&third, 9), Err(SubmitError::Full)));
        let brief = Patience::of(Some(Duration::from_millis(1)));
        assert!(matches!(session.submit(&third, 9, brief), Err(SubmitError::Timeout)));
        let inputs = heard(&mut daemon);
        daemon.lend(&third, 1).unwrap();
        assert!(matches!(session.submit(&third, 9, Patience::Forever), Err(SubmitError::Full)));
        drop(inputs);
        session.submit(&third, 9, Patience::Forever).unwrap();
        assert!(matches!(session.try_receive(), Ok(Some(Output::Done(Done { tag: 7, .. })))));
        assert_eq!(session.inside(), 2);
    }

    #[test]
    fn what_was_flushed_is_not_heard_of_again() {
        let (mut session, mut daemon, pool) = session();
        session.try_submit(&frame(&pool), 7).unwrap();
        session.drain().unwrap();
        let early = heard(&mut daemon);
        assert!(matches!(early[..], [Received::Lent(_), Received::Word(Word::Drain(1))]), "{early:?}");
        daemon.lend(&frame(&pool), 1).unwrap();
        daemon.say(&Word::Drained(1));
        session.flush().unwrap();
        session.try_submit(&frame(&pool), 8).unwrap();
        daemon.say(&Word::Flushed(2));
        daemon.say(&Word::Lost { origin: 2, cause: LossCause::Corrupt, text: String::new() });
        assert!(matches!(session.try_receive(), Ok(Some(Output::Lost(Lost { tag: 8, .. })))));
        assert!(matches!(session.try_receive(), Ok(None)));
        assert_eq!((session.inside(), session.unanswered.len()), (0, 0));
    }

    #[test]
    fn a_daemon_that_answers_what_nobody_asked_is_left() {
        for origin in [0, 2, 1] {
            let (mut session, mut daemon, pool) = session();
            session.try_submit(&frame(&pool), 7).unwrap();
            daemon.lend(&frame(&pool), origin).unwrap();
            if origin == 1 {
                assert!(session.try_receive().unwrap().is_some());
                daemon.lend(&frame(&pool), origin).unwrap();
            }
            let ended = session.try_receive();
            assert!(matches!(ended, Err(EndedError::Origin(_))), "{ended:?}");
            assert!(matches!(session.drain(), Err(RequestError::Ended(EndedError::Before))));
            let goodbye = heard_to_the_end(&mut daemon);
            assert!(goodbye.is_some_and(|goodbye| goodbye.reason == GoodbyeReason::Malformed));
        }
    }

    fn heard_to_the_end(daemon: &mut Exchange) -> Option<vs_ipc::client::Goodbye> {
        loop {
            match daemon.receive() {
                Ok(Some(Received::Goodbye(goodbye))) => return Some(goodbye),
                Ok(Some(_)) => {}
                _ => return None,
            }
        }
    }

    #[test]
    fn what_was_made_before_the_end_is_received_first() {
        let (mut session, mut daemon, pool) = session();
        session.try_submit(&frame(&pool), 7).unwrap();
        drop(heard(&mut daemon));
        daemon.lend(&frame(&pool), 1).unwrap();
        daemon.goodbye(GoodbyeReason::Shutdown, "that was all");
        let Ok(Some(Output::Done(done))) = session.receive(Patience::Forever) else { panic!() };
        let error = session.receive(Patience::Forever).unwrap_err();
        assert!(error.to_string().contains("that was all"), "{error}");
        assert!(done.frame.map().is_ok(), "what is in hand stays");
    }

    #[test]
    fn requests_without_answers_are_bounded() {
        let (mut session, _daemon, _) = session();
        for _ in 0..MAX_REQUESTS {
            session.drain().unwrap();
        }
        assert!(matches!(session.flush(), Err(RequestError::TooMany)));
    }
}
