// SPDX-License-Identifier: Apache-2.0
//! The command line of videostreamd.
//!
//! Each command asks the daemon over D-Bus, makes a **report** of what it learned and hands
//! that to the **output**, which writes it for people or, with `--json`, for programs. Only
//! `receive` touches frames: it connects to the stream's socket like any other client.
//!
//! * `cli`, `values`: what may be written on the command line
//! * `ancestor`: what is typed from habit; `complete`: what the Tab key knows
//! * `commands`: one file for each command
//! * `report`: what commands learned, as text and as JSON
//! * `output`, `table`, `units`, `live`: how anything is written
//! * `exit`: what the exit status says

mod ancestor;
mod cli;
mod commands;
mod complete;
mod daemon;
mod exit;
mod interrupt;
mod latency;
mod live;
mod monitor;
mod output;
mod report;
mod table;
mod terminal;
mod top;
mod units;
mod values;
mod watch;

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};

use cli::Cli;
use exit::Exit;
use output::Output;

fn main() -> ExitCode {
    complete::answer();
    let matches = ancestor::understand(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let output = Output::new(&cli.global);
    match run(cli, &output) {
        Ok(()) => Exit::Ok.into(),
        // Whoever reads our output has enough: `vsctl devices -v | head` is no failure.
        Err(error) if exit::is_broken_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            output.error(&error);
            Exit::of(&error).into()
        }
    }
}

fn run(cli: Cli, output: &Output) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let result = runtime.block_on(commands::run(cli, output));
    // A thread that still waits for a frame must not hold up the end of the program.
    runtime.shutdown_background();
    result
}
