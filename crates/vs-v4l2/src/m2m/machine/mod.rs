// SPDX-License-Identifier: Apache-2.0
//! The state machine of a mem2mem session.
//!
//! It knows what the kernel documents demand ("Memory-to-Memory Stateful Video Decoder
//! Interface" and "… Encoder Interface") and makes no system call. [`Machine::next_command`]
//! says what is to be done now, [`Machine::answer`] takes what came of it; what the caller is
//! to know comes from [`Machine::next_output`]. Time is passed in.
//!
//! A command is not a step of a script. It is derived each time from the difference between
//! how things are and how they have to be, in the order that the kernel demands: nothing is
//! to be done when there is no difference. So every sequence of the documents (initialisation,
//! change of resolution, drain, seek) and every repair is the same few rules, entered from
//! another state: to stop a queue is enough for it to be set up again.
//!
//! A driver that owes something is given until a deadline ([`Machine::deadline`]). If it lets
//! that pass, what it owes is taken for lost and the session is repaired: first both queues
//! are stopped and started, then the node is closed and opened again, in the end the session
//! fails. Whatever was lost on the way is reported by its token, once.

mod answers;
mod command;
mod ledger;
mod queues;
mod repair;
mod rules;

use std::collections::VecDeque;

use rustix::io::Errno;

pub(crate) use command::{Answer, Command, Filled, Readiness, Reply, Returned, Side};
use ledger::Ledger;
use queues::{CaptureQueue, Job, OutputQueue, Slot};

/// What a device does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Access units to pictures: CAPTURE is set up when the stream is known.
    Decoder,
    /// Pictures to access units.
    Encoder,
    /// Pictures to pictures, one for one: there is no drain command.
    Converter,
}

impl Role {
    /// How many later inputs may be answered before one. Codecs reorder within their decoded
    /// picture buffer, of 16 pictures at most (H.264 A.3.1, H.265 A.4.2), and drivers add a
    /// delay of their own.
    fn window(self) -> u32 {
        match self {
            Self::Decoder | Self::Encoder => 32,
            Self::Converter => 0,
        }
    }

    /// Whether CAPTURE can be set up before anything has been decoded.
    fn knows_capture(self) -> bool {
        self != Self::Decoder
    }
}

/// How many buffers to ask for, and how long to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    /// Inputs that the driver has at a time, unless it needs more.
    pub(crate) output_buffers: u32,
    /// Beside those that the device needs itself.
    pub(crate) capture_buffers: u32,
    /// How long a driver that has all it needs may do nothing, in ns.
    pub(crate) stall_ns: u64,
    /// How long it may take for what comes by itself (the LAST buffer after the last frame,
    /// the event that goes with it), in ns.
    pub(crate) grace_ns: u64,
}

/// Why an input has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LossCause {
    /// The driver flagged it, or what came of it, as erroneous (`V4L2_BUF_FLAG_ERROR`).
    Corrupt,
    /// The driver took it and gave nothing. That is right for an access unit that shows no
    /// picture (parameter sets alone); otherwise the driver dropped it.
    NoOutput,
    /// The driver did not accept the buffer, for this reason; `EMSGSIZE` if it is larger than
    /// the driver's buffers.
    Refused(Errno),
    /// The driver stopped working while it had it.
    Stalled,
    /// The session failed before its turn came.
    Failed,
}

/// What is done about a driver that does not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repair {
    /// Both queues are stopped and started. A decoder needs a keyframe now.
    Restart,
    /// The device is closed and opened again. A decoder needs a keyframe now.
    Reopen,
}

/// Why a session has ended for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The device is gone.
    Gone,
    /// All of the device's sessions are in use.
    Busy,
    /// There is no memory for buffers.
    NoMemory,
    /// The driver refused something that the session cannot do without.
    Refused {
        /// What was tried.
        action: &'static str,
        /// The system's word.
        errno: Errno,
    },
    /// It does not work, however often it is repaired.
    Broken,
}

/// What the caller of a machine is to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// The answer to the input of this token lies in this CAPTURE buffer, which is the
    /// caller's until [`Machine::give_back`].
    Done {
        token: u64,
        index: u32,
    },
    /// A CAPTURE buffer of an encoder that answers no input: parameter sets by themselves.
    Headers {
        index: u32,
    },
    /// CAPTURE has a new format; what follows is in that.
    Format,
    Lost {
        token: u64,
        cause: LossCause,
    },
    Drained,
    Flushed,
    Repaired(Repair),
    /// Nothing follows.
    Failed(Failure),
}

/// Why an input was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// As many wait as are allowed to.
    Full,
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Node {
    /// To be opened.
    Opening,
    Open,
    /// To be opened at that time.
    Waiting(u64),
    /// Never again.
    Failed,
}

/// How far a drain is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopping {
    No,
    /// The driver knows; the LAST buffer is to come.
    Sent,
    /// The driver has no such command: it is drained when everything is answered.
    Unsupported,
}

/// The state machine of one session. `P` is what the driver reads inputs from; it is kept
/// until the driver is done with it.
#[derive(Debug)]
pub(crate) struct Machine<P> {
    role: Role,
    settings: Settings,
    node: Node,
    /// The node is to be closed.
    close: bool,
    /// It has worked before: from then on, errors are repaired.
    established: bool,
    output: OutputQueue<P>,
    capture: CaptureQueue,
    ledger: Ledger,
    next_stamp: u64,
    /// For each drain, the first stamp that comes after it.
    drains: VecDeque<u64>,
    stopping: Stopping,
    /// The source has changed; what CAPTURE has of the old one is still coming.
    change: bool,
    /// The driver has nothing more to give until it is told to go on.
    ended: bool,
    /// Why it ended becomes clear when its events are read.
    undecided: bool,
    /// It is to be told to go on.
    resume: bool,
    /// It has been told, and nothing has come since.
    resumed: bool,
    flushing: bool,
    readiness: Readiness,
    /// When something last moved.
    moved_ns: u64,
    /// Repairs since the last frame.
    repairs: u32,
    strays: u64,
    outputs: VecDeque<Output>,
}

impl<P> Machine<P> {
    pub(crate) fn new(role: Role, settings: Settings) -> Self {
        Self {
            role,
            settings,
            node: Node::Opening,
            close: false,
            established: false,
            output: OutputQueue::new(settings.output_buffers),
            capture: CaptureQueue::new(role.knows_capture()),
            ledger: Ledger::new(role.window()),
            next_stamp: 1,
            drains: VecDeque::new(),
            stopping: Stopping::No,
            change: false,
            ended: false,
            undecided: false,
            resume: false,
            resumed: false,
            flushing: false,
            readiness: Readiness::default(),
            moved_ns: 0,
            repairs: 0,
            strays: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input. What comes of it is reported under its token. `memory` names the memory
    /// that the device reads it from, if that is not its own; else it is 0.
    pub(crate) fn submit(&mut self, now: u64, token: u64, (memory, payload): (u64, P)) -> Result<(), (Refusal, P)> {
        if self.node == Node::Failed {
            return Err((Refusal::Failed, payload));
        }
        if !self.has_room() {
            return Err((Refusal::Full, payload));
        }
        // Until now the driver may have had nothing to do.
        self.moved_ns = self.moved_ns.max(now);
        let stamp = self.next_stamp;
        self.output.pending.push_back(Job { stamp, token, payload, memory, retried: false });
        self.next_stamp += 1;
        Ok(())
    }

    /// Whether an input would be taken: as many may wait as the driver has at a time.
    pub(crate) fn has_room(&self) -> bool {
        self.node != Node::Failed && self.output.pending.len() < self.output.depth
    }

    /// Has everything that was taken so far answered; [`Output::Drained`] says that it is.
    /// What is submitted afterwards comes after that.
    pub(crate) fn drain(&mut self, now: u64) {
        if self.node != Node::Failed {
            self.moved_ns = self.moved_ns.max(now);
            self.drains.push_back(self.next_stamp);
            self.settle();
        }
    }

    /// Forgets everything that was taken and not answered, drains included;
    /// [`Output::Flushed`] says when nothing of it can come any more.
    pub(crate) fn flush(&mut self, now: u64) {
        if self.node == Node::Failed {
            return;
        }
        self.moved_ns = self.moved_ns.max(now);
        self.output.pending.clear();
        self.drains.clear();
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::Done { index, .. } | Output::Headers { index } => self.free_slot(index),
                Output::Lost { .. } | Output::Drained => {}
                kept => self.outputs.push_back(kept),
            }
        }
        self.flushing = true;
        // A queue that is stopped may have been given buffers all the same.
        self.output.stop = !self.output.slots.is_empty();
        self.capture.stop |= !self.capture.slots.is_empty();
        self.settle();
    }

    /// Gives the device up.
    pub(crate) fn close(&mut self) {
        if self.node != Node::Failed {
            self.fail(Failure::Gone);
        }
    }

    /// The caller is done with a CAPTURE buffer.
    pub(crate) fn give_back(&mut self, now: u64, index: u32, generation: u64) {
        if generation == self.capture.generation {
            self.moved_ns = self.moved_ns.max(now);
            self.free_slot(index);
        }
        self.capture.blocked = false;
    }

    /// Something can be fetched from the driver.
    pub(crate) fn ready(&mut self, readiness: Readiness) {
        self.readiness.events |= readiness.events;
        self.readiness.output |= readiness.output;
        self.readiness.capture |= readiness.capture;
    }

    /// What the caller is to know next.
    pub(crate) fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What the driver is to be given by the next [`Command::QueueOutput`].
    pub(crate) fn first_in_line(&self) -> Option<&P> {
        self.output.pending.front().map(|job| &job.payload)
    }

    /// Counts allocations of CAPTURE buffers.
    pub(crate) fn generation(&self) -> u64 {
        self.capture.generation
    }

    /// What is worth waiting for.
    pub(crate) fn interest(&self) -> Readiness {
        let capture = self.capture.streaming && !self.ended && self.capture.count(Slot::Driver) > 0;
        let output = self.output.streaming && self.output.with_driver() > 0;
        // What it has ended for may be said late.
        Readiness { events: capture || output || self.ended, output, capture }
    }

    /// Inputs that wait or that the driver has not answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.ledger.is_empty() && self.output.pending.is_empty() && self.drains.is_empty() && !self.flushing
    }

    /// CAPTURE buffers that answered nothing: duplicates, and frames given up before.
    pub(crate) fn strays(&self) -> u64 {
        self.strays
    }

    fn free_slot(&mut self, index: u32) {
        if let Some(slot) = self.capture.slots.get_mut(index as usize).filter(|slot| **slot == Slot::Caller) {
            *slot = Slot::Free;
        }
    }

    fn report(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn lose(&mut self, token: u64, cause: LossCause) {
        self.report(Output::Lost { token, cause });
    }
}

#[cfg(test)]
mod tests;
