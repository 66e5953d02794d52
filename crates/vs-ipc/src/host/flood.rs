// SPDX-License-Identifier: Apache-2.0
//! How much one client may say, and all clients of one user together.
//!
//! To hear a message costs the host more than to send it costs a client. One that sends all
//! it can would take a good part of the stream's thread, so each has an **allowance**, far
//! beyond what honest work needs, and so has each user, for whoever has used up one
//! connection's allowance can open another. Who has none left is not listened to until some of
//! it is back: what it sends waits in its socket, and then in its own hands. Frames it gets as
//! before.
//!
//! A connection costs the host as much as many messages, and is taken off the user's
//! allowance as such. Whose it is can only be told when it has been accepted; so no more than
//! a certain number is accepted at a time, whoever they are.

use vs_frame::clock::{NS_PER_MS, NS_PER_SEC, monotonic_ns};

use super::Host;
use super::client::Client;
use super::poller::Watch;

/// Messages at once: a client that measures how fast locks are shall not measure this.
const BURST: u64 = 32_768;

/// Messages in a second in the long run. One that locks and unlocks every frame of the
/// fastest cameras sends some thousands; to hear so many takes about a hundredth of a
/// processor.
const PER_SECOND: u64 = 10_000;

/// Messages of all clients of a user at once, and in a second: those of several clients that do
/// what the fastest of them may, or of a thousand that unlock every frame by a message.
const USER_BURST: u64 = 2 * BURST;
const USER_PER_SECOND: u64 = 3 * PER_SECOND;

/// Messages that a connection counts for: the host makes a client, a page and some answers.
const CONNECTION: u64 = 16;

/// Connections accepted in one [`PAUSE_NS`]. A thousand clients that all come back at once are
/// in within a third of a second.
const ACCEPTED_AT_A_TIME: u32 = 32;

/// Whoever fills the host's places does not fill the log as well.
const LOG_EVERY_NS: u64 = 5 * NS_PER_SEC;

/// Clients that are listened to again in one [`PAUSE_NS`]: as with connections, it must cost
/// little if they are many and still flood.
const HEARD_AT_A_TIME: usize = 32;

/// Users that are remembered although they have no client: one that comes again within
/// seconds does not find a new allowance.
const USERS_KEPT: usize = 64;

/// For how long nobody listens to a client that has nothing left: long enough that waking
/// for it costs nothing, short enough that others' frames hide it.
const PAUSE_NS: u64 = 10 * NS_PER_MS;

/// What a client, or a user, may still say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: u64,
    /// When it was last filled up.
    filled_ns: u64,
    burst: u64,
    per_second: u64,
}

impl Allowance {
    pub(super) fn new(now_ns: u64) -> Self {
        Self { left: BURST, filled_ns: now_ns, burst: BURST, per_second: PER_SECOND }
    }

    fn of_user(now_ns: u64) -> Self {
        Self { left: USER_BURST, filled_ns: now_ns, burst: USER_BURST, per_second: USER_PER_SECOND }
    }

    /// Takes so many messages off, if they are left. The clock is read only when they are not.
    fn take(&mut self, count: u64, now_ns: impl FnOnce() -> u64) -> bool {
        if self.left < count {
            self.fill(now_ns());
        }
        let Some(left) = self.left.checked_sub(count) else { return false };
        self.left = left;
        true
    }

    fn fill(&mut self, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.filled_ns);
        let back = passed_ns.saturating_mul(self.per_second) / NS_PER_SEC;
        if back > 0 {
            self.left = self.left.saturating_add(back).min(self.burst);
            self.filled_ns = now_ns;
        }
    }

    /// Whether it has all that it ever has.
    fn is_whole(&self, now_ns: u64) -> bool {
        let mut filled = *self;
        filled.fill(now_ns);
        filled.left == filled.burst
    }
}

/// What all connections of each user may still say.
#[derive(Debug, Default)]
pub(super) struct Users(Vec<(u32, Allowance)>);

impl Users {
    fn take(&mut self, uid: u32, count: u64) -> bool {
        match self.0.iter_mut().find(|(known, _)| *known == uid) {
            Some((_, allowance)) => allowance.take(count, monotonic_ns),
            None => self.take_first(uid, count),
        }
    }

    /// For a user who was not known.
    fn take_first(&mut self, uid: u32, count: u64) -> bool {
        let now_ns = monotonic_ns();
        if self.0.len() >= USERS_KEPT {
            // Who has not used any of it loses nothing by being forgotten.
            self.0.retain(|(_, allowance)| !allowance.is_whole(now_ns));
        }
        let mut allowance = Allowance::of_user(now_ns);
        let taken = allowance.take(count, || now_ns);
        self.0.push((uid, allowance));
        taken
    }
}

/// When connections are accepted.
#[derive(Debug, Default)]
pub(super) struct Admissions {
    /// Accepted since `since_ns`.
    accepted: u32,
    since_ns: u64,
    /// When a refusal was logged last, and how many were not since.
    logged_ns: u64,
    unlogged: u64,
}

impl Admissions {
    /// Counts a connection; until when none is to be accepted after it, if so.
    fn count(&mut self, now_ns: u64) -> Option<u64> {
        if now_ns.saturating_sub(self.since_ns) >= PAUSE_NS {
            (self.accepted, self.since_ns) = (0, now_ns);
        }
        self.accepted += 1;
        (self.accepted >= ACCEPTED_AT_A_TIME).then(|| self.since_ns.saturating_add(PAUSE_NS))
    }

    /// Whether a connection that came to nothing is logged; with how many before it were not.
    pub(super) fn log(&mut self, now_ns: u64) -> Option<u64> {
        if self.logged_ns != 0 && now_ns.saturating_sub(self.logged_ns) < LOG_EVERY_NS {
            self.unlogged += 1;
            return None;
        }
        self.logged_ns = now_ns;
        Some(std::mem::take(&mut self.unlogged))
    }
}

impl Host {
    /// Whether the host listens to this client now. If not, it will later.
    pub(super) fn listens(&mut self, key: usize) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        if client.allowance.take(1, monotonic_ns) && self.users.take(client.peer.uid, 1) {
            return true;
        }
        if client.muted == 0 {
            tracing::warn!(
                stream = self.options.stream,
                client = client.id,
                pid = client.peer.pid,
                uid = client.peer.uid,
                "a client floods: listening to it now and then"
            );
        }
        client.muted += 1;
        client.set_watch(&self.poller, key, Watch::Nothing);
        self.listen_again_ns.get_or_insert(monotonic_ns().saturating_add(PAUSE_NS));
        false
    }

    /// Whether this user may connect once more now.
    pub(super) fn may_connect(&mut self, uid: u32) -> bool {
        self.users.take(uid, CONNECTION)
    }

    /// A connection was accepted: after many of them others come first.
    pub(super) fn note_accepted(&mut self) {
        if let Some(until_ns) = self.admissions.count(monotonic_ns()) {
            self.accept_after_ns = Some(until_ns);
            self.watch_listeners(Watch::Nothing);
        }
    }

    /// Listens again to those who had said too much.
    pub(super) fn listen_again(&mut self, now_ns: u64) {
        if self.listen_again_ns.is_none_or(|due| now_ns < due) {
            return;
        }
        let muted = self.keys_where(|client: &Client| client.watch == Watch::Nothing);
        // In turns, so that everybody is heard at some time.
        let first = muted.partition_point(|key| *key < self.listen_from);
        let (later, next) = muted.split_at(first);
        let now: Vec<usize> = next.iter().chain(later).copied().take(HEARD_AT_A_TIME).collect();
        for &key in &now {
            // With what it could not be sent meanwhile.
            self.clients[key].set_watch(&self.poller, key, Watch::MessagesAndRoom);
        }
        self.listen_from = now.last().map_or(0, |last| last + 1);
        self.listen_again_ns = (now.len() < muted.len()).then(|| now_ns.saturating_add(PAUSE_NS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_comes_back_with_time() {
        let mut allowance = Allowance::new(0);
        let mut taken = |count, now_ns| (0..2 * BURST).filter(|_| allowance.take(count, || now_ns)).count() as u64;
        assert_eq!(taken(1, 0), BURST);
        assert_eq!(taken(1, NS_PER_SEC / PER_SECOND - 1), 0, "too soon for a single one");
        assert_eq!(taken(1, 10 * NS_PER_MS), PER_SECOND / 100);
        assert_eq!(taken(1, 3600 * NS_PER_SEC), BURST, "what was not said is not saved up without end");
        assert_eq!(taken(CONNECTION, 3601 * NS_PER_SEC), PER_SECOND / CONNECTION);
    }

    #[test]
    fn a_user_has_one_allowance_however_often_it_comes() {
        let mut users = Users::default();
        let taken = (0..2 * USER_BURST / CONNECTION).filter(|_| users.take(7, CONNECTION)).count() as u64;
        // The clock runs meanwhile, so there can be a few more.
        assert!((USER_BURST / CONNECTION..USER_BURST).contains(&taken), "{taken}");
        assert!(users.take(8, CONNECTION), "another user has another");
        for uid in 100..1000 {
            users.take(uid, 1);
        }
        assert!(users.0.iter().any(|(uid, _)| *uid == 7), "who has used much is remembered");
    }

    #[test]
    fn so_many_connections_are_accepted_at_a_time() {
        let mut admissions = Admissions::default();
        let now_ns = 7 * PAUSE_NS;
        for _ in 1..ACCEPTED_AT_A_TIME {
            assert_eq!(admissions.count(now_ns), None);
        }
        assert_eq!(admissions.count(now_ns + 1), Some(now_ns + PAUSE_NS));
        assert_eq!(admissions.count(now_ns + PAUSE_NS), None);
    }
}
