// SPDX-License-Identifier: Apache-2.0
//! A sender or reader, as its parent sees it.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::roles::Count;

/// A child that ends with this.
pub struct Child {
    process: std::process::Child,
    says: BufReader<ChildStdout>,
}

impl Child {
    /// Starts one, and waits until it is ready.
    pub fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a child")?;
        let says = BufReader::new(process.stdout.take().context("no output")?);
        let mut child = Self { process, says };
        let line = child.line()?;
        ensure!(line == "ready", "{arguments:?} said '{line}'");
        Ok(child)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    pub fn tell(&mut self, word: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.process.stdin.as_mut().context("no input")?, "{word}")?)
    }

    /// What it counted, after the last word.
    pub fn count(&mut self) -> anyhow::Result<Count> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("a child said '{line}'"))
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.process.id() as i32).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
