// SPDX-License-Identifier: Apache-2.0
//! What is to be done next, from how things are.

use super::{Command, Machine, Node, Role, Side, Slot, Stopping};

impl<P> Machine<P> {
    /// What is to be done now; `None` if there is nothing to do but to wait: for the driver,
    /// for the caller, for the [deadline](Self::deadline).
    pub(crate) fn next_command(&self) -> Option<Command> {
        match self.node {
            Node::Open | Node::Failed if self.close => Some(Command::Close),
            Node::Waiting(_) | Node::Failed => None,
            Node::Opening => Some(Command::Open),
            Node::Open => self
                .stop_queues()
                .or(self.readiness.events.then_some(Command::DequeueEvent))
                .or_else(|| self.set_up())
                .or_else(|| self.fetch())
                .or_else(|| self.feed())
                .or_else(|| self.drain_or_go_on()),
        }
    }

    /// OUTPUT first: from then on the driver makes nothing new of what it had.
    fn stop_queues(&self) -> Option<Command> {
        if self.output.stop {
            Some(Command::StreamOff(Side::Output))
        } else {
            self.capture.stop.then_some(Command::StreamOff(Side::Capture))
        }
    }

    /// Decoder document, "Initialization" and "Capture Setup"; encoder document,
    /// "Initialization": the coded format decides what there is to choose on the raw side.
    fn set_up(&self) -> Option<Command> {
        let formats = match self.role {
            Role::Encoder => [Side::Capture, Side::Output],
            Role::Decoder | Role::Converter => [Side::Output, Side::Capture],
        };
        let missing = |side: &Side| match side {
            Side::Output => !self.output.configured,
            Side::Capture => self.role.knows_capture() && !self.capture.configured && !self.capture.release,
        };
        if let Some(side) = formats.into_iter().find(missing) {
            return Some(Command::Configure(side));
        }
        if self.output.slots.is_empty() {
            return Some(Command::Allocate(Side::Output, self.output.ask));
        }
        // A decoder needs OUTPUT running to learn what CAPTURE will be.
        let output_on = (!self.output.streaming).then_some(Command::StreamOn(Side::Output));
        match self.role {
            Role::Decoder => output_on.or_else(|| self.set_up_capture()),
            Role::Encoder | Role::Converter => self.set_up_capture().or(output_on),
        }
    }

    fn set_up_capture(&self) -> Option<Command> {
        let capture = &self.capture;
        if !capture.wanted {
            None
        } else if capture.release {
            // Who holds what does not let go is waited for.
            (!capture.blocked).then_some(Command::Allocate(Side::Capture, 0))
        } else if !capture.configured {
            Some(Command::Configure(Side::Capture))
        } else if capture.slots.is_empty() {
            Some(Command::Allocate(Side::Capture, capture.ask))
        } else if let Some(index) = capture.free().filter(|_| !self.ended) {
            Some(Command::QueueCapture { index })
        } else {
            // Some drivers do not start with nothing to fill.
            let starts = !capture.streaming && capture.count(Slot::Driver) > 0;
            starts.then_some(Command::StreamOn(Side::Capture))
        }
    }

    fn fetch(&self) -> Option<Command> {
        if self.readiness.capture && self.capture.streaming && !self.ended {
            Some(Command::DequeueCapture)
        } else {
            (self.readiness.output && self.output.streaming).then_some(Command::DequeueOutput)
        }
    }

    fn feed(&self) -> Option<Command> {
        let job = self.output.pending.front()?;
        // What comes after a drain waits for its end.
        let is_its_turn = self.drains.front().is_none_or(|mark| job.stamp < *mark);
        let index = self.output.free_for(job.memory)?;
        let fits = is_its_turn && self.stopping == Stopping::No && self.output.streaming;
        fits.then_some(Command::QueueOutput { index, stamp: job.stamp })
    }

    /// A drain works only with both queues running (decoder document, "Drain").
    fn drain_or_go_on(&self) -> Option<Command> {
        if self.resume {
            return Some(Command::Start);
        }
        let runs = self.output.streaming && self.capture.streaming && !self.ended && !self.change;
        let begins = runs && self.stopping == Stopping::No && self.role != Role::Converter && self.all_fed();
        begins.then_some(Command::Stop)
    }

    /// Whether there is a drain, and the driver has everything that comes before its end.
    pub(super) fn all_fed(&self) -> bool {
        let fed = |mark: &u64| self.output.pending.front().is_none_or(|job| job.stamp >= *mark);
        self.drains.front().is_some_and(fed)
    }
}
