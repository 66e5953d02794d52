// SPDX-License-Identifier: Apache-2.0
//! What the daemon has counted, as the text that Prometheus reads.
//!
//! There is one text, whoever asks for it: `Manager.Metrics` on D-Bus, and the HTTP
//! [`endpoint`] if it is switched on. To make it, each stream's thread must be asked for its
//! counters, so the text is made at most every [`FRESH`], however many ask: asking fast costs
//! the asker, not the streams.
//!
//! * [`families`]: which metrics there are; `docs/metrics.md` lists them
//! * [`exposition`]: how they are written
//! * [`endpoint`], [`http`], [`listen`]: where a scraper gets them

pub mod endpoint;
mod exposition;
mod families;
mod http;
mod listen;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Mutex;

use crate::control::Control;

use self::families::StreamSample;

pub use listen::Listen;

/// How old a text may be. Nobody scrapes as often; a program that does in a loop gets the
/// same text again.
const FRESH: Duration = Duration::from_millis(100);

/// Makes the text. See the module.
#[derive(Debug)]
pub struct Metrics {
    control: Arc<Control>,
    last: Mutex<Option<(Instant, Arc<str>)>>,
}

impl Metrics {
    /// Of these streams.
    pub fn new(control: Arc<Control>) -> Self {
        Self { control, last: Mutex::default() }
    }

    /// All metrics, at most [`FRESH`] old. Takes as long as the slowest stream's thread, but
    /// not for ever: one that hangs in its driver is left out after some seconds.
    pub async fn text(&self) -> Arc<str> {
        let mut last = self.last.lock().await;
        if let Some((made, text)) = &*last
            && made.elapsed() < FRESH
        {
            return Arc::clone(text);
        }
        let streams = self.control.streams();
        let samples = join_all(streams.iter().map(async |entry| StreamSample {
            name: entry.spec.name.clone(),
            state: entry.state_name(),
            snapshot: entry.snapshot().await,
        }));
        let text: Arc<str> = families::text(&samples.await).into();
        *last = Some((Instant::now(), Arc::clone(&text)));
        text
    }
}
