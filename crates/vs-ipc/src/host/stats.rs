// SPDX-License-Identifier: Apache-2.0
//! What a host tells of itself.

use vs_frame::clock::monotonic_ns;

use super::by_reason::{Revocations, Skips};
use super::departures::{Departure, Departures};
use crate::book::LeaseBook;
use crate::histogram::Histogram;
use crate::wire::{GoodbyeReason, Mode};

/// Which protocol a client speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// The stream protocol.
    Native,
    /// That of libvideostream 2.x.
    Vsl,
}

impl Dialect {
    /// The name used in statistics, on D-Bus and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Vsl => "vsl",
        }
    }
}

/// One client, as it is now.
#[derive(Clone, Debug)]
pub struct ClientSnapshot {
    /// Its number at this host.
    pub id: u64,
    /// The name it gave.
    pub name: String,
    /// Process number by `SO_PEERCRED`.
    pub pid: i32,
    /// User number by `SO_PEERCRED`.
    pub uid: u32,
    /// Which protocol it speaks.
    pub dialect: Dialect,
    /// How it wants its frames.
    pub mode: Mode,
    /// Frames that it may hold at once.
    pub credits: u16,
    /// Frames that it holds now.
    pub held: usize,
    /// The most that it ever held.
    pub held_max: usize,
    /// Frames sent to it.
    pub delivered: u64,
    /// Frames not sent to it. The newest frame is not among them: it can still come.
    pub skipped: Skips,
    /// Its leases that the host ended.
    pub revoked: Revocations,
    /// Unlocks of frames that it did not hold.
    pub stray_unlocks: u64,
    /// Times that the host did not listen to it for a while, because it sent too many messages.
    pub muted: u64,
    /// When it connected, in ns of `CLOCK_MONOTONIC`.
    pub connected_ns: u64,
    /// How long it held its frames, until it unlocked them or their deadline passed.
    pub lease_hold: Box<Histogram>,
}

/// The host, as it is now.
#[derive(Clone, Debug)]
pub struct HostSnapshot {
    /// Frames published, delivered to anybody or not.
    pub published: u64,
    /// Sum over all clients, those that have left included.
    pub delivered: u64,
    /// Sum over all clients, those that have left included.
    pub skipped: Skips,
    /// Sum over all clients, those that have left included.
    pub revoked: Revocations,
    /// Connections that the host ended, by [`GoodbyeReason`] code.
    pub goodbyes: Vec<(GoodbyeReason, u64)>,
    /// Leases that all clients together hold now.
    pub held: usize,
    /// The most that all clients together ever held.
    pub held_max: usize,
    /// Frames that somebody has a right to, the newest included.
    pub frames_live: usize,
    /// The most that `frames_live` may be.
    pub frames_max: usize,
    /// From capture to publication, for frames whose capture time is known.
    pub capture_latency: Histogram,
    /// How long clients held their frames, until they unlocked them or the deadline passed;
    /// all clients, those that have left included.
    pub lease_hold: Histogram,
    /// Those who went last, in the order in which they went: a few of those that were
    /// dismissed, and a few of those that left by themselves.
    pub departures: Vec<Departure>,
    /// The clients.
    pub clients: Vec<ClientSnapshot>,
    /// When this was taken, in ns of `CLOCK_MONOTONIC`.
    pub taken_ns: u64,
}

/// Sums over the life of the host.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) skipped: Skips,
    pub(super) revoked: Revocations,
    pub(super) capture_latency: Histogram,
    /// Of clients that are here no more; those that are have their own.
    pub(super) hold_of_gone: Histogram,
    pub(super) departures: Departures,
    held_max: usize,
    goodbyes: Vec<(GoodbyeReason, u64)>,
}

impl Totals {
    pub(super) fn goodbye(&mut self, reason: GoodbyeReason) {
        match self.goodbyes.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.goodbyes.push((reason, 1)),
        }
    }

    /// Clients have got leases: there are `held` now.
    pub(super) fn note_held(&mut self, held: usize) {
        self.held_max = self.held_max.max(held);
    }

    pub(super) fn snapshot<T>(&self, book: &LeaseBook<T>, clients: Vec<ClientSnapshot>) -> HostSnapshot {
        let mut lease_hold = self.hold_of_gone.clone();
        clients.iter().for_each(|client| lease_hold.merge(&client.lease_hold));
        HostSnapshot {
            published: self.published,
            delivered: self.delivered,
            skipped: self.skipped,
            revoked: self.revoked,
            goodbyes: self.goodbyes.clone(),
            held: book.leases(),
            held_max: self.held_max,
            frames_live: book.len(),
            frames_max: book.limits().frames,
            capture_latency: self.capture_latency.clone(),
            lease_hold,
            departures: self.departures.snapshot(),
            clients,
            taken_ns: monotonic_ns(),
        }
    }
}
