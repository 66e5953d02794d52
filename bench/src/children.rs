// SPDX-License-Identifier: Apache-2.0
//! The receivers, as the benchmark sees them: processes that end when their connection does
//! and then say what they saw.

use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Processes that play the same role. Dropping them ends them.
#[derive(Debug)]
pub struct Children(Vec<Child>);

impl Children {
    /// Starts this program `count` times in a role, which is the rest of its command line.
    pub fn start(count: usize, role: &[String]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        let mut children = Self(Vec::with_capacity(count));
        for number in 0..count {
            let child = Command::new(&program).args(role).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
            children.0.push(child.with_context(|| format!("cannot start receiver {} of {count}", number + 1))?);
        }
        Ok(children)
    }

    /// Fails if one of them has ended before its time.
    pub fn check(&mut self) -> anyhow::Result<()> {
        for child in &mut self.0 {
            if let Some(status) = child.try_wait().context("cannot ask for a receiver's state")? {
                bail!("a receiver ended too early: {status}");
            }
        }
        Ok(())
    }

    /// Stops them as SIGSTOP does; only their end gets them out of it.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.0
            .iter()
            .try_for_each(|child| kill_process(Pid::from_child(child), Signal::STOP).context("cannot stop a receiver"))
    }

    /// The output of the only one.
    pub fn take_output(&mut self) -> anyhow::Result<ChildStdout> {
        let child = self.0.first_mut().context("there is no such process")?;
        child.stdout.take().context("its output is taken already")
    }

    /// Reads what each has to say until its end. Their connections must have ended.
    pub fn finish(mut self) -> anyhow::Result<Vec<Vec<u32>>> {
        let mut all = Vec::with_capacity(self.0.len());
        for child in &mut self.0 {
            let mut bytes = Vec::new();
            if let Some(output) = &mut child.stdout {
                output.read_to_end(&mut bytes).context("cannot read what a receiver saw")?;
            }
            let status = child.wait().context("cannot wait for a receiver")?;
            if !status.success() {
                bail!("a receiver failed: {status}");
            }
            all.push(numbers(&bytes));
        }
        Ok(all)
    }
}

/// What [`role`](crate::role) wrote.
pub fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both fail only for one that has ended and been waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
