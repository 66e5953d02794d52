// SPDX-License-Identifier: Apache-2.0
//! Two honest ends and everything that they can do, in any order: each frame arrives once, as it
//! was lent and in order, comes home once, nobody has more than there is credit for, and when both
//! are gone nothing is left.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use vs_frame::{CpuPool, Frame, Home};
use vs_ipc::exchange::{Credits, Exchange, LendError, Loan, Received, Word, pair};
use vs_ipc::wire::LossCause;

use crate::stage::{alone, descriptors, format, frame, hear, pool};

#[derive(Debug, Clone)]
enum Op {
    /// One end lends a frame of this size.
    Lend(usize, usize),
    /// One end lends a frame once more that it has lent before.
    Again(usize),
    /// One end hears all that waits for it.
    Hear(usize),
    /// One end gives back the one that it has had longest, or the newest.
    Return(usize, bool),
    /// The same from another thread.
    ReturnElsewhere(usize),
    /// One end replaces a pool.
    Replace(usize, usize),
    Say(usize, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let end = || 0..2usize;
    prop_oneof![
        8 => (end(), 0..2usize).prop_map(|(end, size)| Op::Lend(end, size)),
        1 => end().prop_map(Op::Again),
        6 => end().prop_map(Op::Hear),
        6 => (end(), any::<bool>()).prop_map(|(end, oldest)| Op::Return(end, oldest)),
        1 => end().prop_map(Op::ReturnElsewhere),
        1 => (end(), 0..2usize).prop_map(|(end, size)| Op::Replace(end, size)),
        2 => (end(), any::<u64>()).prop_map(|(end, number)| Op::Say(end, number)),
    ]
}

/// Counts how often frames come home.
#[derive(Debug, Default)]
struct Homecomings(AtomicUsize);

impl Home for Homecomings {
    fn take_back(&self, _slot: u32) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One end, and what it must have.
struct End {
    exchange: Exchange,
    max: usize,
    pools: [CpuPool; 2],
    homes: Arc<Homecomings>,
    made: usize,
    last: Option<Frame>,
    /// Numbers of frames that it has lent.
    lent: BTreeSet<u64>,
    /// What it has said and the other end has not heard, in order.
    said: VecDeque<Said>,
    /// What it has of the other end.
    borrowed: VecDeque<Loan>,
}

#[derive(Debug, PartialEq)]
enum Said {
    Lent { number: u64, origin: u64, mark: u64 },
    Word(Word),
}

const WIDTHS: [u32; 2] = [16, 32];
const BUFFERS: usize = 40;

impl End {
    fn new(exchange: Exchange, max: u16) -> Self {
        Self {
            exchange,
            max: usize::from(max),
            pools: WIDTHS.map(|width| pool(width, BUFFERS)),
            homes: Arc::default(),
            made: 0,
            last: None,
            lent: BTreeSet::new(),
            said: VecDeque::new(),
            borrowed: VecDeque::new(),
        }
    }

    /// A frame that counts its homecoming, in memory of a pool.
    fn frame(&mut self, size: usize, mark: u64) -> Option<Frame> {
        let inner = frame(&self.pools[size], mark)?;
        self.made += 1;
        let home: Arc<dyn Home> = Arc::new(Both(Arc::clone(&self.homes), inner.clone()));
        let (buffer, format) = (Arc::clone(inner.buffer()), Arc::clone(inner.format()));
        Some(Frame::new(buffer, format, *inner.meta(), Some((home, 0))).unwrap())
    }

    fn lend(&mut self, frame: &Frame, mark: u64) {
        let origin = mark / 2;
        match self.exchange.lend(frame, origin) {
            Ok(number) => {
                assert!(self.lent.len() < self.max, "it lends more than it has credit for");
                assert!(self.lent.insert(number));
                self.said.push_back(Said::Lent { number, origin, mark: frame.meta().capture_ns });
            }
            Err(LendError::NoCredit) => assert_eq!(self.lent.len(), self.max),
            Err(LendError::Full | LendError::Busy) => assert!(!self.said.is_empty(), "the socket is full of nothing"),
            Err(LendError::Closed) => panic!("it has ended"),
        }
    }
}

/// Goes home, and lets the frame of the pool go.
struct Both(Arc<Homecomings>, #[allow(dead_code, reason = "held until this goes")] Frame);

impl Home for Both {
    fn take_back(&self, slot: u32) {
        self.0.take_back(slot);
    }
}

fn word(end: usize, number: u64) -> Word {
    match (end, number % 3) {
        (0, 0) => Word::Drain(number),
        (0, 1) => Word::Flush(number),
        (0, _) => Word::Adjust(number, Default::default()),
        (_, 0) => Word::Drained(number),
        (_, 1) => Word::Flushed(number),
        (_, _) => Word::Lost { origin: number, cause: LossCause::Corrupt, text: "ä".repeat(number as usize % 9) },
    }
}

fn take(ends: &mut [End; 2], to: usize) {
    let heard = hear(&mut ends[to].exchange).unwrap();
    for received in heard {
        match received {
            Received::Opened(_) => {}
            Received::Lent(loan) => {
                let Loan { number, origin, frame } = &loan;
                let mark = frame.meta().capture_ns;
                let said = ends[1 - to].said.pop_front();
                assert_eq!(said, Some(Said::Lent { number: *number, origin: *origin, mark }));
                assert_eq!(frame.map().unwrap().plane(0).unwrap().data[0], mark as u8);
                assert_eq!(frame.meta().pts, Some(-(mark as i64)));
                assert!(WIDTHS.map(format).contains(frame.format()));
                ends[to].borrowed.push_back(loan);
                assert!(ends[to].borrowed.len() <= ends[1 - to].max, "more than there is credit for");
            }
            Received::Returned(number) => assert!(ends[to].lent.remove(&number), "a frame comes back twice"),
            Received::Word(word) => assert_eq!(ends[1 - to].said.pop_front(), Some(Said::Word(word))),
            other => panic!("{other:?}"),
        }
    }
    let end = &ends[to];
    assert_eq!(end.exchange.lent(), end.lent.len());
    assert_eq!(end.exchange.borrowed(), end.borrowed.len());
    assert_eq!(end.exchange.credit(), end.max - end.lent.len());
}

fn apply(ends: &mut [End; 2], op: &Op, mark: u64) {
    match *op {
        Op::Lend(end, size) => {
            if let Some(frame) = ends[end].frame(size, mark) {
                ends[end].lend(&frame, mark);
                ends[end].last = Some(frame);
            }
        }
        Op::Again(end) => {
            if let Some(frame) = ends[end].last.clone() {
                ends[end].lend(&frame, mark);
            }
        }
        Op::Hear(end) => take(ends, end),
        Op::Return(end, oldest) => {
            let borrowed = &mut ends[end].borrowed;
            drop(if oldest { borrowed.pop_front() } else { borrowed.pop_back() });
        }
        Op::ReturnElsewhere(end) => {
            let all = std::mem::take(&mut ends[end].borrowed);
            std::thread::spawn(move || drop(all)).join().unwrap();
        }
        Op::Replace(end, size) => ends[end].pools[size] = pool(WIDTHS[size], BUFFERS),
        Op::Say(end, number) => {
            // An honest side has only so much to say before it hears an answer.
            let word = word(end, number);
            if ends[end].said.len() < 100 {
                ends[end].exchange.say(&word);
                ends[end].said.push_back(Said::Word(word));
            }
        }
    }
}

fn run(credits: Credits, ops: &[Op]) {
    let (client, daemon) = pair().unwrap();
    let credits = credits.clamped();
    let daemon = End::new(Exchange::daemon(daemon, credits), credits.outputs);
    let mut client = End::new(Exchange::client(client), credits.inputs);
    assert!(matches!(client.exchange.receive(), Ok(Some(Received::Opened(told))) if told == credits));
    let mut ends = [client, daemon];
    for (mark, op) in ops.iter().enumerate() {
        apply(&mut ends, op, mark as u64);
    }
    // All goes home, and all has been heard.
    for _ in 0..3 {
        for end in 0..2 {
            ends[end].borrowed.clear();
            ends[end].last = None;
            take(&mut ends, end);
        }
    }
    for end in &ends {
        assert!(end.said.is_empty() && end.lent.is_empty(), "{:?} {:?}", end.said, end.lent);
        assert_eq!(end.homes.0.load(Ordering::Relaxed), end.made, "frames come home once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_is_lost_doubled_or_left(
        inputs in 1..40u16, outputs in 1..40u16, ops in proptest::collection::vec(op(), 1..300),
    ) {
        let _alone = alone();
        let before = descriptors();
        run(Credits { inputs, outputs }, &ops);
        prop_assert_eq!(descriptors(), before, "a descriptor is left");
    }
}

#[test]
fn more_buffers_than_are_kept_are_introduced_anew() {
    let _alone = alone();
    let (client, daemon) = pair().unwrap();
    let (mut daemon, mut client) = (Exchange::daemon(daemon, Credits::default()), Exchange::client(client));
    client.receive().unwrap();
    let pool = pool(16, 100);
    let frames: Vec<_> = (0..100).map(|number| frame(&pool, number).unwrap()).collect();
    let before = descriptors();
    for round in 0..3 {
        for frame in &frames {
            client.lend(frame, 0).unwrap();
            let heard = hear(&mut daemon).unwrap();
            assert!(matches!(&heard[..], [Received::Lent(loan)] if loan.frame.meta() == frame.meta()), "{round}");
            drop(heard);
            hear(&mut client).unwrap();
        }
        assert_eq!(descriptors() - before, vs_ipc::exchange::MAX_BUFFERS, "they are kept, and no more");
    }
    // Those of a pool that has gone are let go.
    drop((frames, pool));
    client.lend(&frame(&crate::stage::pool(16, 1), 0).unwrap(), 0).unwrap();
    drop(hear(&mut daemon).unwrap());
    assert!(descriptors() < before);
}

#[test]
fn a_side_that_has_gone_is_noticed_and_its_frames_come_home() {
    let _alone = alone();
    let (client, daemon) = pair().unwrap();
    let (mut daemon, mut client) = (Exchange::daemon(daemon, Credits::default()), Exchange::client(client));
    client.receive().unwrap();
    let pool = pool(16, 1);
    client.lend(&frame(&pool, 1).unwrap(), 0).unwrap();
    let heard = hear(&mut daemon).unwrap();
    assert!(pool.acquire().unwrap().is_none());
    let hangup = daemon.hangup();
    assert!(!hangup.is_gone());
    drop(client);
    assert!(hangup.is_gone() && pool.acquire().unwrap().is_some());
    assert!(matches!(daemon.receive(), Err(vs_ipc::exchange::ExchangeError::Closed)));
    // What is in hand can be read, and dropped, at any time.
    let [Received::Lent(loan)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(loan.frame.map().unwrap().plane(0).unwrap().data[0], 1);
}
