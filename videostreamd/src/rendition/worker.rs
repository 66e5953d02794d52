// SPDX-License-Identifier: Apache-2.0
//! The thread of a session: pictures of the stream go in, access units come out.
//!
//! It treats every encoder as hardware that answers in its own time. An encoder that fails is
//! replaced by the next one that can do the work, up to the one that is wanted most: when that comes
//! back, it gets the work again. What an encoder had inside when it failed is lost, and counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use vs_codec::{AccessUnit, Backend, BackendKind, Device, Effective, Encoder, FrameTag, Output, Priority, SubmitError};

use super::session::Wish;
use super::{Coded, Coding, Encoding, Rendition, Session};
use crate::codecs::{Codecs, Readiness};
use crate::stream::consumer::{Feed, FeedReceiver};

/// Encoders that may fail one after the other without an access unit in between: the best, its
/// reopened self, and software.
const MAX_FAILURES: u32 = 3;

/// What the thread works with.
pub(super) struct Job {
    pub(super) session: Arc<Session>,
    pub(super) rendition: Rendition,
    pub(super) codecs: Arc<Codecs>,
    pub(super) feed: FeedReceiver,
    pub(super) wishes: mpsc::Receiver<Wish>,
}

/// Starts the thread.
pub(super) fn start(job: Job) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the encoder's event loop")?;
    std::thread::Builder::new()
        .name(format!("enc-{}", job.rendition.stream))
        .spawn(move || {
            let Job { session, rendition, codecs, mut feed, mut wishes } = job;
            let devices = codecs.changes();
            let mut worker = Worker {
                session,
                rendition,
                codecs,
                devices,
                running: None,
                waiting: None,
                ending: false,
                failures: 0,
                losing: 0,
            };
            runtime.block_on(worker.run(&mut feed, &mut wishes));
        })
        .context("cannot start a thread for the encoder")?;
    Ok(())
}

struct Worker {
    session: Arc<Session>,
    rendition: Rendition,
    codecs: Arc<Codecs>,
    /// Tells that a device has come or gone.
    devices: watch::Receiver<u64>,
    running: Option<Running>,
    /// A picture that the encoder could not take yet.
    waiting: Option<Feed>,
    /// The stream has stopped: what is inside belongs to its recordings.
    ending: bool,
    failures: u32,
    /// Pictures lost in a row.
    losing: u64,
}

/// An encoder at work.
struct Running {
    encoder: Box<dyn Encoder>,
    effective: Arc<Effective>,
    readiness: Readiness,
    /// Pictures that it has taken and not answered.
    inside: u64,
    /// The devices that there were when it was chosen.
    known: BTreeSet<String>,
    /// It is being emptied, for another one takes its place.
    leaves: bool,
}

/// Whether the session goes on.
type Goes = anyhow::Result<bool>;

enum Wake {
    Ready,
    Picture(Option<Feed>),
    Wish(Option<Wish>),
    Devices,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Also when the encoder library panics: the sinks must see their queues end.
        self.session.close();
    }
}

impl Worker {
    async fn run(&mut self, feed: &mut FeedReceiver, wishes: &mut mpsc::Receiver<Wish>) {
        if let Err(error) = self.work(feed, wishes).await {
            let text = format!("{error:#}");
            // Whoever wanted it says so, once, however often it is tried again.
            tracing::debug!(stream = self.rendition.stream, error = text, "encoding failed");
            self.session.encoding.send_replace(Encoding::Failed(text));
        }
        tracing::debug!(stream = self.rendition.stream, "encoder closed");
    }

    async fn work(&mut self, feed: &mut FeedReceiver, wishes: &mut mpsc::Receiver<Wish>) -> anyhow::Result<()> {
        loop {
            let hungry = self.waiting.is_none() && !self.ending;
            let wake = tokio::select! {
                biased;
                () = ready(self.running.as_ref()) => Wake::Ready,
                Ok(()) = self.devices.changed() => Wake::Devices,
                Some(wish) = wishes.recv() => Wake::Wish(Some(wish)),
                picture = feed.next(), if hungry => Wake::Picture(picture),
            };
            self.session.overrun.store(feed.dropped(), Ordering::Relaxed);
            match wake {
                Wake::Ready => {}
                Wake::Devices => self.return_to_hardware(),
                Wake::Wish(wish) => self.grant(wish),
                Wake::Picture(Some(picture)) => {
                    if !self.session.is_wanted() {
                        return Ok(());
                    }
                    self.waiting = Some(picture);
                }
                Wake::Picture(None) => self.end(),
            }
            if !self.turn()? {
                return Ok(());
            }
        }
    }

    /// Does what can be done now.
    fn turn(&mut self) -> Goes {
        loop {
            if !self.pass_on()? {
                return Ok(false);
            }
            let Some(picture) = self.waiting.take() else { break };
            if !self.submit(picture)? {
                break;
            }
        }
        // Nothing is left inside.
        Ok(!(self.ending && self.running.is_none() && self.waiting.is_none()))
    }

    fn end(&mut self) {
        self.ending = true;
        self.replace();
    }

    /// Empties the encoder, to close it then.
    fn replace(&mut self) {
        let Some(running) = &mut self.running else { return };
        if !running.leaves {
            running.leaves = true;
            if let Err(error) = running.encoder.drain() {
                self.give_up(&error);
            }
        }
    }

    /// Offers a picture to the encoder. Returns whether it is out of hand; else it waits.
    fn submit(&mut self, picture: Feed) -> anyhow::Result<bool> {
        let Feed { serial, frame } = &picture;
        let meta = frame.meta();
        let tag = FrameTag {
            serial: *serial,
            capture_ns: meta.capture_ns,
            // Recordings of one stream, and all that the daemon says, share one clock.
            pts_ns: i64::try_from(meta.capture_ns).unwrap_or(i64::MAX),
            duration_ns: meta.duration.or(frame.format().rate.interval_ns()),
        };
        let running = self.encoder_for(&picture)?;
        if running.leaves {
            self.waiting = Some(picture);
            return Ok(false);
        }
        match running.encoder.submit(frame, tag) {
            Ok(()) => {
                running.inside += 1;
                Ok(true)
            }
            Err(SubmitError::Full | SubmitError::Draining) => {
                self.waiting = Some(picture);
                Ok(false)
            }
            Err(SubmitError::Format { expected, got }) => {
                let stream = &self.rendition.stream;
                tracing::info!(stream, expected, got, "format changed: opening another encoder");
                self.waiting = Some(picture);
                self.replace();
                Ok(true)
            }
            Err(SubmitError::Backend(error)) => {
                self.waiting = Some(picture);
                self.fail(&error)?;
                Ok(true)
            }
            Err(error @ (SubmitError::Incomplete | SubmitError::TooLong { .. } | SubmitError::Map(_))) => {
                self.lose(1, &error);
                Ok(true)
            }
        }
    }

    fn encoder_for(&mut self, picture: &Feed) -> anyhow::Result<&mut Running> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.open(picture)?,
        };
        if self.session.anyone_awaits_keyframe() {
            running.encoder.force_keyframe();
        }
        Ok(self.running.insert(running))
    }

    fn open(&self, picture: &Feed) -> anyhow::Result<Running> {
        let Coding { config, backend } = &self.rendition.coding;
        let known = self.codecs.devices().into_iter().map(|device| device.name).collect();
        let encoder = self.codecs.encoder(picture.frame.format(), config, *backend, Priority::Owner)?;
        let readiness = Readiness::of(&*encoder).context("cannot wait for the encoder")?;
        let effective = Arc::new(encoder.effective().clone());
        self.session.encoding.send_replace(Encoding::Open(Arc::clone(&effective)));
        Ok(Running { encoder, effective, readiness, known, inside: 0, leaves: false })
    }

    /// Passes on what has come out. Returns whether anybody is left.
    fn pass_on(&mut self) -> Goes {
        while let Some(running) = &mut self.running {
            match running.encoder.receive() {
                Ok(Output::Done(unit)) => {
                    running.inside = running.inside.saturating_sub(1);
                    if !self.distribute(unit) {
                        return Ok(false);
                    }
                }
                Ok(Output::Lost(_, loss)) => {
                    running.inside = running.inside.saturating_sub(1);
                    self.lose(1, &loss);
                }
                Ok(Output::Pending) => return Ok(true),
                Ok(Output::Drained) => self.running = None,
                Err(error) => self.fail(&error)?,
            }
        }
        Ok(true)
    }

    fn distribute(&mut self, unit: AccessUnit) -> bool {
        self.failures = 0;
        let lost = std::mem::take(&mut self.losing);
        if lost > 0 {
            tracing::info!(stream = self.rendition.stream, lost, "pictures are encoded again");
        }
        let Some(running) = &mut self.running else { return true };
        // Hardware tells its parameter sets with the first of them.
        if unit.keyframe && *running.effective != *running.encoder.effective() {
            running.effective = Arc::new(running.encoder.effective().clone());
            self.session.encoding.send_replace(Encoding::Open(Arc::clone(&running.effective)));
        }
        self.session.distribute(&Coded { unit, encoder: Arc::clone(&running.effective) })
    }

    /// The encoder is done for: another one takes its place with the next picture.
    fn fail(&mut self, error: &vs_codec::BackendError) -> anyhow::Result<()> {
        self.failures += 1;
        anyhow::ensure!(self.failures < MAX_FAILURES, "{error}; it was the last of {MAX_FAILURES} attempts");
        self.give_up(error);
        Ok(())
    }

    fn give_up(&mut self, error: &vs_codec::BackendError) {
        let Some(running) = self.running.take() else { return };
        let stream = &self.rendition.stream;
        tracing::warn!(stream, encoder = running.effective.name, %error, "an encoder failed: opening another one");
        if running.inside > 0 {
            self.lose(running.inside, error);
        }
    }

    /// Counts pictures of which nothing has come.
    fn lose(&mut self, pictures: u64, cause: &dyn std::fmt::Display) {
        if self.losing == 0 {
            tracing::warn!(stream = self.rendition.stream, %cause, "pictures are not encoded");
        }
        self.losing += pictures;
        self.session.lost.fetch_add(pictures, Ordering::Relaxed);
    }

    /// Gives the work back to hardware that was missing when the encoder was opened. A recording
    /// goes on with what it began with, for its file can hold no other stream.
    fn return_to_hardware(&mut self) {
        let Some(running) = &self.running else { return };
        let Coding { config, backend } = &self.rendition.coding;
        let stands_in = running.effective.backend == BackendKind::Software && *backend == Backend::Auto;
        let new = |device: &Device| {
            let encodes = device.function.formats.iter().any(|format| format.fourcc == config.codec);
            encodes && !running.known.contains(&device.name)
        };
        if stands_in && self.session.all_flexible() && self.codecs.devices().iter().any(new) {
            tracing::info!(stream = self.rendition.stream, "there is hardware again: it gets the work");
            self.replace();
        }
    }

    fn grant(&mut self, wish: Option<Wish>) {
        let Some(Wish { changes, done }) = wish else { return };
        let changed = match &mut self.running {
            Some(running) => running.encoder.reconfigure(&changes).map_err(|error| error.to_string()),
            None => Ok(()),
        };
        if changed.is_ok() {
            // Also for an encoder that takes its place.
            self.rendition.coding.change(&changes);
            if let Some(running) = &mut self.running {
                running.effective = Arc::new(running.encoder.effective().clone());
                self.session.encoding.send_replace(Encoding::Open(Arc::clone(&running.effective)));
            }
        }
        // Whoever does not wait for the answer does not need it.
        let _ = done.send(changed);
    }
}

async fn ready(running: Option<&Running>) {
    match running {
        Some(running) => running.readiness.wait(running.encoder.deadline()).await,
        None => std::future::pending().await,
    }
}
