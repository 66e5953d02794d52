// SPDX-License-Identifier: Apache-2.0
//! `vsctl status`

use std::time::{Duration, Instant};

use clap::Args;
use vsclient::dbus::{Bus, Daemon, Objects};

use crate::daemon::{self, answer};
use crate::output::Output;
use crate::report::recording::Recording;
use crate::report::session::CodecSession;
use crate::report::status::{DaemonStatus, Status as Report};
use crate::report::stream::Stream;
use crate::values;

/// Show streams, who reads them, recordings, and codec sessions of other programs
///
/// FPS is what the format says; with --measure, what is really published. A client's SKIPPED
/// counts the frames that it alone did not get, by reason: no-credit (it held as many frames as
/// it may), not-reading (its socket was full), pool (all clients together held too many),
/// share (it held more than its share while frames were scarce). HOLD is how long it holds a
/// frame, from its sending to the unlock. GONE lists clients that were dismissed, and why; with
/// details, those that left by themselves, too.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl status
  vsctl status cam0             one stream with all its counters
  vsctl status --measure        real frames per second, over one second
  vsctl status --json | jq '.streams[] | {name, state}'")]
pub struct Status {
    /// Only this stream
    #[arg(value_name = "STREAM")]
    name: Option<String>,

    /// Measure frames per second for so long [default: 1 s]
    #[arg(short, long, value_name = "SECS", num_args = 0..=1, default_missing_value = "1", require_equals = true,
          value_parser = values::duration)]
    measure: Option<Duration>,
}

impl Status {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let info = answer(daemon.info()).await?;
        let before = Sample::take(&daemon).await?;
        let (now, rates) = match self.measure {
            None => (before.objects, Vec::new()),
            Some(time) => {
                tokio::time::sleep(time).await;
                let after = Sample::take(&daemon).await?;
                let rates = after.rates(&before);
                (after.objects, rates)
            }
        };
        if let Some(name) = &self.name
            && daemon::stream(&now, name).is_none()
        {
            return Err(daemon::no_such_stream(&now, name).into());
        }
        let wanted = |name: &str| self.name.as_deref().is_none_or(|wanted| wanted == name);
        let stream = |stream| {
            let mut stream = Stream::from(stream);
            stream.measured_fps = rates.iter().find(|(name, _)| *name == stream.name).map(|(_, fps)| *fps);
            stream
        };
        let manager = daemon.manager().await?;
        // They belong to no stream.
        let sessions = match self.name {
            None => answer(daemon::call(manager.codec_sessions())).await?,
            Some(_) => Vec::new(),
        };
        output.answer(&Report {
            daemon: DaemonStatus { version: info.version, socket_directory: info.socket_directory, epoch: info.epoch },
            streams: now.streams.iter().filter(|stream| wanted(&stream.name)).map(stream).collect(),
            recordings: now
                .recordings
                .iter()
                .filter(|(_, recording)| wanted(&recording.stream))
                .map(|(number, recording)| Recording::new(*number, recording))
                .collect(),
            codec_sessions: sessions.iter().map(CodecSession::from).collect(),
            single: self.name.is_some(),
        })
    }
}

/// All objects, and when they were like that.
struct Sample {
    objects: Objects,
    at: Instant,
}

impl Sample {
    async fn take(daemon: &Daemon) -> anyhow::Result<Self> {
        Ok(Self { objects: daemon::objects(daemon).await?, at: Instant::now() })
    }

    /// Frames per second that each stream has published since.
    fn rates(&self, before: &Self) -> Vec<(String, f64)> {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let rate = |stream: &vsclient::dbus::StreamInfo| {
            let earlier = daemon::stream(&before.objects, &stream.name)?.counters.published;
            // Fewer than before means that it was started anew.
            let published = stream.counters.published.checked_sub(earlier)?;
            Some((stream.name.clone(), (published as f64 / seconds * 100.0).round() / 100.0))
        };
        self.objects.streams.iter().filter_map(rate).collect()
    }
}
