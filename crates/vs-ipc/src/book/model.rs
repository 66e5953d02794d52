// SPDX-License-Identifier: Apache-2.0
//! The book against a model that is too simple to be wrong: random operations on both, and
//! after each one every invariant that users rely on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;

use super::{ClientKey, LeaseBook, Limits};

const LIMITS: Limits = Limits { frames: 5, lease_max_ns: 100 };
const LIFESPAN_NS: u64 = 30;

/// Everything that can happen to a book.
#[derive(Clone, Debug)]
enum Op {
    Publish {
        promise: bool,
    },
    Connect {
        credits: usize,
    },
    /// Clients and serials are picked relative to those that exist, sometimes beyond them.
    Disconnect {
        client: usize,
    },
    Lock {
        client: usize,
        back: u64,
        lease_ns: u64,
    },
    Unlock {
        client: usize,
        back: u64,
    },
    Advance {
        ns: u64,
    },
    ForgetNewest,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any::<bool>().prop_map(|promise| Op::Publish { promise }),
        1 => (0..4usize).prop_map(|credits| Op::Connect { credits }),
        1 => (0..6usize).prop_map(|client| Op::Disconnect { client }),
        6 => (0..6usize, 0..8u64, 0..150u64).prop_map(|(client, back, lease_ns)| Op::Lock { client, back, lease_ns }),
        4 => (0..6usize, 0..8u64).prop_map(|(client, back)| Op::Unlock { client, back }),
        3 => (0..60u64).prop_map(|ns| Op::Advance { ns }),
        1 => Just(Op::ForgetNewest),
    ]
}

/// A frame that notes its serial when it goes home.
#[derive(Debug)]
struct Tracked {
    number: u64,
    home: Rc<RefCell<Vec<u64>>>,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.home.borrow_mut().push(self.number);
    }
}

/// What should be true, kept in the most obvious way.
#[derive(Default)]
struct Model {
    /// Credits of each client.
    clients: BTreeMap<usize, usize>,
    /// (client, serial) → (granted, deadline).
    leases: BTreeMap<(usize, u64), (u64, u64)>,
    /// serial → end of lifespan.
    promises: BTreeMap<u64, u64>,
    newest: Option<u64>,
    last: u64,
    now: u64,
}

impl Model {
    fn live(&self) -> Vec<u64> {
        let mut live: Vec<u64> = self.leases.keys().map(|(_, serial)| *serial).collect();
        live.extend(self.promises.keys());
        live.extend(self.newest);
        live.sort_unstable();
        live.dedup();
        live
    }

    fn held(&self, client: usize) -> usize {
        self.leases.keys().filter(|(holder, _)| *holder == client).count()
    }
}

struct Run {
    book: LeaseBook<Tracked>,
    model: Model,
    home: Rc<RefCell<Vec<u64>>>,
}

impl Run {
    fn new() -> Self {
        Self { book: LeaseBook::new(LIMITS), model: Model::default(), home: Rc::default() }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Publish { promise } => self.publish(promise),
            Op::Connect { credits } => {
                let key = self.book.add_client(credits);
                assert!(self.model.clients.insert(key.0, credits).is_none(), "a key in use was given again");
            }
            Op::Disconnect { client } => {
                let held = self.model.held(client);
                self.model.leases.retain(|(holder, _), _| *holder != client);
                self.model.clients.remove(&client);
                assert_eq!(self.book.remove_client(ClientKey(client)), held);
            }
            Op::Lock { client, back, lease_ns } => self.lock(client, back, lease_ns),
            Op::Unlock { client, back } => {
                let serial = self.model.last.saturating_sub(back);
                let lease = self.model.leases.remove(&(client, serial));
                let held_for = self.book.unlock(ClientKey(client), serial, self.model.now);
                assert_eq!(held_for, lease.map(|(granted, _)| self.model.now - granted));
            }
            Op::Advance { ns } => self.advance(ns),
            Op::ForgetNewest => {
                self.book.forget_newest();
                self.model.newest = None;
            }
        }
    }

    fn publish(&mut self, promise: bool) {
        self.model.last += 1;
        self.model.newest = None;
        let full = self.model.live().len() >= LIMITS.frames;
        let frame = Tracked { number: self.model.last, home: Rc::clone(&self.home) };
        match self.book.publish(frame) {
            Ok(serial) => {
                assert!(!full, "a full book took a frame");
                assert_eq!(serial, self.model.last);
                self.model.newest = Some(serial);
                if promise {
                    let end = self.model.now + LIFESPAN_NS;
                    self.book.promise(serial, end);
                    self.model.promises.insert(serial, end);
                }
            }
            Err(_) => assert!(full, "a book with room refused a frame"),
        }
    }

    fn lock(&mut self, client: usize, back: u64, lease_ns: u64) {
        let serial = self.model.last.saturating_sub(back);
        let now = self.model.now;
        let answer = self.book.lock(ClientKey(client), serial, now, lease_ns);
        let known = self.model.clients.get(&client).copied().filter(|_| self.model.live().contains(&serial));
        let held = self.model.leases.get(&(client, serial)).copied();
        let expected = match (known, held) {
            (None, _) => None,
            (Some(_), Some((granted, _))) => Some((granted, (now + lease_ns).min(granted + LIMITS.lease_max_ns))),
            (Some(credits), None) if self.model.held(client) >= credits => None,
            (Some(_), None) => Some((now, now + lease_ns.min(LIMITS.lease_max_ns))),
        };
        assert_eq!(answer.ok(), expected.map(|(_, deadline)| deadline));
        if let Some(lease) = expected {
            self.model.leases.insert((client, serial), lease);
        }
    }

    fn advance(&mut self, ns: u64) {
        self.model.now += ns;
        let now = self.model.now;
        let mut expired = Vec::new();
        self.book.expire(now, |end| expired.push((end.client.0, end.serial)));
        let due: Vec<_> = self.model.leases.iter().filter(|(_, (_, end))| *end <= now).map(|(key, _)| *key).collect();
        expired.sort_unstable();
        assert_eq!(expired, due, "exactly the leases whose time has come");
        self.model.leases.retain(|_, (_, end)| *end > now);
        self.model.promises.retain(|_, end| *end > now);
    }

    fn verify_invariants(&self) {
        let live = self.model.live();
        assert_eq!(self.book.len(), live.len());
        assert!(live.iter().all(|serial| self.book.frame(*serial).is_some()), "a frame that someone may read is gone");
        assert!(self.book.len() <= LIMITS.frames, "the source is starved");
        for (client, credits) in &self.model.clients {
            assert_eq!(self.book.held(ClientKey(*client)), self.model.held(*client));
            assert!(self.model.held(*client) <= *credits);
        }
        let ends = self.model.leases.values().map(|(_, end)| *end).chain(self.model.promises.values().copied());
        if let Some(first_end) = ends.min() {
            assert!(self.book.next_end_ns().is_some_and(|next| next <= first_end), "an end would be missed");
        }
        let mut home = self.home.borrow().clone();
        home.sort_unstable();
        let expected: Vec<u64> = (1..=self.model.last).filter(|serial| !live.contains(serial)).collect();
        assert_eq!(home, expected, "every other frame went home, and once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_book_keeps_its_word(ops in proptest::collection::vec(op(), 1..120)) {
        let mut run = Run::new();
        for op in &ops {
            run.apply(op);
            run.verify_invariants();
        }
    }
}
