// SPDX-License-Identifier: Apache-2.0
//! Who has how many sessions, and how many there may be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use vs_codec::BackendKind;
use vs_frame::FourCc;
use vs_ipc::exchange::Hangup;
use vs_ipc::wire::GoodbyeReason;

use super::SessionError;
use crate::codecs::Codecs;

/// How long to wait for sessions whose clients have gone, so that what they had of a device is
/// there for the next one. A driver that takes longer to close is waited for by nobody.
const SETTLE: Duration = Duration::from_secs(2);

/// How many sessions there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In all: each is a thread, and in software some tens of megabytes.
    pub all: usize,
    /// Of one user, so that nobody takes all.
    pub of_user: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { all: 64, of_user: 16 }
    }
}

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owner {
    /// Numeric user id; `None` if the bus does not tell: all such count as one user.
    pub uid: Option<u32>,
    /// Process id; `None` if the bus does not tell.
    pub pid: Option<u32>,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Encoder,
    Decoder,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    limits: Limits,
    codecs: Arc<Codecs>,
    table: Arc<Table>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
    /// Woken when one has ended.
    left: Notify,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        // The map is whole after each statement.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session, as others see it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) codec: FourCc,
    kind: Kind,
    owner: Owner,
    hangup: OnceLock<Hangup>,
    /// Name and kind of the codec that works now.
    backend: Mutex<Option<(String, BackendKind)>>,
    inputs: AtomicU64,
    outputs: AtomicU64,
    lost: AtomicU64,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

impl Entry {
    fn new(number: u64, owner: Owner, kind: Kind, codec: FourCc) -> Self {
        Self {
            number,
            codec,
            kind,
            owner,
            hangup: OnceLock::new(),
            backend: Mutex::default(),
            inputs: AtomicU64::new(0),
            outputs: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// One that is nobody's.
    #[cfg(test)]
    pub(super) fn alone() -> Arc<Self> {
        Arc::new(Self::new(1, Owner::default(), Kind::Encoder, FourCc::H264))
    }

    pub(super) fn connected(&self, hangup: Hangup) {
        let _ = self.hangup.set(hangup);
    }

    pub(super) fn opened(&self, name: &str, backend: BackendKind) {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = Some((name.to_owned(), backend));
    }

    pub(super) fn count_input(&self) {
        self.inputs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_output(&self) {
        self.outputs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether its client has hung up, so that it is about to end.
    fn is_gone(&self) -> bool {
        self.hangup.get().is_some_and(Hangup::is_gone)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let backend = self.backend.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Snapshot {
            number: self.number,
            kind: self.kind.name(),
            codec: self.codec,
            backend,
            owner: self.owner,
            inputs: self.inputs.load(Ordering::Relaxed),
            outputs: self.outputs.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}

/// What is known of a session.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its number, never given twice.
    pub number: u64,
    /// `encoder` or `decoder`.
    pub kind: &'static str,
    /// The codec.
    pub codec: FourCc,
    /// Name and kind of what does it; `None` while it is being opened.
    pub backend: Option<(String, BackendKind)>,
    /// Whose it is.
    pub owner: Owner,
    /// Frames that came in.
    pub inputs: u64,
    /// Frames that were made of them.
    pub outputs: u64,
    /// Frames of which nothing was made.
    pub lost: u64,
}

/// A session's place among the others, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    entry: Arc<Entry>,
    table: Arc<Table>,
}

impl Place {
    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.lock().remove(&self.entry.number);
        self.table.left.notify_waiters();
    }
}

impl Sessions {
    /// None yet; they get theirs from `codecs`.
    pub fn new(limits: Limits, codecs: Arc<Codecs>) -> Self {
        Self { limits, codecs, table: Arc::default(), next: AtomicU64::new(1) }
    }

    pub(super) fn codecs(&self) -> &Arc<Codecs> {
        &self.codecs
    }

    /// Those that there are.
    pub fn list(&self) -> Vec<Snapshot> {
        self.table.lock().values().map(|entry| entry.snapshot()).collect()
    }

    /// Ends all of them, each client told why, and waits until they have let go of their codecs.
    pub async fn shut_down(&self) {
        let entries: Vec<_> = self.table.lock().values().cloned().collect();
        for hangup in entries.iter().filter_map(|entry| entry.hangup.get()) {
            hangup.goodbye(GoodbyeReason::Shutdown, "the daemon shuts down");
        }
        self.settle().await;
    }

    /// A place for one more.
    pub(super) async fn enter(&self, owner: Owner, kind: Kind, codec: FourCc) -> Result<Place, SessionError> {
        self.settle().await;
        let mut entries = self.table.lock();
        // Those whose client is gone hold no place, though their driver may not have let go.
        let live = || entries.values().filter(|entry| !entry.is_gone());
        let Limits { all, of_user } = self.limits;
        if live().count() >= all {
            return Err(SessionError::Busy(format!(
                "there are {all} codec sessions, and no more may be: try again when one has ended"
            )));
        }
        if live().filter(|entry| entry.owner.uid == owner.uid).count() >= of_user {
            return Err(SessionError::Busy(format!(
                "this user has {of_user} codec sessions, and no more may be: close one"
            )));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry::new(number, owner, kind, codec));
        entries.insert(number, Arc::clone(&entry));
        Ok(Place { entry, table: Arc::clone(&self.table) })
    }

    /// Waits until those whose clients have gone have ended.
    async fn settle(&self) {
        let settled = async {
            loop {
                let left = self.table.left.notified();
                tokio::pin!(left);
                // One that ends between the look and the wait is heard of as well.
                left.as_mut().enable();
                if !self.table.lock().values().any(|entry| entry.is_gone()) {
                    return;
                }
                left.await;
            }
        };
        if tokio::time::timeout(SETTLE, settled).await.is_err() {
            tracing::warn!("a codec session has not ended though its client is gone: its driver may be stuck");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use vs_ipc::exchange::{Credits, Exchange, pair};

    use super::*;
    use crate::devices::Devices;

    fn sessions() -> Sessions {
        let devices = Devices::new(Default::default(), std::iter::empty(), None);
        let codecs = Codecs::new(Arc::new(devices), Default::default());
        Sessions::new(Limits { all: 3, of_user: 2 }, Arc::new(codecs))
    }

    fn user(uid: u32) -> Owner {
        Owner { uid: Some(uid), pid: None }
    }

    #[tokio::test]
    async fn nobody_gets_more_than_the_limits() {
        let sessions = sessions();
        let enter = |owner| sessions.enter(owner, Kind::Encoder, FourCc::H264);
        let (first, _second) = (enter(user(1)).await.unwrap(), enter(user(1)).await.unwrap());
        assert!(enter(user(1)).await.unwrap_err().to_string().contains("this user has 2"));
        let _third = enter(user(2)).await.unwrap();
        assert!(enter(user(3)).await.unwrap_err().to_string().contains("there are 3"));
        drop(first);
        assert_eq!(sessions.list().len(), 2);
        let again = enter(user(1)).await.unwrap();
        assert_eq!(again.entry().number, 4, "numbers are not given twice");
    }

    #[tokio::test]
    async fn one_whose_client_has_gone_is_waited_for() {
        let sessions = sessions();
        let (ours, theirs) = pair().unwrap();
        let place = sessions.enter(user(1), Kind::Encoder, FourCc::H264).await.unwrap();
        let exchange = Exchange::daemon(ours, Credits::default());
        place.entry().connected(exchange.hangup());
        drop(theirs);
        let next = sessions.enter(user(1), Kind::Encoder, FourCc::H264);
        tokio::pin!(next);
        let pending = std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await;
        assert!(pending, "its driver has not let go");
        drop(place);
        assert_eq!(next.await.unwrap().entry().number, 2);
    }
}
