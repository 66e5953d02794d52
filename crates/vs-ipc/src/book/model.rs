// SPDX-License-Identifier: Apache-2.0
//! The book against a model that is too simple to be wrong: random operations on both, and
//! after each one every invariant that users rely on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use proptest::prelude::*;

use super::shares::COMFORT;
use super::{Claim, ClientKey, LeaseBook, Limits, Refusal};

const LIMITS: Limits = Limits { frames: 8, lease_max_ns: 100 };
const LIFESPAN_NS: u64 = 30;

/// Everything that can happen to a book.
#[derive(Clone, Debug)]
enum Op {
    Publish {
        promise: bool,
        /// For how long the frame is there at all.
        stays_ns: Option<u64>,
    },
    Connect {
        credits: usize,
        uid: u32,
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
    Withdraw {
        back: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (any::<bool>(), proptest::option::of(1..150u64))
            .prop_map(|(promise, stays_ns)| Op::Publish { promise, stays_ns }),
        1 => (0..6usize, 0..3u32).prop_map(|(credits, uid)| Op::Connect { credits, uid }),
        1 => (0..6usize).prop_map(|client| Op::Disconnect { client }),
        6 => (0..6usize, 0..8u64, 0..150u64).prop_map(|(client, back, lease_ns)| Op::Lock { client, back, lease_ns }),
        4 => (0..6usize, 0..8u64).prop_map(|(client, back)| Op::Unlock { client, back }),
        3 => (0..60u64).prop_map(|ns| Op::Advance { ns }),
        1 => Just(Op::ForgetNewest),
        1 => (0..8u64).prop_map(|back| Op::Withdraw { back }),
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

#[derive(Clone, Copy)]
struct Client {
    claim: Claim,
    strikes: u32,
    struck: u64,
}

impl Client {
    fn credits(self) -> usize {
        if self.strikes > 0 { self.claim.credits.min(1) } else { self.claim.credits }
    }
}

/// What should be true, kept in the most obvious way.
#[derive(Default)]
struct Model {
    clients: BTreeMap<usize, Client>,
    /// (client, serial) → (granted, deadline).
    leases: BTreeMap<(usize, u64), (u64, u64)>,
    /// serial → end of lifespan.
    promises: BTreeMap<u64, u64>,
    /// serial → end of the frame itself.
    ends: BTreeMap<u64, u64>,
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

    /// The frames that the users chosen by `of` hold, once for each user.
    fn held_by(&self, of: impl Fn(u32) -> bool) -> usize {
        let uid = |client: usize| self.clients[&client].claim.uid;
        let held = self.leases.keys().map(|(client, serial)| (uid(*client), *serial));
        held.filter(|(uid, _)| of(*uid)).collect::<BTreeSet<_>>().len()
    }

    fn users(&self) -> usize {
        self.clients.values().map(|client| client.claim.uid).collect::<BTreeSet<_>>().len()
    }

    /// Whether its user's share lets a client have one more frame.
    fn has_share(&self, client: usize, serial: u64) -> bool {
        let uid = self.clients[&client].claim.uid;
        let mine = |(holder, held): &(usize, u64)| *held == serial && self.clients[holder].claim.uid == uid;
        let left = LIMITS.frames - self.held_by(|other| other != uid).min(LIMITS.frames);
        self.users() == 1 || self.leases.keys().any(mine) || self.held_by(|user| user == uid) < (left / 2).max(1)
    }

    /// Whether frames are so scarce that not everybody gets one.
    fn is_scarce(&self) -> bool {
        let old = self.live().iter().filter(|serial| Some(**serial) != self.newest).count();
        LIMITS.frames - old.min(LIMITS.frames) <= COMFORT
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
            Op::Publish { promise, stays_ns } => self.publish(promise, stays_ns),
            Op::Connect { credits, uid } => {
                let claim = Claim { credits, uid };
                let key = self.book.add_client(claim);
                let before = self.model.clients.insert(key.0, Client { claim, strikes: 0, struck: 0 });
                assert!(before.is_none(), "a key in use was given again");
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
                if let (Some(_), Some(client)) = (lease, self.model.clients.get_mut(&client)) {
                    client.strikes = 0;
                }
            }
            Op::Advance { ns } => self.advance(ns),
            Op::ForgetNewest => {
                self.book.forget_newest();
                self.model.newest = None;
            }
            Op::Withdraw { back } => self.withdraw(self.model.last.saturating_sub(back)),
        }
    }

    fn withdraw(&mut self, serial: u64) {
        let mut ended = Vec::new();
        self.book.withdraw(serial, self.model.now, |end| ended.push((end.client.0, end.serial)));
        ended.sort_unstable();
        let held: Vec<_> = self.model.leases.keys().filter(|(_, held)| *held == serial).copied().collect();
        assert_eq!(ended, held, "exactly the leases on that frame");
        self.model.leases.retain(|(_, held), _| *held != serial);
        self.model.promises.remove(&serial);
        self.model.newest = self.model.newest.filter(|newest| *newest != serial);
    }

    fn publish(&mut self, promise: bool, stays_ns: Option<u64>) {
        self.model.last += 1;
        self.model.newest = None;
        let full = self.model.live().len() >= LIMITS.frames;
        let frame = Tracked { number: self.model.last, home: Rc::clone(&self.home) };
        let end = stays_ns.map_or(u64::MAX, |stays_ns| self.model.now + stays_ns);
        let published = match stays_ns {
            Some(_) => self.book.publish_until(frame, end),
            None => self.book.publish(frame),
        };
        match published {
            Ok(serial) => {
                assert!(!full, "a full book took a frame");
                assert_eq!(serial, self.model.last);
                self.model.newest = Some(serial);
                self.model.ends.insert(serial, end);
                if promise {
                    let promised = self.model.now + LIFESPAN_NS;
                    self.book.promise(serial, promised);
                    self.model.promises.insert(serial, promised.min(end));
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
        let wanted = (now + lease_ns).min(self.model.ends.get(&serial).copied().unwrap_or(0));
        let expected = match (known, held) {
            (None, _) => None,
            (Some(_), Some((granted, _))) => Some((granted, wanted.min(granted + LIMITS.lease_max_ns))),
            (Some(known), None) if self.model.held(client) >= known.credits() => None,
            (Some(_), None) if !self.model.has_share(client, serial) => None,
            (Some(_), None) if answer == Err(Refusal::Scarce) => {
                assert!(self.model.is_scarce(), "refused while there was enough for everybody");
                None
            }
            (Some(_), None) => Some((now, wanted.min(now + LIMITS.lease_max_ns))),
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
        self.book.expire(now, |end| {
            if let Some(client) = self.model.clients.get_mut(&end.client.0) {
                let (granted, _) = self.model.leases[&(end.client.0, end.serial)];
                if client.strikes == 0 || granted >= client.struck {
                    client.strikes += 1;
                    client.struck = now;
                }
                assert_eq!(client.strikes, end.strikes);
            }
            expired.push((end.client.0, end.serial, end.held_ns));
        });
        let due = self.model.leases.iter().filter(|(_, (_, end))| *end <= now);
        let due: Vec<_> = due.map(|((client, serial), (granted, _))| (*client, *serial, now - granted)).collect();
        expired.sort_unstable();
        assert_eq!(expired, due, "exactly the leases whose time has come");
        self.model.leases.retain(|_, (_, end)| *end > now);
        self.model.promises.retain(|_, end| *end > now);
        self.model.newest = self.model.newest.filter(|serial| self.model.ends[serial] > now);
    }

    fn verify_invariants(&self) {
        let live = self.model.live();
        assert_eq!(self.book.len(), live.len());
        assert!(live.iter().all(|serial| self.book.frame(*serial).is_some()), "a frame that someone may read is gone");
        assert!(self.book.len() <= LIMITS.frames, "the source is starved");
        assert_eq!(self.book.leases(), self.model.leases.len());
        for (client, known) in &self.model.clients {
            assert_eq!(self.book.held(ClientKey(*client)), self.model.held(*client));
            assert!(self.model.held(*client) <= known.claim.credits);
        }
        let ends = self.model.leases.values().map(|(_, end)| *end).chain(self.model.promises.values().copied());
        let ends = ends.chain(self.model.newest.map(|serial| self.model.ends[&serial]).filter(|end| *end < u64::MAX));
        if let Some(first_end) = ends.min() {
            assert!(self.book.next_end_ns().is_some_and(|next| next <= first_end), "an end would be missed");
        }
        let mut home = self.home.borrow().clone();
        home.sort_unstable();
        let expected: Vec<u64> = (1..=self.model.last).filter(|serial| !live.contains(serial)).collect();
        assert_eq!(home, expected, "every other frame went home, and once");
    }
}

/// Who is kept from running for a while loses all that it holds, and that is one lapse.
#[test]
fn what_runs_out_together_counts_once() {
    let mut book = LeaseBook::new(LIMITS);
    let client = book.add_client(Claim { credits: 3, uid: 0 });
    let strikes = |book: &mut LeaseBook<u64>, now_ns| {
        let mut strikes = Vec::new();
        book.expire(now_ns, |end| strikes.push(end.strikes));
        strikes
    };
    for granted_ns in 1..=3 {
        let serial = book.publish(granted_ns).unwrap();
        book.lock(client, serial, granted_ns, 10).unwrap();
    }
    assert_eq!(strikes(&mut book, 12), [1, 1]);
    assert_eq!(strikes(&mut book, 13), [1]);
    // It goes on as if nothing had happened, and that is another one.
    let serial = book.publish(4).unwrap();
    book.lock(client, serial, 14, 10).unwrap();
    assert_eq!(strikes(&mut book, 24), [2]);
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
