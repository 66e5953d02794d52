// SPDX-License-Identifier: Apache-2.0
//! Who may hold how much while frames are scarce.
//!
//! What counts are the *old* frames in the book: those that are there because somebody holds
//! them, not because they are the newest. The fewer places are left for them, the more one
//! must have behaved to get another:
//!
//! | places left | who gets a lease |
//! |---|---|
//! | more than [`COMFORT`] | everyone with a credit |
//! | [`TIGHT`] + 1 to [`COMFORT`] | who holds nothing |
//! | up to [`TIGHT`] | who holds nothing and gave its last frame back promptly |
//!
//! So however many clients hoard, one that works on a frame and gives it back goes on getting
//! every frame, as long as there are not as many hoarders as frames. And **users** share: one
//! user alone may use all frames, but beside others it never holds more than half of what
//! the others leave. (dbus-broker divides its quotas in the same way.)

use slab::Slab;

use super::Holder;

/// Places that are kept for clients that hold nothing.
pub(super) const COMFORT: usize = 3;

/// Places that are kept for clients that have shown that they give frames back: one frame is
/// worked on while the next arrives.
pub(super) const TIGHT: usize = 2;

/// A lease given back within this time was held promptly: a few frames of a usual camera.
pub(super) const PROMPT_NS: u64 = 100_000_000;

/// How scarce frames are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scarcity {
    Comfortable,
    Scarce,
    Tight,
}

impl Scarcity {
    /// With `old` frames held out of `frames`. A small book is not divided into places that
    /// nobody could use: there the credits alone decide.
    pub(super) fn of(old: usize, frames: usize) -> Self {
        let left = frames.saturating_sub(old);
        if frames <= 2 * COMFORT {
            Self::Comfortable
        } else if left <= TIGHT {
            Self::Tight
        } else if left <= COMFORT {
            Self::Scarce
        } else {
            Self::Comfortable
        }
    }

    pub(super) fn allows(self, holder: &Holder) -> bool {
        match self {
            Self::Comfortable => true,
            Self::Scarce => holder.leases.is_empty(),
            Self::Tight => holder.leases.is_empty() && holder.prompt,
        }
    }
}

/// Names a user in the book.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct UserKey(usize);

/// The users that have clients, with the frames that these hold.
#[derive(Debug, Default)]
pub(super) struct Users {
    users: Slab<User>,
}

#[derive(Debug)]
struct User {
    uid: u32,
    clients: usize,
    /// Frames held, each with how many of the user's clients hold it; newest last. As short
    /// as the book.
    held: Vec<(u64, usize)>,
}

impl Users {
    pub(super) fn join(&mut self, uid: u32) -> UserKey {
        let known = self.users.iter_mut().find(|(_, user)| user.uid == uid);
        if let Some((key, user)) = known {
            user.clients += 1;
            return UserKey(key);
        }
        UserKey(self.users.insert(User { uid, clients: 1, held: Vec::new() }))
    }

    pub(super) fn leave(&mut self, key: UserKey) {
        let Some(user) = self.users.get_mut(key.0) else { return };
        user.clients -= 1;
        if user.clients == 0 {
            self.users.remove(key.0);
        }
    }

    /// Users beside one.
    pub(super) fn others(&self) -> usize {
        self.users.len().saturating_sub(1)
    }

    /// Whether the user may hold this frame, out of `frames`.
    pub(super) fn may_hold(&self, key: UserKey, serial: u64, frames: usize) -> bool {
        let Some(user) = self.users.get(key.0) else { return false };
        if self.users.len() == 1 || user.held.iter().rev().any(|(held, _)| *held == serial) {
            return true;
        }
        user.held.len() < self.allowance(key, frames)
    }

    /// How many frames a user may hold beside others: half of what they leave, but one.
    fn allowance(&self, key: UserKey, frames: usize) -> usize {
        let others = self.users.iter().filter(|(other, _)| *other != key.0);
        let by_others: usize = others.map(|(_, user)| user.held.len()).sum();
        (frames.saturating_sub(by_others) / 2).max(1)
    }

    pub(super) fn hold(&mut self, key: UserKey, serial: u64) {
        let Some(user) = self.users.get_mut(key.0) else { return };
        match user.held.iter_mut().rev().find(|(held, _)| *held == serial) {
            Some((_, count)) => *count += 1,
            None => user.held.push((serial, 1)),
        }
    }

    pub(super) fn release(&mut self, key: UserKey, serial: u64) {
        let Some(user) = self.users.get_mut(key.0) else { return };
        if let Some(index) = user.held.iter().rposition(|(held, _)| *held == serial) {
            user.held[index].1 -= 1;
            if user.held[index].1 == 0 {
                user.held.remove(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_alone_takes_all_and_beside_others_half() {
        let mut users = Users::default();
        let a = users.join(1);
        for serial in 0..8 {
            assert!(users.may_hold(a, serial, 8));
            users.hold(a, serial);
        }
        let b = users.join(2);
        assert!(!users.may_hold(a, 8, 8), "it has more than its share");
        assert!(users.may_hold(a, 7, 8), "what it holds already costs nobody anything");
        assert!(users.may_hold(b, 8, 8), "one frame is everybody's due");
        for serial in 0..5 {
            users.release(a, serial);
        }
        users.hold(b, 8);
        assert!(!users.may_hold(a, 9, 8) && users.may_hold(b, 9, 8));
        users.leave(b);
        assert!(users.may_hold(a, 9, 8));
    }
}
