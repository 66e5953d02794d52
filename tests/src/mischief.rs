// SPDX-License-Identifier: Apache-2.0
//! What clients do that mean no good, or die: for the programs `doomed` and `villain`.
//!
//! They speak both protocols byte by byte, so that nothing in our own client library keeps
//! them from misbehaving.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use vs_ipc::vsl::wire::{Control, Event, Request};
use vs_ipc::wire::{
    self, FormatMessage, FrameEvent, LockResponse, MAX_CLIENT_MESSAGE, MINOR_UNLOCK_PAGE, Mode, UnlockPage,
};
use zerocopy::{FromBytes, IntoBytes};

use crate::Peer;
use crate::peer::{Record, hello, lock, unlock};

/// The two sockets of a stream.
#[derive(Debug, Clone)]
pub struct Sockets {
    /// Of the stream protocol.
    pub native: PathBuf,
    /// For clients of libvideostream.
    pub vsl: PathBuf,
}

/// A moment in the course of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What a client has done by then.
    pub name: &'static str,
    /// Connects and goes so far.
    pub reach: fn(&Sockets) -> Peer,
    /// What it goes on doing; `None` to do nothing any more.
    pub go_on: Option<fn(&Peer)>,
}

const fn still(name: &'static str, reach: fn(&Sockets) -> Peer) -> Step {
    Step { name, reach, go_on: None }
}

const fn busy(name: &'static str, reach: fn(&Sockets) -> Peer, go_on: fn(&Peer)) -> Step {
    Step { name, reach, go_on: Some(go_on) }
}

/// Every step of both protocols.
pub const STEPS: [Step; 26] = [
    still("connected", |at| Peer::connect(&at.native)),
    still("said half a HELLO", |at| said(at, &wire::record(hello("doomed", Mode::Leased), &[])[..40])),
    still("said HELLO", |at| said(at, &wire::record(hello("doomed", Mode::Leased), &[]))),
    still("read WELCOME", leased),
    still("read FORMAT", |at| {
        let peer = leased(at);
        let _ = peer.hear_until::<FormatMessage>();
        peer
    }),
    still("holds a frame", |at| holding(at, 1)),
    still("holds all that it may", |at| holding(at, 2)),
    still("maps a frame", maps_a_frame),
    still("has its page", |at| with_page(at).0),
    busy(
        "unlocks in its page",
        |at| {
            let (peer, page) = with_page(at);
            unlock_in(&page, 1);
            peer
        },
        gives_back,
    ),
    still("gave a frame back", |at| {
        let peer = leased(at);
        gives_back(&peer);
        peer
    }),
    still("gave back what it never had", |at| {
        let peer = holding(at, 1);
        let _ = peer.say(&unlock(u64::MAX));
        peer
    }),
    still("said something and hung up", |at| {
        let peer = holding(at, 1);
        peer.shut_up();
        peer
    }),
    still("has descriptors on their way", |at| {
        let peer = leased(at);
        let _ = give(&peer, &unlock(1));
        peer
    }),
    still("knows of a frame", |at| {
        let peer = notified(at);
        let _ = peer.hear_frame();
        peer
    }),
    still("waits for a lock", |at| {
        let peer = notified(at);
        ask_for_lock(&peer);
        peer
    }),
    still("has a lock", |at| {
        let peer = notified(at);
        lock_one(&peer);
        peer
    }),
    busy("reads", leased, gives_back),
    busy("locks", notified, lock_one),
    busy("floods", leased, |peer| _ = peer.say(&unlock(1))),
    still("connected to the other socket", |at| Peer::connect(&at.vsl)),
    still("got an event", |at| vsl_with_event(at).0),
    still("asked for a lock there", |at| {
        let (peer, serial) = vsl_with_event(at);
        request(&peer, Control::Lock, serial);
        peer
    }),
    still("has locked there", |at| {
        let (peer, serial) = vsl_with_event(at);
        request(&peer, Control::Lock, serial);
        let _ = vsl_answer(&peer);
        peer
    }),
    still("asks without listening", |at| {
        let (peer, serial) = vsl_with_event(at);
        (0..32).for_each(|_| request(&peer, Control::Unlock, serial));
        peer
    }),
    busy("reads there", |at| Peer::connect(&at.vsl), vsl_round),
];

fn said(at: &Sockets, bytes: &[u8]) -> Peer {
    let peer = Peer::connect(&at.native);
    let _ = peer.say(bytes);
    peer
}

fn leased(at: &Sockets) -> Peer {
    Peer::greet(&at.native, "doomed", Mode::Leased)
}

fn notified(at: &Sockets) -> Peer {
    Peer::greet(&at.native, "doomed", Mode::Notify)
}

fn holding(at: &Sockets, frames: usize) -> Peer {
    let peer = leased(at);
    (0..frames).for_each(|_| _ = peer.hear_frame());
    peer
}

fn maps_a_frame(at: &Sockets) -> Peer {
    let peer = leased(at);
    let (_, fds) = peer.hear_frame();
    // SAFETY: it is only looked at once, and the daemon's memory cannot shrink.
    let map = unsafe { memmap2::Mmap::map(&fds[0]) }.unwrap();
    std::hint::black_box(map.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    // It stays mapped until the process is no more.
    std::mem::forget(map);
    peer
}

/// A client with the page in which it may unlock without a message.
fn with_page(at: &Sockets) -> (Peer, OwnedFd) {
    let peer = Peer::connect(&at.native);
    let modern = wire::Hello { minor: MINOR_UNLOCK_PAGE.into(), ..hello("paged", Mode::Leased) };
    let _ = peer.say(&wire::record(modern, &[]));
    let (_, mut record) = peer.hear_until::<UnlockPage>();
    let page = record.fds.pop().expect("a page without memory");
    (peer, page)
}

/// Writes an unlock into the first entry.
fn unlock_in(page: &OwnedFd, serial: u64) {
    scribble(page, serial, PAGE_ENTRIES_AT);
}

/// Where the entries of a page begin, and how long it is (docs/protocol.md, UNLOCK_PAGE).
const PAGE_ENTRIES_AT: u64 = 64;
const PAGE_LEN: u64 = 4096;

fn scribble(page: &OwnedFd, word: u64, at: u64) {
    rustix::io::pwrite(page, &word.to_le_bytes(), at).expect("a page cannot be written");
}

fn gives_back(peer: &Peer) {
    let (event, _) = peer.hear_frame();
    let _ = peer.say(&unlock(event.serial.get()));
}

fn ask_for_lock(peer: &Peer) {
    let (event, _) = peer.hear_frame();
    let _ = peer.say(&lock(1, event.serial.get()));
}

fn lock_one(peer: &Peer) {
    ask_for_lock(peer);
    let _ = peer.hear_until::<LockResponse>();
}

/// Says something with more descriptors than anybody wants.
fn give(peer: &Peer, bytes: &[u8]) -> bool {
    let gift = std::io::stderr();
    peer.say_with(bytes, &[gift.as_fd(); 16])
}

fn vsl_event(record: &Record) -> Event {
    Event::read_from_bytes(&record.bytes).expect("a record of another length")
}

fn vsl_with_event(at: &Sockets) -> (Peer, i64) {
    let peer = Peer::connect(&at.vsl);
    let serial = vsl_event(&peer.hear()).serial.get();
    (peer, serial)
}

fn vsl_answer(peer: &Peer) -> Event {
    std::iter::repeat_with(|| vsl_event(&peer.hear())).find(Event::is_answer).unwrap()
}

fn vsl_round(peer: &Peer) {
    let event = std::iter::repeat_with(|| vsl_event(&peer.hear())).find(|event| !event.is_answer()).unwrap();
    request(peer, Control::Lock, event.serial.get());
    let _ = vsl_answer(peer);
    request(peer, Control::Unlock, event.serial.get());
}

fn request(peer: &Peer, control: Control, serial: i64) {
    let _ = peer.say(Request::new(control, serial).as_bytes());
}

/// A way of life of a client that others must not notice.
#[derive(Debug, Clone, Copy)]
pub struct Trade {
    /// What it is called.
    pub name: &'static str,
    /// One connection, from its beginning to its end.
    pub live: fn(&Sockets),
}

/// Sixteen of them.
pub const TRADES: [Trade; 16] = [
    Trade { name: "reads-leased", live: |at| reads_on(&Peer::greet(&at.native, "reads-leased", Mode::Leased)) },
    Trade { name: "reads-notify", live: |at| reads_on(&Peer::greet(&at.native, "reads-notify", Mode::Notify)) },
    Trade {
        name: "reads-vsl",
        live: |at| {
            let peer = Peer::connect(&at.vsl);
            while let Some(record) = peer.hear_or_end() {
                request(&peer, Control::Unlock, vsl_event(&record).serial.get());
            }
        },
    },
    Trade { name: "hoards-leased", live: |at| _ = greedy(at, Mode::Leased).hear_out() },
    Trade {
        name: "scribbles",
        live: |at| {
            let (peer, page) = with_page(at);
            let mut noise = Noise::of_this_process();
            while let Some(record) = peer.hear_or_end() {
                for _ in 0..64 {
                    scribble(&page, noise.number(), noise.number() % (PAGE_LEN / 8) * 8);
                }
                let event = frame_of(&record).filter(|event| event.serial.get().is_multiple_of(2));
                event.into_iter().for_each(|event| unlock_in(&page, event.serial.get()));
            }
        },
    },
    Trade {
        name: "hoards-locks",
        live: |at| {
            let peer = greedy(at, Mode::Notify);
            while let Some(record) = peer.hear_or_end() {
                if let Some(event) = frame_of(&record) {
                    let _ = peer.say(&lock(1, event.serial.get()));
                }
            }
        },
    },
    Trade {
        name: "hoards-vsl",
        live: |at| {
            let peer = Peer::connect(&at.vsl);
            while let Some(record) = peer.hear_or_end() {
                let event = vsl_event(&record);
                if !event.is_answer() {
                    request(&peer, Control::Lock, event.serial.get());
                }
            }
        },
    },
    Trade { name: "floods-unlocks", live: |at| floods(&Peer::greet(&at.native, "floods", Mode::Leased), &unlock(1)) },
    Trade { name: "floods-locks", live: |at| floods(&Peer::greet(&at.native, "floods", Mode::Notify), &lock(1, 1)) },
    Trade { name: "floods-vsl", live: |at| floods(&Peer::connect(&at.vsl), Request::new(Control::Lock, 1).as_bytes()) },
    Trade {
        name: "raves",
        live: |at| {
            let peer = Peer::greet(&at.native, "raves", Mode::Notify);
            let mut noise = Noise::of_this_process();
            while peer.say(&noise.record()) {}
        },
    },
    Trade {
        name: "raves-vsl",
        live: |at| {
            let peer = Peer::connect(&at.vsl);
            let mut noise = Noise::of_this_process();
            while peer.say(&noise.record()) {}
        },
    },
    Trade {
        name: "leaves-at-every-step",
        live: |at| {
            for step in STEPS {
                let peer = (step.reach)(at);
                step.go_on.into_iter().for_each(|go_on| go_on(&peer));
            }
        },
    },
    Trade {
        name: "comes-in-crowds",
        live: |at| {
            let crowd: Vec<Peer> = (0..50).map(|_| Peer::connect(&at.native)).collect();
            let others: Vec<Peer> = (0..50).map(|_| Peer::connect(&at.vsl)).collect();
            drop((crowd, others));
        },
    },
    Trade {
        name: "gives",
        live: |at| {
            let peer = Peer::greet(&at.native, "gives", Mode::Leased);
            while give(&peer, &unlock(1)) {}
        },
    },
    Trade { name: "says-nothing", live: |at| _ = Peer::connect(&at.native).hear_out() },
];

fn frame_of(record: &Record) -> Option<FrameEvent> {
    (record.kind() == <FrameEvent as wire::Message>::KIND).then(|| record.as_message())
}

fn reads_on(peer: &Peer) {
    while let Some(record) = peer.hear_or_end() {
        let event = frame_of(&record).filter(|event| event.leased != 0);
        event.into_iter().for_each(|event| _ = peer.say(&unlock(event.serial.get())));
    }
}

/// Asks for as many frames as there are numbers, for as long as there is time.
fn greedy(at: &Sockets, mode: Mode) -> Peer {
    let peer = Peer::connect(&at.native);
    let greed = wire::Hello { credits: u16::MAX.into(), lease_ns: u64::MAX.into(), ..hello("hoards", mode) };
    let _ = peer.say(&wire::record(greed, &[]));
    peer
}

/// Says the same until the host has had enough.
fn floods(peer: &Peer, bytes: &[u8]) {
    while peer.say(bytes) {}
}

/// Numbers without a meaning.
#[derive(Debug)]
pub struct Noise(u64);

impl Noise {
    /// The same numbers for the same seed, which must not be 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other numbers in each process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::new(u64::from(std::process::id()))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        // xorshift64 (Marsaglia, "Xorshift RNGs", 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A record that may be a little longer than a host reads. Half of them look like
    /// messages, for what lies behind the header.
    pub fn record(&mut self) -> Vec<u8> {
        let len = 1 + self.number() as usize % (MAX_CLIENT_MESSAGE + 44);
        let mut bytes: Vec<u8> = (0..len).map(|_| self.number() as u8).collect();
        if len >= 8 && self.number().is_multiple_of(2) {
            let kind = (1 + self.number() % 12) as u8;
            bytes[..8].copy_from_slice(&[kind, 0, 0, 0, len as u8, (len >> 8) as u8, 0, 0]);
        }
        bytes
    }
}
