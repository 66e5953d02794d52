// SPDX-License-Identifier: Apache-2.0
//! What a host tells of itself.

use vs_frame::clock::monotonic_ns;

use crate::wire::codes::SKIP_COUNTERS;
use crate::wire::{GoodbyeReason, Mode, SkipReason};

/// Frames not delivered, by [`SkipReason`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Skips(pub [u64; SKIP_COUNTERS]);

impl Skips {
    pub(super) fn count(&mut self, reason: SkipReason) {
        self.0[reason.code() as usize] += 1;
    }

    /// A frame that was counted as skipped got through after all.
    pub(super) fn uncount(&mut self, reason: SkipReason) {
        let counter = &mut self.0[reason.code() as usize];
        *counter = counter.saturating_sub(1);
    }

    /// Frames skipped for `reason`.
    #[must_use]
    pub fn by(&self, reason: SkipReason) -> u64 {
        self.0[reason.code() as usize]
    }

    /// Frames skipped for whatever reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

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
    /// Frames not sent to it.
    pub skipped: Skips,
    /// Leases that ended by their deadline.
    pub revoked: u64,
    /// Unlocks of frames that it did not hold.
    pub stray_unlocks: u64,
    /// When it connected, in ns of `CLOCK_MONOTONIC`.
    pub connected_ns: u64,
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
    /// Leases that ended by their deadline, sum over all clients.
    pub revoked: u64,
    /// Connections that the host ended, by [`GoodbyeReason`] code.
    pub goodbyes: Vec<(GoodbyeReason, u64)>,
    /// Frames that somebody has a right to, the newest included.
    pub frames_live: usize,
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
    pub(super) revoked: u64,
    goodbyes: Vec<(GoodbyeReason, u64)>,
}

impl Totals {
    pub(super) fn goodbye(&mut self, reason: GoodbyeReason) {
        match self.goodbyes.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.goodbyes.push((reason, 1)),
        }
    }

    pub(super) fn snapshot(&self, frames_live: usize, clients: Vec<ClientSnapshot>) -> HostSnapshot {
        HostSnapshot {
            published: self.published,
            delivered: self.delivered,
            skipped: self.skipped,
            revoked: self.revoked,
            goodbyes: self.goodbyes.clone(),
            frames_live,
            clients,
            taken_ns: monotonic_ns(),
        }
    }
}
