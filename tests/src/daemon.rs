// SPDX-License-Identifier: Apache-2.0
//! A running `videostreamd`, as its service manager sees it.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::process::End;
use crate::{PATIENCE, Process, binaries};

/// The daemon. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    /// Its process; standard error is its log.
    pub process: Process,
    notify: UnixDatagram,
}

/// How much of the kernel's a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Open descriptors.
    pub files: usize,
    /// Threads.
    pub threads: usize,
    /// Mappings of its address space.
    pub maps: usize,
}

/// Where a daemon lives.
#[derive(Debug, Clone)]
pub struct Place {
    /// Address of its bus.
    pub bus: String,
    /// Directory of its streams' sockets.
    pub socket_dir: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
}

/// What the daemon's log says.
const LOG: &str = "info,videostreamd=debug,vs_ipc=debug,vs_codec=debug";

impl Daemon {
    /// Starts a daemon and waits until it says that it is ready (sd_notify(3), `READY=1`).
    ///
    /// # Panics
    /// If it ends instead.
    #[must_use]
    pub fn start(place: &Place) -> Self {
        let path = place.config.with_extension("notify");
        let _ = std::fs::remove_file(&path);
        let notify = UnixDatagram::bind(&path).unwrap();
        let process = Process::start("videostreamd", command(place).env("NOTIFY_SOCKET", &path));
        let daemon = Self { process, notify };
        daemon.notified("READY=1");
        daemon
    }

    /// Waits for a word to the service manager.
    ///
    /// # Panics
    /// If the daemon ends without it.
    pub fn notified(&self, word: &str) {
        let timeout = Timespec::try_from(PATIENCE).unwrap();
        loop {
            let ended = PollFd::new(self.process.pidfd(), PollFlags::IN);
            let mut fds = [PollFd::new(&self.notify, PollFlags::IN), ended];
            assert!(poll(&mut fds, Some(&timeout)).unwrap() > 0, "the daemon does not say {word}");
            assert!(fds[0].revents().contains(PollFlags::IN), "the daemon ended before it said {word}");
            let mut message = [0; 4096];
            let len = self.notify.recv(&mut message).unwrap();
            if String::from_utf8_lossy(&message[..len]).lines().any(|line| line == word) {
                return;
            }
        }
    }

    /// Asks it to end, as a service manager does, and waits until it has.
    pub fn terminate(&mut self) -> End {
        self.process.signal(Signal::TERM);
        self.process.wait()
    }

    /// What its open descriptors stand for, as the kernel names them: a path, `socket:[7]`,
    /// `/memfd:frame (deleted)`.
    #[must_use]
    pub fn open_files(&self) -> Vec<String> {
        let dir = format!("/proc/{}/fd", self.process.pid());
        // A descriptor may be closed between being listed and being looked at.
        let links = std::fs::read_dir(dir).unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    /// What it has of the kernel now.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        Footprint { files: self.open_files().len(), threads: self.threads().len(), maps: self.mappings().len() }
    }

    /// What it has mapped, a line each (proc_pid_maps(5)).
    #[must_use]
    pub fn mappings(&self) -> Vec<String> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.process.pid())).unwrap();
        maps.lines().map(str::to_owned).collect()
    }

    /// Names of its threads.
    #[must_use]
    pub fn threads(&self) -> Vec<String> {
        let dir = format!("/proc/{}/task", self.process.pid());
        let tasks = std::fs::read_dir(dir).unwrap().filter_map(Result::ok);
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.map(|name| name.trim_end().to_owned()).collect()
    }
}

/// The command that starts a daemon at a place.
#[must_use]
pub fn command(place: &Place) -> Command {
    let mut command = bare_command();
    command.args(["--bus", &place.bus, "--log", LOG]);
    command.arg("--socket-dir").arg(&place.socket_dir).arg("--config").arg(&place.config);
    command.arg("--state-dir").arg(place.config.with_file_name("state"));
    command
}

/// The command without any argument, and without what the environment might tell it.
#[must_use]
pub fn bare_command() -> Command {
    let mut command = Command::new(binaries::path("videostreamd"));
    for variable in
        ["VIDEOSTREAMD_LOG", "STATE_DIRECTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM", "DBUS_SESSION_BUS_ADDRESS"]
    {
        command.env_remove(variable);
    }
    command
}

/// Runs a daemon that is expected to end by itself; how it ended, and what it wrote to
/// standard error.
///
/// # Panics
/// If it does not end.
#[must_use]
pub fn run(command: &mut Command) -> (End, String) {
    let mut process = Process::start("videostreamd", command);
    let end = process.wait();
    (end, process.stderr.to_string())
}

/// Writes a configuration file.
pub(crate) fn write_config(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("videostreamd.toml");
    std::fs::write(&path, text).unwrap();
    path
}
