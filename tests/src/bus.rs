// SPDX-License-Identifier: Apache-2.0
//! A message bus that nobody else is on.

use std::path::Path;
use std::process::Command;

use crate::Process;

/// A `dbus-daemon` of its own.
#[derive(Debug)]
pub struct PrivateBus {
    /// Where it listens, as D-Bus writes addresses.
    pub address: String,
    _process: Process,
}

impl PrivateBus {
    /// Starts a bus with its socket in `dir`.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        let listen = format!("unix:path={}", dir.join("bus").display());
        let mut command = Command::new("dbus-daemon");
        command
            .args(["--session", "--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .arg("--address")
            .arg(listen);
        let process = Process::start("dbus-daemon (`scripts/setup test` installs it)", &mut command);
        let address = process.stdout.until("the bus's address", |line| line.starts_with("unix:"));
        Self { address, _process: process }
    }
}
