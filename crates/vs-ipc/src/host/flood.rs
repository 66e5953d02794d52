// SPDX-License-Identifier: Apache-2.0
//! How much one client may say.
//!
//! To hear a message costs the host more than to send it costs a client. One that sends all
//! it can would take a good part of the stream's thread, so each has an **allowance**, far
//! beyond what honest work needs. Who has used it up is not listened to until some of it is
//! back: what it sends waits in its socket, and then in its own hands. Frames it gets as
//! before.

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

/// For how long nobody listens to a client that has nothing left: long enough that waking
/// for it costs nothing, short enough that others' frames hide it.
const PAUSE_NS: u64 = 10 * NS_PER_MS;

/// What a client may still say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: u64,
    /// When it was last filled up.
    filled_ns: u64,
}

impl Allowance {
    pub(super) fn new(now_ns: u64) -> Self {
        Self { left: BURST, filled_ns: now_ns }
    }

    /// Takes one message off, if there is one left. The clock is read only when there is not.
    fn take(&mut self, now_ns: impl FnOnce() -> u64) -> bool {
        if self.left == 0 {
            self.fill(now_ns());
        }
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }

    fn fill(&mut self, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.filled_ns);
        self.left = (passed_ns.saturating_mul(PER_SECOND) / NS_PER_SEC).min(BURST);
        if self.left > 0 {
            self.filled_ns = now_ns;
        }
    }
}

impl Host {
    /// Whether the host listens to this client now. If not, it will later.
    pub(super) fn listens(&mut self, key: usize) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        if client.allowance.take(monotonic_ns) {
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

    /// Listens again to those who had said too much.
    pub(super) fn listen_again(&mut self, now_ns: u64) {
        if self.listen_again_ns.is_none_or(|due| now_ns < due) {
            return;
        }
        self.listen_again_ns = None;
        for key in self.keys_where(|client: &Client| client.watch == Watch::Nothing) {
            // With what it could not be sent meanwhile.
            self.clients[key].set_watch(&self.poller, key, Watch::MessagesAndRoom);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_comes_back_with_time() {
        let mut allowance = Allowance::new(0);
        assert_eq!((0..2 * BURST).filter(|_| allowance.take(|| 0)).count() as u64, BURST);
        assert!(!allowance.take(|| NS_PER_SEC / PER_SECOND - 1), "too soon for a single one");
        let in_10_ms = (0..BURST).filter(|_| allowance.take(|| 10 * NS_PER_MS)).count() as u64;
        assert_eq!(in_10_ms, PER_SECOND / 100);
        let after_an_hour = (0..2 * BURST).filter(|_| allowance.take(|| 3600 * NS_PER_SEC)).count() as u64;
        assert_eq!(after_an_hour, BURST, "what was not said is not saved up without end");
    }
}
