// SPDX-License-Identifier: Apache-2.0
//! One connection, as the host sees it.
//!
//! Frames are sent at once or skipped; they are never queued. Control messages (state,
//! format, revocations, answers) must arrive, so they wait in a short queue while the socket
//! is full; a client that lets that queue fill up loses its connection.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use vs_frame::clock::monotonic_ns;
use vs_frame::{BufferId, FrameFlags};

use super::by_reason::{Revocations, Skips};
use super::departures::Departure;
use super::flood::Allowance;
use super::places::Place;
use super::poller::{Member, Poller, Watch};
use super::send::{Sent, send_record};
use super::stats::{ClientSnapshot, Dialect};
use crate::book::{ClientKey, LeaseBook};
use crate::histogram::Histogram;
use crate::unlock_page::HostPage;
use crate::wire::{FrameEvent, GoodbyeReason, Mode, SkipReason};

/// Control messages kept for a client whose socket is full. One that has not read as many
/// state changes, revocations and answers as this has stopped working.
pub(super) const OUTBOX_MAX: usize = 64;

/// Bytes of socket buffer for each client. The kernel charges about 770 bytes for a frame
/// event and doubles this number (socket(7)), so about 40 records: a reader that oversleeps
/// half a second at 60 fps loses nothing in notify mode, and one that is stopped does not
/// collect hundreds of stale events.
pub(super) const SEND_BUFFER: usize = 16 * 1024;

/// Who is at the other end, by `SO_PEERCRED`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: i32,
}

/// What a client has become by its HELLO.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    /// Minor version of the stream protocol that was agreed upon; 0 for who speaks another one.
    pub(super) minor: u16,
    pub(super) mode: Mode,
    pub(super) credits: u16,
    pub(super) lease_ns: u64,
    pub(super) book: ClientKey,
    /// How long it held its frames. Apart, for every frame goes through the list of clients.
    pub(super) hold: Box<Histogram>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) dialect: Dialect,
    pub(super) socket: OwnedFd,
    pub(super) peer: Peer,
    pub(super) connected_ns: u64,
    /// `None` until HELLO, which clients of libvideostream do not say: they have it at once.
    pub(super) identity: Option<Identity>,
    /// Where it unlocks without a message, if it can.
    pub(super) page: Option<HostPage>,
    /// Buffers whose descriptors it has.
    pub(super) known: Vec<BufferId>,
    /// The last frame it got.
    pub(super) last_serial: u64,
    /// Why it did not get the newest frame; it gets it when that passes. The skip counts when
    /// a newer frame is there, so that no counter ever goes back.
    pub(super) behind: Option<SkipReason>,
    /// Why it has missed what came before the next frame; `None` if it has missed nothing.
    pub(super) gap: Option<SkipReason>,
    /// What the poller tells of it; set by [`Client::set_watch`] only.
    pub(super) watch: Watch,
    /// A lease of it was revoked and it has said nothing since: it gets no frame that it
    /// would only hold until the next deadline.
    pub(super) suspended: bool,
    /// Revocations that it has not answered yet.
    pub(super) unanswered: u64,
    outbox: VecDeque<Vec<u8>>,
    pub(super) held_max: usize,
    pub(super) delivered: u64,
    pub(super) skipped: Skips,
    pub(super) revoked: Revocations,
    pub(super) stray_unlocks: u64,
    /// Times that it was not listened to, because it had said too much.
    pub(super) muted: u64,
    pub(super) allowance: Allowance,
    /// Dropped last: until then the socket counts.
    _place: Place,
}

/// The connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// The peer closed it.
    Closed,
    /// It does not read its control messages.
    NotReading,
}

impl Client {
    pub(super) fn new(id: u64, dialect: Dialect, socket: OwnedFd, peer: Peer, place: Place, connected_ns: u64) -> Self {
        Self {
            id,
            dialect,
            socket,
            peer,
            connected_ns,
            identity: None,
            known: Vec::new(),
            last_serial: 0,
            behind: None,
            gap: None,
            page: None,
            watch: Watch::Messages,
            suspended: false,
            unanswered: 0,
            outbox: VecDeque::new(),
            held_max: 0,
            delivered: 0,
            skipped: Skips::default(),
            revoked: Revocations::default(),
            stray_unlocks: 0,
            muted: 0,
            allowance: Allowance::new(connected_ns),
            _place: place,
        }
    }

    /// Says what the poller shall tell of it. That costs nothing if it is as before.
    pub(super) fn set_watch(&mut self, poller: &Poller, key: usize, watch: Watch) {
        if self.watch != watch && poller.watch(Member::Client(key), &self.socket, watch).is_ok() {
            self.watch = watch;
        }
    }

    /// Whether its socket was full; the poller tells when it is not.
    pub(super) fn is_blocked(&self) -> bool {
        self.watch == Watch::MessagesAndRoom
    }

    /// Sends a control message, or keeps it until there is room.
    pub(super) fn send_control(&mut self, record: Vec<u8>) -> Result<(), Trouble> {
        if self.outbox.is_empty() {
            match send_record(self.socket.as_fd(), &record) {
                Sent::Yes => return Ok(()),
                Sent::Gone => return Err(Trouble::Closed),
                Sent::Full | Sent::Busy => {}
            }
        }
        if self.outbox.len() >= OUTBOX_MAX {
            return Err(Trouble::NotReading);
        }
        self.outbox.push_back(record);
        Ok(())
    }

    /// Sends what has waited, as far as there is room.
    pub(super) fn flush(&mut self) -> Result<(), Trouble> {
        while let Some(record) = self.outbox.front() {
            match send_record(self.socket.as_fd(), record) {
                Sent::Yes => drop(self.outbox.pop_front()),
                Sent::Gone => return Err(Trouble::Closed),
                Sent::Full | Sent::Busy => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether a control message waits; frames must not overtake it.
    pub(super) fn has_backlog(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Ends the leases that it has given back in its page; returns how many it put in.
    pub(super) fn collect<T>(&mut self, book: &mut LeaseBook<T>, now_ns: u64) -> usize {
        let (Some(page), Some(identity)) = (&self.page, &mut self.identity) else { return 0 };
        page.collect(|serial, unlock_ns| match book.unlock(identity.book, serial, now_ns) {
            // The host looks late; the client says how late.
            Some(held_ns) => identity.hold.record(held_ns.saturating_sub(now_ns.saturating_sub(unlock_ns))),
            // It was revoked before the host looked, or is nonsense.
            None if self.unanswered == 0 => self.stray_unlocks += 1,
            None => {}
        })
    }

    /// Somebody waits for its unlocks: they shall be messages.
    pub(super) fn call(&mut self) {
        if let Some(page) = &mut self.page {
            page.call();
        }
    }

    /// Nobody does.
    pub(super) fn hush(&mut self) {
        if let Some(page) = &mut self.page {
            page.hush();
        }
    }

    /// It does not get the newest frame now.
    pub(super) fn fall_behind(&mut self, reason: SkipReason) {
        (self.behind, self.gap) = (Some(reason), Some(reason));
    }

    /// Whether an access unit makes sense to it: it is a keyframe, or follows what it got last.
    pub(super) fn can_decode(&self, event: &FrameEvent) -> bool {
        let flags = FrameFlags::from_bits_retain(event.flags.get());
        flags.contains(FrameFlags::KEYFRAME) || (self.last_serial > 0 && self.last_serial + 1 == event.serial.get())
    }

    /// There is a newer frame than the one that it is behind with, or it goes: it has missed
    /// that one for good. Returns why.
    pub(super) fn settle(&mut self) -> Option<SkipReason> {
        let reason = self.behind.take()?;
        self.skipped.count(reason);
        Some(reason)
    }

    /// What is kept of it when it goes.
    pub(super) fn departure(&self, held: usize, cause: Option<(GoodbyeReason, &str)>) -> Departure {
        Departure {
            id: self.id,
            name: self.identity.as_ref().map(|identity| identity.name.clone()).unwrap_or_default(),
            pid: self.peer.pid,
            uid: self.peer.uid,
            reason: cause.map(|(reason, _)| reason),
            text: cause.map(|(_, text)| text.to_owned()).unwrap_or_default(),
            delivered: self.delivered,
            skipped: self.skipped,
            revoked: self.revoked,
            held,
            connected_ns: self.connected_ns,
            left_ns: monotonic_ns(),
            times: 1,
        }
    }

    pub(super) fn snapshot(&self, held: usize) -> Option<ClientSnapshot> {
        let identity = self.identity.as_ref()?;
        Some(ClientSnapshot {
            id: self.id,
            name: identity.name.clone(),
            pid: self.peer.pid,
            uid: self.peer.uid,
            dialect: self.dialect,
            mode: identity.mode,
            credits: identity.credits,
            held,
            held_max: self.held_max,
            delivered: self.delivered,
            skipped: self.skipped,
            revoked: self.revoked,
            stray_unlocks: self.stray_unlocks,
            muted: self.muted,
            connected_ns: self.connected_ns,
            lease_hold: identity.hold.clone(),
        })
    }
}
