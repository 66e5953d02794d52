// SPDX-License-Identifier: Apache-2.0
//! When clients in leased mode are listened to.
//!
//! Each frame brings an unlock from each of them, most within the time that it takes to wake
//! them all. To wake for every one would cost more than sending the frame did, and would
//! take the processor from clients that still wait for it. So, from [`GATHER_FROM`] clients
//! on, a client that has just been given a frame is not watched: a little later all that
//! were given one are heard in one **sweep**, without asking the kernel who has spoken.
//!
//! No client notices, because what somebody waits for is never put off:
//! * a client that missed a frame, and so waits for its own unlock, is watched;
//! * before a client is refused a frame for lack of credit, it is heard;
//! * whoever has not unlocked by the sweep is watched from then on (or, while those are many,
//!   swept again), so a buffer comes home [`GATHER_NS`] late at most;
//! * when no frame comes any more, everyone is watched;
//! * a connection that ends wakes the host, watched or not.

use vs_frame::clock::NS_PER_MS;

use super::Host;
use super::client::Client;
use super::poller::Watch;

/// With fewer clients a wake-up for each costs little, and they are served at once.
pub(super) const GATHER_FROM: usize = 8;

/// Short beside a frame interval, long beside the time in which clients answer a frame.
const GATHER_NS: u64 = 2 * NS_PER_MS;

/// Without a frame for so long everyone is watched again. Longer than the interval of usual
/// streams, so that they do not change it back and forth for each frame.
const REST_NS: u64 = 50 * NS_PER_MS;

/// When clients that are not watched are seen to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gathering {
    sweep_ns: Option<u64>,
    end_ns: Option<u64>,
}

impl Gathering {
    /// A frame was given to clients that are not watched.
    fn begin(&mut self, now_ns: u64) {
        self.sweep_ns.get_or_insert(now_ns.saturating_add(GATHER_NS));
        self.end_ns = Some(now_ns.saturating_add(REST_NS));
    }

    pub(super) fn due_ns(&self) -> Option<u64> {
        self.sweep_ns.or(self.end_ns)
    }
}

impl Host {
    /// Whether clients that get a frame now are left alone for a while.
    pub(super) fn gathers(&self) -> bool {
        self.clients.len() >= GATHER_FROM
    }

    /// Notes that they were.
    pub(super) fn begin_gathering(&mut self, now_ns: u64) {
        self.gathering.begin(now_ns);
    }

    /// Hears those who have run out of credit, as far as the host knows: it may be in what
    /// they have said already.
    pub(super) fn hear_the_indebted(&mut self) {
        let indebted = |client: &Client| {
            let out_of_credit = client.identity.as_ref().is_some_and(|identity| !self.book.has_credit(identity.book));
            client.watch == Watch::Nothing && out_of_credit
        };
        for key in self.keys_where(indebted) {
            self.on_readable(key);
        }
    }

    /// Hears, without waiting, what clients that hold frames have said already: they may have
    /// given some back.
    pub fn hear_holders(&mut self) {
        for key in self.unwatched_holders() {
            self.on_readable(key);
        }
    }

    /// Does what is due.
    pub(super) fn gather(&mut self, now_ns: u64) {
        if self.gathering.sweep_ns.is_some_and(|due| due <= now_ns) {
            self.sweep(now_ns);
        }
        if self.gathering.end_ns.is_some_and(|due| due <= now_ns) {
            self.gathering = Gathering::default();
            let unwatched = self.keys_where(|client| client.watch == Watch::Nothing);
            self.watch_again(&unwatched);
        }
    }

    fn sweep(&mut self, now_ns: u64) {
        self.hear_holders();
        let slow = self.unwatched_holders();
        if slow.len() < GATHER_FROM {
            self.gathering.sweep_ns = None;
            self.watch_again(&slow);
        } else {
            self.gathering.sweep_ns = Some(now_ns.saturating_add(GATHER_NS));
        }
    }

    fn unwatched_holders(&self) -> Vec<usize> {
        let holds = |client: &Client| client.identity.as_ref().is_some_and(|id| self.book.held(id.book) > 0);
        self.keys_where(|client| client.watch == Watch::Nothing && holds(client))
    }

    fn watch_again(&mut self, keys: &[usize]) {
        for &key in keys {
            if let Some(client) = self.clients.get_mut(key) {
                client.hear(&self.poller, key);
            }
        }
    }
}
