// SPDX-License-Identifier: Apache-2.0
//! The book of leases: who may read which frame, until when.
//!
//! It is a plain state machine: no sockets, no clock, no I/O. Time comes in as a number,
//! frames are whatever the caller puts in (`T`); the book drops a frame exactly when nobody
//! has a right to it any more, and that drop is what sends the buffer home.
//!
//! A frame stays in the book for one of three reasons:
//! 1. a client holds a **lease** on it,
//! 2. its **lifespan** has been promised to a client that was told of it without a lease,
//! 3. it is the **newest**, kept for a client whose credit returns.
//!
//! The limits it keeps: a client never holds more than its credits, no lease outlives its
//! deadline, and all together never hold more than [`Limits::frames`], so that the source
//! always has buffers left to fill. Below that, whoever holds much makes room for whoever
//! holds little; `shares.rs` has the rules.
//!
//! A frame whose memory is itself only lent has an end of its own
//! ([`publish_until`](LeaseBook::publish_until)): nothing promised about it goes beyond. If it
//! must go back even sooner, [`withdraw`](LeaseBook::withdraw) ends every right to it.

#[cfg(test)]
mod model;
mod shares;
#[cfg(test)]
mod waiting;

use std::collections::VecDeque;

use slab::Slab;

use self::shares::{PROMPT_NS, Scarcity, UserKey, Users};

/// Names a client in the book. Reused after the client has left.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClientKey(pub usize);

/// What the book allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Frames that may be in the book at once. The source keeps its other buffers.
    pub frames: usize,
    /// The longest that a client may hold one frame, renewals included, in ns.
    pub lease_max_ns: u64,
}

/// Who a client is, as far as its share goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Frames that it may hold at once.
    pub credits: usize,
    /// The user it belongs to; users share the frames.
    pub uid: u32,
}

/// Why a lease was not granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The frame is not in the book: never published, or already gone.
    #[error("no such frame")]
    Gone,
    /// The client holds as many frames as it may.
    #[error("no credit left")]
    NoCredit,
    /// The client, or its user, holds more than its share while frames are scarce.
    #[error("frames are scarce, and others hold less")]
    Scarce,
}

/// A lease that the book ended: its deadline passed, or its frame was withdrawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expired {
    /// Whose lease it was.
    pub client: ClientKey,
    /// On which frame.
    pub serial: u64,
    /// How often in a row leases of this client have ended by their deadline; those that it
    /// held together count once.
    pub strikes: u32,
    /// For how long it was held, in ns.
    pub held_ns: u64,
}

/// See the module.
#[derive(Debug)]
pub struct LeaseBook<T> {
    limits: Limits,
    /// In the order of their serials.
    entries: VecDeque<Entry<T>>,
    holders: Slab<Holder>,
    users: Users,
    /// Leases of all holders.
    leases: usize,
    last_serial: u64,
    newest: Option<u64>,
    /// No lease or lifespan ends before this time, so until then there is nothing to look for.
    next_end_ns: u64,
}

#[derive(Debug)]
struct Entry<T> {
    serial: u64,
    frame: T,
    leases: usize,
    /// End of the promised lifespan; 0 if none was promised.
    lifespan_end_ns: u64,
    /// Until when the frame is there at all; [`NEVER`] if it stays as long as it is needed.
    until_ns: u64,
}

#[derive(Debug)]
struct Holder {
    credits: usize,
    user: UserKey,
    leases: Vec<Lease>,
    /// How often leases have ended by their deadline since one was given back. Those that were
    /// held together count once: whoever is kept from running for a while loses all of them.
    strikes: u32,
    /// When the last of these was, in ns.
    struck_ns: u64,
    /// The last lease was given back within [`PROMPT_NS`].
    prompt: bool,
}

impl Holder {
    /// Whoever lets leases run out gets one frame at a time, until it gives one back.
    fn credits_now(&self) -> usize {
        if self.strikes > 0 { self.credits.min(1) } else { self.credits }
    }
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    serial: u64,
    granted_ns: u64,
    deadline_ns: u64,
}

/// No end is due, or ever will be.
const NEVER: u64 = u64::MAX;

impl<T> LeaseBook<T> {
    /// An empty book.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: VecDeque::new(),
            holders: Slab::new(),
            users: Users::default(),
            leases: 0,
            last_serial: 0,
            newest: None,
            next_end_ns: NEVER,
        }
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes the limits. Leases already granted stay as they are.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Frames in the book.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no frame is in the book.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a frame that is published now finds no room, unless something leaves.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= self.limits.frames
    }

    /// The serial of the last frame published, or passed over; 0 before the first.
    #[must_use]
    pub fn last_serial(&self) -> u64 {
        self.last_serial
    }

    /// The newest frame, if it is still there.
    #[must_use]
    pub fn newest(&self) -> Option<(u64, &T)> {
        let serial = self.newest?;
        self.entry(serial).map(|entry| (serial, &entry.frame))
    }

    /// The frame with this serial, if it is still there.
    #[must_use]
    pub fn frame(&self, serial: u64) -> Option<&T> {
        self.entry(serial).map(|entry| &entry.frame)
    }

    /// Leases that a client holds; 0 for one that is not in the book.
    #[must_use]
    pub fn held(&self, client: ClientKey) -> usize {
        self.holders.get(client.0).map_or(0, |holder| holder.leases.len())
    }

    /// Leases that all clients together hold.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leases
    }

    /// Whether the client may hold a further frame.
    #[must_use]
    pub fn has_credit(&self, client: ClientKey) -> bool {
        self.holders.get(client.0).is_some_and(|holder| holder.leases.len() < holder.credits_now())
    }

    /// Whether a frame that is published next finds room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.staying() < self.limits.frames
    }

    /// Whether the client would get a lease on the frame that is published next, however many
    /// others get one before it.
    #[must_use]
    pub fn would_lock_next(&self, client: ClientKey) -> bool {
        let Some(holder) = self.holders.get(client.0) else { return false };
        let scarcity = Scarcity::of(self.staying(), self.limits.frames);
        // Each other user may come to hold the frame first, which makes the share smaller.
        let frames = self.limits.frames.saturating_sub(self.users.others());
        let share = self.users.may_hold(holder.user, self.last_serial + 1, frames);
        holder.leases.len() < holder.credits_now() && scarcity.allows(holder) && share
    }

    /// Frames that do not leave for the next one.
    fn staying(&self) -> usize {
        let leaves = self.newest.is_some_and(|serial| self.entry(serial).is_some_and(|entry| !entry.is_needed(None)));
        self.entries.len() - usize::from(leaves)
    }

    /// Enters a client.
    pub fn add_client(&mut self, claim: Claim) -> ClientKey {
        let Claim { credits, uid } = claim;
        let user = self.users.join(uid);
        let leases = Vec::with_capacity(credits);
        ClientKey(self.holders.insert(Holder { credits, user, leases, strikes: 0, struck_ns: 0, prompt: false }))
    }

    /// Takes a client out; its frames are free at once. Returns how many it held.
    pub fn remove_client(&mut self, client: ClientKey) -> usize {
        let Some(holder) = self.holders.try_remove(client.0) else { return 0 };
        for lease in &holder.leases {
            self.users.release(holder.user, lease.serial);
            self.release(lease.serial);
        }
        self.users.leave(holder.user);
        holder.leases.len()
    }

    /// Publishes a frame and makes it the newest. The one that was newest leaves, unless
    /// somebody has a right to it.
    ///
    /// # Errors
    /// Gives the frame back if the book is full: every frame in it is somebody's. Its serial
    /// is used up all the same, so that readers see the gap.
    pub fn publish(&mut self, frame: T) -> Result<u64, T> {
        self.publish_until(frame, NEVER)
    }

    /// As [`publish`](Self::publish), for a frame that must go home at `until_ns` whoever
    /// would like to read it then.
    ///
    /// # Errors
    /// Gives the frame back if the book is full.
    pub fn publish_until(&mut self, frame: T, until_ns: u64) -> Result<u64, T> {
        self.last_serial += 1;
        self.forget_newest();
        if self.entries.len() >= self.limits.frames {
            return Err(frame);
        }
        let serial = self.last_serial;
        self.entries.push_back(Entry { serial, frame, leases: 0, lifespan_end_ns: 0, until_ns });
        self.next_end_ns = self.next_end_ns.min(until_ns);
        self.newest = Some(serial);
        Ok(serial)
    }

    /// Uses up a serial for a frame that nobody gets, so that readers see the gap.
    pub fn pass_over(&mut self) {
        self.last_serial += 1;
    }

    /// Lets go of the newest frame: it is not to be given to anybody any more. Those who
    /// already have a right to it keep it.
    pub fn forget_newest(&mut self) {
        if let Some(serial) = self.newest.take() {
            self.drop_if_unneeded(serial);
        }
    }

    /// Gives `client` a lease on frame `serial`, or renews the one that it has. Returns the
    /// deadline: `lease_ns` from now, but never more than [`Limits::lease_max_ns`] after the
    /// client first got this frame, and never beyond the end of the frame itself.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn lock(&mut self, client: ClientKey, serial: u64, now_ns: u64, lease_ns: u64) -> Result<u64, Refusal> {
        let index = self.index(serial).ok_or(Refusal::Gone)?;
        let scarcity = self.scarcity();
        let holder = self.holders.get_mut(client.0).ok_or(Refusal::Gone)?;
        let max_ns = self.limits.lease_max_ns;
        let until_ns = self.entries[index].until_ns;
        if until_ns <= now_ns {
            return Err(Refusal::Gone);
        }
        let wanted = now_ns.saturating_add(lease_ns).min(until_ns);
        let deadline_ns = if let Some(lease) = holder.leases.iter_mut().find(|lease| lease.serial == serial) {
            lease.deadline_ns = wanted.min(lease.granted_ns.saturating_add(max_ns));
            lease.deadline_ns
        } else if holder.leases.len() >= holder.credits_now() {
            return Err(Refusal::NoCredit);
        } else if !scarcity.allows(holder) || !self.users.may_hold(holder.user, serial, self.limits.frames) {
            return Err(Refusal::Scarce);
        } else {
            let deadline_ns = wanted.min(now_ns.saturating_add(max_ns));
            holder.leases.push(Lease { serial, granted_ns: now_ns, deadline_ns });
            self.users.hold(holder.user, serial);
            self.entries[index].leases += 1;
            self.leases += 1;
            deadline_ns
        };
        self.next_end_ns = self.next_end_ns.min(deadline_ns);
        Ok(deadline_ns)
    }

    /// Ends a lease. Returns for how long it was held, in ns; `None` if the client had none
    /// on this frame, which changes nothing.
    pub fn unlock(&mut self, client: ClientKey, serial: u64, now_ns: u64) -> Option<u64> {
        let holder = self.holders.get_mut(client.0)?;
        let index = holder.leases.iter().position(|lease| lease.serial == serial)?;
        let lease = holder.leases.swap_remove(index);
        let held_ns = now_ns.saturating_sub(lease.granted_ns);
        holder.strikes = 0;
        holder.prompt = held_ns <= PROMPT_NS;
        let user = holder.user;
        self.users.release(user, serial);
        self.release(serial);
        Some(held_ns)
    }

    /// Until when frame `serial` is there at all: no promise may go beyond. The end of time
    /// for a frame that stays as long as it is needed; 0 for one that is not in the book.
    #[must_use]
    pub fn until_ns(&self, serial: u64) -> u64 {
        self.entry(serial).map_or(0, |entry| entry.until_ns)
    }

    /// Promises that frame `serial` stays untouched until `end_ns`, or until its own end.
    pub fn promise(&mut self, serial: u64, end_ns: u64) {
        if let Some(index) = self.index(serial) {
            let entry = &mut self.entries[index];
            let end_ns = end_ns.min(entry.until_ns);
            entry.lifespan_end_ns = entry.lifespan_end_ns.max(end_ns);
            self.next_end_ns = self.next_end_ns.min(end_ns);
        }
    }

    /// The frames in the book, oldest first, each with its serial and whether its lifespan
    /// runs as of the last [`expire`](Self::expire).
    pub fn frames(&self) -> impl Iterator<Item = (u64, &T, bool)> {
        self.entries.iter().map(|entry| (entry.serial, &entry.frame, entry.lifespan_end_ns > 0))
    }

    /// Ends every right to frame `serial` and lets go of it, now; `ended` learns of the leases.
    pub fn withdraw(&mut self, serial: u64, now_ns: u64, mut ended: impl FnMut(Expired)) {
        let Some(index) = self.index(serial) else { return };
        for (key, holder) in &mut self.holders {
            let Some(held) = holder.leases.iter().position(|lease| lease.serial == serial) else { continue };
            let lease = holder.leases.swap_remove(held);
            self.users.release(holder.user, serial);
            self.leases = self.leases.saturating_sub(1);
            let held_ns = now_ns.saturating_sub(lease.granted_ns);
            ended(Expired { client: ClientKey(key), serial, strikes: holder.strikes, held_ns });
        }
        if self.newest == Some(serial) {
            self.newest = None;
        }
        self.entries.remove(index);
    }

    /// The earliest time at which [`expire`](Self::expire) may have something to do;
    /// `None` if nothing is due. It can be earlier than the true end (a lease was given back
    /// meanwhile), never later.
    #[must_use]
    pub fn next_end_ns(&self) -> Option<u64> {
        (self.next_end_ns != NEVER).then_some(self.next_end_ns)
    }

    /// Ends every lease, lifespan and frame whose time has come; `expired` learns of the leases.
    pub fn expire(&mut self, now_ns: u64, mut expired: impl FnMut(Expired)) {
        if now_ns < self.next_end_ns {
            return;
        }
        let mut ended: Vec<u64> = Vec::new();
        let mut next_end_ns = NEVER;
        for (key, holder) in &mut self.holders {
            let Holder { leases, user, strikes, struck_ns, prompt, .. } = holder;
            leases.retain(|lease| {
                let alive = now_ns < lease.deadline_ns;
                if alive {
                    next_end_ns = next_end_ns.min(lease.deadline_ns);
                } else {
                    if *strikes == 0 || lease.granted_ns >= *struck_ns {
                        *strikes = strikes.saturating_add(1);
                        *struck_ns = now_ns;
                    }
                    *prompt = false;
                    self.users.release(*user, lease.serial);
                    ended.push(lease.serial);
                    let held_ns = now_ns.saturating_sub(lease.granted_ns);
                    expired(Expired { client: ClientKey(key), serial: lease.serial, held_ns, strikes: *strikes });
                }
                alive
            });
        }
        for serial in ended {
            self.release(serial);
        }
        for entry in &mut self.entries {
            if entry.lifespan_end_ns <= now_ns {
                entry.lifespan_end_ns = 0;
            } else {
                next_end_ns = next_end_ns.min(entry.lifespan_end_ns);
            }
        }
        // Leases and lifespans do not go beyond the end of their frame.
        let newest = self.newest.filter(|serial| now_ns < self.until_ns(*serial));
        self.newest = newest;
        self.entries.retain(|entry| entry.is_needed(newest));
        let ends = self.entries.iter().map(|entry| entry.until_ns);
        self.next_end_ns = ends.fold(next_end_ns, u64::min);
    }

    /// How scarce frames are now.
    fn scarcity(&self) -> Scarcity {
        let old = self.entries.len() - usize::from(self.newest.is_some());
        Scarcity::of(old, self.limits.frames)
    }

    fn index(&self, serial: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&serial, |entry| entry.serial).ok()
    }

    fn entry(&self, serial: u64) -> Option<&Entry<T>> {
        self.index(serial).map(|index| &self.entries[index])
    }

    fn release(&mut self, serial: u64) {
        self.leases = self.leases.saturating_sub(1);
        if let Some(index) = self.index(serial) {
            let entry = &mut self.entries[index];
            entry.leases = entry.leases.saturating_sub(1);
        }
        self.drop_if_unneeded(serial);
    }

    fn drop_if_unneeded(&mut self, serial: u64) {
        if let Some(index) = self.index(serial)
            && !self.entries[index].is_needed(self.newest)
        {
            self.entries.remove(index);
        }
    }
}

impl<T> Entry<T> {
    fn is_needed(&self, newest: Option<u64>) -> bool {
        self.leases > 0 || self.lifespan_end_ns > 0 || newest == Some(self.serial)
    }
}
