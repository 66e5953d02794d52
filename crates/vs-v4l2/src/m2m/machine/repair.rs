// SPDX-License-Identifier: Apache-2.0
//! What a driver owes, until when, and what is done when it does not come.

use rustix::io::Errno;

use super::ledger::Unanswered;
use super::{Command, Failure, LossCause, Machine, Node, Output, Repair, Role, Side, Slot, Stopping};

/// Repairs without a frame in between, until the session is given up: one restart, and then
/// as many times closed and opened again as a driver may need to let go of its last session.
const MAX_REPAIRS: u32 = 6;

/// The first pause before a node is opened again; it doubles with each.
const FIRST_PAUSE_NS: u64 = 100_000_000;

/// What the driver, or somebody else, has to come up with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owed {
    /// The LAST buffer of the old format, after the event.
    LastOfOld,
    /// What it ended for: a drain, or the event of a change.
    Reason,
    /// The LAST buffer of a drain of which everything else has come.
    LastOfDrain,
    /// To take CAPTURE buffers that it refused.
    Acceptance,
    /// To let go of CAPTURE buffers.
    Release,
    /// Anything at all.
    Progress,
}

impl<P> Machine<P> {
    /// When [`tick`](Self::tick) is to be called; `None` if nothing is owed. Asked when there
    /// is no [command](Self::next_command) left.
    pub(crate) fn deadline(&self) -> Option<u64> {
        match self.node {
            Node::Waiting(at) => Some(at),
            Node::Open => self.owed().map(|owed| self.moved_ns.saturating_add(self.patience(owed))),
            Node::Opening | Node::Failed => None,
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: u64) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match (self.node, self.owed()) {
            (Node::Waiting(_), _) => self.node = Node::Opening,
            (Node::Open, Some(owed)) => self.give_up_waiting(now, owed),
            _ => {}
        }
        self.settle();
    }

    fn patience(&self, owed: Owed) -> u64 {
        match owed {
            Owed::Progress => self.settings.stall_ns,
            _ => self.settings.grace_ns,
        }
    }

    fn owed(&self) -> Option<Owed> {
        let capture = &self.capture;
        if capture.release {
            return capture.blocked.then_some(Owed::Release);
        }
        if self.ended {
            return Some(Owed::Reason);
        }
        if capture.count(Slot::Refused) > 0 && !capture.is_fed() {
            return Some(Owed::Acceptance);
        }
        // Without buffers to fill, no driver can be blamed.
        if capture.wanted && !capture.is_fed() {
            return None;
        }
        if self.change {
            return Some(Owed::LastOfOld);
        }
        if self.stopping != Stopping::No || self.drains_without_capture() {
            return Some(if self.ledger.is_empty() { Owed::LastOfDrain } else { Owed::Progress });
        }
        let waiting = self.output.with_driver() > 0 && self.output.is_full() && !self.output.pending.is_empty();
        // Codecs may keep what they have until there is more; a converter may not.
        let keeps = self.role == Role::Converter && self.output.with_driver() > 0;
        (waiting || keeps || (self.all_fed() && !self.ledger.is_empty())).then_some(Owed::Progress)
    }

    /// A decoder was given all there is, and has not found out what it is.
    fn drains_without_capture(&self) -> bool {
        !self.capture.streaming && self.all_fed() && !self.ledger.is_empty()
    }

    fn give_up_waiting(&mut self, now: u64, owed: Owed) {
        self.moved_ns = now;
        match owed {
            Owed::LastOfOld => {
                self.ended = true;
                self.renew_capture();
            }
            Owed::Reason if self.stopping == Stopping::Sent => self.drained(now),
            // It ended for no reason: a stopped queue begins anew.
            Owed::Reason => self.capture.stop = true,
            Owed::LastOfDrain => {
                // Nothing is lost, but the driver may believe that it is still draining.
                self.stop_both();
                self.report(Output::Repaired(Repair::Restart));
            }
            Owed::Acceptance if self.repairs == 0 || self.capture.count(Slot::Caller) > 0 => {
                self.repairs = self.repairs.max(1);
                self.capture.offer_refused_again();
            }
            Owed::Release if self.capture.count(Slot::Caller) > 0 => self.capture.blocked = false,
            Owed::Acceptance | Owed::Release => self.reopen(now),
            Owed::Progress if self.repairs == 0 => {
                self.repairs += 1;
                self.stop_both();
                self.report(Output::Repaired(Repair::Restart));
            }
            Owed::Progress => self.reopen(now),
        }
    }

    fn stop_both(&mut self) {
        self.output.stop = true;
        self.capture.stop = !self.capture.slots.is_empty();
    }

    /// A command failed in a way that the driver cannot go on from.
    pub(super) fn trouble(&mut self, now: u64, command: Command, errno: Errno) {
        if self.established {
            return self.reopen(now);
        }
        self.fail(match errno {
            Errno::BUSY => Failure::Busy,
            Errno::NOMEM => Failure::NoMemory,
            errno => Failure::Refused { action: action(command), errno },
        });
    }

    fn reopen(&mut self, now: u64) {
        self.repairs += 1;
        if self.repairs > MAX_REPAIRS {
            return self.fail(Failure::Broken);
        }
        let pause = FIRST_PAUSE_NS << (self.repairs - 1);
        self.close = self.node == Node::Open;
        if self.close {
            self.report(Output::Repaired(Repair::Reopen));
        }
        self.moved_ns = now.saturating_add(pause);
        if !self.close {
            self.node = Node::Waiting(self.moved_ns);
        }
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.close |= self.node == Node::Open;
        self.node = Node::Failed;
        for gone in self.ledger.close() {
            self.lose_unanswered(gone);
        }
        // What the driver has it keeps until the node is closed.
        for job in std::mem::take(&mut self.output.pending) {
            self.lose(job.token, LossCause::Failed);
        }
        self.drains.clear();
        self.flushing = false;
        self.report(Output::Failed(failure));
    }

    /// The driver has given up all its buffers.
    pub(super) fn closed(&mut self) {
        self.close = false;
        self.take_inputs_back();
        self.output.closed();
        self.capture.closed(self.role.knows_capture());
        self.stopping = Stopping::No;
        (self.change, self.ended, self.undecided, self.resume, self.resumed) = (false, false, false, false, false);
        self.readiness = super::Readiness::default();
        if self.node == Node::Open {
            self.node = Node::Waiting(self.moved_ns);
        }
    }

    /// OUTPUT is stopped: what the driver had is ours again. What it has not answered is lost,
    /// except a picture that it has not returned yet, for that can be given to it once more.
    pub(super) fn take_inputs_back(&mut self) {
        let jobs: Vec<_> = self.output.slots.iter_mut().filter_map(|slot| slot.job.take()).collect();
        if self.flushing {
            drop(self.ledger.close());
            return;
        }
        let mut again = Vec::new();
        for mut job in jobs {
            let worth_it = self.role != Role::Decoder && !job.retried && self.node == Node::Open;
            if worth_it && self.ledger.withdraw(job.stamp).is_some() {
                job.retried = true;
                again.push(job);
            }
        }
        for gone in self.ledger.close() {
            let cause = if gone.flagged { LossCause::Corrupt } else { LossCause::Stalled };
            self.lose(gone.token, cause);
        }
        again.sort_by_key(|job| job.stamp);
        for job in again.into_iter().rev() {
            self.output.pending.push_front(job);
        }
    }

    pub(super) fn lose_unanswered(&mut self, gone: Unanswered) {
        self.lose(gone.token, if gone.flagged { LossCause::Corrupt } else { LossCause::NoOutput });
    }
}

/// What a command tries, for people.
fn action(command: Command) -> &'static str {
    match command {
        Command::Open => "open the device",
        Command::Close => "close the device",
        Command::Configure(Side::Output) => "agree on a format for what the device takes",
        Command::Configure(Side::Capture) => "agree on a format for what the device gives",
        Command::Allocate(..) => "allocate buffers",
        Command::StreamOn(_) => "start streaming",
        Command::StreamOff(_) => "stop streaming",
        Command::QueueOutput { .. } | Command::QueueCapture { .. } => "give the driver a buffer",
        Command::DequeueOutput | Command::DequeueCapture => "get a buffer from the driver",
        Command::DequeueEvent => "get an event from the driver",
        Command::Stop => "begin a drain",
        Command::Start => "go on after a drain",
    }
}
