// SPDX-License-Identifier: Apache-2.0
//! One encoder at work, on a thread of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tokio::sync::watch;
use vs_codec::{Choice, Effective, Encoder, FrameTag, Output, SubmitError, open_encoder};

use super::{Coded, Rendition, Sink};
use crate::stream::consumer::{Feed, FeedReceiver};

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

/// See the [module](super).
#[derive(Debug)]
pub struct Session {
    /// `None` when the session has ended: nobody may join any more.
    sinks: Mutex<Option<Vec<Sink>>>,
    encoding: watch::Sender<Encoding>,
    /// Raw frames that came too fast, as the feed counts them.
    dropped: AtomicU64,
}

impl Session {
    /// Starts the thread, with its first sink.
    pub(super) fn start(rendition: Rendition, feed: FeedReceiver, sink: Sink) -> anyhow::Result<Arc<Self>> {
        let session = Arc::new(Self {
            sinks: Mutex::new(Some(vec![sink])),
            encoding: watch::Sender::new(Encoding::Opening),
            dropped: AtomicU64::new(0),
        });
        let shared = Arc::clone(&session);
        std::thread::Builder::new()
            .name(format!("enc-{}", rendition.stream))
            .spawn(move || {
                let mut worker = Worker { session: shared, rendition, encoder: None, effective: None };
                worker.run(feed);
            })
            .context("cannot start a thread for the encoder")?;
        Ok(session)
    }

    /// Adds a sink; gives it back if the session has ended.
    pub(super) fn add(&self, sink: Sink) -> Result<(), Sink> {
        match &mut *self.lock() {
            Some(sinks) => {
                sinks.push(sink);
                Ok(())
            }
            None => Err(sink),
        }
    }

    /// The encoder, as far as it is known, and every change.
    pub fn encoding(&self) -> watch::Receiver<Encoding> {
        self.encoding.subscribe()
    }

    /// Raw frames that did not reach the encoder since the session began.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Sink>>> {
        // The list is whole after each statement: a panic elsewhere cannot have torn it.
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn anyone_awaits_keyframe(&self) -> bool {
        // Each is asked, for each forgets what it has told.
        self.lock().iter().flatten().filter(|sink| sink.awaits_keyframe()).count() > 0
    }

    /// Gives a unit to all sinks. Returns whether there is still one; if not, the session is
    /// over.
    fn distribute(&self, unit: &Coded) -> bool {
        let mut list = self.lock();
        let Some(sinks) = &mut *list else { return false };
        sinks.retain_mut(|sink| sink.offer(unit));
        if sinks.is_empty() {
            *list = None;
        }
        list.is_some()
    }

    fn close(&self) {
        *self.lock() = None;
    }
}

struct Worker {
    session: Arc<Session>,
    rendition: Rendition,
    encoder: Option<Box<dyn Encoder>>,
    /// What that encoder does.
    effective: Option<Arc<Effective>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Also when the encoder library panics: the sinks must see their queues end.
        self.session.close();
    }
}

impl Worker {
    fn run(&mut self, mut feed: FeedReceiver) {
        if let Err(error) = self.work(&mut feed) {
            let text = format!("{error:#}");
            tracing::error!(stream = self.rendition.stream, error = text, "encoding failed");
            self.session.encoding.send_replace(Encoding::Failed(text));
        }
        tracing::debug!(stream = self.rendition.stream, "encoder closed");
    }

    fn work(&mut self, feed: &mut FeedReceiver) -> anyhow::Result<()> {
        while let Some(picture) = feed.blocking_next() {
            self.session.dropped.store(feed.dropped(), Ordering::Relaxed);
            self.encode(&picture)?;
            drop(picture);
            if !self.pass_on()? {
                return Ok(());
            }
        }
        // The stream has stopped: what is inside belongs to its recordings.
        if let Some(encoder) = &mut self.encoder {
            encoder.drain()?;
            self.pass_on()?;
        }
        Ok(())
    }

    fn encode(&mut self, picture: &Feed) -> anyhow::Result<()> {
        let Feed { serial, frame } = picture;
        let meta = frame.meta();
        let tag = FrameTag {
            serial: *serial,
            capture_ns: meta.capture_ns,
            // Recordings of one stream, and all that the daemon says, share one clock.
            pts_ns: i64::try_from(meta.capture_ns).unwrap_or(i64::MAX),
            duration_ns: meta.duration.or(frame.format().rate.interval_ns()),
        };
        let force = self.session.anyone_awaits_keyframe();
        let encoder = self.encoder_for(picture)?;
        if force {
            encoder.force_keyframe();
        }
        match encoder.submit(frame, tag) {
            Err(SubmitError::Format { expected, got }) => {
                tracing::info!(
                    stream = self.rendition.stream,
                    expected,
                    got,
                    "format changed: opening another encoder"
                );
                // What is still inside belongs to the recordings that end here.
                if let Some(encoder) = &mut self.encoder {
                    encoder.drain()?;
                }
                self.pass_on()?;
                self.encoder = None;
                self.encoder_for(picture)?.submit(frame, tag)?;
                Ok(())
            }
            submitted => Ok(submitted?),
        }
    }

    fn encoder_for(&mut self, picture: &Feed) -> anyhow::Result<&mut Box<dyn Encoder>> {
        let encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => {
                let encoder = open_encoder(picture.frame.format(), &self.rendition.config, &Choice::default())?;
                let effective = Arc::new(encoder.effective().clone());
                self.effective = Some(Arc::clone(&effective));
                self.session.encoding.send_replace(Encoding::Open(effective));
                encoder
            }
        };
        Ok(self.encoder.insert(encoder))
    }

    /// Passes on what has come out. Returns whether anybody is left.
    fn pass_on(&mut self) -> anyhow::Result<bool> {
        let (Some(encoder), Some(effective)) = (&mut self.encoder, &self.effective) else { return Ok(true) };
        loop {
            match encoder.receive()? {
                Output::Done(unit) => {
                    if !self.session.distribute(&Coded { unit, encoder: Arc::clone(effective) }) {
                        return Ok(false);
                    }
                }
                Output::Lost(tag, loss) => {
                    tracing::warn!(stream = self.rendition.stream, serial = tag.serial, %loss, "a picture was not encoded");
                }
                Output::Pending | Output::Drained => return Ok(true),
            }
        }
    }
}
