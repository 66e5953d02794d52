// SPDX-License-Identifier: Apache-2.0
//! `vsctl record`

pub mod output_file;
mod series;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use tokio::time::{MissedTickBehavior, interval, timeout};
use vsclient::dbus::{
    Bus, CallError, Daemon, Progress, RecordOptions, RecordingProxy, StartOptions, Summary, recording_number,
};

use self::output_file::OutputFile;
use self::series::{Names, Series};
use super::coding::Coding;
use crate::daemon::{self, answer};
use crate::exit::{Incomplete, Usage};
use crate::interrupt::Interrupts;
use crate::live::{Live, REFRESH};
use crate::output::Output;
use crate::report::encoder::Encoder;
use crate::report::recording::{Detached, Ended, FileDone};
use crate::values::Segment;
use crate::{units, values};

/// Why a recording ends whose stream has another format now: a file holds one.
const FORMAT_CHANGED: &str = "format-changed";

/// Why a recording in segments cannot be left alone.
const NOBODY_THERE: &str = "--segment needs somebody who opens the next file, and --detach leaves nobody: let the daemon do both, \
with [recording.NAME] in its configuration";

/// How a recording went.
struct Followed {
    summary: Summary,
    interrupted: bool,
    /// Its files, as far as they are finished.
    files: Vec<FileDone>,
    /// The one that was written last.
    last: PathBuf,
}

/// Record a stream into an MP4 file
///
/// Records until the limit, or until Ctrl-C, which finishes the file; a second Ctrl-C does not
/// wait for that. A stream that is stopped is started. The file plays at any moment, even if
/// everything is killed while it is written. While a camera is unplugged the recording waits; if
/// the stream comes back in another format, it goes on in OUT-2.mp4, and so on; a detached one ends.
/// When the stream is stopped it ends; that of a coded stream when what that is made from is stopped.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl record cam0 out.mp4                   until Ctrl-C
  vsctl record cam0 out.mp4 -t 5              five seconds
  vsctl record cam0 out.mp4 -f 300 -b 2.5M    300 frames at 2.5 Mbit/s
  vsctl record cam0 out.mp4 --segment 60s     out-001.mp4, out-002.mp4...
  vsctl record cam0 out.mp4 --gop 15 --backend v4l2
  vsctl record cam0 out.mp4 --pre 10s         what has just happened, and what comes
  vsctl record cam0 out.mp4 --detach          go on in the background

The exit status is 5 if a limit was given and the stream ended before it was reached.")]
pub struct Record {
    /// Name of the stream
    stream: String,

    /// File to record into
    #[arg(value_name = "OUT.mp4")]
    file: PathBuf,

    /// End after so much video
    #[arg(short = 't', long, value_name = "SECS", value_parser = values::duration)]
    duration: Option<Duration>,

    /// End after so many frames
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,

    /// Begin with what was shown up to so long ago, as far as the stream keeps it (`pre` in its configuration, or
    /// `vsctl start-stream --pre`). Limits count what comes after it
    #[arg(long, value_name = "SECS", value_parser = values::duration)]
    pre: Option<Duration>,

    /// Go on in a further file after so much video (60s) or so many bytes (100M), without losing a frame. The number of
    /// the file takes the place of %d or %03d in its name, or goes in front of its extension: out-001.mp4
    #[arg(short, long, value_name = "LENGTH", value_parser = values::segment)]
    segment: Option<Segment>,

    /// How long a frame may wait to be on the disk: what a power cut loses at most. 0 is not at all [default: 1s]
    #[arg(long, value_name = "SECS", value_parser = values::duration_or_zero)]
    sync: Option<Duration>,

    /// How much is handed to the kernel at once: what a crash of the daemon loses at most. 0 is each frame [default:
    /// 100ms]
    #[arg(long, value_name = "SECS", value_parser = values::duration_or_zero)]
    fragment: Option<Duration>,

    #[command(flatten)]
    coding: Coding,

    /// Come back at once; the daemon goes on recording
    #[arg(long)]
    detach: bool,

    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
}

impl Record {
    pub async fn run(mut self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        if self.detach && self.segment.is_some() {
            return Err(Usage(NOBODY_THERE.to_owned()).into());
        }
        let daemon = daemon::connect(bus).await?;
        ensure_running(&daemon, &self.stream, output).await?;
        let mut interrupts = Interrupts::new()?;
        self.warn_of_name(output);
        let named = if self.segment.is_some() { Names::numbered } else { Names::further };
        let (mut names, mut earlier) = (named(&self.file), Vec::new());
        loop {
            let (number, recording, file) = self.begin(&daemon, &names.take()).await?;
            let encoding = answer(daemon::call(recording.encoding())).await.unwrap_or_default();
            let pre = self.past(&recording, output).await;
            let path = file.path().display().to_string();
            if self.detach {
                let encoding = Encoder::new(&encoding);
                let stream = self.stream;
                return output.done(&Detached { recording: number, stream, file: path, state: "recording", encoding });
            }
            let series = Series::new(&mut names, self.force, file);
            let Followed { summary, interrupted, files, last } = self
                .follow(&recording, series, &mut interrupts, output)
                .await
                .with_context(|| format!("recording into {path} was cut short; the file plays up to there"))?;
            let goes_on = summary.reason == FORMAT_CHANGED && !interrupted && self.shorten(&summary);
            let shown = if self.segment.is_some() { self.file.display().to_string() } else { path };
            let mut ended = Ended::new(number, &self.stream, Some(shown), &encoding, summary);
            ended.files = files;
            ended.pre_ns = pre;
            if !goes_on {
                ended.earlier = earlier;
                return self.finish(&ended, &last, interrupted, output);
            }
            earlier.push(ended);
            output.note(&format!("the format of {} has changed: going on in a further file", self.stream));
        }
    }

    /// How long before it was asked for the recording begins, in ns. Less than was wished is said.
    async fn past(&self, recording: &RecordingProxy<'_>, output: &Output) -> u64 {
        let Some(wanted) = self.pre else { return 0 };
        let kept = answer(daemon::call(recording.pre())).await.unwrap_or_default();
        if kept < values::ns(wanted) {
            let (kept, wanted) = (units::duration(kept), units::duration(values::ns(wanted)));
            output.note(&format!("it begins {kept} before now, not {wanted}: more is not kept (`vsctl status -v`)"));
        }
        kept
    }

    /// Takes what has been recorded from the limits; whether anything is left of them.
    fn shorten(&mut self, recorded: &Summary) -> bool {
        self.duration = self.duration.map(|limit| limit.saturating_sub(Duration::from_nanos(recorded.duration)));
        self.frames = self.frames.map(|limit| limit.saturating_sub(recorded.frames));
        self.duration != Some(Duration::ZERO) && self.frames != Some(0)
    }

    /// Opens the file and hands it to the daemon.
    async fn begin(&self, daemon: &Daemon, path: &Path) -> anyhow::Result<(u64, RecordingProxy<'static>, OutputFile)> {
        let mut file = OutputFile::open(path, self.force)?;
        let manager = daemon.manager().await?;
        let options = self.options(path);
        let call = manager.record(&self.stream, file.file.as_fd().into(), &options);
        let object = match answer(daemon::call(call)).await {
            Ok(object) => object,
            Err(error) => {
                file.discard();
                return Err(error);
            }
        };
        file.keep()?;
        let number = recording_number(&object).with_context(|| format!("{object} is not the path of a recording"))?;
        Ok((number, daemon.recording(number).await?, file))
    }

    fn options(&self, path: &Path) -> RecordOptions {
        let (segment_duration, segment_bytes) = match self.segment {
            None => (None, None),
            Some(Segment::Time(time)) => (Some(values::ns(time)), None),
            Some(Segment::Bytes(bytes)) => (None, Some(bytes)),
        };
        RecordOptions {
            duration: self.duration.map(values::ns),
            frames: self.frames,
            pre: self.pre.map(values::ns),
            segment_duration,
            segment_bytes,
            fragment: self.fragment.map(values::ns),
            sync: self.sync.map(values::ns),
            title: Some(path.display().to_string()),
            coding: self.coding.options(),
            detach: self.detach.then_some(true),
        }
    }

    /// Waits for the end, or for Ctrl-C and then the end. Passes further files as they are needed, and tells of those
    /// that are finished.
    async fn follow(
        &self,
        recording: &RecordingProxy<'_>,
        mut series: Series<'_>,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> anyhow::Result<Followed> {
        let live = self.live(output);
        let (mut ticks, mut files, mut interrupted) = (interval(REFRESH), Vec::new(), false);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let segmented = self.segment.is_some();
        let mut finished = recording.receive_file_finished().await?;
        let mut begun = recording.receive_segments_changed().await;
        if segmented {
            series.pass_spare(recording, output).await;
        }
        let mut end = std::pin::pin!(daemon::call(recording.wait()));
        let mut stop = std::pin::pin!(OptionFuture::from(None));
        let summary = loop {
            tokio::select! {
                // What has been said before the end comes before it.
                biased;
                Some(signal) = finished.next() => {
                    let told = signal.args()?;
                    series.begun(*told.number(), output);
                    let done = FileDone::new(*told.number(), series.finished(), told.file());
                    self.file_done(done, &mut files, &live, output);
                }
                Some(change) = begun.next(), if segmented => {
                    let number = change.get().await?;
                    if series.begun(number, output) {
                        series.pass_spare(recording, output).await;
                    }
                }
                summary = &mut end => break summary?,
                Some(summary) = &mut stop, if interrupted => break summary?,
                () = interrupts.next() => {
                    if std::mem::replace(&mut interrupted, true) {
                        bail!("interrupted twice; the daemon finishes the file by itself");
                    }
                    live.show(0, "finishing the file".to_owned());
                    stop.set(OptionFuture::from(Some(answer(daemon::call(recording.stop())))));
                }
                _ = ticks.tick(), if live.is_visible() && !interrupted => {
                    if let Ok(Ok(progress)) = timeout(REFRESH, recording.progress()).await {
                        self.show(&live, &progress, &series);
                    }
                }
            }
        };
        series.begun(summary.segments, output);
        if files.is_empty() && summary.segments == 1 {
            // It was over before we listened.
            self.file_done(FileDone::whole(series.finished(), &summary), &mut files, &live, output);
        }
        Ok(Followed { summary, interrupted, files, last: series.current().path().to_owned() })
    }

    fn file_done(&self, done: FileDone, files: &mut Vec<FileDone>, live: &Live, output: &Output) {
        if self.segment.is_some() {
            live.above(|| output.line(&done));
        }
        files.push(done);
    }

    fn live(&self, output: &Output) -> Live {
        let total =
            self.frames.or(self.duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)));
        match total {
            Some(total) => Live::bar(total, output.progress()),
            None => Live::line(output.progress()),
        }
    }

    fn show(&self, live: &Live, progress: &Progress, series: &Series<'_>) {
        let Progress { frames, dropped, duration, bytes, .. } = *progress;
        let position = if self.frames.is_some() { frames } else { duration / 1_000_000 };
        let mut text = vec![units::duration(duration), units::bytes(bytes)];
        text.extend(units::average_bitrate(bytes, duration));
        text.push(format!("{} ({dropped} dropped)", units::count(frames, "frame")));
        text.extend(series.current().room().map(|room| format!("{} left", units::bytes(room))));
        live.show(position, text.join("  "));
    }

    /// Tells what became of it, and whether that is what was asked for.
    fn finish(&self, ended: &Ended, last: &Path, interrupted: bool, output: &Output) -> anyhow::Result<()> {
        output.done(ended)?;
        let limited = self.duration.is_some() || self.frames.is_some();
        if ended.state == "failed" {
            let error = CallError::Failed(ended.error.clone().unwrap_or_default());
            return Err(anyhow::Error::from(error).context(format!("recording into {} failed", last.display())));
        }
        if ended.frames > 0 && !last.exists() {
            bail!("{} was removed by somebody while it was recorded: nothing of it is left", last.display());
        }
        if limited && !interrupted && ended.reason != "limit" {
            return Err(Incomplete(format!("the recording ended early: {}", ended.reason)).into());
        }
        Ok(())
    }

    fn warn_of_name(&self, output: &Output) {
        let extension = self.file.extension().unwrap_or_default().to_ascii_lowercase();
        if !["mp4", "m4v", "mov"].iter().any(|known| extension == *known) {
            output.note(&format!("{} will be an MP4 file, whatever its name", self.file.display()));
        }
    }
}

/// A recording is a user of the stream: it starts what is stopped.
async fn ensure_running(daemon: &Daemon, name: &str, output: &Output) -> anyhow::Result<()> {
    let objects = daemon::objects(daemon).await?;
    let state = daemon::stream(&objects, name).map(|stream| stream.state.as_str());
    if matches!(state, None | Some("stopped" | "failed")) {
        let manager = daemon.manager().await?;
        answer(daemon::call(manager.start_stream(name, &StartOptions::default()))).await?;
        output.note(&format!("started stream {name}, which goes on after the recording (`vsctl stop-stream {name}`)"));
    }
    Ok(())
}
