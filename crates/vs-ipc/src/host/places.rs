// SPDX-License-Identifier: Apache-2.0
//! Connections cost descriptors, and all hosts of a process draw on the same ones.
//!
//! Each host bounds its own clients; this bounds their sum. Else whoever fills one stream keeps
//! clients from all the others, and cameras, recordings and buffers from getting a descriptor.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::admission::takes_all;

/// This part of the process's descriptors is not for clients: sources, buffers, recordings and
/// whatever else the program does must go on when no client gets a place any more.
const RESERVED_PART: usize = 4;

/// Connections of each user, to all hosts of this process.
static TAKEN: Mutex<BTreeMap<u32, usize>> = Mutex::new(BTreeMap::new());

/// A connection's share in the descriptors of the process; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    uid: u32,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoPlace {
    /// For nobody.
    ForAnybody,
    /// For users that have as many connections as this one.
    ForThisUser,
}

impl Place {
    /// Takes a place for a connection of a user.
    pub(super) fn take(uid: u32) -> Result<Self, NoPlace> {
        Self::take_of(&mut taken(), uid, places())
    }

    fn take_of(taken: &mut BTreeMap<u32, usize>, uid: u32, max: usize) -> Result<Self, NoPlace> {
        let present = taken.values().sum();
        let of_user = taken.get(&uid).copied().unwrap_or(0);
        if present >= max {
            return Err(NoPlace::ForAnybody);
        }
        if takes_all(of_user, present, max) {
            return Err(NoPlace::ForThisUser);
        }
        taken.insert(uid, of_user + 1);
        Ok(Self { uid })
    }

    fn give_back(&self, taken: &mut BTreeMap<u32, usize>) {
        if let Some(count) = taken.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_back(&mut taken());
    }
}

fn taken() -> MutexGuard<'static, BTreeMap<u32, usize>> {
    // Nothing under the lock can panic halfway.
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the process have all the descriptors that it may: raises the soft limit, which is low for
/// programs that call select(2), to the hard one. For a program with many clients, at its start.
///
/// # Errors
/// The system's word; the limit is as before.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Connections that the process may have. Asked for each time: limits change while programs run.
fn places() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |max| max as usize);
    descriptors - descriptors / RESERVED_PART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_places_to_the_next_and_gets_its_own_back() {
        let mut taken = BTreeMap::new();
        let mut held = Vec::new();
        let mut take_all = |taken: &mut BTreeMap<u32, usize>, uid| {
            let before = held.len();
            loop {
                match Place::take_of(taken, uid, 64) {
                    // A place that is forgotten does not touch the process's own count.
                    Ok(place) => held.push(std::mem::ManuallyDrop::new(place)),
                    Err(why) => return (held.len() - before, why),
                }
            }
        };
        assert_eq!(take_all(&mut taken, 1), (56, NoPlace::ForThisUser));
        assert_eq!(take_all(&mut taken, 2), (4, NoPlace::ForThisUser));
        assert_eq!(take_all(&mut taken, 3), (2, NoPlace::ForThisUser));
        assert_eq!(take_all(&mut taken, 4), (1, NoPlace::ForThisUser));
        assert_eq!(take_all(&mut taken, 5), (1, NoPlace::ForAnybody));
        held.iter().for_each(|place| place.give_back(&mut taken));
        assert!(taken.is_empty());
    }
}
