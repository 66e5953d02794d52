// SPDX-License-Identifier: Apache-2.0
//! When the host looks into the pages in which clients unlock
//! ([`unlock_page`](crate::unlock_page)).
//!
//! It looks whenever something depends on what is there: when a client seems to have no
//! credit, or the book no room; after each frame, so that buffers come home; before it hears
//! a message, which was sent after what the client had put into its page; before leases
//! expire; and when its owner asks. Whoever then waits for an unlock has the client
//! **called**: it sends a message. That is
//! * a client that missed a frame: its own unlock brings it the newest;
//! * every client that holds a frame, from a **look** on that comes soon after each frame
//!   while the book is nearly full. The source may be waiting for the buffer.
//!
//! While there is room in the book nobody waits, and looking can wait for the next frame. One
//! that does not come shall not keep buffers: then there is a late look.

use vs_frame::clock::{NS_PER_MS, monotonic_ns};

use super::Host;
use super::client::Client;

/// With fewer places left in the book than this, the look comes soon.
const AMPLE_PLACES: usize = 4;

/// Short beside a frame interval, long beside the time in which clients answer a frame.
const SOON_NS: u64 = 2 * NS_PER_MS;

/// Longer than the interval of usual streams: while they run, it wakes the host in vain now
/// and then, and not for each frame.
const LATE_NS: u64 = 50 * NS_PER_MS;

impl Host {
    /// Looks into all pages.
    pub fn collect(&mut self) {
        let now_ns = monotonic_ns();
        for (_, client) in &mut self.clients {
            client.collect(&mut self.book, now_ns);
        }
    }

    /// A frame was given to clients.
    pub(super) fn look_after(&mut self, publish_ns: u64) {
        if self.book.leases() == 0 {
            self.look_ns = None;
            return;
        }
        let left = self.book.limits().frames.saturating_sub(self.book.len());
        let delay_ns = if left < AMPLE_PLACES { SOON_NS } else { LATE_NS };
        self.look_ns = Some(publish_ns.saturating_add(delay_ns));
    }

    /// Calls those who still hold a frame; what they gave back until they see it is found
    /// afterwards.
    pub(super) fn look(&mut self, now_ns: u64) {
        if self.look_ns.is_none_or(|due| now_ns < due) {
            return;
        }
        self.look_ns = None;
        self.collect();
        for (_, client) in &mut self.clients {
            if client.holds(&self.book) {
                client.call();
            }
        }
        self.collect();
    }

    /// These clients missed a frame before all pages had been looked into. Each gets the
    /// newest now, or as soon as it has a credit.
    pub(super) fn await_unlocks(&mut self, keys: &[usize]) {
        for &key in keys {
            self.offer_newest(key);
            let Some(client) = self.clients.get_mut(key) else { continue };
            if client.behind.is_none() {
                continue;
            }
            client.call();
            if client.collect(&mut self.book, monotonic_ns()) > 0 {
                self.offer_newest(key);
            }
        }
    }
}

impl Client {
    fn holds<T>(&self, book: &crate::book::LeaseBook<T>) -> bool {
        self.identity.as_ref().is_some_and(|identity| book.held(identity.book) > 0)
    }
}
