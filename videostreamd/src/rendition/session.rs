// SPDX-License-Identifier: Apache-2.0
//! One encoder and those that it works for. The work itself is done by `worker`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use vs_codec::{Changes, Effective};

use super::history::{History, Past, Pre};
use super::worker::{self, Job};
use super::{Coded, Rendition, Sink, SinkReceiver};
use crate::codecs::Codecs;
use crate::stream::consumer::FeedReceiver;

/// Changes of settings that may wait; callers beyond wait in turn.
const WISHES: usize = 4;

/// What is known of the encoder.
#[derive(Debug, Clone)]
pub enum Encoding {
    /// No picture has come yet.
    Opening,
    /// It works.
    Open(Arc<Effective>),
    /// It cannot, and why.
    Failed(String),
}

/// A change of settings, and where the answer goes.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) changes: Changes,
    pub(super) done: oneshot::Sender<Result<(), String>>,
}

/// Those that the encoder works for.
#[derive(Debug, Default)]
struct Members {
    sinks: Vec<Sink>,
    history: History,
    /// Those who want it, for as long as they are there.
    keepers: Vec<Weak<Pre>>,
}

impl Members {
    /// What is to be kept, if anything.
    fn keep(&mut self) -> Option<Pre> {
        let wanted: Vec<_> = self.keepers.iter().filter_map(Weak::upgrade).collect();
        self.keepers.retain(|keeper| keeper.strong_count() > 0);
        wanted.iter().map(|pre| **pre).reduce(Pre::and)
    }

    fn remember(&mut self, coded: &Coded) {
        match self.keep() {
            Some(keep) => self.history.push(coded, keep),
            None => self.history.clear(),
        }
    }
}

/// See the [module](super).
#[derive(Debug)]
pub struct Session {
    /// `None` when the session has ended: nobody may join any more.
    members: Mutex<Option<Members>>,
    pub(super) encoding: watch::Sender<Encoding>,
    /// Raw frames that came too fast, as the feed counts them.
    pub(super) overrun: AtomicU64,
    /// Raw frames that the encoder took and made nothing of.
    pub(super) lost: AtomicU64,
    wishes: mpsc::Sender<Wish>,
}

impl Session {
    /// Starts the thread, with its first sink.
    pub(super) fn start(
        rendition: Rendition,
        codecs: Arc<Codecs>,
        feed: FeedReceiver,
        sink: Sink,
    ) -> anyhow::Result<Arc<Self>> {
        let (wishes, receiver) = mpsc::channel(WISHES);
        let session = Arc::new(Self {
            members: Mutex::new(Some(Members { sinks: vec![sink], ..Members::default() })),
            encoding: watch::Sender::new(Encoding::Opening),
            overrun: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            wishes,
        });
        worker::start(Job { session: Arc::clone(&session), rendition, codecs, feed, wishes: receiver })?;
        Ok(session)
    }

    /// Adds a sink; gives it back if the session has ended.
    pub(super) fn add(&self, sink: Sink) -> Result<(), Sink> {
        match &mut *self.lock() {
            Some(members) => {
                members.sinks.push(sink);
                Ok(())
            }
            None => Err(sink),
        }
    }

    /// Adds a sink that gets what the last `pre` has been first, as far as it is kept.
    pub(super) fn add_with_past(&self, mut sink: Sink, receiver: &mut SinkReceiver, pre: Duration) -> Result<(), Sink> {
        let mut members = self.lock();
        let Some(members) = &mut *members else { return Err(sink) };
        // Nothing can come in between: who distributes holds the same lock.
        let past = if pre.is_zero() { Vec::new() } else { members.history.since(pre) };
        if !past.is_empty() {
            sink.follows();
            receiver.set_past(past);
        }
        members.sinks.push(sink);
        Ok(())
    }

    /// Keeps what has been encoded of late, for as long as the answer is held.
    pub fn keep_past(&self, pre: Pre) -> Arc<Pre> {
        let keeper = Arc::new(pre);
        if let Some(members) = &mut *self.lock() {
            members.keepers.push(Arc::downgrade(&keeper));
        }
        keeper
    }

    /// What is kept.
    pub(super) fn past(&self) -> Past {
        self.lock().as_ref().map(|members| members.history.past()).unwrap_or_default()
    }

    /// The encoder, as far as it is known, and every change.
    pub fn encoding(&self) -> watch::Receiver<Encoding> {
        self.encoding.subscribe()
    }

    /// Raw frames that did not become access units since the session began.
    pub fn dropped(&self) -> u64 {
        self.overrun.load(Ordering::Relaxed) + self.lost.load(Ordering::Relaxed)
    }

    /// Changes settings while it runs.
    ///
    /// # Errors
    /// Why they stay as they are.
    pub(super) async fn change(&self, changes: Changes) -> Result<(), String> {
        let ended = || "the encoder has just been closed".to_owned();
        let (done, answer) = oneshot::channel();
        self.wishes.send(Wish { changes, done }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    fn lock(&self) -> MutexGuard<'_, Option<Members>> {
        // The list is whole after each statement: a panic elsewhere cannot have torn it.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody can do nothing before the next keyframe.
    pub(super) fn anyone_awaits_keyframe(&self) -> bool {
        // Each is asked, for each forgets what it has told.
        self.lock().iter().flat_map(|members| &members.sinks).filter(|sink| sink.awaits_keyframe()).count() > 0
    }

    /// Whether all can go on with another encoder.
    pub(super) fn all_flexible(&self) -> bool {
        self.lock().iter().flat_map(|members| &members.sinks).all(Sink::is_flexible)
    }

    /// Gives a unit to all sinks. Returns whether there is still one; if not, the session is
    /// over.
    pub(super) fn distribute(&self, unit: &Coded) -> bool {
        if let Some(members) = &mut *self.lock() {
            members.remember(unit);
            members.sinks.retain_mut(|sink| sink.offer(unit));
        }
        self.is_wanted()
    }

    /// Whether somebody is still there; if not, the session is over.
    pub(super) fn is_wanted(&self) -> bool {
        let mut members = self.lock();
        let Some(present) = &mut *members else { return false };
        present.sinks.retain(Sink::is_there);
        if present.sinks.is_empty() {
            *members = None;
        }
        members.is_some()
    }

    /// Nobody may join any more, and all queues end.
    pub(super) fn close(&self) {
        *self.lock() = None;
    }
}
