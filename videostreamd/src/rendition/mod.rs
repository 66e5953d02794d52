// SPDX-License-Identifier: Apache-2.0
//! Encode once: all that want the same coded form of a stream share one encoder.
//!
//! A [`Session`] is that encoder on a thread of its own, fed by a stream and feeding any
//! number of [`Sink`]s. It begins with the first sink and ends after the last, or with its
//! stream. A sink that is too slow loses whole groups of pictures, up to the next keyframe,
//! and nobody else notices.
//!
//! Which encoder it is may change while it runs: hardware fails, is unplugged and comes back.

mod adjusted;
mod history;
mod session;
mod sink;
mod wishes;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use vs_codec::{Backend, Changes, EncoderConfig};

use crate::codecs::Codecs;
use crate::stream::StreamHandle;

pub use adjusted::adjustments;
pub use history::{Past, Pre};
pub use session::{Encoding, Session};
pub use sink::{Coded, Sink, SinkReceiver, sink};
pub use wishes::{RateMode, Wishes};

/// How pictures are to be encoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coding {
    /// What is asked of the encoder.
    pub config: EncoderConfig,
    /// Who encodes.
    pub backend: Backend,
}

impl Coding {
    /// What is asked from now on.
    pub fn change(&mut self, changes: &Changes) {
        self.config.rate_control = changes.rate_control.or(self.config.rate_control);
        self.config.keyframe_interval = changes.keyframe_interval.unwrap_or(self.config.keyframe_interval);
    }

    /// What to change of a running encoder to get from here to `wanted`; `None` if it takes
    /// another one.
    pub fn changes_to(&self, wanted: &Self) -> Option<Changes> {
        let changes = Changes {
            rate_control: wanted.config.rate_control.filter(|_| wanted.config.rate_control != self.config.rate_control),
            keyframe_interval: Some(wanted.config.keyframe_interval)
                .filter(|interval| *interval != self.config.keyframe_interval),
        };
        let mut reached = self.clone();
        reached.change(&changes);
        (reached == *wanted).then_some(changes)
    }
}

/// What makes two wishes the same rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// Name of the raw stream.
    pub stream: String,
    /// How it is to be encoded.
    pub coding: Coding,
}

/// The sessions that run.
#[derive(Debug)]
pub struct Renditions {
    codecs: Arc<Codecs>,
    running: Mutex<Vec<(Rendition, Weak<Session>)>>,
}

impl Renditions {
    /// No session yet.
    pub fn new(codecs: Arc<Codecs>) -> Self {
        Self { codecs, running: Mutex::default() }
    }

    /// Adds a sink to the session of this rendition, which is started if there is none.
    pub async fn join(&self, wanted: Rendition, stream: &StreamHandle, sink: Sink) -> anyhow::Result<Arc<Session>> {
        let sink = match add(Self::find(&self.lock(), &wanted), sink) {
            Ok(session) => return Ok(session),
            Err(sink) => sink,
        };
        let feed = stream.attach().await?;
        let mut running = self.lock();
        // Somebody else may have been faster: the feed is closed again then.
        match add(Self::find(&running, &wanted), sink) {
            Ok(session) => Ok(session),
            Err(sink) => {
                let session = Session::start(wanted.clone(), Arc::clone(&self.codecs), feed, sink)?;
                running.retain(|(_, session)| session.strong_count() > 0);
                running.push((wanted, Arc::downgrade(&session)));
                Ok(session)
            }
        }
    }

    /// Changes the encoder of a rendition while it runs, for all who share it: it is another
    /// rendition then.
    ///
    /// # Errors
    /// Why it stays as it is.
    pub async fn change(&self, from: &Rendition, changes: Changes) -> Result<(), String> {
        let Some(session) = Self::find(&self.lock(), from) else { return Ok(()) };
        session.change(changes).await?;
        let mut running = self.lock();
        let entry =
            running.iter_mut().find(|(_, known)| known.upgrade().is_some_and(|known| Arc::ptr_eq(&known, &session)));
        if let Some((rendition, _)) = entry {
            rendition.coding.change(&changes);
        }
        Ok(())
    }

    /// What is kept of a rendition.
    pub fn past(&self, rendition: &Rendition) -> Past {
        Self::find(&self.lock(), rendition).map(|session| session.past()).unwrap_or_default()
    }

    /// The same for one that wants what the last `pre` has been first, as far as it is kept.
    pub async fn join_with_past(
        &self,
        wanted: Rendition,
        stream: &StreamHandle,
        sink: Sink,
        receiver: &mut SinkReceiver,
        pre: Duration,
    ) -> anyhow::Result<Arc<Session>> {
        let session = Self::find(&self.lock(), &wanted);
        let sink = match session {
            Some(session) => match session.add_with_past(sink, receiver, pre) {
                Ok(()) => return Ok(session),
                Err(sink) => sink,
            },
            None => sink,
        };
        self.join(wanted, stream, sink).await
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Rendition, Weak<Session>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(running: &[(Rendition, Weak<Session>)], wanted: &Rendition) -> Option<Arc<Session>> {
        running.iter().rev().find(|(rendition, _)| rendition == wanted).and_then(|(_, session)| session.upgrade())
    }
}

/// Gives the sink back if there is no session, or it has just ended.
fn add(session: Option<Arc<Session>>, sink: Sink) -> Result<Arc<Session>, Sink> {
    match session {
        Some(session) => session.add(sink).map(|()| session),
        None => Err(sink),
    }
}
