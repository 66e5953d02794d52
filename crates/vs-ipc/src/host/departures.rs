// SPDX-License-Identifier: Apache-2.0
//! Who has gone, and why: what an administrator asks when a client says that it was thrown out.
//!
//! The list is short and stays short. Clients that were dismissed and clients that left by
//! themselves are kept apart, so that a program which connects every second does not push
//! out the one entry that matters; and a process that is dismissed again for the same reason
//! takes no further entry.

use std::collections::VecDeque;

use vs_frame::clock::monotonic_ns;

use super::by_reason::{Revocations, Skips};
use super::client::Peer;
use crate::wire::GoodbyeReason;

/// Entries of each kind: more than fit on a screen help nobody, and the log has them all.
const KEPT: usize = 16;

/// A client that is connected no more.
#[derive(Clone, Debug)]
pub struct Departure {
    /// Its number at this host; 0 if it was refused before it got one.
    pub id: u64,
    /// The name it gave; empty if it never said HELLO.
    pub name: String,
    /// Process number by `SO_PEERCRED`.
    pub pid: i32,
    /// User number by `SO_PEERCRED`.
    pub uid: u32,
    /// Why the host ended the connection; `None` if the client did.
    pub reason: Option<GoodbyeReason>,
    /// The reason in words, as the client was told; empty if the client ended it.
    pub text: String,
    /// Frames sent to it.
    pub delivered: u64,
    /// Frames not sent to it.
    pub skipped: Skips,
    /// Its leases that the host ended.
    pub revoked: Revocations,
    /// Leases that it held at the end.
    pub held: usize,
    /// When it connected, in ns of `CLOCK_MONOTONIC`.
    pub connected_ns: u64,
    /// When it went, in ns of `CLOCK_MONOTONIC`.
    pub left_ns: u64,
    /// How often the same process, by that name, has gone for the same reason; the other
    /// fields are those of the last time.
    pub times: u64,
}

impl Departure {
    /// A connection that was not let in.
    pub(super) fn refused(peer: Peer, reason: GoodbyeReason, text: &str) -> Self {
        let now_ns = monotonic_ns();
        Self {
            id: 0,
            name: String::new(),
            pid: peer.pid,
            uid: peer.uid,
            reason: Some(reason),
            text: text.to_owned(),
            delivered: 0,
            skipped: Skips::default(),
            revoked: Revocations::default(),
            held: 0,
            connected_ns: now_ns,
            left_ns: now_ns,
            times: 1,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.pid, self.uid, self.reason) == (other.pid, other.uid, other.reason) && self.name == other.name
    }
}

/// The last departures.
#[derive(Debug, Default)]
pub(super) struct Departures {
    dismissed: VecDeque<Departure>,
    left: VecDeque<Departure>,
}

impl Departures {
    pub(super) fn add(&mut self, mut departure: Departure) {
        let list = if departure.reason.is_some() { &mut self.dismissed } else { &mut self.left };
        if let Some(index) = list.iter().position(|known| known.is_like(&departure)) {
            departure.times += list.remove(index).map_or(0, |known| known.times);
        } else if list.len() >= KEPT {
            list.pop_front();
        }
        list.push_back(departure);
    }

    /// All that are kept, in the order in which they went.
    pub(super) fn snapshot(&self) -> Vec<Departure> {
        let mut all: Vec<Departure> = self.dismissed.iter().chain(&self.left).cloned().collect();
        all.sort_by_key(|departure| departure.left_ns);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn departure(pid: i32, reason: Option<GoodbyeReason>, left_ns: u64) -> Departure {
        let refused = Departure::refused(Peer { pid, uid: 0 }, GoodbyeReason::Other, "");
        Departure { reason, left_ns, ..refused }
    }

    #[test]
    fn the_list_stays_short_and_those_who_leave_push_out_nobody_who_was_dismissed() {
        let mut departures = Departures::default();
        departures.add(departure(1, Some(GoodbyeReason::Malformed), 1));
        (2..1000).for_each(|n| departures.add(departure(n, None, n as u64)));
        let all = departures.snapshot();
        assert_eq!(all.len(), 1 + KEPT);
        assert_eq!((all[0].pid, all[1].pid, all[KEPT].pid), (1, 1000 - KEPT as i32, 999));
    }

    #[test]
    fn a_repeating_offender_has_one_entry_for_each_offence() {
        let mut departures = Departures::default();
        departures.add(departure(7, Some(GoodbyeReason::NotReading), 1));
        (2..100).for_each(|at| departures.add(departure(1, Some(GoodbyeReason::Malformed), at)));
        departures.add(departure(1, Some(GoodbyeReason::Version), 100));
        let all: Vec<_> = departures.snapshot().iter().map(|d| (d.pid, d.times, d.left_ns)).collect();
        assert_eq!(all, [(7, 1, 1), (1, 98, 99), (1, 1, 100)]);
    }
}
