// SPDX-License-Identifier: Apache-2.0
//! `vsctl record`

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::time::{MissedTickBehavior, interval, timeout};
use vsclient::dbus::{
    Bus, CallError, Daemon, Progress, RecordOptions, RecordingProxy, StartOptions, Summary, recording_number,
};

use super::coding::Coding;
use super::output_file::OutputFile;
use crate::daemon::{self, answer};
use crate::exit::Incomplete;
use crate::interrupt::Interrupts;
use crate::live::{Live, REFRESH};
use crate::output::Output;
use crate::report::encoder::Encoder;
use crate::report::recording::{Detached, Ended};
use crate::{units, values};

/// Why a recording ends whose stream has another format now: a file holds one.
const FORMAT_CHANGED: &str = "format-changed";

/// Record a stream into an MP4 file
///
/// Records until the limit, or until Ctrl-C, which finishes the file; a second Ctrl-C does not
/// wait for that. A stream that is stopped is started. The file plays at any moment, even if
/// everything is killed while it is written. While a camera is unplugged the recording waits; if
/// the stream comes back in another format, it goes on in OUT-2.mp4, and so on; a detached one ends.
/// When the stream is stopped it ends, and so does that of a coded stream when what that is made from is stopped.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl record cam0 out.mp4                   until Ctrl-C
  vsctl record cam0 out.mp4 -t 5              five seconds
  vsctl record cam0 out.mp4 -f 300 -b 2.5M    300 frames at 2.5 Mbit/s
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
        let daemon = daemon::connect(bus).await?;
        ensure_running(&daemon, &self.stream, output).await?;
        let mut interrupts = Interrupts::new()?;
        self.warn_of_name(output);
        let (first, mut earlier) = (self.file.clone(), Vec::new());
        loop {
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
            let goes_on = summary.reason == FORMAT_CHANGED && !interrupted && self.shorten(&summary);
            let mut ended = Ended::new(number, &self.stream, Some(file), &encoding, summary);
            if !goes_on {
                ended.earlier = earlier;
                return self.finish(&ended, interrupted, output);
            }
            earlier.push(ended);
            self.file = part(&first, earlier.len() + 1);
            let file = self.file.display();
            output.note(&format!("the format of {} has changed: going on in {file}", self.stream));
        }
    }

    /// Takes what has been recorded from the limits; whether anything is left of them.
    fn shorten(&mut self, recorded: &Summary) -> bool {
        self.duration = self.duration.map(|limit| limit.saturating_sub(Duration::from_nanos(recorded.duration)));
        self.frames = self.frames.map(|limit| limit.saturating_sub(recorded.frames));
        self.duration != Some(Duration::ZERO) && self.frames != Some(0)
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
        RecordOptions {
            duration: self.duration.map(values::ns),
            frames: self.frames,
            pre: self.pre.map(values::ns),
            coding: self.coding.options(),
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
    fn finish(&self, ended: &Ended, interrupted: bool, output: &Output) -> anyhow::Result<()> {
        output.done(ended)?;
        let limited = self.duration.is_some() || self.frames.is_some();
        if ended.state == "failed" {
            let error = CallError::Failed(ended.error.clone().unwrap_or_default());
            let file = self.file.display();
            return Err(anyhow::Error::from(error).context(format!("recording into {file} failed")));
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

/// Name of the `number`th file, after a file of this name.
fn part(first: &Path, number: usize) -> PathBuf {
    let mut name = first.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = first.extension() {
        name.push(".");
        name.push(extension);
    }
    first.with_file_name(name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_files_lie_beside_the_first() {
        let name = |first: &str| part(Path::new(first), 2).display().to_string();
        assert_eq!([name("a/out.mp4"), name("out"), name("/b.c/.mp4")], ["a/out-2.mp4", "out-2", "/b.c/.mp4-2"]);
    }
}
