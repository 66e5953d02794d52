// SPDX-License-Identifier: Apache-2.0
//! `vsctl receive`

mod receiver;
pub mod socket;
mod tally;
mod verify;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use vsclient::dbus::Bus;
use vsclient::{Client, Mode};

use crate::exit::Incomplete;
use crate::interrupt::Interrupts;
use crate::output::Output;
use crate::report::receive::Received;
use crate::values;
use receiver::{End, Limits, Receiver};

/// Receive frames, and say how well they arrive
///
/// Latency is the time from the publication of a frame to its receipt here. LOST counts the
/// serials that did not come; SKIPPED says which of them the daemon left out, and why:
/// no-credit (held as many frames as it may), not-reading (its socket was full), pool (all
/// clients together held too many), share (held more than its share while frames were scarce).
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl receive cam0                          until Ctrl-C
  vsctl receive cam0 --frames 300             at most 300 frames
  vsctl receive cam0 -t 10 --json | jq .latency_us.p99
  vsctl receive ./cam0 --frames 10            by the path of the socket, without asking the daemon
  vsctl receive pattern0 --frames 300 --verify

With --frames, the exit status is 5 if fewer came before the time was over, the stream ended,
or Ctrl-C.")]
pub struct Receive {
    /// Name of a stream, or path of its socket (with a '/')
    stream: String,

    /// End after so many frames
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,

    /// End after this time
    #[arg(short = 't', long, value_name = "SECS", value_parser = values::duration)]
    duration: Option<Duration>,

    /// Give up when no frame has come for so long
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = values::duration)]
    timeout: Duration,

    /// How frames are had
    #[arg(long, value_enum, default_value = "leased")]
    mode: ModeArg,

    /// How many frames to ask to hold at once [default: the daemon decides]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    credits: Option<u16>,

    /// How long to ask to hold a frame [default: the daemon decides]
    #[arg(long, value_name = "MS", value_parser = values::milliseconds)]
    lease: Option<Duration>,

    /// Connect again when the connection is lost, rather than end
    #[arg(long)]
    reconnect: bool,

    /// Check that each frame is a whole test pattern, byte by byte
    #[arg(long)]
    verify: bool,
}

/// How frames are had.
#[derive(ValueEnum, Debug, Clone, Copy)]
enum ModeArg {
    /// Each frame is ours until we are done with it
    Leased,
    /// Frames are announced, and stay for their lifespan only
    Notify,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Leased => Self::Leased,
            ModeArg::Notify => Self::Notify,
        }
    }
}

impl Receive {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let socket = socket::find(&self.stream, bus).await?;
        let mut interrupts = Interrupts::new()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (visible, wish) = (output.progress(), Arc::clone(&stop));
        let asked = self.frames;
        // The client blocks its thread, as most programs' clients do.
        let mut work = tokio::task::spawn_blocking(move || self.receive(socket, wish, visible));
        let (report, end) = loop {
            tokio::select! {
                done = &mut work => break done.context("the receiving thread has crashed")??,
                () = interrupts.next() => {
                    if stop.swap(true, Ordering::Relaxed) {
                        bail!("interrupted");
                    }
                }
            }
        };
        output.answer(&report)?;
        judge(&report, end, asked)
    }

    /// Receives until one of the limits, an error, or the wish to stop.
    fn receive(self, socket: socket::Socket, stop: Arc<AtomicBool>, visible: bool) -> anyhow::Result<(Received, End)> {
        let path = socket.path.to_string_lossy();
        // A relative path without a slash would be a name.
        let path = if path.contains('/') { path.into_owned() } else { format!("./{path}") };
        let mut client = Client::builder(&path).mode(self.mode.into()).name("vsctl receive");
        if let Some(credits) = self.credits {
            client = client.credits(credits);
        }
        if let Some(lease) = self.lease {
            client = client.lease(lease);
        }
        if !self.reconnect {
            client = client.no_reconnect();
        }
        let client = client.connect().map_err(|error| socket.explain(error))?;
        let limits = Limits { frames: self.frames, duration: self.duration, timeout: self.timeout };
        Receiver::new(client, limits, stop, self.verify, visible)?.run()
    }
}

/// Whether it went as it should have gone.
fn judge(report: &Received, end: End, asked: Option<u64>) -> anyhow::Result<()> {
    if let Some(verify) = &report.verify
        && verify.bad() > 0
    {
        let first = verify.first_error.clone().unwrap_or_default();
        bail!("{} of {} pictures are wrong; the first: {first}", verify.bad(), report.frames);
    }
    match (asked, end) {
        (Some(asked), end) if !report.complete => {
            Err(Incomplete(format!("got {} of {asked} frames: {end}", report.frames)).into())
        }
        (None, end @ End::Timeout(..)) => Err(Incomplete(end.to_string()).into()),
        (None, End::Disconnected(error)) => Err(error.into()),
        _ => Ok(()),
    }
}
