// SPDX-License-Identifier: Apache-2.0
//! `vsctl devices`

use clap::Args;
use vsclient::dbus::Bus;

use crate::daemon;
use crate::output::Output;
use crate::report::device::{Device, Devices as Report};

/// List cameras and codecs
///
/// Without a kind, all of them. A device that cannot be used is listed with the reason and
/// with what to do about it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  vsctl devices
  vsctl devices --cameras -v    with every format, size and rate
  vsctl devices --json | jq -r '.devices[] | select(.kind == \"camera\") | .name'")]
pub struct Devices {
    /// Cameras
    #[arg(long)]
    cameras: bool,

    /// Encoders: pictures in, coded video out
    #[arg(long)]
    encoders: bool,

    /// Decoders: coded video in, pictures out
    #[arg(long)]
    decoders: bool,

    /// Converters: pictures in, pictures out
    #[arg(long)]
    converters: bool,

    /// Every kind
    #[arg(long)]
    all: bool,
}

impl Devices {
    pub async fn run(self, bus: &Bus, output: &Output) -> anyhow::Result<()> {
        let daemon = daemon::connect(bus).await?;
        let objects = daemon::objects(&daemon).await?;
        let devices = objects.devices.iter().filter(|device| self.wants(&device.kind)).map(Device::from).collect();
        output.answer(&Report { devices })
    }

    fn wants(&self, kind: &str) -> bool {
        let chosen = [
            (self.cameras, "camera"),
            (self.encoders, "encoder"),
            (self.decoders, "decoder"),
            (self.converters, "converter"),
        ];
        let none = chosen.iter().all(|(wanted, _)| !wanted);
        self.all || none || chosen.contains(&(true, kind))
    }
}
