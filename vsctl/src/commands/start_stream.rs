// SPDX-License-Identifier: Apache-2.0
//! `vsctl start-stream`

use std::time::Duration;

use clap::Args;
use vsclient::dbus::{Bus, StartOptions};
use vsclient::{FourCc, Rate};

use crate::commands::coding::Coding;
use crate::daemon::{self, answer};
use crate::exit::Usage;
use crate::output::Output;
use crate::report::stream::{Started, Stream};
use crate::values::{self, Size};

/// Start a stream or change a running one, and say what it got
///
/// The stream is one of the configuration file, or has the name of a camera (`vsctl devices`
/// lists them). It runs until `vsctl stop-stream`, used or not; one that is not started runs while
/// somebody receives or records it. What is left out is as the configuration says, or as the camera likes it best;
/// of a stream that runs, as it is. A running stream with another format keeps its clients,
/// who are told; if the camera cannot have it, the stream goes on as it was. A camera may
/// answer with something else than it was asked for; that is said.
///
/// With --from a stream is made that there was not: what another one shows, encoded, or converted to
/// another format or size. It is there until it is stopped. The bitrate and the keyframes of an
/// encoded stream change while it runs, for all its clients and recordings.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl start-stream cam0
  vsctl start-stream cam0 --format NV12 --size 1280x720 -r 30
  vsctl start-stream cam0 --size 640x480    another size, while clients read it
  vsctl start-stream cam0-h264 --from cam0 --bitrate 5M
  vsctl start-stream cam0-h264 --bitrate 2M  fewer bits from now on
  vsctl start-stream cam0-h264 --pre 10s     `vsctl record cam0 out.mp4 --pre 10s` begins before it is asked for
  vsctl start-stream cam0-small --from cam0 --size 640x360 --format RGB3
  vsctl start-stream cam0 --json | jq -r .stream.socket")]
pub struct StartStream {
    /// Name of the stream, or of a camera
    #[arg(value_name = "STREAM|CAMERA")]
    name: String,

    /// Make it from this stream: encoded, or with --format or --size converted
    #[arg(long, value_name = "STREAM")]
    from: Option<String>,

    /// Pixel format: a V4L2 code or a common name, such as NV12, I420, YUYV, BGRx
    #[arg(long, value_name = "FOURCC")]
    format: Option<FourCc>,

    /// Width and height in pixels, such as 1280x720
    #[arg(short, long, value_name = "SIZE")]
    size: Option<Size>,

    /// Frames per second: 30, 29.97 or 30000/1001
    #[arg(short, long, visible_short_alias = 'F', value_name = "FPS", value_parser = values::rate)]
    rate: Option<Rate>,

    /// Keep so much of what has been encoded, for recordings that begin with it (`vsctl record --pre`)
    #[arg(long, value_name = "SECS", value_parser = values::duration)]
    pre: Option<Duration>,

    #[command(flatten)]
    coding: Coding,
}

impl StartStream {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        if self.from.is_none() && self.name.contains('/') {
            let text = format!(
                "'{}' is a path: name a stream or a camera (`vsctl devices` lists them); the socket is then in the daemon's \
                 directory, /run/videostream unless it is told otherwise",
                self.name
            );
            return Err(Usage(text).into());
        }
        let daemon = daemon::connect(bus).await?;
        let manager = daemon.manager().await?;
        let options = StartOptions {
            format: self.format.map(|format| format.to_string()),
            size: self.size.map(|size| (size.width, size.height)),
            rate: self.rate.map(|rate| (rate.num, rate.den)),
            from: self.from,
            coding: self.coding.options(),
            pre: self.pre.map(values::ns),
        };
        answer(daemon::call(manager.start_stream(&self.name, &options))).await?;

        let objects = daemon::objects(&daemon).await?;
        let stream = daemon::stream(&objects, &self.name);
        let stream = stream.ok_or_else(|| daemon::no_such_stream(&objects, &self.name))?;
        output.done(&Started { stream: Stream::from(stream) })
    }
}
