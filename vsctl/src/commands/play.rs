// SPDX-License-Identifier: Apache-2.0
//! `vsctl play`

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use tokio::time::{MissedTickBehavior, interval, timeout};
use vsclient::dbus::{Bus, CallError, Daemon, PlayOptions, PlaybackEnd, PlaybackProgress, PlaybackProxy, StopOptions};

use super::coding::Backend;
use crate::daemon::{self, answer};
use crate::exit::NotFound;
use crate::interrupt::Interrupts;
use crate::live::{Live, REFRESH};
use crate::output::Output;
use crate::report::play::{Detached, Played};
use crate::units;

/// The longest name that a stream can have.
const NAME_MAX: usize = 48;

/// Play a video file as a camera
///
/// The file is decoded by hardware or software and published as a stream of its own, which other programs read as they read a
/// camera. MP4, MOV and bare H.264 or H.265 files are played as far as something here decodes them. The stream goes at the end
/// of the file, or with Ctrl-C. Frames have the file's times as their `pts`; nothing of the picture is changed.
///
/// With `--pace realtime` frames come as a camera would have sent them, whoever reads or does not. With
/// `--pace free` each comes when all clients have room for it, and none comes before the first client: nobody misses any,
/// and a slow reader sees the whole file, as fast as it can.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl play clip.mp4                      as stream `clip`, until its end
  vsctl play clip.mp4 --as cam9 --loop     until Ctrl-C
  vsctl play clip.mp4 --pace free          each frame to each reader, as fast as they take them
  vsctl play clip.h264 --as cam9 --detach  come back; end it with `vsctl stop-stream cam9`

A file that is always there is one for the daemon's configuration: [stream.NAME] file = \"/path\".")]
pub struct Play {
    /// File to play
    file: PathBuf,

    /// Name of the stream [default: that of the file, without its ending]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,

    /// Begin anew at the end, without a pause
    #[arg(long = "loop")]
    looped: bool,

    /// When frames come: realtime (at the file's own times), free (when all clients have room)
    #[arg(long, value_name = "PACE", default_value = "realtime")]
    pace: Pace,

    /// Who decodes: auto (hardware if it can), v4l2 (hardware or nobody), software [default: auto]
    #[arg(long, value_name = "WHO")]
    backend: Option<Backend>,

    /// Come back at once; the daemon goes on playing
    #[arg(long)]
    detach: bool,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Pace {
    Realtime,
    Free,
}

impl Play {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let path = self.file.display().to_string();
        let name = self.name.clone().or_else(|| stream_name(&self.file));
        let name = name.with_context(|| format!("cannot name a stream after {path}: name it with --as"))?;
        let file = open(&self.file)?;
        let daemon = daemon::connect(bus).await?;
        let mut interrupts = Interrupts::new()?;
        let manager = daemon.manager().await?;
        let options = self.options(&name);
        answer(daemon::call(manager.play(file.as_fd().into(), &options))).await?;
        let playback = daemon.playback(&name).await?;
        if self.detach {
            let objects = daemon::objects(&daemon).await?;
            // It may be over already.
            let socket = daemon::stream(&objects, &name).map(|stream| stream.socket.clone()).unwrap_or_default();
            return output.done(&Detached { stream: name, file: path, state: "playing", socket });
        }
        if !self.looped {
            output.note(&format!("playing {path} as stream {name}"));
        } else {
            output.note(&format!("playing {path} as stream {name} until Ctrl-C"));
        }
        let end = follow(&daemon, &name, &playback, &mut interrupts, output).await?;
        let failed = (end.reason == "failed").then(|| CallError::Failed(end.text.clone()));
        output.done(&Played::new(name, path, end))?;
        failed.map_or(Ok(()), |failed| Err(failed.into()))
    }

    fn options(&self, name: &str) -> PlayOptions {
        let pace = match self.pace {
            Pace::Realtime => "realtime",
            Pace::Free => "free",
        };
        PlayOptions {
            name: Some(name.to_owned()),
            title: self.file.file_name().map(|name| name.to_string_lossy().into_owned()),
            looped: Some(self.looped),
            pace: Some(pace.to_owned()),
            backend: self.backend.map(|backend| backend.word().to_owned()),
            detach: Some(self.detach),
        }
    }
}

/// Opens the file with the rights of whoever types the command: the daemon opens nothing that a client
/// names.
fn open(path: &Path) -> anyhow::Result<File> {
    let shown = path.display();
    let because = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => NotFound(format!("there is no file {shown}")).into(),
        _ => anyhow!("cannot open {shown}: {error}"),
    };
    // Looked at before: a pipe that nobody writes to does not even open.
    if !std::fs::metadata(path).map_err(because)?.is_file() {
        bail!("cannot play {shown}: it is not a regular file");
    }
    File::open(path).map_err(because)
}

/// Waits for the end, or for Ctrl-C and then the end.
async fn follow(
    daemon: &Daemon,
    name: &str,
    playback: &PlaybackProxy<'_>,
    interrupts: &mut Interrupts,
    output: &Output,
) -> anyhow::Result<PlaybackEnd> {
    let live = Live::line(output.progress());
    let mut ticks = interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut end = std::pin::pin!(daemon::call(playback.wait()));
    loop {
        tokio::select! {
            ended = &mut end => return Ok(ended?),
            () = interrupts.next() => break,
            _ = ticks.tick(), if live.is_visible() => {
                if let Ok(Ok(progress)) = timeout(REFRESH, playback.progress()).await {
                    live.show(0, line(&progress));
                }
            }
        }
    }
    let manager = daemon.manager().await?;
    let options = StopOptions::default();
    // It may have ended meanwhile, which is as good.
    let _ = answer(daemon::call(manager.stop_stream(name, &options))).await;
    answer(end).await
}

fn line(progress: &PlaybackProgress) -> String {
    let position = units::duration(progress.position);
    let frames = units::count(progress.frames, "frame");
    match progress.duration {
        0 => format!("{position}  {frames}"),
        duration => format!("{position} of {}  {frames}", units::duration(duration)),
    }
}

/// The file's name, without its ending, as far as a stream can have it.
fn stream_name(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_string_lossy();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = stem.trim_start_matches('.').chars().map(allowed).take(NAME_MAX).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_after_files() {
        let name = |path: &str| stream_name(Path::new(path));
        assert_eq!(name("/a b/clip.mp4").as_deref(), Some("clip"));
        assert_eq!(name("my clip (2).mov").as_deref(), Some("my-clip--2-"));
        assert_eq!(name(".hidden").as_deref(), Some("hidden"));
        assert_eq!(name("\u{fc}ber.mp4").as_deref(), Some("-ber"));
        assert_eq!(name(&"x".repeat(100)).map(|name| name.len()), Some(NAME_MAX));
        assert_eq!(name("/"), None);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_found() {
        let error = open(Path::new("/nonexistent/clip.mp4")).unwrap_err();
        assert!(error.is::<NotFound>() && error.to_string() == "there is no file /nonexistent/clip.mp4", "{error}");
        assert!(open(Path::new("/")).unwrap_err().to_string().contains("not a regular file"));
    }
}
