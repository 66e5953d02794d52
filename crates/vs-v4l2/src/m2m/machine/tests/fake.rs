// SPDX-License-Identifier: Apache-2.0
//! A driver that keeps the kernel's contract, or breaks it in one of the ways that drivers do.
//!
//! It is strict towards the machine: a command that the kernel would refuse, a payload that is
//! dropped while the device reads it, or a buffer that comes back while a caller holds it ends
//! the test.

use std::collections::{BTreeSet, VecDeque};
use std::rc::{Rc, Weak};

use rustix::io::Errno;

use super::super::{Answer, Command, Filled, Readiness, Reply, Returned, Role, Side};
use crate::event::Event;

/// What an input carries.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) token: u64,
    /// The name of its memory; 0 if it is copied.
    pub(super) memory: u64,
    /// Stands for its resolution: a decoder's CAPTURE must be set up for it.
    pub(super) resolution: u8,
}

/// One way to misbehave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Fault {
    /// Does nothing any more, until OUTPUT is stopped.
    Stall,
    /// Does nothing any more, until the node is closed.
    DeepStall,
    /// Takes inputs, and does nothing ever.
    NeverWorks,
    /// Stops at one input, whenever it is given that.
    Poison,
    /// LAST is not flagged; `EPIPE` comes after it all the same.
    UnflaggedLast,
    /// A drain ends without LAST.
    NoLast,
    /// A change of resolution comes with the event, and without LAST.
    NoLastOfOld,
    /// The event of a change comes after its LAST buffer.
    LateEvent,
    /// The picture is dropped, and nothing says so.
    Drop,
    /// The picture is delivered twice.
    Twice,
    /// What comes of an input is flagged as erroneous.
    CorruptCapture,
    /// The input is flagged as erroneous, and nothing comes of it.
    CorruptOutput,
    /// A LAST buffer that nobody asked for.
    SuddenLast,
    /// Answers `EIO` until it is closed.
    Eio,
    /// START is accepted, and `EPIPE` comes all the same.
    DeafToStart,
    NoStart,
    NoStop,
    /// Refuses a buffer to fill.
    RefuseCapture,
    /// Refuses an input.
    RefuseOutput,
    /// Does not free buffers that somebody holds.
    HoldsBuffers,
    /// Has less memory than asked for.
    LittleMemory,
    /// Gives fewer buffers than asked for.
    FewerBuffers,
    /// Gives a buffer that it does not have.
    WrongIndex,
    /// Is busy when it is opened again.
    BusyAtReopen,
    /// Puts a buffer of parameter sets first.
    SeparateHeaders,
    /// Is unplugged.
    Gone,
}

pub(super) const FAULTS: &[Fault] = &[
    Fault::Stall,
    Fault::DeepStall,
    Fault::NeverWorks,
    Fault::Poison,
    Fault::UnflaggedLast,
    Fault::NoLast,
    Fault::NoLastOfOld,
    Fault::LateEvent,
    Fault::Drop,
    Fault::Twice,
    Fault::CorruptCapture,
    Fault::CorruptOutput,
    Fault::SuddenLast,
    Fault::Eio,
    Fault::DeafToStart,
    Fault::NoStart,
    Fault::NoStop,
    Fault::RefuseCapture,
    Fault::RefuseOutput,
    Fault::HoldsBuffers,
    Fault::LittleMemory,
    Fault::FewerBuffers,
    Fault::WrongIndex,
    Fault::BusyAtReopen,
    Fault::SeparateHeaders,
    Fault::Gone,
];

/// The token that stops a driver with [`Fault::Poison`].
pub(super) const POISONED: u64 = 7;

#[derive(Debug, Default)]
struct Queue {
    configured: bool,
    streaming: bool,
    buffers: u32,
    /// What the driver has, done or not.
    has: BTreeSet<u32>,
}

#[derive(Debug)]
struct Input {
    index: u32,
    stamp: u64,
    item: Weak<Item>,
}

pub(super) struct Fake {
    role: Role,
    faults: BTreeSet<Fault>,
    /// How often it misbehaves in all.
    budget: u32,
    /// How many input buffers it would like to have.
    pub(super) slots: u32,
    /// By input buffer: the memory that it has mapped.
    pub(super) mapped: Vec<u64>,
    /// How often it had to map another one.
    pub(super) mappings: u32,
    /// A xorshift generator's state.
    noise: u64,
    pub(super) open: bool,
    opened: u32,
    output: Queue,
    capture: Queue,
    inputs: VecDeque<Input>,
    returned: VecDeque<Returned>,
    to_fill: VecDeque<u32>,
    filled: VecDeque<Filled>,
    events: VecDeque<Event>,
    late_event: bool,
    /// The late event comes with the next step.
    event_due: bool,
    /// Decoded and not delivered.
    delayed: VecDeque<(u64, u64)>,
    /// How many pictures it keeps back.
    delay: usize,
    overtaken: u32,
    resolution: Option<u8>,
    /// Of what CAPTURE is set up for.
    capture_resolution: Option<u8>,
    /// The old resolution's LAST has to come.
    last_of_old: bool,
    changing: bool,
    draining: bool,
    /// LAST is out: nothing more until it is told to go on.
    stopped: bool,
    /// LAST has been fetched.
    piped: bool,
    stalled: bool,
    /// It is stalled until it is closed.
    deep: bool,
    dead: bool,
    headers_out: bool,
    /// By CAPTURE buffer: the token of what is in it and the count of its delivery.
    pub(super) contents: Vec<(u64, u64)>,
    delivered: u64,
    pub(super) held: BTreeSet<u32>,
    pub(super) tripped: u32,
}

impl Fake {
    pub(super) fn new(role: Role, faults: &[Fault], budget: u32, seed: u64) -> Self {
        Self {
            role,
            faults: faults.iter().copied().collect(),
            budget,
            slots: 0,
            mapped: vec![0; 32],
            mappings: 0,
            noise: seed | 1,
            open: false,
            opened: 0,
            output: Queue::default(),
            capture: Queue::default(),
            inputs: VecDeque::new(),
            returned: VecDeque::new(),
            to_fill: VecDeque::new(),
            filled: VecDeque::new(),
            events: VecDeque::new(),
            late_event: false,
            event_due: false,
            delayed: VecDeque::new(),
            delay: if role == Role::Converter { 0 } else { (seed >> 8) as usize % 4 },
            overtaken: 0,
            resolution: None,
            capture_resolution: None,
            last_of_old: false,
            changing: false,
            draining: false,
            stopped: false,
            piped: false,
            stalled: false,
            deep: false,
            dead: false,
            headers_out: false,
            contents: Vec::new(),
            delivered: 0,
            held: BTreeSet::new(),
            tripped: 0,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 11) % below
    }

    /// Whether it misbehaves in this way now: every `rarity`th time at random.
    fn trips(&mut self, fault: Fault, rarity: u64) -> bool {
        let trips = self.budget > 0 && self.faults.contains(&fault) && self.random(rarity) == 0;
        if trips {
            self.budget -= 1;
            self.tripped += 1;
        }
        trips
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub(super) fn readiness(&self) -> Readiness {
        Readiness {
            events: !self.events.is_empty(),
            output: !self.returned.is_empty() || self.dead,
            capture: !self.filled.is_empty() || self.piped || self.dead,
        }
    }

    pub(super) fn execute(&mut self, command: Command, item: Option<&Rc<Item>>) -> Answer {
        if command == Command::Open {
            return self.open_node();
        }
        assert!(self.open, "{command:?} on a closed node");
        if command == Command::Close {
            self.close_node();
            return Ok(Reply::Done);
        }
        if self.dead {
            return Err(if self.has(Fault::Gone) { Errno::NODEV } else { Errno::IO });
        }
        match command {
            Command::Open | Command::Close => unreachable!(),
            Command::Configure(side) => self.configure(side),
            Command::Allocate(side, count) => self.allocate(side, count),
            Command::StreamOn(side) => self.stream_on(side),
            Command::StreamOff(side) => self.stream_off(side),
            Command::QueueOutput { index, stamp } => self.queue_output(index, stamp, item.unwrap()),
            Command::QueueCapture { index } => self.queue_capture(index),
            Command::DequeueOutput => {
                assert!(self.output.streaming);
                let buffer = self.returned.pop_front();
                if let Some(buffer) = buffer {
                    self.output.has.remove(&buffer.index);
                }
                Ok(Reply::Returned(buffer))
            }
            Command::DequeueCapture => self.dequeue_capture(),
            Command::DequeueEvent => Ok(Reply::Event(self.events.pop_front())),
            Command::Stop => self.stop(),
            Command::Start => self.start(),
        }
    }

    fn open_node(&mut self) -> Answer {
        assert!(!self.open);
        if self.dead && self.has(Fault::Gone) {
            return Err(Errno::NODEV);
        }
        if self.opened > 0 && self.trips(Fault::BusyAtReopen, 2) {
            return Err(Errno::BUSY);
        }
        self.opened += 1;
        self.open = true;
        Ok(Reply::Done)
    }

    fn close_node(&mut self) {
        let fresh = Self::new(self.role, &[], 0, 0);
        let old = std::mem::replace(self, fresh);
        self.faults = old.faults;
        self.budget = old.budget;
        self.noise = old.noise;
        self.opened = old.opened;
        self.delay = old.delay;
        self.slots = old.slots;
        self.delivered = old.delivered;
        self.tripped = old.tripped;
        self.dead = old.dead && self.has(Fault::Gone);
    }

    fn configure(&mut self, side: Side) -> Answer {
        let queue = match side {
            Side::Output => &mut self.output,
            Side::Capture => &mut self.capture,
        };
        assert_eq!(queue.buffers, 0, "S_FMT with buffers allocated is EBUSY");
        queue.configured = true;
        match (self.role, side) {
            (Role::Encoder, Side::Output) => assert!(self.capture.configured, "an encoder's coded format comes first"),
            (Role::Decoder, Side::Capture) => {
                assert!(self.output.streaming);
                self.capture_resolution = self.resolution;
            }
            _ => {}
        }
        Ok(Reply::Configured { min_buffers: if side == Side::Capture { 2 } else { 1 }, slots: self.slots })
    }

    fn allocate(&mut self, side: Side, count: u32) -> Answer {
        let (shortage, fewer) = if count > 0 {
            (self.trips(Fault::LittleMemory, 1), self.has(Fault::FewerBuffers))
        } else {
            (false, false)
        };
        let holds = self.has(Fault::HoldsBuffers) && !self.held.is_empty();
        let queue = match side {
            Side::Output => &mut self.output,
            Side::Capture => &mut self.capture,
        };
        assert!(!queue.streaming, "REQBUFS while streaming is EBUSY");
        assert!(queue.configured || count == 0);
        assert_eq!(queue.buffers > 0, count == 0, "{side:?}: either there were buffers, or they are wanted");
        assert!(queue.has.is_empty());
        if side == Side::Capture && count == 0 {
            if holds {
                self.tripped += 1;
                return Err(Errno::BUSY);
            }
            self.held.clear();
        }
        if shortage && side == Side::Capture && count > 2 {
            return Err(Errno::NOMEM);
        }
        queue.buffers = if fewer { count.min(2) } else { count };
        if side == Side::Capture {
            self.contents = vec![(0, 0); queue.buffers as usize];
        }
        Ok(Reply::Allocated(queue.buffers))
    }

    fn stream_on(&mut self, side: Side) -> Answer {
        let queue = match side {
            Side::Output => &mut self.output,
            Side::Capture => &mut self.capture,
        };
        assert!(!queue.streaming && queue.buffers > 0);
        queue.streaming = true;
        if side == Side::Capture {
            assert!(!queue.has.is_empty());
            if self.role == Role::Decoder && self.capture_resolution == self.resolution {
                self.changing = false;
            }
        }
        Ok(Reply::Done)
    }

    fn stream_off(&mut self, side: Side) -> Answer {
        match side {
            Side::Output => {
                self.output.streaming = false;
                self.output.has.clear();
                self.inputs.clear();
                self.returned.clear();
                self.delayed.clear();
                self.stalled = self.deep;
                self.draining = false;
                self.headers_out = false;
            }
            Side::Capture => {
                self.capture.streaming = false;
                self.capture.has.clear();
                self.to_fill.clear();
                self.filled.clear();
                (self.draining, self.stopped, self.piped, self.last_of_old) = (false, false, false, false);
                self.event_due |= std::mem::take(&mut self.late_event);
            }
        }
        Ok(Reply::Done)
    }

    fn queue_output(&mut self, index: u32, stamp: u64, item: &Rc<Item>) -> Answer {
        assert!(index < self.output.buffers && !self.output.has.contains(&index));
        if self.trips(Fault::RefuseOutput, 10) {
            return Err(Errno::INVAL);
        }
        if self.trips(Fault::Gone, 40) {
            self.dead = true;
            return Err(Errno::NODEV);
        }
        self.output.has.insert(index);
        if std::mem::replace(&mut self.mapped[index as usize], item.memory) != item.memory {
            self.mappings += 1;
        }
        self.inputs.push_back(Input { index, stamp, item: Rc::downgrade(item) });
        Ok(Reply::Done)
    }

    fn queue_capture(&mut self, index: u32) -> Answer {
        assert!(index < self.capture.buffers && !self.capture.has.contains(&index));
        assert!(!self.held.contains(&index), "a caller still reads buffer {index}");
        if self.trips(Fault::RefuseCapture, 5) {
            return Err(Errno::INVAL);
        }
        self.capture.has.insert(index);
        self.to_fill.push_back(index);
        Ok(Reply::Done)
    }

    fn dequeue_capture(&mut self) -> Answer {
        assert!(self.capture.streaming);
        let Some(buffer) = self.filled.pop_front() else {
            return if self.piped { Err(Errno::PIPE) } else { Ok(Reply::Filled(None)) };
        };
        if self.trips(Fault::WrongIndex, 20) {
            return Ok(Reply::Filled(Some(Filled { index: 99, ..buffer })));
        }
        self.capture.has.remove(&buffer.index);
        self.piped |= buffer.last;
        let last = buffer.last && !self.has(Fault::UnflaggedLast);
        Ok(Reply::Filled(Some(Filled { last, ..buffer })))
    }

    fn stop(&mut self) -> Answer {
        assert!(self.output.streaming && self.capture.streaming, "a drain works only with both queues running");
        if self.has(Fault::NoStop) {
            self.tripped += 1;
            return Err(Errno::INVAL);
        }
        self.draining = true;
        Ok(Reply::Done)
    }

    fn start(&mut self) -> Answer {
        if self.has(Fault::NoStart) {
            self.tripped += 1;
            return Err(Errno::INVAL);
        }
        (self.draining, self.stopped) = (false, false);
        if !self.has(Fault::DeafToStart) {
            self.piped = false;
        }
        Ok(Reply::Done)
    }

    /// Works for one step; whether it could.
    pub(super) fn work(&mut self) -> bool {
        if self.open && std::mem::take(&mut self.event_due) {
            self.events.push_back(Event::SourceChange { changes: 1 });
            return true;
        }
        let idle = self.stalled || self.has(Fault::NeverWorks);
        if idle || !self.open || !self.output.streaming || self.dead || self.stopped {
            return false;
        }
        if self.output.has.len() > self.returned.len() {
            self.deep = self.trips(Fault::DeepStall, 20);
            self.stalled = self.deep || self.trips(Fault::Stall, 20);
            if self.stalled {
                return false;
            }
            if self.trips(Fault::Eio, 30) {
                self.dead = true;
                return true;
            }
        }
        if self.last_of_old {
            return self.finish(Fault::NoLastOfOld);
        }
        if self.changing {
            return false;
        }
        if self.capture.streaming && !self.to_fill.is_empty() && self.trips(Fault::SuddenLast, 30) {
            self.emit(0, 0, true, true, false);
            return true;
        }
        if self.inputs.is_empty() {
            return self.draining && self.finish(Fault::NoLast);
        }
        self.process()
    }

    /// Delivers what was kept back, and then LAST.
    fn finish(&mut self, without_last: Fault) -> bool {
        if !self.capture.streaming || self.to_fill.is_empty() {
            return false;
        }
        if let Some((stamp, token)) = self.next_delayed() {
            let last = self.delayed.is_empty() && self.noise & 1 == 0 && !self.has(without_last);
            self.emit(stamp, token, false, last, false);
            if last {
                self.last_is_out();
            }
            return true;
        }
        if self.trips(without_last, 1) {
            self.last_is_out();
            self.stopped = false;
            return true;
        }
        self.emit(0, 0, true, true, false);
        self.last_is_out();
        true
    }

    fn last_is_out(&mut self) {
        if std::mem::take(&mut self.last_of_old) {
            self.event_due = std::mem::take(&mut self.late_event);
        } else {
            self.draining = false;
        }
    }

    fn process(&mut self) -> bool {
        let Some(input) = self.inputs.front() else { return false };
        let item = input.item.upgrade().expect("the payload is gone while the device reads it");
        let (index, stamp) = (input.index, input.stamp);
        if self.role == Role::Decoder && self.resolution != Some(item.resolution) {
            self.announce(item.resolution);
            return true;
        }
        if !self.capture.streaming {
            return false;
        }
        if self.role == Role::Encoder && self.has(Fault::SeparateHeaders) && !self.headers_out {
            if self.to_fill.is_empty() {
                return false;
            }
            self.headers_out = true;
            self.emit(0, 0, false, false, false);
            return true;
        }
        if self.to_fill.is_empty() || (self.has(Fault::Poison) && item.token == POISONED) {
            return false;
        }
        self.inputs.pop_front();
        let error = self.trips(Fault::CorruptOutput, 8);
        self.returned.push_back(Returned { index, error });
        if error || self.trips(Fault::Drop, 8) {
            return true;
        }
        self.delayed.push_back((stamp, item.token));
        if self.delayed.len() > self.delay
            && let Some((stamp, token)) = self.next_delayed()
        {
            let corrupt = self.trips(Fault::CorruptCapture, 8);
            self.emit(stamp, token, false, false, corrupt);
            if !self.to_fill.is_empty() && self.trips(Fault::Twice, 8) {
                self.emit(stamp, token, false, false, false);
            }
        }
        true
    }

    fn announce(&mut self, resolution: u8) {
        let first = !self.capture.streaming;
        self.resolution = Some(resolution);
        self.changing = true;
        self.last_of_old = !first;
        self.late_event = !first && !self.has(Fault::NoLastOfOld) && self.trips(Fault::LateEvent, 1);
        if !self.late_event {
            self.events.push_back(Event::SourceChange { changes: 1 });
        }
    }

    /// In the order of display, which is not that of decoding.
    fn next_delayed(&mut self) -> Option<(u64, u64)> {
        let second =
            self.delayed.len() > 1 && self.overtaken < 4 && self.role != Role::Converter && self.random(3) == 0;
        self.overtaken = if second { self.overtaken + 1 } else { 0 };
        self.delayed.remove(usize::from(second))
    }

    fn emit(&mut self, stamp: u64, token: u64, empty: bool, last: bool, error: bool) {
        let index = self.to_fill.pop_front().unwrap();
        self.delivered += 1;
        self.contents[index as usize] = (token, self.delivered);
        self.stopped |= last;
        self.filled.push_back(Filled { index, stamp, empty, error, last });
    }
}
