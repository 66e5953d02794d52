// SPDX-License-Identifier: Apache-2.0
//! Says which frame was taken when, as soon as it comes.
//!
//! `diary SOCKET`
//!
//! Of each frame it writes `frame SERIAL NS`, the time that of `CLOCK_MONOTONIC`, until the stream
//! ends or nobody reads what it writes.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use vsclient::Client;

/// Longer than an emulated machine stands still.
const PATIENCE: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let Some(socket) = std::env::args().nth(1) else {
        eprintln!("usage: diary SOCKET");
        return ExitCode::from(2);
    };
    match keep(&socket) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn keep(socket: &str) -> Result<()> {
    let mut client = Client::builder(socket).credits(2).name("diary").no_reconnect().connect()?;
    let mut out = std::io::stdout().lock();
    loop {
        let frame = client.next_frame(PATIENCE)?.ok_or("no frame came")?;
        writeln!(out, "frame {} {}", frame.serial(), frame.meta().capture_ns)?;
    }
}
