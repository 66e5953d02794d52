// SPDX-License-Identifier: Apache-2.0
//! What a session's thread does, whatever codec it has.
//!
//! Nothing is skipped on the way. An input that the codec does not take now stays at the head of
//! the queue, which is as long as the client has credit; nothing is received from the codec that
//! could not be lent at once, but one frame that the socket had no room for. So a client that does
//! not give frames back stops its own codec, and nobody else's.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use vs_codec::{BackendError, BackendKind, Loss, Session, SubmitError};
use vs_frame::clock::{NS_PER_MS, NS_PER_SEC, monotonic_ns};
use vs_frame::{Format, Frame};
use vs_ipc::exchange::{
    Adjustment, Credits, Exchange, ExchangeError, LendError, Loan, MAX_REQUESTS, Received, Settings, Word,
};
use vs_ipc::wire::{GoodbyeReason, LossCause};

use super::Opened;
use super::open::OpenFailure;
use super::registry::Entry;

/// A codec that fails so often with nothing made in between will not work, however often it is
/// opened: the first failure may be the device's, the second that of the next one in the row, the
/// third the software's.
const MAX_FAILURES: u32 = 3;

/// When to try again to send descriptors for which the system had no room.
const RETRY_NS: u64 = 10 * NS_PER_MS;

/// A codec, as a session sees it.
pub(super) trait Work: Send + Sized {
    /// What all codecs have in common.
    fn session(&mut self) -> &mut dyn Session;

    /// Gives it an input.
    fn submit(&mut self, loan: &Loan) -> Result<(), SubmitError>;

    /// Takes what has come out.
    fn receive(&mut self) -> Result<Outcome, BackendError>;

    /// Changes it while it runs.
    fn adjust(&mut self, adjustment: &Adjustment) -> Result<Settings, String>;

    /// Closes it and opens one like it, for inputs of this format if they have changed. The old one
    /// goes first: a device may have only one session.
    fn reopen(self, format: Option<&Arc<Format>>) -> Result<Self, OpenFailure>;

    /// Its name and version, for people.
    fn name(&self) -> &str;

    /// Which kind it is.
    fn backend(&self) -> BackendKind;

    /// What the client is told of it.
    fn opened(&self, credits: Credits) -> Opened;
}

/// What came out of a codec.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A frame, made of the input with this number.
    Made(u64, Frame),
    /// Nothing was made of the input with this number.
    Lost(u64, LossCause, String),
    /// Nothing yet.
    Pending,
    /// All that there was.
    Drained,
}

/// The cause of a loss, for programs.
pub(super) fn cause(loss: &Loss) -> LossCause {
    match loss {
        Loss::Corrupt => LossCause::Corrupt,
        Loss::NoPicture => LossCause::NoPicture,
        Loss::Refused(_) => LossCause::Refused,
        Loss::Stalled => LossCause::Stalled,
    }
}

/// Why a session has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client has gone, or said goodbye.
    Closed,
    /// The client broke the rules, and was told so.
    Client(ExchangeError),
    /// The client was told why.
    Told(String),
    /// The system does not let it wait.
    Poll(Errno),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the client closed it"),
            Self::Client(error) => error.fmt(f),
            Self::Told(text) => f.write_str(text),
            Self::Poll(error) => write!(f, "cannot wait: {error}"),
        }
    }
}

/// What ends a turn.
enum Stop {
    /// The session is over.
    End(End),
    /// The codec is to be opened anew, for this format if it has changed.
    Reopen(Option<Arc<Format>>),
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// What waits for its turn.
enum Due {
    Input(Loan),
    Drain(u64),
    Adjust(u64, Adjustment),
}

/// Who waits for a drain to end.
enum Draining {
    Client(u64),
    /// The next input, which is in another format.
    Reopening,
}

/// A session at work.
pub(super) struct Worker {
    exchange: Exchange,
    entry: Arc<Entry>,
    due: VecDeque<Due>,
    /// Inputs that the codec has.
    inside: Vec<u64>,
    /// What was made and has not been lent.
    hand: Option<(u64, Frame)>,
    /// When to try again to lend it, if nothing tells.
    retry: Option<u64>,
    draining: Option<Draining>,
    /// Nothing was submitted since the codec was opened for the input at the head.
    fresh: bool,
    failures: u32,
}

impl Worker {
    pub(super) fn new(exchange: Exchange, entry: Arc<Entry>) -> Self {
        Self {
            exchange,
            entry,
            due: VecDeque::new(),
            inside: Vec::new(),
            hand: None,
            retry: None,
            draining: None,
            fresh: false,
            failures: 0,
        }
    }

    /// Works until the session ends; why it did.
    pub(super) fn run(mut self, mut work: impl Work) -> End {
        loop {
            match self.turn(&mut work) {
                Ok(()) => {}
                Err(Stop::End(end)) => {
                    if let End::Told(text) = &end {
                        self.exchange.goodbye(GoodbyeReason::Other, text);
                    }
                    return end;
                }
                Err(Stop::Reopen(format)) => match work.reopen(format.as_ref()) {
                    Ok(opened) => {
                        self.entry.opened(opened.name(), opened.backend());
                        (work, self.fresh) = (opened, format.is_some());
                    }
                    Err(error) => {
                        let text = error.to_string();
                        self.exchange.goodbye(GoodbyeReason::Other, &text);
                        return End::Told(text);
                    }
                },
            }
        }
    }

    fn turn(&mut self, work: &mut impl Work) -> Result<(), Stop> {
        self.hear(work)?;
        self.work(work)?;
        self.wait(work)
    }

    /// Takes all that the client has said.
    fn hear(&mut self, work: &mut impl Work) -> Result<(), Stop> {
        loop {
            let received = self.exchange.receive().map_err(|error| match error {
                ExchangeError::Closed => End::Closed,
                error => End::Client(error),
            })?;
            match received {
                None => return Ok(()),
                Some(Received::Lent(loan)) => {
                    self.entry.count_input();
                    self.due.push_back(Due::Input(loan));
                }
                Some(Received::Word(Word::Drain(request))) => self.request(Due::Drain(request))?,
                Some(Received::Word(Word::Adjust(request, adjustment))) => {
                    self.request(Due::Adjust(request, adjustment))?;
                }
                Some(Received::Word(Word::Flush(request))) => self.flush(work, request)?,
                Some(Received::Goodbye(_)) => return Err(End::Closed.into()),
                // A frame that came back is room for the next one. Nothing else comes from a client.
                Some(_) => {}
            }
        }
    }

    fn request(&mut self, due: Due) -> Result<(), End> {
        if self.due.iter().filter(|due| !matches!(due, Due::Input(_))).count() >= MAX_REQUESTS {
            return Err(End::Told(format!("more than {MAX_REQUESTS} requests are waiting for their answers")));
        }
        self.due.push_back(due);
        Ok(())
    }

    /// Forgets all that is still to be done; what was asked of the encoder is done all the same.
    fn flush(&mut self, work: &mut impl Work, request: u64) -> Result<(), Stop> {
        self.due.retain(|due| matches!(due, Due::Adjust(..)));
        (self.hand, self.retry, self.draining) = (None, None, None);
        self.inside.clear();
        let flushed = work.session().flush();
        self.exchange.say(&Word::Flushed(request));
        flushed.or_else(|error| self.failed(&error))
    }

    /// Does all that can be done now.
    fn work(&mut self, work: &mut impl Work) -> Result<(), Stop> {
        // Both are always tried: what one does makes room for the other.
        while self.give(work)? | self.take(work)? {
            if self.exchange.is_closed() {
                return Err(End::Closed.into());
            }
        }
        Ok(())
    }

    /// Whether something that comes out of the codec could be lent.
    fn has_room(&self) -> bool {
        self.hand.is_none() && self.exchange.credit() > 0
    }

    /// Gives the client what the codec has made, one frame; whether there was one.
    fn give(&mut self, work: &mut impl Work) -> Result<bool, Stop> {
        if !self.lend()? || !self.has_room() {
            return Ok(false);
        }
        match work.receive() {
            Ok(Outcome::Pending) => return Ok(false),
            Ok(Outcome::Made(origin, frame)) => {
                self.failures = 0;
                // One that was flushed is none of the client's.
                if self.leave(origin) {
                    self.hand = Some((origin, frame));
                    self.lend()?;
                }
            }
            Ok(Outcome::Lost(origin, cause, text)) => {
                if self.leave(origin) {
                    self.lose(origin, cause, text);
                }
            }
            Ok(Outcome::Drained) => self.drained()?,
            Err(error) => self.failed(&error)?,
        }
        Ok(true)
    }

    /// Lends what is in hand; whether the hand is free.
    fn lend(&mut self) -> Result<bool, End> {
        let Some((origin, frame)) = &self.hand else { return Ok(true) };
        let lent = self.exchange.lend(frame, *origin);
        self.retry = (lent == Err(LendError::Busy)).then(|| monotonic_ns() + RETRY_NS);
        match lent {
            Ok(_) => {
                self.entry.count_output();
                self.hand = None;
                Ok(true)
            }
            Err(LendError::Closed) => Err(End::Closed),
            Err(LendError::NoCredit | LendError::Full | LendError::Busy) => Ok(false),
        }
    }

    /// The codec is done with an input; whether it had it.
    fn leave(&mut self, origin: u64) -> bool {
        let found = self.inside.iter().position(|inside| *inside == origin);
        found.map(|index| self.inside.remove(index)).is_some()
    }

    fn lose(&self, origin: u64, cause: LossCause, text: String) {
        tracing::debug!(session = %*self.entry, origin, text, "nothing was made of an input");
        self.entry.count_lost();
        self.exchange.say(&Word::Lost { origin, cause, text });
    }

    /// Gives the codec what is due, one step; whether there was one.
    fn take(&mut self, work: &mut impl Work) -> Result<bool, Stop> {
        if self.draining.is_some() {
            return Ok(false);
        }
        match self.due.pop_front() {
            None => Ok(false),
            Some(Due::Drain(request)) => self.drain(work, Draining::Client(request)).map(|()| true),
            Some(Due::Adjust(request, adjustment)) => {
                let outcome = work.adjust(&adjustment);
                self.exchange.say(&Word::Adjusted(request, outcome));
                Ok(true)
            }
            Some(Due::Input(loan)) => self.submit(work, loan),
        }
    }

    fn submit(&mut self, work: &mut impl Work, loan: Loan) -> Result<bool, Stop> {
        match work.submit(&loan) {
            Ok(()) => {
                self.inside.push(loan.number);
                self.fresh = false;
                Ok(true)
            }
            Err(SubmitError::Full | SubmitError::Draining) => {
                self.due.push_front(Due::Input(loan));
                Ok(false)
            }
            Err(SubmitError::Format { .. }) if !self.fresh => {
                let format = Arc::clone(loan.frame.format());
                self.due.push_front(Due::Input(loan));
                if self.inside.is_empty() {
                    return Err(Stop::Reopen(Some(format)));
                }
                self.drain(work, Draining::Reopening).map(|()| true)
            }
            Err(SubmitError::Backend(error)) => {
                self.inside.push(loan.number);
                drop(loan);
                self.failed(&error).map(|()| true)
            }
            Err(
                error @ (SubmitError::Incomplete
                | SubmitError::TooLong { .. }
                | SubmitError::Map(_)
                // Of a codec that was opened for this very input.
                | SubmitError::Format { .. }),
            ) => {
                self.lose(loan.number, LossCause::Refused, error.to_string());
                Ok(true)
            }
        }
    }

    fn drain(&mut self, work: &mut impl Work, who: Draining) -> Result<(), Stop> {
        self.draining = Some(who);
        work.session().drain().or_else(|error| self.failed(&error))
    }

    fn drained(&mut self) -> Result<(), Stop> {
        // What a codec forgets must not be missing.
        self.lose_inside(LossCause::Other, "the codec was drained, and this did not come out");
        match (self.draining.take(), self.due.front()) {
            (Some(Draining::Client(request)), _) => self.exchange.say(&Word::Drained(request)),
            (Some(Draining::Reopening), Some(Due::Input(loan))) => {
                return Err(Stop::Reopen(Some(Arc::clone(loan.frame.format()))));
            }
            // It was flushed meanwhile.
            (Some(Draining::Reopening) | None, _) => {}
        }
        Ok(())
    }

    fn lose_inside(&mut self, cause: LossCause, text: &str) {
        for origin in std::mem::take(&mut self.inside) {
            self.lose(origin, cause, text.to_owned());
        }
    }

    /// The codec does not work any more: what it had is lost, and another one takes its place.
    fn failed(&mut self, error: &BackendError) -> Result<(), Stop> {
        tracing::warn!(session = %*self.entry, %error, "a codec failed: opening another one");
        self.failures += 1;
        self.lose_inside(LossCause::Failed, &error.to_string());
        // A drain ends with it. That what is next in the row is in another format will show again.
        if let Some(Draining::Client(request)) = self.draining.take() {
            self.exchange.say(&Word::Drained(request));
        }
        if self.failures >= MAX_FAILURES {
            return Err(End::Told(format!("the codec fails again and again: {error}")).into());
        }
        Err(Stop::Reopen(None))
    }

    /// Waits until something can be done.
    fn wait(&mut self, work: &mut impl Work) -> Result<(), Stop> {
        let room = self.has_room();
        let session = work.session();
        let due = [self.retry, session.deadline().filter(|_| room)].into_iter().flatten().min();
        let timeout = due.map(|due| timespec(due.saturating_sub(monotonic_ns())));
        let client = PollFd::new(&self.exchange, self.exchange.events());
        let polled = match session.as_poll_fd().filter(|_| room) {
            Some(codec) => poll(&mut [client, PollFd::from_borrowed_fd(codec, PollFlags::IN)], timeout.as_ref()),
            None => poll(&mut [client], timeout.as_ref()),
        };
        match polled {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(End::Poll(error).into()),
        }
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: (ns / NS_PER_SEC) as i64, tv_nsec: (ns % NS_PER_SEC) as i64 }
}
