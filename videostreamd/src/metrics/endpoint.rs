// SPDX-License-Identifier: Apache-2.0
//! The HTTP endpoint: one page, one answer for each connection.
//!
//! Whoever may connect is a stranger. The bounds: [`CONNECTIONS`] at once (more wait in the
//! kernel's backlog), [`EXCHANGE`] for everything from connecting to the end, and
//! [`HEAD_MAX`] bytes that are read before the answer. It runs on the control plane's threads;
//! streams know nothing of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::http::{self, HEAD_MAX, Refusal, Request};
use super::listen::{Listener, Peer};
use super::{Listen, Metrics};

/// Scrapers that are served at once. There is one, sometimes a second, and a curious person.
const CONNECTIONS: usize = 4;

/// Prometheus gives up after 10 s by itself.
const EXCHANGE: Duration = Duration::from_secs(10);

/// How long, and how much, is read from a client that still sends after it was answered. To
/// close while something is unread would take the answer away again (tcp(7), unix(7)).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;

/// Pause after a connection could not be accepted: the system is short of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A running endpoint. It ends, connections and all, when it is dropped.
#[derive(Debug)]
pub struct Endpoint(JoinHandle<()>);

impl Endpoint {
    /// Begins to listen.
    ///
    /// # Errors
    /// The address is taken, or may not be had.
    pub async fn start(listen: &Listen, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let listener = Listener::bind(listen).await.context("[metrics] listen names an address that cannot be had")?;
        tracing::info!(address = listener.address(), "metrics endpoint");
        Ok(Self(tokio::spawn(run(listener, metrics))))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(listener: Listener, metrics: Arc<Metrics>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut failures = 0u64;
    // A semaphore that nobody closes always gives.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok(mut peer) => {
                if failures > 0 {
                    tracing::info!(failures, "metrics endpoint accepts connections again");
                    failures = 0;
                }
                let metrics = Arc::clone(&metrics);
                connections.spawn(async move {
                    // A client that is too slow, or gone, has nobody to be told.
                    let _ = tokio::time::timeout(EXCHANGE, serve(&mut *peer, &metrics)).await;
                    drop(slot);
                });
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "metrics endpoint cannot accept a connection; trying again");
                }
                failures += 1;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(peer: &mut dyn Peer, metrics: &Metrics) -> std::io::Result<()> {
    let mut head = Vec::new();
    let request = loop {
        if http::is_complete(&head) {
            break http::parse(&head);
        }
        if head.len() >= HEAD_MAX {
            break Request::Refused(Refusal::TooLong);
        }
        let room = HEAD_MAX - head.len();
        if (&mut *peer).take(room as u64).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    match request {
        Request::Metrics { head_only } => {
            let text = metrics.text().await;
            peer.write_all(http::ok(text.len()).as_bytes()).await?;
            if !head_only {
                peer.write_all(text.as_bytes()).await?;
            }
        }
        Request::Refused(refusal) => peer.write_all(http::refused(refusal).as_bytes()).await?,
    }
    peer.shutdown().await?;
    let mut rest = peer.take(LINGER_BYTES);
    let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    Ok(())
}
