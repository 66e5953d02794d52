// SPDX-License-Identifier: Apache-2.0
//! What a client got and what it did not, over all its connections.

use vs_frame::FrameFlags;
use vs_frame::clock::monotonic_ns;
use vs_ipc::client::{ReceivedFrame, Session};
use vs_ipc::histogram::Histogram;
use vs_ipc::wire::SkipReason;

/// How many reasons there are for a skip.
const REASONS: usize = SkipReason::ALL.len();

/// Counters since the client was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames received.
    pub received: u64,
    /// Frames that the stream published between those received and that did not come: gaps
    /// in the serials. Each has its reason in [`skipped`](Self::skipped), but for those of
    /// a time without connection.
    pub lost: u64,
    /// Frames before which the source itself had lost something
    /// ([`FrameFlags::GAP`](crate::FrameFlags::GAP)).
    pub source_gaps: u64,
    /// Frames that the host took back, for whatever [reason](crate::RevokeReason).
    pub revoked: u64,
    /// Connections made, the first included.
    pub connections: u64,
    skipped: [u64; REASONS],
}

impl Counters {
    /// Frames that the host did not send to this client for `reason`.
    #[must_use]
    pub fn skipped(&self, reason: SkipReason) -> u64 {
        self.skipped.get(reason.code() as usize).copied().unwrap_or(0)
    }

    /// Frames that the host did not send to this client, for whatever reason.
    #[must_use]
    pub fn skipped_total(&self) -> u64 {
        self.skipped.iter().sum()
    }
}

/// Keeps the counters.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    pub(crate) counters: Counters,
    /// From publication to receipt.
    pub(crate) latency: Histogram,
    /// Frames published before it were not on their way to us, but waiting for us: how long
    /// they took says nothing.
    connected_ns: u64,
    epoch: Option<u64>,
    last_serial: Option<u64>,
    /// The host's counters at the frame before; they begin at 0 with each connection.
    skipped: [u32; REASONS],
}

impl Tracker {
    /// Notes a connection; whether the host has started anew since the last one.
    pub(crate) fn connected(&mut self, session: &Session) -> bool {
        let epoch_changed = self.epoch.is_some_and(|epoch| epoch != session.epoch);
        if epoch_changed {
            self.last_serial = None;
        }
        self.epoch = Some(session.epoch);
        self.connected_ns = monotonic_ns();
        self.skipped = [0; REASONS];
        self.counters.connections += 1;
        epoch_changed
    }

    /// Notes a frame; whether it is one that was not seen yet. A host offers its newest
    /// frame to whoever connects, so after a lost connection it may come a second time.
    pub(crate) fn frame(&mut self, frame: &ReceivedFrame) -> bool {
        let skipped = SkipReason::ALL.iter().map(|reason| frame.skipped().get(*reason));
        for ((now, before), total) in skipped.zip(&mut self.skipped).zip(&mut self.counters.skipped) {
            *total += u64::from(now.wrapping_sub(*before));
            *before = now;
        }
        if self.last_serial.is_some_and(|last| frame.serial() <= last) {
            return false;
        }
        let next = self.last_serial.map_or(frame.serial(), |last| last + 1);
        self.counters.lost += frame.serial() - next;
        self.counters.received += 1;
        if frame.publish_ns() >= self.connected_ns {
            self.latency.record(frame.received_ns().saturating_sub(frame.publish_ns()));
        }
        self.counters.source_gaps += u64::from(frame.meta().flags.contains(FrameFlags::GAP));
        self.last_serial = Some(frame.serial());
        true
    }
}
