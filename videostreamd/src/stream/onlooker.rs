// SPDX-License-Identifier: Apache-2.0
//! How somebody inside the daemon gets a single picture.
//!
//! An [`Onlooker`] is a user of the stream: while it is there the source is open. It is told of each picture, and holds none; it
//! asks for one when it can deal with it at once, and gets the newest, or else the next. So however many look on, no
//! buffer waits for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use vs_frame::clock::{NS_PER_MS, monotonic_ns};
use vs_frame::{Format, Frame};

use super::consumer::Feed;
use super::handle::{HandleError, StreamHandle};

/// Pictures older than two frame intervals are not the newest any more: the next one is late. This much is
/// allowed at least, for timers and threads of a busy machine come a little late, too.
const MAX_AGE_NS: u64 = 20 * NS_PER_MS;

/// The same for streams that do not know their rate: some ten pictures a second are expected of anything live.
const MAX_AGE_UNKNOWN_NS: u64 = 200 * NS_PER_MS;

/// What is told of a stream's pictures.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// When the first picture since the source was opened, or had an outage, was taken, in ns of `CLOCK_MONOTONIC`.
    pub since_ns: Option<u64>,
    /// The newest one; `None` before the first.
    pub newest: Option<Glimpse>,
}

/// A picture that was published.
#[derive(Debug, Clone)]
pub struct Glimpse {
    /// Its serial in the stream.
    pub serial: u64,
    /// When it was taken, or if nobody knows, published; in ns of `CLOCK_MONOTONIC`.
    pub taken_ns: u64,
    /// When it was published.
    pub published_ns: u64,
    /// Its format.
    pub format: Arc<Format>,
}

impl Glimpse {
    fn new(serial: u64, frame: &Frame, published_ns: u64) -> Self {
        Self { serial, taken_ns: taken_ns(frame, published_ns), published_ns, format: Arc::clone(frame.format()) }
    }

    /// Until when it is the newest, unless another one comes; in ns of `CLOCK_MONOTONIC`.
    fn fresh_until_ns(&self) -> u64 {
        let interval_ns = self.format.rate.interval_ns();
        let age_ns = interval_ns.map_or(MAX_AGE_UNKNOWN_NS, |ns| ns.saturating_mul(2).max(MAX_AGE_NS));
        self.published_ns.saturating_add(age_ns)
    }

    /// Whether it may be given out as the newest, to somebody who wants none from before `not_before_ns`.
    fn serves(&self, not_before_ns: u64) -> bool {
        self.taken_ns >= not_before_ns && monotonic_ns() <= self.fresh_until_ns()
    }

    /// How long to wait for another one before something is amiss.
    pub fn patience(&self) -> Duration {
        Duration::from_nanos(self.fresh_until_ns().saturating_sub(self.published_ns))
    }
}

/// When the picture of a frame was taken; `otherwise` if its source did not know, or has a clock of its own.
pub fn taken_ns(frame: &Frame, otherwise: u64) -> u64 {
    let capture_ns = frame.meta().capture_ns;
    if capture_ns == 0 || capture_ns > otherwise { otherwise } else { capture_ns }
}

/// A wish for a picture.
#[derive(Debug)]
pub struct Look {
    /// None that was taken before, in ns of `CLOCK_MONOTONIC`.
    pub not_before_ns: u64,
    reply: oneshot::Sender<Feed>,
}

/// Somebody who looks at single pictures.
#[derive(Debug)]
pub struct Onlooker {
    stream: Arc<StreamHandle>,
    seen: watch::Receiver<Seen>,
}

impl Onlooker {
    /// From now on, `stream` has one user more.
    pub async fn of(stream: &Arc<StreamHandle>) -> Result<Self, HandleError> {
        let (told, seen) = watch::channel(Seen::default());
        stream.look_on(told).await?;
        Ok(Self { stream: Arc::clone(stream), seen })
    }

    /// Waits until the source has delivered; since when it does, in ns of `CLOCK_MONOTONIC`. Safe to cancel.
    pub async fn since(&mut self) -> Result<u64, HandleError> {
        let seen = self.seen.wait_for(|seen| seen.since_ns.is_some()).await;
        seen.map_err(|_| HandleError::Stopped)?.since_ns.ok_or(HandleError::Stopped)
    }

    /// Waits until there is a fresh picture that was not taken before `not_before_ns`. Safe to cancel.
    pub async fn picture_since(&mut self, not_before_ns: u64) -> Result<Glimpse, HandleError> {
        let serves = |seen: &Seen| seen.newest.as_ref().is_some_and(|newest| newest.serves(not_before_ns));
        let seen = self.seen.wait_for(serves).await.map_err(|_| HandleError::Stopped)?;
        seen.newest.clone().ok_or(HandleError::Stopped)
    }

    /// Takes a fresh picture that was not taken before `not_before_ns`; `None` if none comes within `patience`.
    pub async fn look(&self, not_before_ns: u64, patience: Duration) -> Result<Option<Feed>, HandleError> {
        let (reply, answer) = oneshot::channel();
        self.stream.look(Look { not_before_ns, reply }).await?;
        match tokio::time::timeout(patience, answer).await {
            Ok(feed) => feed.map(Some).map_err(|_| HandleError::Stopped),
            Err(_) => Ok(None),
        }
    }
}

/// The stream's side: all who look on.
#[derive(Debug, Default)]
pub struct Onlookers {
    seen: Seen,
    told: Vec<watch::Sender<Seen>>,
    looks: Vec<Look>,
}

impl Onlookers {
    /// One more.
    pub fn add(&mut self, told: watch::Sender<Seen>) {
        self.told.retain(|told| !told.is_closed());
        told.send_replace(self.seen.clone());
        self.told.push(told);
    }

    /// Whether there are any.
    pub fn are_there(&self) -> bool {
        self.told.iter().any(|told| !told.is_closed())
    }

    /// Gives somebody the newest picture, if it is there and good enough, or else the next that is.
    pub fn on_look(&mut self, look: Look, newest: Option<&Frame>) {
        let known = self.seen.newest.as_ref().filter(|newest| newest.serves(look.not_before_ns));
        match known.zip(newest) {
            // Whoever has gone meanwhile needs none.
            Some((known, frame)) => drop(look.reply.send(Feed { serial: known.serial, frame: frame.clone() })),
            None => self.looks.push(look),
        }
    }

    /// A picture has been published.
    pub fn on_frame(&mut self, serial: u64, frame: &Frame) {
        let glimpse = Glimpse::new(serial, frame, monotonic_ns());
        let taken_ns = glimpse.taken_ns;
        self.seen.since_ns.get_or_insert(taken_ns);
        self.seen.newest = Some(glimpse);
        for look in self.looks.extract_if(.., |look| look.not_before_ns <= taken_ns || look.reply.is_closed()) {
            let _ = look.reply.send(Feed { serial, frame: frame.clone() });
        }
        self.tell();
    }

    /// No pictures come at present; those that come later are the first of a new beginning.
    pub fn on_outage(&mut self) {
        if self.seen.since_ns.is_some() {
            self.seen = Seen::default();
            self.tell();
        }
    }

    /// The stream is over: nobody gets anything any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn tell(&mut self) {
        if self.told.is_empty() {
            return;
        }
        self.told.retain(|told| told.send(self.seen.clone()).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use vs_frame::{CpuMemory, CpuPool, FourCc, FrameMeta, Rate};

    use super::*;

    fn pool() -> CpuPool {
        let format = Format::packed(FourCc::GREY, 16, 16, Rate::fps(10)).unwrap();
        CpuPool::new(Arc::new(format), CpuMemory::Memfd, 1, 8).unwrap()
    }

    fn frame(pool: &CpuPool, capture_ns: u64) -> Frame {
        let meta = FrameMeta { capture_ns, ..FrameMeta::default() };
        pool.acquire().unwrap().unwrap().finish(meta).unwrap()
    }

    fn look(not_before_ns: u64) -> (Look, oneshot::Receiver<Feed>) {
        let (reply, answer) = oneshot::channel();
        (Look { not_before_ns, reply }, answer)
    }

    #[test]
    fn the_newest_serves_while_it_is_fresh_and_else_the_next() {
        let (pool, mut onlookers) = (pool(), Onlookers::default());
        let now_ns = monotonic_ns();
        let first = frame(&pool, now_ns);
        onlookers.on_frame(7, &first);
        let (at_once, mut answer) = look(0);
        onlookers.on_look(at_once, Some(&first));
        assert_eq!(answer.try_recv().unwrap().serial, 7);
        // Too early a picture, one that is not there any more, and one that is stale.
        let stale_ns = Duration::from_millis(1000).as_nanos() as u64;
        for (not_before_ns, newest, age_ns) in
            [(now_ns + 1, Some(&first), 0), (0, None, 0), (0, Some(&first), stale_ns)]
        {
            let mut aged = Glimpse::new(7, &first, now_ns);
            aged.published_ns -= age_ns;
            onlookers.seen.newest = Some(aged);
            let (later, mut answer) = look(not_before_ns);
            onlookers.on_look(later, newest);
            assert!(answer.try_recv().is_err());
            onlookers.on_frame(8, &frame(&pool, monotonic_ns()));
            assert_eq!(answer.try_recv().unwrap().serial, 8);
        }
    }

    #[test]
    fn nobody_who_has_gone_holds_a_picture() {
        let (pool, mut onlookers) = (pool(), Onlookers::default());
        let (told, seen) = watch::channel(Seen::default());
        onlookers.add(told);
        let (gone, answer) = look(0);
        onlookers.on_look(gone, None);
        drop(answer);
        assert!(onlookers.are_there());
        onlookers.on_frame(1, &frame(&pool, 0));
        assert!(onlookers.looks.is_empty() && seen.borrow().since_ns.is_some());
        onlookers.on_outage();
        assert!(seen.borrow().since_ns.is_none() && seen.borrow().newest.is_none());
        drop(seen);
        assert!(!onlookers.are_there());
        let slots: Vec<_> = std::iter::from_fn(|| pool.acquire().unwrap()).collect();
        assert_eq!(slots.len(), 8, "a frame is still held");
    }
}
