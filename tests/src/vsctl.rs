// SPDX-License-Identifier: Apache-2.0
//! What the user types.

use std::fmt;
use std::process::Command;

use serde_json::Value;

use crate::process::End;
use crate::{Process, binaries};

/// The command `vsctl --bus BUS ARGUMENTS…`, without what the environment might tell it.
#[must_use]
pub fn command(bus: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries::path("vsctl"));
    for variable in ["VIDEOSTREAM_BUS", "VIDEOSTREAM_DIR", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"] {
        command.env_remove(variable);
    }
    command.args(["--bus", bus]).args(arguments);
    command
}

/// What came of a command.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs a command to its end.
///
/// # Panics
/// If it does not end, or by a signal.
#[must_use]
pub fn run(bus: &str, arguments: &[&str]) -> Outcome {
    Outcome::of(&mut Process::start("vsctl", &mut command(bus, arguments)))
}

impl Outcome {
    /// Waits for the end of a command.
    ///
    /// # Panics
    /// If it does not end, or by a signal.
    pub fn of(process: &mut Process) -> Self {
        let End::Exit(status) = process.wait() else { panic!("vsctl was killed") };
        Self { status, stdout: process.stdout.to_string(), stderr: process.stderr.to_string() }
    }

    /// Makes sure that it went well.
    ///
    /// # Panics
    /// If it did not.
    #[must_use]
    pub fn good(self) -> Self {
        assert!(self.status == 0, "vsctl failed: {self}");
        self
    }

    /// Standard output as the one JSON object that `--json` promises.
    ///
    /// # Panics
    /// If it is anything else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not one JSON object ({error}): {self}"))
    }

    /// Makes sure that it failed with this status and with a message that has all of `words`,
    /// in one line that begins with the program's name.
    ///
    /// # Panics
    /// If it did not.
    pub fn refused(&self, status: i32, words: &[&str]) {
        let message = self.stderr.lines().find_map(|line| line.strip_prefix("vsctl: "));
        let says = message.is_some_and(|message| words.iter().all(|word| message.contains(word)));
        assert!(self.status == status && says, "expected status {status} and {words:?}, got {self}");
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, stdout, stderr } = self;
        write!(f, "status {status}\nstdout: {stdout}stderr: {stderr}")
    }
}
