// SPDX-License-Identifier: Apache-2.0
//! The two queues as the state machine sees them: what has been agreed on, and who has which
//! buffer.

use std::collections::VecDeque;

/// One input on its way.
#[derive(Debug)]
pub(super) struct Job<P> {
    pub(super) stamp: u64,
    pub(super) token: u64,
    pub(super) payload: P,
    /// It has been given to a driver before, which stopped without an answer.
    pub(super) retried: bool,
}

/// The queue that takes.
#[derive(Debug)]
pub(super) struct OutputQueue<P> {
    pub(super) configured: bool,
    pub(super) streaming: bool,
    /// It is to be stopped.
    pub(super) stop: bool,
    /// By number: what the driver has.
    pub(super) slots: Vec<Option<Job<P>>>,
    /// What it has not been given yet, in order.
    pub(super) pending: VecDeque<Job<P>>,
}

impl<P> OutputQueue<P> {
    pub(super) fn new() -> Self {
        Self { configured: false, streaming: false, stop: false, slots: Vec::new(), pending: VecDeque::new() }
    }

    pub(super) fn with_driver(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    pub(super) fn free(&self) -> Option<u32> {
        self.slots.iter().position(Option::is_none).map(|index| index as u32)
    }

    /// The node is closed: nothing of it is left but what is still to come.
    pub(super) fn closed(&mut self) {
        (self.configured, self.streaming, self.stop) = (false, false, false);
        self.slots.clear();
    }
}

/// Who has a CAPTURE buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Free,
    Driver,
    Caller,
    /// Nobody; the driver refused it, and is asked again later.
    Refused,
}

/// The queue that gives.
#[derive(Debug)]
pub(super) struct CaptureQueue {
    /// It can be set up: a decoder's only when the driver knows the stream.
    pub(super) wanted: bool,
    pub(super) configured: bool,
    pub(super) streaming: bool,
    /// It is to be stopped.
    pub(super) stop: bool,
    /// Its buffers are to be given back.
    pub(super) release: bool,
    /// The driver did not let go of its buffers.
    pub(super) blocked: bool,
    /// The fewest buffers with which the device works.
    pub(super) min: u32,
    /// How many to ask for.
    pub(super) ask: u32,
    /// Counts allocations: a buffer of an earlier one is nobody's any more.
    pub(super) generation: u64,
    pub(super) slots: Vec<Slot>,
}

impl CaptureQueue {
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            configured: false,
            streaming: false,
            stop: false,
            release: false,
            blocked: false,
            min: 1,
            ask: 1,
            generation: 0,
            slots: Vec::new(),
        }
    }

    pub(super) fn count(&self, who: Slot) -> usize {
        self.slots.iter().filter(|slot| **slot == who).count()
    }

    pub(super) fn free(&self) -> Option<u32> {
        self.slots.iter().position(|slot| *slot == Slot::Free).map(|index| index as u32)
    }

    /// What the driver had or refused is nobody's.
    pub(super) fn take_from_driver(&mut self) {
        for slot in &mut self.slots {
            if matches!(slot, Slot::Driver | Slot::Refused) {
                *slot = Slot::Free;
            }
        }
    }

    pub(super) fn offer_refused_again(&mut self) {
        for slot in &mut self.slots {
            if *slot == Slot::Refused {
                *slot = Slot::Free;
            }
        }
    }

    /// Whether the driver has what it needs to go on.
    pub(super) fn is_fed(&self) -> bool {
        let needed = (self.min.max(1) as usize).min(self.slots.len().max(1));
        self.count(Slot::Driver) >= needed
    }

    /// The node is closed; buffers that callers hold are theirs for good.
    pub(super) fn closed(&mut self, wanted: bool) {
        *self = Self { generation: self.generation + 1, ..Self::new(wanted) };
    }
}
