// SPDX-License-Identifier: Apache-2.0
//! Encode once: all that want the same coded form of a stream share one encoder.
//!
//! A [`Session`] is that encoder on a thread of its own, fed by a stream and feeding any
//! number of [`Sink`]s. It begins with the first sink and ends after the last, or with its
//! stream. A sink that is too slow loses whole groups of pictures, up to the next keyframe,
//! and nobody else notices.

mod session;
mod sink;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use vs_codec::EncoderConfig;

use crate::stream::StreamHandle;

pub use session::{Encoding, Session};
pub use sink::{Coded, Sink, SinkReceiver, sink};

/// What makes two wishes the same rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// Name of the raw stream.
    pub stream: String,
    /// How it is to be encoded.
    pub config: EncoderConfig,
}

/// The sessions that run.
#[derive(Debug, Default)]
pub struct Renditions {
    running: Mutex<Vec<(Rendition, Weak<Session>)>>,
}

impl Renditions {
    /// Adds a sink to the session of this rendition, which is started if there is none.
    pub async fn join(&self, wanted: Rendition, stream: &StreamHandle, sink: Sink) -> anyhow::Result<Arc<Session>> {
        let sink = match self.find(&wanted) {
            Some(session) => match session.add(sink) {
                Ok(()) => return Ok(session),
                // It has just ended.
                Err(sink) => sink,
            },
            None => sink,
        };
        let feed = stream.attach().await?;
        let session = Session::start(wanted.clone(), feed, sink)?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|(_, session)| session.strong_count() > 0);
        running.push((wanted, Arc::downgrade(&session)));
        Ok(session)
    }

    fn find(&self, wanted: &Rendition) -> Option<Arc<Session>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().rev().find(|(rendition, _)| rendition == wanted).and_then(|(_, session)| session.upgrade())
    }
}
