// SPDX-License-Identifier: Apache-2.0
//! What remains to be done when the run is broken off.
//!
//! The receivers need no care: each ends when its connection does, and the kernel closes
//! connections however this process ends. Only the temporary folder would stay behind.

use std::path::Path;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Shells expect 128 and the number of the signal; SIGINT is 2.
const EXIT_INTERRUPTED: i32 = 130;

/// Removes `dir` and ends the process when it is told to stop.
pub fn remove_on_signal(dir: &Path) -> anyhow::Result<()> {
    let dir = dir.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the event loop that waits for signals")?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(async {
                let (Ok(mut interrupt), Ok(mut terminate)) =
                    (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
                else {
                    return;
                };
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                let _ = std::fs::remove_dir_all(&dir);
                std::process::exit(EXIT_INTERRUPTED);
            });
        })
        .context("cannot start the thread that waits for signals")?;
    Ok(())
}
