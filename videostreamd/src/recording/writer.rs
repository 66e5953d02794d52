// SPDX-License-Identifier: Apache-2.0
//! The thread that writes one file.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use tokio::sync::{oneshot, watch};
use vs_codec::AccessUnit;
use vs_frame::FourCc;
use vs_mux::mp4::{self, FileSink, Mp4Writer, Options, Rotation, TrackConfig, WriteError};
use vs_mux::{Codec, Colour};

use super::{Counts, EndReason, Files, Progress, RecordOptions, Summary};
use crate::rendition::{Coded, Encoding, Session, SinkReceiver};

/// A stream that stands still must not keep frames back: what has waited this long goes to
/// the file. The fragment length that the container uses by itself while frames come.
const IDLE_FLUSH: Duration = Duration::from_millis(100);

/// How long after its limit a recording ends for which no pictures come: as long as some may
/// still be in the encoder.
const LIMIT_GRACE: Duration = Duration::from_secs(1);

/// What the thread needs to know.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) session: Arc<Session>,
    pub(super) progress: Arc<Progress>,
    pub(super) codec: FourCc,
    pub(super) options: RecordOptions,
}

/// What it tells.
pub(super) struct Started {
    /// When the first frame is in; dropped if it never is.
    pub(super) begun: oneshot::Receiver<()>,
    /// At the end.
    pub(super) summary: watch::Receiver<Option<Summary>>,
}

pub(super) fn start(
    job: Job,
    files: Box<dyn Files>,
    units: SinkReceiver,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Started> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (begun_sender, begun) = oneshot::channel();
    let (summary_sender, summary) = watch::channel(None);
    let name = format!("rec-{}", job.name);
    std::thread::Builder::new()
        .name(name)
        .spawn(move || {
            let newest = units.past().map(|coded| coded.unit.tag.pts_ns).max();
            let (first, past) = (newest.map(|pts_ns| (pts_ns, Instant::now())), units.past().len() as u64);
            let recorder = Recorder { job, writer: None, first, past, begun: Some(begun_sender) };
            let summary = runtime.block_on(recorder.run(files, units, stop));
            summary_sender.send_replace(Some(summary));
        })
        .context("cannot start a thread for the recording")?;
    Ok(Started { begun, summary })
}

struct Recorder {
    job: Job,
    writer: Option<Mp4Writer<FileSink>>,
    /// When the first picture was taken that limits count from, in ns of its own clock, and when it came.
    first: Option<(i64, Instant)>,
    /// Frames from before the recording was asked for, which no limit counts.
    past: u64,
    begun: Option<oneshot::Sender<()>>,
}

/// Why the loop ended, with the error if there was one.
type End = (EndReason, Option<anyhow::Error>);

impl Recorder {
    async fn run(mut self, files: Box<dyn Files>, mut units: SinkReceiver, mut stop: watch::Receiver<bool>) -> Summary {
        let end = self.record(files, &mut units, &mut stop).await;
        // The queue ends here: the session shall not work for a finished file.
        drop(units);
        self.finish(end)
    }

    async fn record(
        &mut self,
        mut files: Box<dyn Files>,
        units: &mut SinkReceiver,
        stop: &mut watch::Receiver<bool>,
    ) -> End {
        loop {
            let unit = tokio::select! {
                biased;
                // A dropped handle is a wish to stop, too.
                _ = stop.wait_for(|stop| *stop) => return (EndReason::Stopped, None),
                unit = units.next() => unit,
                () = tokio::time::sleep(IDLE_FLUSH) => {
                    if let Some(Err(error)) = self.writer.as_mut().map(Mp4Writer::flush) {
                        return (EndReason::Failed, Some(error.into()));
                    }
                    if self.is_over() {
                        return (EndReason::Limit, None);
                    }
                    continue;
                }
            };
            let Some(Coded { unit, .. }) = unit else { return self.stream_ended() };
            if self.is_beyond_limit(&unit) {
                return (EndReason::Limit, None);
            }
            if self.writer.is_none() {
                match self.open(&mut *files) {
                    Ok(writer) => self.writer = Some(writer),
                    Err(error) => return (EndReason::Failed, Some(error)),
                }
            }
            match self.write(&unit) {
                Ok(()) => {}
                Err(WriteError::ParameterSetsChanged) => return (EndReason::FormatChanged, None),
                Err(error) => return (EndReason::Failed, Some(error.into())),
            }
            if self.job.options.frames.is_some_and(|frames| self.counts().frames >= frames.saturating_add(self.past)) {
                return (EndReason::Limit, None);
            }
        }
    }

    fn stream_ended(&self) -> End {
        match &*self.job.session.encoding().borrow() {
            Encoding::Failed(text) => (EndReason::Failed, Some(anyhow::Error::msg(text.clone()))),
            Encoding::Opening | Encoding::Open(_) => (EndReason::StreamStopped, None),
        }
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

    fn open(&self, files: &mut dyn Files) -> anyhow::Result<Mp4Writer<FileSink>> {
        let file = files.next(SystemTime::now())?.context("there is no file to record into")?;
        let file = FileSink::new(file).context("cannot record into this file")?;
        let codec = match self.job.codec {
            FourCc::H264 => Codec::H264,
            FourCc::HEVC => Codec::H265,
            other => anyhow::bail!("{other} cannot be written to MP4: use h264"),
        };
        let mut track = TrackConfig::new(codec);
        if let Encoding::Open(effective) = &*self.job.session.encoding().borrow() {
            let color = effective.color.h273();
            track.colour = Some(Colour {
                primaries: color.primaries,
                transfer: color.transfer,
                matrix: color.matrix,
                full_range: color.full_range,
            });
            track.rotation = upright(effective.rotation);
        }
        Ok(Mp4Writer::new(file, track, Options::default())?)
    }

    fn write(&mut self, unit: &AccessUnit) -> Result<(), WriteError> {
        let Some(writer) = &mut self.writer else { return Err(WriteError::Stopped) };
        writer.write(&mp4::AccessUnit {
            data: &unit.data,
            pts_ns: unit.tag.pts_ns,
            dts_ns: unit.dts_ns,
            duration_ns: unit.tag.duration_ns.and_then(|ns| i64::try_from(ns).ok()),
            keyframe: unit.keyframe,
        })?;
        let stats = writer.stats();
        let progress = &self.job.progress;
        progress.frames.store(stats.frames, Ordering::Relaxed);
        progress.bytes.store(stats.bytes, Ordering::Relaxed);
        progress.duration_ns.store(u64::try_from(stats.duration_ns).unwrap_or(0), Ordering::Relaxed);
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(());
        }
        Ok(())
    }

    fn counts(&self) -> Counts {
        let progress = &self.job.progress;
        Counts {
            frames: progress.frames.load(Ordering::Relaxed),
            bytes: progress.bytes.load(Ordering::Relaxed),
            duration_ns: progress.duration_ns.load(Ordering::Relaxed),
            dropped: progress.late.load(Ordering::Relaxed) + self.job.session.dropped(),
        }
    }

    fn finish(mut self, (mut reason, error): End) -> Summary {
        let mut summary = Summary {
            reason,
            error: error.map(|error| format!("{error:#}")).unwrap_or_default(),
            counts: self.counts(),
            progressive: false,
        };
        match self.writer.take().map(Mp4Writer::finish) {
            Some(Ok(done)) => {
                summary.counts.frames = done.frames;
                summary.counts.bytes = done.bytes;
                summary.counts.duration_ns = u64::try_from(done.duration_ns).unwrap_or(0);
                summary.progressive = done.progressive;
            }
            Some(Err(error)) => {
                reason = EndReason::Failed;
                if summary.error.is_empty() {
                    summary.error = format!("{:#}", anyhow::Error::from(error));
                }
            }
            None => {}
        }
        summary.reason = reason;
        let Counts { frames, bytes, dropped, .. } = summary.counts;
        tracing::info!(
            stream = self.job.name,
            reason = reason.name(),
            error = summary.error,
            frames,
            bytes,
            dropped,
            "recording ended"
        );
        summary
    }
}

/// How players turn pictures that are to be turned counter-clockwise by so many degrees. A file
/// can only say quarters.
fn upright(degrees: u16) -> Rotation {
    match degrees {
        90 => Rotation::Clockwise270,
        180 => Rotation::Half,
        270 => Rotation::Clockwise90,
        _ => Rotation::None,
    }
}
