// SPDX-License-Identifier: Apache-2.0
//! How the driver's answers change the state.

use rustix::io::Errno;

use super::queues::InputSlot;
use super::{
    Answer, Command, Failure, Filled, LossCause, Machine, Node, Output, Readiness, Reply, Returned, Role, Side, Slot,
    Stopping,
};
use crate::event::Event;

impl<P> Machine<P> {
    /// Takes the answer to a command that [`next_command`](Self::next_command) gave.
    pub(crate) fn answer(&mut self, now: u64, command: Command, answer: Answer) {
        match (command, answer) {
            (_, Err(Errno::NODEV | Errno::NXIO)) if command != Command::Close => self.fail(Failure::Gone),
            (Command::Close, _) => self.closed(),
            (Command::Open, Ok(_)) => self.node = Node::Open,
            (Command::Configure(side), Ok(reply)) => self.configured(side, reply),
            (Command::Allocate(side, count), answer) => self.allocated(now, (side, count), answer),
            (Command::StreamOn(side), Ok(_)) => self.streams(now, side),
            (Command::StreamOff(side), Ok(_)) => self.stopped(now, side),
            (Command::QueueOutput { index, .. }, answer) => self.queued_output(now, index, answer),
            (Command::QueueCapture { index }, answer) => self.queued_capture(now, index, answer),
            (Command::DequeueOutput, Ok(Reply::Returned(Some(buffer)))) => self.returned(now, buffer),
            (Command::DequeueOutput, Ok(_)) => self.readiness.output = false,
            (Command::DequeueCapture, Ok(Reply::Filled(Some(buffer)))) => self.filled(now, buffer),
            (Command::DequeueCapture, Ok(_)) => {
                self.readiness.capture = false;
                self.resumed = false;
            }
            (Command::DequeueCapture, Err(Errno::PIPE)) => self.nothing_more(now),
            (Command::DequeueEvent, Ok(Reply::Event(Some(event)))) => self.happened(now, event),
            // A driver without events has none.
            (Command::DequeueEvent, Ok(_) | Err(Errno::NOTTY)) => self.no_more_events(now),
            (Command::Stop, answer) => self.asked_to_stop(now, answer),
            (Command::Start, answer) => self.told_to_go_on(now, answer),
            (command, Err(errno)) => self.trouble(now, command, errno),
        }
        self.settle();
    }

    fn configured(&mut self, side: Side, reply: Reply) {
        let Reply::Configured { min_buffers, slots } = reply else { return };
        match side {
            Side::Output => {
                let depth = self.settings.output_buffers.max(min_buffers);
                self.output.configured = true;
                self.output.depth = depth as usize;
                self.output.ask = depth.max(slots);
            }
            Side::Capture => {
                self.capture.configured = true;
                self.capture.min = min_buffers.max(1);
                self.capture.ask = self.capture.min.saturating_add(self.settings.capture_buffers);
            }
        }
    }

    fn allocated(&mut self, now: u64, (side, count): (Side, u32), answer: Answer) {
        let got = match answer {
            Ok(Reply::Allocated(0)) if count > 0 => Err(Errno::NOMEM),
            Ok(Reply::Allocated(got)) => Ok(got as usize),
            Ok(_) => Err(Errno::PROTO),
            Err(errno) => Err(errno),
        };
        match (side, got) {
            (Side::Output, Ok(got)) => {
                self.output.slots = std::iter::repeat_with(InputSlot::new).take(got).collect();
            }
            (Side::Capture, Ok(got)) => {
                // Fewer than asked for are enough to work with, if slowly.
                self.capture.slots = vec![Slot::Free; got];
                self.capture.release = false;
                self.capture.generation += 1;
                if got > 0 {
                    self.report(Output::Format);
                }
            }
            // Somebody has one of them mapped (before Linux 4.20, or in drivers that do not
            // support orphaned buffers).
            (Side::Capture, Err(Errno::BUSY)) if count == 0 => {
                self.capture.blocked = true;
                self.moved_ns = now;
            }
            (Side::Capture, Err(Errno::NOMEM)) if count / 2 >= self.capture.min => self.capture.ask = count / 2,
            (side, Err(errno)) => self.trouble(now, Command::Allocate(side, count), errno),
        }
    }

    fn streams(&mut self, now: u64, side: Side) {
        self.moved_ns = now;
        match side {
            Side::Output => self.output.streaming = true,
            Side::Capture => self.capture.streaming = true,
        }
        // What the driver did before may be ready already.
        self.readiness = Readiness { events: true, output: true, capture: true };
        self.established |= self.output.streaming && (self.capture.streaming || !self.capture.wanted);
    }

    fn stopped(&mut self, now: u64, side: Side) {
        self.moved_ns = now;
        match side {
            Side::Output => {
                self.output.streaming = false;
                self.output.stop = false;
                self.stopping = Stopping::No;
                self.take_inputs_back();
            }
            Side::Capture => {
                self.capture.streaming = false;
                self.capture.stop = false;
                self.capture.take_from_driver();
                (self.ended, self.undecided, self.resume, self.resumed) = (false, false, false, false);
                // Drivers forget a drain when this queue stops: it is asked for again.
                self.stopping = Stopping::No;
                if std::mem::take(&mut self.change) {
                    self.renew_capture();
                }
            }
        }
    }

    fn queued_output(&mut self, now: u64, index: u32, answer: Answer) {
        match answer {
            Err(Errno::IO) => self.trouble(now, Command::QueueOutput { index, stamp: 0 }, Errno::IO),
            answer => {
                self.moved_ns = now;
                let Some(job) = self.output.pending.pop_front() else { return };
                match answer {
                    Ok(_) => {
                        self.ledger.enter(job.stamp, job.token);
                        if let Some(slot) = self.output.slots.get_mut(index as usize) {
                            slot.fill(job);
                        }
                    }
                    Err(errno) => self.lose(job.token, LossCause::Refused(errno)),
                }
            }
        }
    }

    fn queued_capture(&mut self, now: u64, index: u32, answer: Answer) {
        let slot = match answer {
            Ok(_) => {
                self.moved_ns = now;
                Slot::Driver
            }
            Err(Errno::IO) => return self.trouble(now, Command::QueueCapture { index }, Errno::IO),
            Err(_) => Slot::Refused,
        };
        if let Some(held) = self.capture.slots.get_mut(index as usize) {
            *held = slot;
        }
    }

    fn returned(&mut self, now: u64, buffer: Returned) {
        let slot = self.output.slots.get_mut(buffer.index as usize);
        match slot.and_then(|slot| slot.job.take()) {
            Some(job) => {
                self.moved_ns = now;
                if buffer.error {
                    self.ledger.flag(job.stamp);
                }
            }
            // A number that the driver does not have: it is not to be trusted any further.
            None => self.trouble(now, Command::DequeueOutput, Errno::PROTO),
        }
    }

    fn filled(&mut self, now: u64, buffer: Filled) {
        match self.capture.slots.get_mut(buffer.index as usize) {
            Some(slot) if *slot == Slot::Driver => *slot = Slot::Free,
            _ => return self.trouble(now, Command::DequeueCapture, Errno::PROTO),
        }
        self.moved_ns = now;
        self.resumed = false;
        self.capture.offer_refused_again();
        // An empty buffer that is the last one is the answer to nothing (decoder document,
        // "Drain": "bytesused … 0").
        if !(buffer.empty && buffer.last) {
            self.take_answer(buffer);
        }
        if buffer.last {
            self.nothing_more(now);
        }
    }

    fn take_answer(&mut self, buffer: Filled) {
        let mut given_up = Vec::new();
        let token = self.ledger.answer(buffer.stamp, &mut given_up);
        for gone in given_up {
            self.lose_unanswered(gone);
        }
        let was_given = (1..self.next_stamp).contains(&buffer.stamp);
        match token {
            Some(token) if buffer.error => self.lose(token, LossCause::Corrupt),
            Some(token) if buffer.empty => self.lose(token, LossCause::NoOutput),
            Some(token) => {
                self.repairs = 0;
                self.hand_out(buffer.index, Output::Done { token, index: buffer.index });
            }
            None if self.role == Role::Encoder && !was_given && !buffer.empty && !buffer.error => {
                self.hand_out(buffer.index, Output::Headers { index: buffer.index });
            }
            None => self.strays += u64::from(!buffer.empty),
        }
    }

    fn hand_out(&mut self, index: u32, output: Output) {
        if let Some(slot) = self.capture.slots.get_mut(index as usize) {
            *slot = Slot::Caller;
        }
        self.report(output);
    }

    /// LAST, or `EPIPE` after it. Whether a drain is done or the source has changed is said by
    /// the events (decoder document, "Dynamic Resolution Change"); the one that belongs to it
    /// may not have been read yet.
    fn nothing_more(&mut self, now: u64) {
        if std::mem::take(&mut self.resumed) {
            // START was accepted and changed nothing.
            self.capture.stop = true;
            return;
        }
        self.moved_ns = now;
        self.ended = true;
        if self.change {
            self.renew_capture();
        } else {
            self.undecided = true;
            self.readiness.events = true;
        }
    }

    fn happened(&mut self, now: u64, event: Event) {
        // End of stream is deprecated: LAST says it.
        if matches!(event, Event::SourceChange { .. }) && self.role == Role::Decoder {
            self.moved_ns = now;
            self.capture.wanted = true;
            // What is left in the old format comes first.
            self.change = self.capture.streaming && !self.ended;
            if !self.change {
                self.renew_capture();
            }
        }
    }

    fn no_more_events(&mut self, now: u64) {
        self.readiness.events = false;
        // A decoder that still owes pictures may have stopped for a change of the source
        // whose event is late.
        let may_change = self.role == Role::Decoder && !self.ledger.is_empty();
        if std::mem::take(&mut self.undecided) && self.stopping == Stopping::Sent && !may_change {
            self.drained(now);
        }
    }

    fn asked_to_stop(&mut self, now: u64, answer: Answer) {
        match answer {
            // EBUSY: it is draining already.
            Ok(_) | Err(Errno::BUSY) => self.stopping = Stopping::Sent,
            Err(Errno::INVAL | Errno::NOTTY | Errno::PERM) => self.stopping = Stopping::Unsupported,
            Err(errno) => self.trouble(now, Command::Stop, errno),
        }
        self.moved_ns = now;
        // It may have been done with everything before.
        self.readiness.capture = true;
    }

    fn told_to_go_on(&mut self, now: u64, answer: Answer) {
        self.moved_ns = now;
        self.resume = false;
        match answer {
            Ok(_) => {
                self.ended = false;
                self.resumed = true;
                self.readiness.capture = true;
            }
            // Without the command, stopping the queue does the same.
            Err(_) => self.capture.stop = true,
        }
    }

    /// The driver has said that everything is out. What it has not answered, it will not.
    pub(super) fn drained(&mut self, now: u64) {
        self.moved_ns = now;
        for gone in self.ledger.close() {
            self.lose_unanswered(gone);
        }
        self.drains.pop_front();
        if !self.begin_anew() {
            self.resume = self.ended;
        }
        self.stopping = Stopping::No;
        self.undecided = false;
        self.report(Output::Drained);
    }

    /// After a drain an encoder is reset, so that what follows begins with a keyframe and its
    /// parameter sets and refers to nothing from before (encoder document, "Reset"). Told to go
    /// on, it would go on as if nothing had been. Returns whether it is reset.
    fn begin_anew(&mut self) -> bool {
        let resets = self.role == Role::Encoder && self.capture.streaming;
        self.capture.stop |= resets;
        resets
    }

    /// CAPTURE is to be set up anew: stopped, freed, asked for its format.
    pub(super) fn renew_capture(&mut self) {
        let has_buffers = !self.capture.slots.is_empty();
        self.change = false;
        self.undecided = false;
        self.capture.stop |= has_buffers && (self.capture.streaming || self.capture.count(Slot::Driver) > 0);
        self.capture.release |= has_buffers;
        self.capture.configured = false;
    }

    /// What follows from the state by itself.
    pub(super) fn settle(&mut self) {
        if self.flushing && !self.output.stop && !self.capture.stop {
            self.flushing = false;
            self.report(Output::Flushed);
        }
        while self.stopping != Stopping::Sent && self.ledger.is_empty() && self.all_fed() {
            self.stopping = Stopping::No;
            self.drains.pop_front();
            self.begin_anew();
            self.report(Output::Drained);
        }
    }
}
