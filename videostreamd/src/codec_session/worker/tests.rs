// SPDX-License-Identifier: Apache-2.0
//! A session with a codec that does what it is told, also what no codec should: whatever the client
//! does meanwhile, each frame is answered once, and nobody waits for ever.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use proptest::prelude::*;
use rustix::event::eventfd;
use vs_frame::{CpuMemory, CpuPool, FourCc, FrameMeta, Rate};
use vs_ipc::exchange::pair;

use super::*;

/// What the codec does with its inputs, by their numbers.
#[derive(Debug, Clone, Default)]
struct Manner {
    /// Inputs that it keeps before the first comes out.
    delay: usize,
    /// It fails when it is given these.
    fails: BTreeSet<u64>,
    /// It makes nothing of these.
    loses: BTreeSet<u64>,
    /// It forgets these without a word.
    forgets: BTreeSet<u64>,
    /// It cannot be opened again.
    mortal: bool,
}

/// Takes at most so many.
const ROOM: usize = 4;

struct Fake {
    manner: Manner,
    width: u32,
    inside: VecDeque<u64>,
    draining: bool,
    pool: CpuPool,
    /// Never readable: what it does it does when it is called.
    fd: rustix::fd::OwnedFd,
}

fn format(width: u32) -> Arc<Format> {
    Arc::new(Format::packed(FourCc::NV12, width, 16, Rate::fps(30)).unwrap())
}

fn pool() -> CpuPool {
    CpuPool::new(format(16), CpuMemory::Memfd, 1, 64).unwrap()
}

impl Fake {
    fn new(manner: Manner) -> Self {
        let fd = eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        Self { manner, width: 16, inside: VecDeque::new(), draining: false, pool: pool(), fd }
    }
}

impl Session for Fake {
    fn as_poll_fd(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        Some(self.fd.as_fd())
    }

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn drain(&mut self) -> Result<(), BackendError> {
        self.draining = true;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackendError> {
        self.inside.clear();
        self.draining = false;
        Ok(())
    }
}

fn error() -> BackendError {
    BackendError { session: "fake".to_owned(), call: "submit", reason: "as it was told".to_owned() }
}

impl Work for Fake {
    fn session(&mut self) -> &mut dyn Session {
        self
    }

    fn submit(&mut self, loan: &Loan) -> Result<(), SubmitError> {
        if self.draining {
            return Err(SubmitError::Draining);
        }
        if loan.frame.format().width != self.width {
            return Err(SubmitError::Format { expected: self.width.to_string(), got: String::new() });
        }
        if self.manner.fails.remove(&loan.number) {
            return Err(error().into());
        }
        if self.inside.len() >= ROOM {
            return Err(SubmitError::Full);
        }
        self.inside.push_back(loan.number);
        Ok(())
    }

    fn receive(&mut self) -> Result<Outcome, BackendError> {
        if !self.draining && self.inside.len() <= self.manner.delay {
            return Ok(Outcome::Pending);
        }
        Ok(match self.inside.pop_front() {
            None => {
                self.draining = false;
                Outcome::Drained
            }
            Some(number) if self.manner.forgets.contains(&number) => return self.receive(),
            Some(number) if self.manner.loses.contains(&number) => {
                Outcome::Lost(number, LossCause::Corrupt, "as it was told".to_owned())
            }
            Some(number) => {
                let slot = self.pool.acquire().unwrap().unwrap();
                Outcome::Made(number, slot.finish(FrameMeta::default()).unwrap())
            }
        })
    }

    fn adjust(&mut self, adjustment: &Adjustment) -> Result<Settings, String> {
        Ok(Settings { bitrate: adjustment.bitrate, keyframe_interval_ns: 1 })
    }

    fn reopen(self, format: Option<&Arc<Format>>) -> Result<Self, OpenFailure> {
        if self.manner.mortal {
            return Err(OpenFailure::Failed("it is dead".to_owned()));
        }
        assert!(format.is_none() || self.inside.is_empty(), "it is closed while it has something");
        Ok(Self { width: format.map_or(self.width, |format| format.width), ..Self::new(self.manner) })
    }

    fn name(&self) -> &str {
        "fake"
    }

    fn backend(&self) -> BackendKind {
        BackendKind::Software
    }

    fn opened(&self, credits: Credits) -> Opened {
        let (name, reason) = (self.name().to_owned(), String::new());
        Opened { name, backend: self.backend(), reason, effective: None, credits }
    }
}

/// A client and what it may expect.
struct Client {
    exchange: Exchange,
    pools: [CpuPool; 2],
    /// Inputs that are to be answered.
    owed: BTreeSet<u64>,
    last: u64,
    flushed: u64,
    /// Drains under way: the request, and the last input before it.
    drains: VecDeque<(u64, u64)>,
    flushes: VecDeque<u64>,
    adjusts: VecDeque<u64>,
    requests: u64,
    answered: Vec<(u64, bool)>,
    goodbye: Option<String>,
}

#[derive(Debug, Clone)]
enum Op {
    Lend(usize),
    Drain,
    Flush,
    Adjust,
}

fn start(manner: Manner, credits: Credits) -> (Client, JoinHandle<End>) {
    let (ours, theirs) = pair().unwrap();
    let daemon = Exchange::daemon(ours, credits);
    let worker = std::thread::spawn(move || Worker::new(daemon, Entry::alone()).run(Fake::new(manner)));
    let mut client = Client {
        exchange: Exchange::client(theirs),
        pools: [16, 32].map(|width| CpuPool::new(format(width), CpuMemory::Memfd, 1, 64).unwrap()),
        owed: BTreeSet::new(),
        last: 0,
        flushed: 0,
        drains: VecDeque::new(),
        flushes: VecDeque::new(),
        adjusts: VecDeque::new(),
        requests: 0,
        answered: Vec::new(),
        goodbye: None,
    };
    while client.exchange.credit() == 0 {
        client.wait();
    }
    (client, worker)
}

impl Client {
    fn apply(&mut self, op: &Op) {
        self.requests += 1;
        let request = self.requests;
        match op {
            Op::Lend(size) => {
                let slot = self.pools[*size].acquire().unwrap().unwrap();
                let frame = slot.finish(FrameMeta::default()).unwrap();
                while self.goodbye.is_none() {
                    match self.exchange.lend(&frame, 0) {
                        Ok(number) => {
                            (self.last, _) = (number, self.owed.insert(number));
                            return;
                        }
                        Err(LendError::Closed) => return,
                        Err(_) => self.wait(),
                    }
                }
            }
            Op::Drain => {
                self.drains.push_back((request, self.last));
                self.exchange.say(&Word::Drain(request));
            }
            Op::Flush => {
                self.flushes.push_back(request);
                self.flushed = self.last;
                self.owed.clear();
                self.drains.clear();
                self.exchange.say(&Word::Flush(request));
            }
            Op::Adjust => {
                self.adjusts.push_back(request);
                self.exchange.say(&Word::Adjust(request, Adjustment { bitrate: Some(request), ..Default::default() }));
            }
        }
        while self.drains.len() + self.flushes.len() + self.adjusts.len() > MAX_REQUESTS / 2 && self.goodbye.is_none() {
            self.wait();
        }
    }

    /// Waits for something to be said, and takes all of it.
    fn wait(&mut self) {
        let timeout = Timespec { tv_sec: 30, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.exchange, self.exchange.events())];
        assert_ne!(poll(&mut fds, Some(&timeout)), Ok(0), "the session hangs");
        while let Some(received) = self.exchange.receive().transpose() {
            match received {
                Ok(Received::Lent(loan)) => self.answer(loan.origin, true),
                Ok(Received::Word(Word::Lost { origin, .. })) => self.answer(origin, false),
                Ok(Received::Word(Word::Drained(request))) => self.drained(request),
                Ok(Received::Word(Word::Flushed(request))) => assert_eq!(self.flushes.pop_front(), Some(request)),
                Ok(Received::Word(Word::Adjusted(request, outcome))) => {
                    assert_eq!(self.adjusts.pop_front(), Some(request));
                    assert_eq!(outcome.unwrap().bitrate, Some(request));
                }
                Ok(Received::Goodbye(goodbye)) => {
                    self.goodbye = Some(goodbye.text);
                    return;
                }
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn answer(&mut self, origin: u64, made: bool) {
        if self.owed.remove(&origin) {
            self.answered.push((origin, made));
        } else {
            assert!(origin <= self.flushed && !self.flushes.is_empty(), "{origin} is answered twice");
        }
    }

    fn drained(&mut self, request: u64) {
        let first = self.drains.front().copied();
        let Some((expected, last)) = first else { return assert!(!self.flushes.is_empty(), "nobody asked") };
        if expected == request {
            self.drains.pop_front();
            assert!(self.owed.first().is_none_or(|owed| *owed > last), "a drain leaves something");
        } else {
            assert!(!self.flushes.is_empty(), "drains are answered in order");
        }
    }

    /// Until all that was asked has been answered.
    fn settle(&mut self) {
        self.apply(&Op::Drain);
        while self.goodbye.is_none()
            && !(self.drains.is_empty() && self.flushes.is_empty() && self.adjusts.is_empty() && self.owed.is_empty())
        {
            self.wait();
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        16 => Just(Op::Lend(0)),
        4 => Just(Op::Lend(1)),
        2 => Just(Op::Drain),
        1 => Just(Op::Flush),
        1 => Just(Op::Adjust),
    ]
}

fn manner() -> impl Strategy<Value = Manner> {
    let some = |count| proptest::collection::btree_set(1..60u64, 0..count);
    (0..ROOM, some(3), some(6), some(3)).prop_map(|(delay, fails, loses, forgets)| Manner {
        delay,
        fails,
        loses,
        forgets,
        mortal: false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_frame_is_answered_once(
        manner in manner(), inputs in 1..9u16, outputs in 1..9u16, ops in proptest::collection::vec(op(), 1..120),
    ) {
        let (mut client, worker) = start(manner, Credits { inputs, outputs });
        for op in &ops {
            client.apply(op);
        }
        client.settle();
        if client.goodbye.is_none() {
            prop_assert!(client.answered.iter().filter(|(_, made)| *made).is_sorted(), "they come in order");
            drop(client);
            let end = worker.join().unwrap();
            prop_assert!(matches!(end, End::Closed), "{}", end);
        } else {
            let end = worker.join().unwrap();
            prop_assert!(matches!(end, End::Told(_)), "{}", end);
        }
    }
}

#[test]
fn another_format_waits_for_what_is_inside() {
    let (mut client, worker) = start(Manner { delay: 3, ..Manner::default() }, Credits::default());
    for size in [0, 0, 1, 1, 0] {
        client.apply(&Op::Lend(size));
    }
    client.settle();
    assert_eq!(client.answered, (1..=5).map(|number| (number, true)).collect::<Vec<_>>());
    drop(client);
    worker.join().unwrap();
}

#[test]
fn a_codec_that_fails_loses_what_it_has_and_another_goes_on() {
    let manner = Manner { delay: 3, fails: [3].into(), ..Manner::default() };
    let (mut client, worker) = start(manner, Credits::default());
    (0..6).for_each(|_| client.apply(&Op::Lend(0)));
    client.settle();
    let expected = [(1, false), (2, false), (3, false), (4, true), (5, true), (6, true)];
    assert_eq!(client.answered, expected);
    drop(client);
    worker.join().unwrap();
}

#[test]
fn a_session_without_a_codec_ends_with_the_reason() {
    for (manner, word) in [
        (Manner { fails: [2].into(), mortal: true, ..Manner::default() }, "it is dead"),
        (Manner { delay: 3, fails: [2, 3, 4].into(), ..Manner::default() }, "again and again"),
    ] {
        let (mut client, worker) = start(manner, Credits::default());
        (0..6).for_each(|_| client.apply(&Op::Lend(0)));
        client.settle();
        assert!(client.goodbye.as_ref().is_some_and(|text| text.contains(word)), "{:?}", client.goodbye);
        assert!(matches!(worker.join().unwrap(), End::Told(_)));
    }
}

#[test]
fn requests_without_end_are_too_many() {
    let (client, worker) = start(Manner { delay: ROOM, ..Manner::default() }, Credits { inputs: 1, outputs: 1 });
    // A drain that nobody takes note of keeps the others waiting.
    for request in 0..10 * MAX_REQUESTS as u64 {
        client.exchange.say(&Word::Adjust(request, Adjustment::default()));
        client.exchange.say(&Word::Drain(request));
    }
    drop(client);
    let end = worker.join().unwrap();
    assert!(matches!(end, End::Closed | End::Told(_) | End::Client(_)), "{end}");
}
