// SPDX-License-Identifier: Apache-2.0
//! The command line. Each command's own arguments are in its file.

use clap::{Args, Parser, Subcommand};
use vsclient::dbus::{Bus, ParseBusError};

use crate::commands::{
    completions, config, controls, convert, devices, info, man, metrics, monitor, play, receive, record, recordings,
    repair, snapshot, start_recording, start_stream, status, stop_recording, stop_stream, top, watch,
};

/// Controls videostreamd: streams, devices, recordings.
#[derive(Parser, Debug)]
#[command(
    name = "vsctl",
    version,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  vsctl info                        what can this machine do, and what is missing?
  vsctl devices                     which cameras are there?
  vsctl start-stream cam0           publish the first one
  vsctl controls cam0 gain=50       adjust it
  vsctl watch cam0                  see its picture in the terminal
  vsctl status                      what runs, and who reads it?
  vsctl top                         the same, as it goes on: rates, latency, CPU
  vsctl monitor                     what happens, as it happens
  vsctl metrics                     the same for Prometheus
  vsctl receive cam0 --frames 300   do its frames arrive, and how fast?
  vsctl record cam0 out.mp4 -t 5    five seconds into a file
  vsctl snapshot cam0 out.jpg       one picture
  vsctl play clip.mp4 --as cam9     a file as a camera
  vsctl convert clip.h264 clip.mp4  a bare stream as MP4, or back
  vsctl repair out.mp4              finish a recording that was interrupted
  vsctl config check                is the daemon's configuration right?
  source <(vsctl completions bash)  names of streams and cameras with the Tab key

Exit status:
  0  done
  1  it did not work
  2  wrong command line
  3  no daemon: it does not run, or not on this bus
  4  no stream, device, control, recording or file of this name
  5  less than was asked for within the time

With --json, each command writes exactly one object to standard output, errors included; top
and monitor write one per line (docs/json.md describes them, docs/schema has JSON schemas)."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Where the daemon is: system, session or the address of a bus [default: $VIDEOSTREAM_BUS,
    /// or system]
    #[arg(long, global = true, value_name = "BUS")]
    bus: Option<Bus>,

    /// Write one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// Write more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Write only what was asked for: no progress, notes or headings
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl Global {
    /// The bus to use.
    pub fn bus(&self) -> Result<Bus, ParseBusError> {
        self.bus.clone().map_or_else(Bus::from_env, Ok)
    }
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    #[command(visible_alias = "start", alias = "stream")]
    StartStream(start_stream::StartStream),
    #[command(visible_alias = "stop")]
    StopStream(stop_stream::StopStream),
    #[command(visible_aliases = ["list", "ls"], alias = "streams")]
    Status(status::Status),
    Metrics(metrics::Metrics),
    Devices(devices::Devices),
    Controls(controls::Controls),
    Info(info::Info),
    Receive(receive::Receive),
    Record(record::Record),
    Recordings(recordings::Recordings),
    Snapshot(snapshot::Snapshot),
    Play(play::Play),
    Convert(convert::Convert),
    Repair(repair::Repair),
    StartRecording(start_recording::StartRecording),
    StopRecording(stop_recording::StopRecording),
    Config(config::Config),
    Completions(completions::Completions),
    #[command(hide = true)]
    Man(man::Man),
    Monitor(monitor::Monitor),
    Top(top::Top),
    Watch(watch::Watch),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{} has no examples", command.get_name());
        }
    }

    #[test]
    fn global_options_go_anywhere() {
        let cli = parse("vsctl --json status --bus session -v").unwrap();
        assert!(cli.global.json && cli.global.verbose);
        assert_eq!(cli.global.bus().unwrap(), Bus::Session);
        assert!(parse("vsctl status -v -q").is_err());
        assert!(parse("vsctl --bus here status").is_err());
    }

    #[test]
    fn wrong_lines_say_why() {
        let error = |line: &str| parse(line).unwrap_err().to_string();
        assert!(error("vsctl start-stream cam0 -r 1280x720").contains("--size"));
        assert!(error("vsctl record cam0 out.mp4 -b 5000").contains("5000k"));
        assert!(error("vsctl record cam0 out.mp4 -t 0").contains("more than 0"));
        assert!(error("vsctl record cam0 out.mp4 --segment 60").contains("60s"));
        assert!(error("vsctl stop-recording 1 --all").contains("--all"));
        assert!(error("vsctl recieve cam0").contains("receive"));
    }
}
