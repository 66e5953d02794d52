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
    /// Names the memory that the payload lies in; 0 if it is copied.
    pub(super) memory: u64,
    /// It has been given to a driver before, which stopped without an answer.
    pub(super) retried: bool,
}

/// One buffer of the queue that takes.
#[derive(Debug)]
pub(super) struct InputSlot<P> {
    /// What the driver has in it.
    pub(super) job: Option<Job<P>>,
    /// The memory that it was last given with.
    memory: u64,
    /// The stamp that it was last given with.
    used: u64,
}

impl<P> InputSlot<P> {
    pub(super) fn new() -> Self {
        Self { job: None, memory: 0, used: 0 }
    }

    pub(super) fn fill(&mut self, job: Job<P>) {
        (self.memory, self.used) = (job.memory, job.stamp);
        self.job = Some(job);
    }
}

/// The queue that takes.
#[derive(Debug)]
pub(super) struct OutputQueue<P> {
    pub(super) configured: bool,
    pub(super) streaming: bool,
    /// It is to be stopped.
    pub(super) stop: bool,
    /// How many buffers to ask for.
    pub(super) ask: u32,
    /// How many of them the driver has at most.
    pub(super) depth: usize,
    /// By number.
    pub(super) slots: Vec<InputSlot<P>>,
    /// What it has not been given yet, in order.
    pub(super) pending: VecDeque<Job<P>>,
}

impl<P> OutputQueue<P> {
    pub(super) fn new(depth: u32) -> Self {
        Self {
            configured: false,
            streaming: false,
            stop: false,
            ask: depth,
            depth: depth as usize,
            slots: Vec::new(),
            pending: VecDeque::new(),
        }
    }

    pub(super) fn with_driver(&self) -> usize {
        self.slots.iter().filter(|slot| slot.job.is_some()).count()
    }

    /// Whether the driver has as much as it is to have.
    pub(super) fn is_full(&self) -> bool {
        self.with_driver() >= self.depth.min(self.slots.len())
    }

    /// The buffer for the next input: the one that had the same memory before, for the driver
    /// has that mapped; else the one that has not been used for the longest time.
    pub(super) fn free_for(&self, memory: u64) -> Option<u32> {
        if self.is_full() {
            return None;
        }
        let free = self.slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let best = free.min_by_key(|(_, slot)| (slot.memory != memory, slot.used));
        best.map(|(index, _)| index as u32)
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
