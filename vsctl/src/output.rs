// SPDX-License-Identifier: Apache-2.0
//! The one place that writes: answers to standard output, everything else to standard error.

use std::cell::Cell;
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::Global;
use crate::exit::Exit;

/// How to write.
#[derive(Debug)]
pub struct Output {
    json: bool,
    /// More than usual.
    pub verbose: bool,
    quiet: bool,
    /// The one JSON object has been written.
    answered: Cell<bool>,
}

/// What a command has learned. `Serialize` is its JSON.
pub trait Report: Serialize {
    /// The same for people, each line with its end.
    fn text(&self, output: &Output) -> String;
}

impl Output {
    /// As the command line wants it.
    pub fn new(global: &Global) -> Self {
        Self { json: global.json, verbose: global.verbose, quiet: global.quiet, answered: Cell::new(false) }
    }

    /// Whether the answer is JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether tables have headings.
    pub fn headings(&self) -> bool {
        !self.quiet
    }

    /// Whether to show how far things are. The terminal has a say, too.
    pub fn progress(&self) -> bool {
        !self.quiet && !self.json
    }

    /// Answers a question.
    pub fn answer(&self, report: &impl Report) -> anyhow::Result<()> {
        if self.json { self.json(report) } else { write_out(&report.text(self)) }
    }

    /// One of many answers: with `--json` an object on a line of its own.
    pub fn event(&self, report: &impl Report) -> anyhow::Result<()> {
        if !self.json {
            return write_out(&report.text(self));
        }
        self.answered.set(true);
        write_out(&(serde_json::to_string(report)? + "\n"))
    }

    /// An empty line between two answers for people.
    pub fn blank(&self) -> anyhow::Result<()> {
        if self.json { Ok(()) } else { write_out("\n") }
    }

    /// Says what was done. Quiet means quiet here: the exit status says it, too.
    pub fn done(&self, report: &impl Report) -> anyhow::Result<()> {
        if self.quiet && !self.json { Ok(()) } else { self.answer(report) }
    }

    /// Tells of a part of the answer as soon as there is one. JSON has it in the end.
    pub fn line(&self, report: &impl Report) {
        if !self.quiet && !self.json {
            // The answer fails in the same way.
            let _ = write_out(&report.text(self));
        }
    }

    /// Something worth knowing that nobody asked for.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            // Without standard error there is nobody to tell.
            let _ = writeln!(io::stderr(), "note: {text}");
        }
    }

    /// Why it did not work. With `--json`, standard output gets its one object all the same.
    pub fn error(&self, error: &anyhow::Error) {
        let text = describe(error);
        let _ = writeln!(io::stderr(), "vsctl: {text}");
        if self.json && !self.answered.get() {
            let error = Error { name: Exit::name_of(error), exit: Exit::of(error) as u8, message: text };
            // Whoever has closed standard output has been told on standard error.
            let _ = self.json(&Failed { error });
        }
    }

    fn json(&self, report: &impl Serialize) -> anyhow::Result<()> {
        self.answered.set(true);
        write_out(&(serde_json::to_string_pretty(report)? + "\n"))
    }
}

/// What `--json` writes in place of an answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failed {
    error: Error,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Error {
    name: &'static str,
    exit: u8,
    message: String,
}

/// The error and its causes in one line, without what an outer message says already.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) && !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn write_out(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("permission denied").context("cannot open out.mp4");
        assert_eq!(describe(&error), "cannot open out.mp4: permission denied");
        let error = anyhow!("no bus").context("cannot connect: no bus");
        assert_eq!(describe(&error), "cannot connect: no bus");
    }
}
