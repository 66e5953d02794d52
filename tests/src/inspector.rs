// SPDX-License-Identifier: Apache-2.0
//! An honest client of any kind that looks at every byte of each frame twice: when it gets it,
//! and when it gives it back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vs_frame::clock::monotonic_ns;
use vs_ipc::vsl::client::{Connection, Counts, Received};
use vsclient::{Client, Frame, LockError, LockStatus, Mode, SkipReason, Skipped};

use crate::PATIENCE;
use crate::client::{Checker, Verdict, builder};
use crate::mischief::Noise;

/// How often it looks whether it shall end, when no frames come.
const TICK: Duration = Duration::from_millis(100);

/// Complaints that are kept word by word.
const WORDS_MAX: usize = 8;

/// How a client gets the right to read its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// Each frame comes with a lease.
    Leased,
    /// Frames are read within their lifespan.
    Notify,
    /// Frames are announced, and locked.
    Locking,
    /// As an application of libvideostream.
    Vsl,
}

/// What an inspector is to do.
#[derive(Debug, Clone)]
pub struct Orders {
    /// A stream's socket, that of the endpoint for libvideostream if that is the manner.
    pub socket: PathBuf,
    /// How it gets its frames.
    pub manner: Manner,
    /// The longest that it holds a frame; each one for another time, from none at all to this.
    pub hold: Duration,
    /// Frames that it may have in hand at once.
    pub frames: u16,
}

/// What inspectors have seen.
#[derive(Debug, Default, Clone)]
pub struct Account {
    /// Frames that were whole when they came and when they went.
    pub whole: u64,
    /// Frames whose time was over before they were read to their end: not seen to the end, and
    /// known for that.
    pub late: u64,
    /// Frames that were not what they were said to be.
    pub torn: u64,
    /// Frames that did not come, by the gaps between serials, or were not to be had.
    pub missed: u64,
    /// Why, as far as the host or the connection says.
    pub reasons: BTreeMap<&'static str, u64>,
    /// The last serial that came.
    pub last_serial: u64,
    /// What else was wrong, and how the first torn frames were.
    pub words: Vec<String>,
}

impl Account {
    fn complain(&mut self, word: String) {
        if self.words.len() < WORDS_MAX {
            self.words.push(word);
        }
    }

    /// The sums of two.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.whole += other.whole;
        self.late += other.late;
        self.torn += other.torn;
        self.missed += other.missed;
        for (reason, count) in &other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        self.words.extend_from_slice(&other.words);
        self
    }
}

/// A client on a thread of its own.
#[derive(Debug)]
pub struct Inspector {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    account: Account,
    ended: bool,
}

impl Inspector {
    /// Connects, and waits until it has seen a frame whole.
    #[must_use]
    pub fn start(orders: &Orders) -> Self {
        let source = Source::connect(orders);
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let (shared, orders) = (Arc::clone(&shared), orders.clone());
            move || Shift { source, orders, shared: &shared, checker: Checker::default(), hand: Vec::new() }.work()
        });
        let inspector = Self { shared, thread: Some(thread) };
        inspector.passes(1);
        inspector
    }

    /// Waits while so many further frames are seen whole.
    ///
    /// # Panics
    /// If they are not.
    pub fn passes(&self, frames: u64) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.state.lock().unwrap();
        let target = state.account.whole + frames;
        while state.account.whole < target {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!state.ended && !left.is_zero(), "an inspector sees no more frames: {state:?}");
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// What it has seen so far.
    #[must_use]
    pub fn account(&self) -> Account {
        self.shared.state.lock().unwrap().account.clone()
    }

    /// Ends it; what it has seen.
    #[must_use]
    pub fn end(mut self) -> Account {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.account()
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Where frames come from.
enum Source {
    Native(Box<Client>),
    Vsl(Box<Connection>),
}

/// Those reasons that there were.
fn counted<const N: usize>(reasons: [(&'static str, u64); N]) -> BTreeMap<&'static str, u64> {
    reasons.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// A frame, and the right to read it.
enum Piece {
    Native(Frame),
    Vsl(Received),
}

impl Source {
    fn connect(orders: &Orders) -> Self {
        let Orders { socket, manner, frames, .. } = orders;
        let native = |mode| Self::Native(Box::new(native(socket, mode, *frames)));
        match manner {
            Manner::Leased => native(Mode::Leased),
            Manner::Notify | Manner::Locking => native(Mode::Notify),
            Manner::Vsl => Self::Vsl(Box::new(Connection::connect(socket, usize::from(*frames), PATIENCE).unwrap())),
        }
    }

    /// Why frames did not come, so far.
    fn reasons(&self, last: Option<Skipped>) -> BTreeMap<&'static str, u64> {
        match self {
            Self::Native(_) => {
                let reasons = [SkipReason::NoCredit, SkipReason::NotReading, SkipReason::Pool, SkipReason::Share];
                counted(reasons.map(|reason| (reason.name(), last.map_or(0, |skipped| skipped.get(reason).into()))))
            }
            Self::Vsl(connection) => {
                let Counts { expired, refused, no_credit, taken_back, .. } = connection.counts();
                counted([("expired", expired), ("refused", refused), ("own", no_credit), ("taken back", taken_back)])
            }
        }
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<Piece>, String> {
        match self {
            Self::Native(client) => {
                client.next_frame(timeout).map(|frame| frame.map(Piece::Native)).map_err(|error| error.to_string())
            }
            Self::Vsl(connection) => {
                connection.wait(Some(timeout)).map(|frame| frame.map(Piece::Vsl)).map_err(|error| error.to_string())
            }
        }
    }
}

fn native(socket: &Path, mode: Mode, frames: u16) -> Client {
    builder(socket).mode(mode).credits(frames).name("inspector").connect().unwrap()
}

impl Piece {
    fn serial(&self) -> u64 {
        match self {
            Self::Native(frame) => frame.serial(),
            Self::Vsl(received) => received.serial,
        }
    }
}

/// An inspector at work.
struct Shift<'a> {
    source: Source,
    orders: Orders,
    shared: &'a Shared,
    checker: Checker,
    /// Frames in hand, each with when it is looked at again.
    hand: Vec<(Instant, Piece)>,
}

impl Shift<'_> {
    fn work(mut self) {
        let mut noise = Noise::new(0x5eed ^ monotonic_ns());
        while !self.shared.stop.load(Ordering::Relaxed) {
            let due = self.hand.iter().map(|(due, _)| *due).min();
            let timeout = due.map_or(TICK, |due| due.saturating_duration_since(Instant::now()).min(TICK));
            match self.source.next(timeout) {
                Ok(Some(piece)) => self.take(piece, &mut noise),
                Ok(None) => {}
                Err(error) => {
                    self.tell(|account| account.complain(error));
                    break;
                }
            }
            self.give_back();
        }
        let mut state = self.shared.state.lock().unwrap();
        state.ended = true;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Looks at a frame for the first time, and decides how long to hold it.
    fn take(&mut self, piece: Piece, noise: &mut Noise) {
        let serial = piece.serial();
        let reasons = self.source.reasons(match &piece {
            Piece::Native(frame) => Some(frame.skipped()),
            Piece::Vsl(_) => None,
        });
        self.tell(|account| {
            account.reasons = reasons;
            if account.last_serial != 0 && serial <= account.last_serial {
                account.complain(format!("frame {serial} follows {}", account.last_serial));
            } else if account.last_serial != 0 {
                account.missed += serial - account.last_serial - 1;
            }
            account.last_serial = serial;
        });
        if !self.lock(&piece) || !self.look(&piece, "when it came") {
            return;
        }
        let hold_ns = (self.orders.hold.as_nanos() as u64).min(time_left(&piece, self.orders.manner));
        let due = Instant::now() + Duration::from_nanos(noise.number() % (hold_ns + 1));
        self.hand.push((due, piece));
    }

    /// Locks a frame if that is the manner; whether it may be read.
    fn lock(&mut self, piece: &Piece) -> bool {
        let (Manner::Locking, Piece::Native(frame), Source::Native(client)) =
            (self.orders.manner, piece, &mut self.source)
        else {
            return true;
        };
        match client.lock(frame, None, PATIENCE) {
            Ok(()) => true,
            Err(LockError::Refused(LockStatus::Gone)) => {
                self.tell(|account| account.late += 1);
                false
            }
            Err(LockError::Refused(_)) => {
                self.tell(|account| account.missed += 1);
                false
            }
            Err(error) => {
                self.tell(|account| account.complain(error.to_string()));
                false
            }
        }
    }

    /// Gives back, after a last look, what is due, and what is too much: in notify mode nobody
    /// else counts.
    fn give_back(&mut self) {
        let room = match self.orders.manner {
            Manner::Notify => usize::from(self.orders.frames),
            Manner::Leased | Manner::Locking | Manner::Vsl => usize::MAX,
        };
        while let Some(first) = (0..self.hand.len()).min_by_key(|index| self.hand[*index].0) {
            if self.hand[first].0 > Instant::now() && self.hand.len() <= room {
                return;
            }
            let (_, piece) = self.hand.swap_remove(first);
            if self.look(&piece, "when it went") {
                self.tell(|account| account.whole += 1);
            }
        }
    }

    /// Looks at every byte; whether all is well.
    fn look(&mut self, piece: &Piece, when: &str) -> bool {
        let verdict = match piece {
            Piece::Native(frame) => self.checker.verdict(frame),
            Piece::Vsl(received) => self.checker.verdict_vsl(received),
        };
        match &verdict {
            Verdict::Whole => {}
            Verdict::Late(_) => self.tell(|account| account.late += 1),
            Verdict::Torn(what) => self.tell(|account| {
                account.torn += 1;
                account.complain(format!("{:?} frame {} {when}: {what}", self.orders.manner, piece.serial()));
            }),
        }
        verdict == Verdict::Whole
    }

    fn tell(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.shared.state.lock().unwrap().account);
        self.shared.changed.notify_all();
    }
}

/// For how long a frame may be read at most. Leases are far longer than any frame is held;
/// a lifespan is not.
fn time_left(piece: &Piece, manner: Manner) -> u64 {
    match (manner, piece) {
        (Manner::Notify, Piece::Native(frame)) => frame.deadline_ns().saturating_sub(monotonic_ns()),
        _ => u64::MAX - 1,
    }
}
