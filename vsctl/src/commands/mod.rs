// SPDX-License-Identifier: Apache-2.0
//! The commands, each with its arguments and their help.

pub mod coding;
pub mod completions;
pub mod config;
pub mod controls;
pub mod convert;
pub mod devices;
pub mod info;
pub mod man;
pub mod metrics;
pub mod monitor;
pub mod play;
pub mod receive;
pub mod record;
pub mod recordings;
pub mod repair;
pub mod snapshot;
pub mod start_recording;
pub mod start_stream;
pub mod status;
pub mod stop_recording;
pub mod stop_stream;
pub mod top;
pub mod watch;
mod whole_file;

use crate::cli::{Cli, Command};
use crate::output::Output;

/// Does what the command line says.
pub async fn run(cli: Cli, output: &Output) -> anyhow::Result<()> {
    let bus = cli.global.bus()?;
    match cli.command {
        Command::StartStream(command) => command.run(&bus, output).await,
        Command::StopStream(command) => command.run(&bus, output).await,
        Command::Status(command) => command.run(&bus, output).await,
        Command::Metrics(command) => command.run(&bus, output).await,
        Command::Devices(command) => command.run(&bus, output).await,
        Command::Controls(command) => command.run(&bus, output).await,
        Command::Info(command) => command.run(&bus, output).await,
        Command::Receive(command) => command.run(&bus, output).await,
        Command::Record(command) => command.run(&bus, output).await,
        Command::Recordings(command) => command.run(&bus, output).await,
        Command::Snapshot(command) => command.run(&bus, output).await,
        Command::Play(command) => command.run(&bus, output).await,
        Command::Convert(command) => command.run(output).await,
        Command::Repair(command) => command.run(output),
        Command::StartRecording(command) => command.run(&bus, output).await,
        Command::StopRecording(command) => command.run(&bus, output).await,
        Command::Config(command) => command.run(&bus, output).await,
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Monitor(command) => command.run(&bus, output).await,
        Command::Top(command) => command.run(&bus, output).await,
        Command::Watch(command) => command.run(&bus, output).await,
    }
}
