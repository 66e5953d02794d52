// SPDX-License-Identifier: Apache-2.0
//! How many snapshots are taken at once, and for whom: a flood of calls must cost neither memory nor pictures of others.
//!
//! Each call has a [`Place`] from its beginning to its end. Before it takes a picture, it waits for its share of memory, and for
//! one of few workers; within its user first, so that a user who asks for hundreds waits for himself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SnapshotError;

/// Calls that have not been answered. Each is a descriptor and a few kilobytes; more than these would not have their turn before
/// their time is over.
const CALLS: usize = 512;

/// Of one user, so that nobody has all.
const CALLS_OF_USER: usize = 256;

/// Pictures that are made at once. Each takes a processor, and holds a frame that its stream may miss.
const WORKERS: usize = 2;

/// Of one user: the other one is for others.
const WORKERS_OF_USER: usize = 1;

const MIB: u64 = 1 << 20;

/// Memory for pictures that are made or written, in MiB. A slow reader keeps his until his time is over.
const MEMORY: u32 = 512;

/// Of one user: a picture of 7680 by 4320 still fits, some ten of 1920 by 1080.
const MEMORY_OF_USER: u32 = 320;

/// What the smallest picture counts for: it may be written for long on a thread of its own. So a user has at most 16 of
/// these, and all have 25.
const MEMORY_LEAST: u32 = 20;

/// All of them. See the module.
#[derive(Debug)]
pub struct Limits {
    users: Mutex<BTreeMap<Option<u32>, Arc<User>>>,
    memory: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

#[derive(Debug)]
struct User {
    uid: Option<u32>,
    memory: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

/// A call that is under way, until it is dropped.
#[derive(Debug)]
pub struct Place {
    limits: Arc<Limits>,
    user: Arc<User>,
}

/// The right to take a picture.
#[derive(Debug)]
pub struct Admitted {
    _memory: [OwnedSemaphorePermit; 2],
    worker: Option<[OwnedSemaphorePermit; 2]>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            users: Mutex::default(),
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
            workers: Arc::new(Semaphore::new(WORKERS)),
        }
    }
}

impl Limits {
    /// A place for one more call; users whom the bus does not tell apart are one.
    ///
    /// # Errors
    /// [`SnapshotError::Busy`].
    pub fn enter(self: &Arc<Self>, uid: Option<u32>) -> Result<Place, SnapshotError> {
        let mut users = self.lock();
        let busy = |text: String| Err(SnapshotError::Busy(text));
        // One that each place has, and one in the map.
        let calls = |user: &Arc<User>| Arc::strong_count(user) - 1;
        if users.values().map(calls).sum::<usize>() >= CALLS {
            return busy(format!("{CALLS} snapshots are being taken, and no more may be: try again in a moment"));
        }
        let user = users.entry(uid).or_insert_with(|| {
            let memory = Arc::new(Semaphore::new(MEMORY_OF_USER as usize));
            Arc::new(User { uid, memory, workers: Arc::new(Semaphore::new(WORKERS_OF_USER)) })
        });
        if calls(user) >= CALLS_OF_USER {
            return busy(format!(
                "this user takes {CALLS_OF_USER} snapshots, and no more may be: wait for some of them"
            ));
        }
        let user = Arc::clone(user);
        Ok(Place { limits: Arc::clone(self), user })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Option<u32>, Arc<User>>> {
        // The map is whole after each statement.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for its turn: that of a picture which takes so many bytes. Safe to cancel.
    pub async fn admit(&self, bytes: u64) -> Admitted {
        let mib = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX).clamp(MEMORY_LEAST, MEMORY_OF_USER);
        let memory = [acquire(&self.user.memory, mib).await, acquire(&self.limits.memory, mib).await];
        let worker = [acquire(&self.user.workers, 1).await, acquire(&self.limits.workers, 1).await];
        Admitted { _memory: memory, worker: Some(worker) }
    }
}

impl Admitted {
    /// The picture is made: what is left is to write it.
    pub fn worked(&mut self) {
        self.worker = None;
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, permits: u32) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_many_owned(permits).await {
        Ok(permit) => permit,
        // Nobody closes them.
        Err(_) => std::future::pending().await,
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut users = self.limits.lock();
        // This one's, and the map's.
        if Arc::strong_count(&self.user) == 2 {
            users.remove(&self.user.uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    async fn waits(future: impl Future) -> bool {
        let mut future = pin!(future);
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn nobody_gets_more_than_the_limits() {
        let limits = Arc::new(Limits::default());
        let mut places: Vec<_> = (0..CALLS_OF_USER).map(|_| limits.enter(Some(1)).unwrap()).collect();
        assert!(limits.enter(Some(1)).unwrap_err().to_string().contains("this user"));
        places.extend((0..CALLS - CALLS_OF_USER).map(|_| limits.enter(Some(2)).unwrap()));
        assert!(limits.enter(None).unwrap_err().to_string().contains("512"));
        drop(places);
        assert!(limits.lock().is_empty(), "users who have gone are forgotten");
    }

    #[tokio::test]
    async fn a_user_waits_for_himself_and_all_for_all() {
        let limits = Arc::new(Limits::default());
        let [one, two, three] = [1, 2, 3].map(|uid| limits.enter(Some(uid)).unwrap());
        let mut first = one.admit(1).await;
        assert!(waits(one.admit(1)).await, "a second worker of the same user");
        let second = two.admit(1).await;
        assert!(waits(three.admit(1)).await, "a third worker");
        first.worked();
        let third = three.admit(1).await;
        drop((second, third));
        // What is being written counts as memory.
        let mut written = vec![first];
        for _ in 1..MEMORY_OF_USER / MEMORY_LEAST {
            let mut admitted = one.admit(1).await;
            admitted.worked();
            written.push(admitted);
        }
        assert!(waits(one.admit(1)).await, "more memory than a user may have");
        assert!(!waits(two.admit(1)).await);
        written.pop();
        assert!(!waits(one.admit(1)).await);
        drop(written);
        assert!(!waits(one.admit(u64::MAX)).await, "the largest picture never has its turn");
    }
}
