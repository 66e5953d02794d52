// SPDX-License-Identifier: Apache-2.0
//! A machine, a fake driver and a caller, with what must hold whatever happens.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::{Command, Failure, LossCause, Machine, Output, Readiness, Repair, Role, Settings};
use super::fake::{Fake, Fault, Item};

pub(super) const SETTINGS: Settings =
    Settings { output_buffers: 4, capture_buffers: 3, stall_ns: 2_000_000_000, grace_ns: 300_000_000 };

/// When it begins.
pub(super) const START_NS: u64 = 1_000;

/// What has become of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Open,
    Done,
    Lost(LossCause),
    Flushed,
}

pub(super) struct Rig {
    pub(super) machine: Machine<Rc<Item>>,
    pub(super) fake: Fake,
    role: Role,
    pub(super) now: u64,
    pub(super) resolution: u8,
    /// The memories that inputs lie in, in turn; 0 if they are copied.
    pub(super) memories: u64,
    pub(super) fates: BTreeMap<u64, Fate>,
    /// For each drain that has not ended: the tokens below this one come before its end.
    drains: Vec<u64>,
    flushes: u32,
    /// What the caller holds.
    held: Vec<(u32, u64)>,
    pub(super) done: Vec<u64>,
    last_delivery: u64,
    pub(super) headers: u32,
    pub(super) formats: u32,
    pub(super) drained: u32,
    pub(super) repairs: Vec<Repair>,
    pub(super) failure: Option<Failure>,
    /// Whether the caller gives buffers back as soon as it gets them.
    pub(super) generous: bool,
}

/// More commands in a row than any sequence has: the machine does not come to rest.
const MANY: u32 = 500;

impl Rig {
    pub(super) fn new(role: Role, faults: &[Fault], budget: u32, seed: u64) -> Self {
        Self {
            machine: Machine::new(role, SETTINGS),
            fake: Fake::new(role, faults, budget, seed),
            role,
            now: START_NS,
            resolution: 1,
            memories: 0,
            fates: BTreeMap::new(),
            drains: Vec::new(),
            flushes: 0,
            held: Vec::new(),
            done: Vec::new(),
            last_delivery: 0,
            headers: 0,
            formats: 0,
            drained: 0,
            repairs: Vec::new(),
            failure: None,
            generous: true,
        }
    }

    /// Carries out commands until there is none left.
    pub(super) fn pump(&mut self) {
        // As a session sees it, which asks for what is of interest only.
        let (ready, interest) = (self.fake.readiness(), self.machine.interest());
        self.machine.ready(Readiness {
            events: ready.events && interest.events,
            output: ready.output && interest.output,
            capture: ready.capture && interest.capture,
        });
        for _ in 0..MANY {
            self.take_outputs();
            let Some(command) = self.machine.next_command() else { return };
            let item = match command {
                Command::QueueOutput { .. } => self.machine.first_in_line().cloned(),
                _ => None,
            };
            let answer = self.fake.execute(command, item.as_ref());
            drop(item);
            self.machine.answer(self.now, command, answer);
        }
        panic!("the machine does not come to rest: {:?}", self.machine);
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.machine.next_output() {
            assert!(self.failure.is_none(), "{output:?} after the failure");
            match output {
                Output::Done { token, index } => self.take_frame(token, index),
                Output::Headers { index } => {
                    self.headers += 1;
                    self.hold(index);
                }
                Output::Format => self.formats += 1,
                Output::Lost { token, cause } => self.decide(token, Fate::Lost(cause)),
                Output::Drained => {
                    self.drained += 1;
                    let mark = self.drains.remove(0);
                    let open: Vec<_> = self.fates.range(..mark).filter(|(_, fate)| **fate == Fate::Open).collect();
                    assert!(open.is_empty(), "drained, and not answered: {open:?}");
                }
                Output::Flushed => self.flushes = 0,
                Output::Repaired(repair) => self.repairs.push(repair),
                Output::Failed(failure) => self.failure = Some(failure),
            }
        }
    }

    fn take_frame(&mut self, token: u64, index: u32) {
        let (content, delivery) = self.fake.contents[index as usize];
        assert_eq!(content, token, "the frame is another one's");
        assert!(delivery > self.last_delivery, "the order is not the driver's");
        self.last_delivery = delivery;
        assert!(self.drains.first().is_none_or(|mark| token < *mark), "{token} has overtaken a drain");
        self.decide(token, Fate::Done);
        self.done.push(token);
        self.hold(index);
    }

    fn hold(&mut self, index: u32) {
        assert!(self.fake.held.insert(index), "given out twice");
        self.held.push((index, self.machine.generation()));
        if self.generous {
            self.give_back();
        }
    }

    fn decide(&mut self, token: u64, fate: Fate) {
        assert_eq!(self.fates.insert(token, fate), Some(Fate::Open), "{token} is decided twice: {fate:?}");
    }

    pub(super) fn submit(&mut self) -> bool {
        let token = self.fates.len() as u64 + 1;
        let memory = if self.memories == 0 { 0 } else { 1 + token % self.memories };
        let item = Rc::new(Item { token, memory, resolution: self.resolution });
        let taken = self.machine.submit(self.now, token, (memory, item)).is_ok();
        if taken {
            self.fates.insert(token, Fate::Open);
        }
        self.pump();
        taken
    }

    pub(super) fn drain(&mut self) {
        if self.failure.is_none() {
            self.drains.push(self.fates.len() as u64 + 1);
            self.machine.drain(self.now);
            self.pump();
        }
    }

    pub(super) fn flush(&mut self) {
        if self.failure.is_none() {
            for fate in self.fates.values_mut().filter(|fate| **fate == Fate::Open) {
                *fate = Fate::Flushed;
            }
            self.drains.clear();
            self.flushes += 1;
            self.machine.flush(self.now);
            self.pump();
        }
    }

    pub(super) fn give_back(&mut self) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let (index, generation) = self.held.remove(0);
        if generation == self.machine.generation() {
            self.fake.held.remove(&index);
        }
        self.machine.give_back(self.now, index, generation);
        true
    }

    pub(super) fn work(&mut self) -> bool {
        let worked = self.fake.work();
        self.pump();
        worked
    }

    /// Lets everybody do what can be done, and time pass when nothing can, until nothing is
    /// owed any more.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            self.pump();
            if self.work() || self.give_back() {
                continue;
            }
            self.pump();
            match self.machine.deadline() {
                Some(deadline) => {
                    self.now = self.now.max(deadline);
                    self.machine.tick(self.now);
                }
                None => return,
            }
        }
        panic!("it never ends: {:?}", self.machine);
    }

    /// Drains at the end: everything is decided, and the session works or says that it
    /// does not.
    pub(super) fn finish(&mut self) {
        self.generous = true;
        while self.give_back() {}
        self.drain();
        self.settle();
        let open: Vec<_> = self.fates.iter().filter(|(_, fate)| **fate == Fate::Open).collect();
        assert!(open.is_empty(), "{:?}: never answered: {open:?} {:?}", self.role, self.machine);
        if self.failure.is_none() {
            assert!(self.drains.is_empty() && self.flushes == 0, "a drain or a flush has no end: {:?}", self.machine);
            assert!(self.machine.is_idle());
        } else {
            assert!(!self.fake.open, "a session that failed keeps its device");
        }
    }

    /// Submits so many, waiting for room.
    pub(super) fn feed(&mut self, count: u64) {
        for _ in 0..count {
            while self.failure.is_none() && !self.submit() {
                if !self.work() && !self.give_back() {
                    let deadline = self.machine.deadline().expect("no room, and nothing that would make some");
                    self.now = self.now.max(deadline);
                    self.machine.tick(self.now);
                    self.pump();
                }
            }
        }
    }

    pub(super) fn lost(&self) -> Vec<(u64, LossCause)> {
        let lost = |(token, fate): (&u64, &Fate)| match fate {
            Fate::Lost(cause) => Some((*token, *cause)),
            _ => None,
        };
        self.fates.iter().filter_map(lost).collect()
    }
}
