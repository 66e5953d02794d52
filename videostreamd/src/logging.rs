// SPDX-License-Identifier: Apache-2.0
//! Where events go: to the journal, with their fields, when systemd runs the daemon; else to
//! stderr, one line an event.

use std::io::IsTerminal;

use anyhow::Context;
use rustix::fs::fstat;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging.
pub fn start(filter: &str) -> anyhow::Result<()> {
    let filter: EnvFilter = filter.parse().with_context(|| format!("'{filter}' is not a log filter"))?;
    let registry = tracing_subscriber::registry().with(filter);
    if stderr_is_the_journal()
        && let Ok(journal) = tracing_journald::layer()
    {
        // Field names without prefix, so that `journalctl STREAM=cam0` works.
        registry.with(journal.with_field_prefix(None)).init();
        return Ok(());
    }
    let stderr = std::io::stderr();
    registry.with(fmt::layer().with_ansi(stderr.is_terminal()).with_writer(std::io::stderr)).init();
    Ok(())
}

/// systemd names the journal's stream as `DEVICE:INODE` (systemd.exec(5), `$JOURNAL_STREAM`);
/// a child that redirected its stderr must compare.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = fstat(std::io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}
