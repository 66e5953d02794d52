// SPDX-License-Identifier: Apache-2.0
//! Ctrl-C, and SIGTERM, which means the same here: come to an end in good order.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The wishes to end.
pub struct Interrupts {
    int: Signal,
    term: Signal,
}

impl Interrupts {
    /// From now on the signals do not end the program by themselves.
    pub fn new() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self { int: catch(SignalKind::interrupt())?, term: catch(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}
