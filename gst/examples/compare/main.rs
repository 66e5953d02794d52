// SPDX-License-Identifier: Apache-2.0
//! What a pipeline pays to hand its pictures to others: `vslsink` and `vslsrc` beside `shmsink` and `shmsrc`, and
//! `unixfdsink` and `unixfdsrc` where GStreamer has them (1.24).
//!
//! `make bench-gst` runs it. Each sender and each reader
//! is a process of its own; the kinds take turns, round by round. The source writes into the memory that its sink
//! offers: the time at both ends of each picture, which is the end of what is measured as a copy would be, and how
//! a torn picture would show.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench ends where it fails")]

mod child;
mod kind;
mod roles;
mod scenes;
mod stamp;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["send", kind, socket, width, height, fps] => roles::send(kind, socket, width, height, fps),
        ["read", kind, socket] => roles::read(kind, socket),
        [] => scenes::run(false),
        ["--quick"] => scenes::run(true),
        _ => {
            eprintln!("usage: compare [--quick]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
