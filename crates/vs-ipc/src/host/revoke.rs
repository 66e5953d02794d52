// SPDX-License-Identifier: Apache-2.0
//! How clients learn that a frame is no longer theirs.

use vs_frame::Frame;
use vs_frame::clock::monotonic_ns;

use super::Host;
use super::client::Client;
use crate::book::Expired;
use crate::wire::{Mode, RevokeReason, revocation};

impl Host {
    /// Takes back, before their time, the frames of which `gone` is true: whoever lent their
    /// memory wants it, or is no longer there. Whoever may still read one is told that it is
    /// revoked; a client in notify mode, too, to which its lifespan was promised. Returns how
    /// many of them somebody had a right to.
    pub fn withdraw(&mut self, gone: impl Fn(&Frame) -> bool) -> usize {
        let now_ns = monotonic_ns();
        self.expire(now_ns);
        let taken = self.book.frames().filter(|(_, published, _)| gone(&published.frame));
        let taken: Vec<(u64, bool)> = taken.map(|(serial, _, promised)| (serial, promised)).collect();
        let mut missed = 0;
        for (serial, promised) in taken {
            let mut ended = Vec::new();
            self.book.withdraw(serial, now_ns, |lease| ended.push(lease));
            missed += usize::from(promised || !ended.is_empty());
            let told: Vec<usize> =
                ended.into_iter().filter_map(|lease| self.revoke(lease, RevokeReason::Withdrawn)).collect();
            if promised {
                self.break_promise(serial, &told);
            }
        }
        self.retire_buffers();
        missed
    }

    /// Tells everyone but `told` to whom frame `serial` was announced that it is gone.
    fn break_promise(&mut self, serial: u64, told: &[usize]) {
        let announced = |client: &Client| {
            let notify = client.identity.as_ref().is_some_and(|identity| identity.mode == Mode::Notify);
            notify && client.last_serial >= serial
        };
        let keys = self.clients.iter().filter(|(key, client)| announced(client) && !told.contains(key));
        for key in keys.map(|(key, _)| key).collect::<Vec<_>>() {
            self.send_revoked(key, serial, RevokeReason::Withdrawn);
        }
    }

    /// Tells a client that the book has ended its lease. Returns which client that is, if it
    /// is still there.
    pub(super) fn revoke(&mut self, lease: Expired, reason: RevokeReason) -> Option<usize> {
        let of_lease = |client: &Client| client.identity.as_ref().is_some_and(|id| id.book == lease.client);
        let (key, client) = self.clients.iter_mut().find(|(_, client)| of_lease(client))?;
        if let Some(identity) = &mut client.identity {
            identity.hold.record(lease.held_ns);
        }
        client.revoked.count(reason);
        self.totals.revoked.count(reason);
        tracing::debug!(
            stream = self.options.stream,
            client = client.id,
            serial = lease.serial,
            %reason,
            "lease revoked"
        );
        self.send_revoked(key, lease.serial, reason);
        self.clients.contains(key).then_some(key)
    }

    /// A client answers each REVOKED.
    fn send_revoked(&mut self, key: usize, serial: u64, reason: RevokeReason) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(identity) = &client.identity else { return };
        client.unanswered += 1;
        let record = revocation::encode(serial, reason, identity.minor);
        self.control(key, record);
    }
}
