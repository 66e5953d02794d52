// SPDX-License-Identifier: Apache-2.0
//! For a source that can wait: whether everybody has room for the next frame, or is done with the
//! last.
//!
//! Waited for are clients in leased mode, which say when they are done with a frame. Nobody can hold
//! up the others for ever: a lease ends by its deadline, and who has let one run out is not waited
//! for until it says something. Clients in notify mode say nothing; what was promised to them takes
//! places in the book, and that holds the source up as long as they may be reading.

use vs_frame::clock::monotonic_ns;

use super::Host;
use super::client::Client;
use crate::book::LeaseBook;
use crate::wire::Mode;

impl Host {
    /// Whether a frame that is published now reaches every client that is waited for. If not,
    /// [`turn`](Self::turn) returns when that may have changed.
    pub fn has_room_for_next(&mut self) -> bool {
        let now_ns = monotonic_ns();
        self.collect();
        self.expire(now_ns);
        if self.all_have_room() {
            return true;
        }
        // What they give back from now on, they say.
        self.clients.iter_mut().for_each(|(_, client)| client.call());
        self.collect();
        self.all_have_room()
    }

    /// Whether nobody holds a frame any more. If not, [`turn`](Self::turn) returns when that may have
    /// changed. A stream that ends waits for it: with the connection ends the right to read.
    pub fn is_done_with(&mut self) -> bool {
        self.collect();
        self.expire(monotonic_ns());
        if self.book.leases() > 0 {
            self.clients.iter_mut().for_each(|(_, client)| client.call());
            self.collect();
        }
        self.book.leases() == 0
    }

    fn all_have_room(&self) -> bool {
        self.book.has_room() && self.clients.iter().all(|(_, client)| client.has_room(&self.book))
    }
}

impl Client {
    /// Whether it can take the next frame, or is not to be waited for.
    fn has_room<T>(&self, book: &LeaseBook<T>) -> bool {
        let Some(identity) = self.identity.as_ref().filter(|identity| identity.mode == Mode::Leased) else {
            return true;
        };
        self.suspended || self.is_blocked() || self.has_backlog() || book.would_lock_next(identity.book)
    }
}
