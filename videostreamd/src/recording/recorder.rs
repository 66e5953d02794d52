// SPDX-License-Identifier: Apache-2.0
//! Which access unit goes into which file.

use std::fs::File;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use vs_codec::AccessUnit;
use vs_mux::mp4::WriteError;

use super::closing::{Closing, closed};
use super::end::{End, kept, wants_another_file};
use super::movie::{Finished, Movie, wall_clock};
use super::progress::Ledger;
use super::writer::Job;
use super::{Counts, EndReason, Files, Summary};
use crate::rendition::{Coded, Encoding, SinkReceiver};

/// A stream that stands still must not keep frames back: what has waited this long goes to
/// the file. The fragment length that the container uses by itself while frames come.
const IDLE_FLUSH: Duration = Duration::from_millis(100);

/// How long after its limit a recording ends for which no pictures come: as long as some may
/// still be in the encoder.
const LIMIT_GRACE: Duration = Duration::from_secs(1);

/// How often it is looked whether there is room to go on: what a camera fills in between is little beside any floor
/// of free space.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Recorder {
    job: Job,
    files: Box<dyn Files>,
    /// A file that waits for a keyframe.
    spare: Option<File>,
    /// The file that is written; none before the first frame, and before a keyframe in another format.
    movie: Option<Movie>,
    /// The file before it.
    closing: Option<Closing>,
    /// Dropped frames that a file has been charged with.
    charged: u64,
    /// What the files hold that are complete.
    complete: Counts,
    /// Whether they are all as they should be.
    progressive: bool,
    /// A keyframe has been asked for, to begin the next file with.
    asked: bool,
    /// When the first picture was taken that limits count from, in ns of its own clock, and when it came.
    first: Option<(i64, Instant)>,
    /// Frames from before the recording was asked for, which no limit counts.
    past: u64,
    begun: Option<oneshot::Sender<()>>,
    ledger: watch::Sender<Ledger>,
}

impl Recorder {
    /// Nothing is recorded yet. `past` is what comes first, from before somebody asked for it.
    pub(super) fn new<'a>(
        job: Job,
        files: Box<dyn Files>,
        past: impl ExactSizeIterator<Item = &'a Coded>,
        begun: oneshot::Sender<()>,
        ledger: watch::Sender<Ledger>,
    ) -> Self {
        let frames = past.len() as u64;
        let newest = past.map(|coded| coded.unit.tag.pts_ns).max();
        Self {
            job,
            files,
            spare: None,
            movie: None,
            closing: None,
            charged: 0,
            complete: Counts::default(),
            progressive: true,
            asked: false,
            first: newest.map(|pts_ns| (pts_ns, Instant::now())),
            past: frames,
            begun: Some(begun),
            ledger,
        }
    }

    pub(super) async fn run(mut self, mut units: SinkReceiver, mut stop: watch::Receiver<bool>) -> Summary {
        let end = self.record(&mut units, &mut stop).await;
        // The queue ends here: the session shall not work for a finished file.
        drop(units);
        self.end(end).await
    }

    async fn record(&mut self, units: &mut SinkReceiver, stop: &mut watch::Receiver<bool>) -> End {
        let mut room = interval(ROOM_INTERVAL);
        room.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                biased;
                // A dropped handle is a wish to stop, too.
                _ = stop.wait_for(|stop| *stop) => Err(self.take_rest(units).await),
                finished = closed(&mut self.closing) => {
                    self.settle(finished);
                    Ok(())
                }
                _ = room.tick(), if self.movie.is_some() => self.make_room(),
                unit = units.next() => match unit {
                    Some(coded) => self.take(&coded, units).await,
                    None => Err(self.stream_ended()),
                },
                () = sleep(IDLE_FLUSH) => self.idle().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Takes what has been encoded before the end was asked for: with `pre` that may be seconds.
    async fn take_rest(&mut self, units: &mut SinkReceiver) -> End {
        for _ in 0..units.waiting() {
            let Some(coded) = units.try_next() else { break };
            if let Err(end) = self.take(&coded, units).await {
                return end;
            }
        }
        EndReason::Stopped.into()
    }

    fn stream_ended(&self) -> End {
        match &*self.job.progress.session().encoding().borrow() {
            Encoding::Failed(text) => End { reason: EndReason::Failed, error: Some(anyhow::Error::msg(text.clone())) },
            Encoding::Opening | Encoding::Open(_) => EndReason::StreamStopped.into(),
        }
    }

    fn make_room(&mut self) -> Result<(), End> {
        let room = self.files.make_room();
        room.map_err(|error| End { reason: EndReason::DiskFull, error: Some(error) })
    }

    async fn idle(&mut self) -> Result<(), End> {
        match self.movie.as_mut().map_or(Ok(()), Movie::flush) {
            Err(error) if wants_another_file(&error) => self.leave(SystemTime::now(), error).await?,
            flushed => flushed?,
        }
        if self.is_over() { Err(EndReason::Limit.into()) } else { Ok(()) }
    }

    /// A recording of 5 s holds the frames of [0 s, 5 s).
    fn is_beyond_limit(&mut self, unit: &AccessUnit) -> bool {
        let (first, _) = *self.first.get_or_insert_with(|| (unit.tag.pts_ns, Instant::now()));
        let elapsed_ns = u64::try_from(unit.tag.pts_ns.saturating_sub(first)).unwrap_or(0);
        self.job.options.duration_ns.is_some_and(|duration_ns| elapsed_ns >= duration_ns)
    }

    /// Whether the time is over although nothing came that would be beyond it: a camera that is
    /// unplugged must not prolong a recording of 5 s for ever.
    fn is_over(&self) -> bool {
        let limit = self.job.options.duration_ns.map(|ns| Duration::from_nanos(ns).saturating_add(LIMIT_GRACE));
        self.first.zip(limit).is_some_and(|((_, at), limit)| at.elapsed() > limit)
    }

    async fn take(&mut self, coded: &Coded, units: &SinkReceiver) -> Result<(), End> {
        let unit = &coded.unit;
        if self.is_beyond_limit(unit) {
            return Err(EndReason::Limit.into());
        }
        if self.is_due(unit) {
            if unit.keyframe {
                self.cut(unit)?;
            } else {
                self.ask_for_keyframe(units);
            }
        }
        loop {
            if self.movie.is_none() && unit.keyframe {
                self.begin(coded)?;
            }
            match self.write(unit) {
                Ok(()) => break,
                // Nothing of it could be shown.
                Err(WriteError::NoKeyframe) => {
                    self.job.progress.lose(1);
                    self.ask_for_keyframe(units);
                    break;
                }
                Err(error) if wants_another_file(&error) => self.leave(wall_clock(unit), error).await?,
                Err(error) => return Err(error.into()),
            }
        }
        let (counts, limit) = (self.show(), self.job.options.frames);
        if limit.is_some_and(|frames| counts.frames >= frames.saturating_add(self.past)) {
            Err(EndReason::Limit.into())
        } else {
            Ok(())
        }
    }

    /// Whether this access unit belongs into the next file, and that can begin.
    fn is_due(&self, unit: &AccessUnit) -> bool {
        let full = |segment| self.movie.as_ref().is_some_and(|movie| movie.is_full(segment, unit.tag.pts_ns));
        self.closing.is_none() && self.job.options.segment.is_some_and(full)
    }

    /// Once for each file: it comes for all who share the encoder.
    fn ask_for_keyframe(&mut self, units: &SinkReceiver) {
        if !self.asked {
            self.asked = true;
            units.request_keyframe();
        }
    }

    /// Ends the file in front of a keyframe, if there is another one to go on in.
    fn cut(&mut self, unit: &AccessUnit) -> Result<(), End> {
        self.spare = self.files.next(wall_clock(unit))?;
        if self.spare.is_some() {
            self.close();
        }
        Ok(())
    }

    /// Ends the file that can take no more, for what `error` says. Whoever comes with a keyframe begins the next one.
    async fn leave(&mut self, begins: SystemTime, error: WriteError) -> Result<(), End> {
        if self.movie.as_ref().is_some_and(|movie| movie.counts().frames > 0) {
            self.spare = self.files.next(begins)?;
        }
        if self.spare.is_none() {
            let format = matches!(error, WriteError::ParameterSetsChanged);
            return Err(if format { EndReason::FormatChanged.into() } else { error.into() });
        }
        if self.closing.is_some() {
            let finished = closed(&mut self.closing).await;
            self.settle(finished);
        }
        self.close();
        self.asked = false;
        Ok(())
    }

    fn begin(&mut self, first: &Coded) -> Result<(), End> {
        let file = match self.spare.take() {
            Some(file) => Some(file),
            None => self.files.next(wall_clock(&first.unit))?,
        };
        let file = file.context("there is no file to record into")?;
        let begun = self.ledger.borrow().begun;
        if begun == 0 {
            self.job.progress.begin();
        }
        self.movie = Some(Movie::new(file, begun + 1, self.files.name(), &self.job.form, first)?);
        self.asked = false;
        Ok(())
    }

    fn write(&mut self, unit: &AccessUnit) -> Result<(), WriteError> {
        let Some(movie) = &mut self.movie else { return Err(WriteError::NoKeyframe) };
        let empty = movie.counts().frames == 0;
        movie.write(unit)?;
        if empty && movie.counts().frames > 0 {
            let (number, name) = (movie.number, movie.name.clone());
            tracing::debug!(stream = self.job.stream, number, name, "recording into a new file");
            self.ledger.send_modify(|ledger| (ledger.begun, ledger.name) = (number, name));
        }
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(());
        }
        Ok(())
    }

    /// Lets the file be finished on the helper thread, which must be idle.
    fn close(&mut self) {
        let dropped = self.dropped_now();
        let Some(movie) = self.movie.take() else { return };
        self.closing = Some(Closing::start(movie, dropped));
    }

    /// Frames dropped that no file has been charged with; this one is.
    fn dropped_now(&mut self) -> u64 {
        let total = self.job.progress.dropped();
        total.saturating_sub(std::mem::replace(&mut self.charged, total))
    }

    /// Takes over what became of a file, and says what is wrong with it.
    fn settle(&mut self, finished: Finished) -> Option<anyhow::Error> {
        let Finished { entry, lost, failure } = finished;
        self.job.progress.lose(lost);
        self.charged += lost;
        self.complete = self.complete + entry.part.counts;
        self.progressive &= entry.part.progressive;
        self.files.finished(&entry.part);
        let Counts { frames, bytes, dropped, .. } = entry.part.counts;
        let (stream, number, name) = (&self.job.stream, entry.number, &entry.name);
        match &failure {
            None => tracing::debug!(stream, number, name, frames, bytes, dropped, "file finished"),
            Some(error) => tracing::warn!(stream, number, name, error = format!("{error:#}"), "file not finished"),
        }
        // One without a frame has never begun.
        if frames > 0 {
            self.ledger.send_modify(|ledger| ledger.finish(entry));
        }
        self.show();
        failure
    }

    /// Brings what others see up to date.
    fn show(&self) -> Counts {
        let closing = self.closing.as_ref().map(|closing| closing.so_far().part.counts).unwrap_or_default();
        let movie = self.movie.as_ref().map(Movie::counts).unwrap_or_default();
        let counts = self.complete + closing + movie;
        self.job.progress.show(counts);
        counts
    }

    async fn end(mut self, End { mut reason, mut error }: End) -> Summary {
        if self.closing.is_some() {
            let finished = closed(&mut self.closing).await;
            self.settle(finished);
        }
        let dropped = self.dropped_now();
        if let Some(movie) = self.movie.take()
            && let Some(failure) = self.settle(movie.finish(dropped))
            && error.is_none()
        {
            End { reason, error } = failure.into();
        }
        let counts = Counts { dropped: self.job.progress.dropped(), ..self.complete };
        let error = error.map(|error| format!("{error:#}{}", kept(&counts))).unwrap_or_default();
        let Counts { frames, bytes, dropped, .. } = counts;
        let (stream, segments) = (&self.job.stream, self.ledger.borrow().begun);
        tracing::info!(stream, reason = reason.name(), error, segments, frames, bytes, dropped, "recording ended");
        let progressive = self.progressive && segments > 0;
        Summary { reason, error, counts, segments, progressive }
    }
}
