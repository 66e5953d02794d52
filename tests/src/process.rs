// SPDX-License-Identifier: Apache-2.0
//! A program that was started by a test, and does not outlive it.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::PATIENCE;

/// A running program. Dropping it kills it; if that happens in a panic, what it said is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    /// What it writes to standard output.
    pub stdout: Transcript,
    /// What it writes to standard error.
    pub stderr: Transcript,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Process {
    /// Starts a program. `name` is for messages.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let stdout = Transcript::of(child.stdout.take().unwrap());
        let stderr = Transcript::of(child.stderr.take().unwrap());
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        Self { name: name.to_owned(), child, pidfd, stdout, stderr }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Becomes readable when it has ended.
    #[must_use]
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // The child is not reaped before `wait`, so the number is still its own.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it without warning, and waits until it is gone.
    pub fn kill(&mut self) -> End {
        self.signal(Signal::KILL);
        self.wait()
    }

    /// Waits until it has ended and all that it said has been read.
    ///
    /// # Panics
    /// If it does not end.
    pub fn wait(&mut self) -> End {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let timeout = Timespec::try_from(PATIENCE).unwrap();
        let ended = poll(&mut fds, Some(&timeout)).unwrap();
        assert!(ended == 1, "{} does not end", self.name);
        let status = self.child.wait().unwrap();
        self.stdout.until_closed();
        self.stderr.until_closed();
        End::from(status)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        status.code().map_or_else(|| Self::Signal(status.signal().unwrap_or_default()), Self::Exit)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, and been waited for, already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}{}---", self.name, self.stdout, self.stderr);
        }
    }
}

/// What a program says, line by line, while it says it.
#[derive(Debug, Clone, Default)]
pub struct Transcript(Arc<(Mutex<Said>, Condvar)>);

#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    closed: bool,
}

impl Transcript {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let transcript = Self::default();
        let writer = transcript.clone();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                writer.change(|said| said.lines.push(text));
                line.clear();
            }
            writer.change(|said| said.closed = true);
        });
        transcript
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        let (said, changed) = &*self.0;
        change(&mut said.lock().unwrap());
        changed.notify_all();
    }

    /// Waits for a line for which `is` holds, those of the past included.
    ///
    /// # Panics
    /// If the program ends without having said it, or does not say it.
    pub fn until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let found = self.wait(|said| said.lines.iter().find(|line| is(line)).cloned(), what);
        found.unwrap_or_else(|| panic!("the program ended without {what}; it said:\n{self}"))
    }

    fn until_closed(&self) {
        self.wait(|_| None::<()>, "the end of its output");
    }

    /// Waits until `find` finds something, or the program says no more.
    fn wait<T>(&self, find: impl Fn(&Said) -> Option<T>, what: &str) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let (said, changed) = &*self.0;
        let mut guard = said.lock().unwrap();
        loop {
            let found = find(&guard);
            if found.is_some() || guard.closed {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}; the program said:\n{}", guard.lines.join("\n"));
            guard = changed.wait_timeout(guard, left).unwrap().0;
        }
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
