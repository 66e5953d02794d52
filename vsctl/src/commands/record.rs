// SPDX-License-Identifier: Apache-2.0
//! `vsctl record`

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::time::{MissedTickBehavior, interval, timeout};
use vsclient::dbus::{
    Bus, CallError, Daemon, Encoding, Progress, RecordOptions, RecordingProxy, StartOptions, Summary, recording_number,
};

use super::output_file::OutputFile;
use crate::daemon::{self, answer};
use crate::exit::Incomplete;
use crate::interrupt::Interrupts;
use crate::live::{Live, REFRESH};
use crate::output::Output;
use crate::report::recording::{Detached, Encoder, Ended};
use crate::{units, values};

/// Record a stream into an MP4 file
///
/// Records until the limit, or until Ctrl-C, which finishes the file; a second Ctrl-C does not
/// wait for that. A stream that is stopped is started. The file plays at any moment, even if
/// everything is killed while it is written.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl record cam0 out.mp4                   until Ctrl-C
  vsctl record cam0 out.mp4 -t 5              five seconds
  vsctl record cam0 out.mp4 -f 300 -b 2.5M    300 frames at 2.5 Mbit/s
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

    /// Bits per second: 5M, 800k or 5000000 (a plain number is bit/s, where libvideostream's
    /// record took kbit/s) [default: by size and rate]
    #[arg(short, long, value_name = "RATE", value_parser = values::bitrate)]
    bitrate: Option<u64>,

    /// Longest time between keyframes [default: the daemon decides]
    #[arg(long, value_name = "SECS", value_parser = values::duration)]
    keyframe_interval: Option<Duration>,

    /// Codec: h264
    #[arg(long, value_name = "CODEC")]
    codec: Option<String>,

    /// Come back at once; the daemon goes on recording
    #[arg(long)]
    detach: bool,

    /// Overwrite the file if it exists
    #[arg(long)]
    force: bool,
}

impl Record {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        ensure_running(&daemon, &self.stream, output).await?;
        let mut interrupts = Interrupts::new()?;
        self.warn_of_name(output);
        let (number, recording) = self.begin(&daemon).await?;
        let encoding = answer(daemon::call(recording.encoding())).await.unwrap_or_default();

        let file = self.file.display().to_string();
        if self.detach {
            let encoding = Encoder::new(&encoding);
            let stream = self.stream;
            return output.done(&Detached { recording: number, stream, file, state: "recording", encoding });
        }
        let (summary, interrupted) = self
            .follow(&recording, &mut interrupts, output)
            .await
            .with_context(|| format!("recording into {file} was cut short; the file plays up to there"))?;
        self.finish(number, &encoding, summary, interrupted, output)
    }

    /// Opens the file and hands it to the daemon.
    async fn begin(&self, daemon: &Daemon) -> anyhow::Result<(u64, RecordingProxy<'static>)> {
        let file = OutputFile::open(&self.file, self.force)?;
        let manager = daemon.manager().await?;
        let options = self.options();
        let call = manager.record(&self.stream, file.file.as_fd().into(), &options);
        let path = match answer(daemon::call(call)).await {
            Ok(path) => path,
            Err(error) => {
                file.discard();
                return Err(error);
            }
        };
        file.keep()?;
        let number = recording_number(&path).with_context(|| format!("{path} is not the path of a recording"))?;
        Ok((number, daemon.recording(number).await?))
    }

    fn options(&self) -> RecordOptions {
        // A duration that does not fit into 64 bits of ns was refused on the command line.
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        RecordOptions {
            duration: self.duration.map(ns),
            frames: self.frames,
            bitrate: self.bitrate,
            keyframe_interval: self.keyframe_interval.map(ns),
            codec: self.codec.clone(),
            detach: self.detach.then_some(true),
        }
    }

    /// Waits for the end, or for Ctrl-C and then the end.
    async fn follow(
        &self,
        recording: &RecordingProxy<'_>,
        interrupts: &mut Interrupts,
        output: &Output,
    ) -> anyhow::Result<(Summary, bool)> {
        let live = self.live(output);
        let mut ticks = interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut end = std::pin::pin!(daemon::call(recording.wait()));
        loop {
            tokio::select! {
                summary = &mut end => return Ok((summary?, false)),
                () = interrupts.next() => break,
                _ = ticks.tick(), if live.is_visible() => {
                    if let Ok(Ok(progress)) = timeout(REFRESH, recording.progress()).await {
                        self.show(&live, &progress);
                    }
                }
            }
        }
        live.show(0, "finishing the file".to_owned());
        tokio::select! {
            summary = answer(daemon::call(recording.stop())) => Ok((summary?, true)),
            () = interrupts.next() => bail!("interrupted twice; the daemon finishes the file by itself"),
        }
    }

    fn live(&self, output: &Output) -> Live {
        let total =
            self.frames.or(self.duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)));
        match total {
            Some(total) => Live::bar(total, output.progress()),
            None => Live::line(output.progress()),
        }
    }

    fn show(&self, live: &Live, progress: &Progress) {
        let position = if self.frames.is_some() { progress.frames } else { progress.duration / 1_000_000 };
        let (duration, bytes) = (units::duration(progress.duration), units::bytes(progress.bytes));
        live.show(position, format!("{duration}  {}  {bytes}", units::count(progress.frames, "frame")));
    }

    /// Tells what became of it, and whether that is what was asked for.
    fn finish(
        self,
        number: u64,
        encoding: &Encoding,
        summary: Summary,
        interrupted: bool,
        output: &Output,
    ) -> anyhow::Result<()> {
        let failed = (summary.state == "failed").then(|| CallError::Failed(summary.error.clone()));
        let limited = self.duration.is_some() || self.frames.is_some();
        let early = limited && !interrupted && summary.reason != "limit";
        let reason = summary.reason.clone();
        let file = self.file.display().to_string();
        output.done(&Ended::new(number, &self.stream, Some(file.clone()), encoding, summary))?;
        match failed {
            Some(error) => Err(anyhow::Error::from(error).context(format!("recording into {file} failed"))),
            None if early => Err(Incomplete(format!("the recording ended early: {reason}")).into()),
            None => Ok(()),
        }
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
