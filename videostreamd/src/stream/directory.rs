// SPDX-License-Identifier: Apache-2.0
//! Which streams are published now, for those that are made from others.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{StreamHandle, StreamStatus};

/// A stream that others can be made from.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its thread.
    pub handle: Arc<StreamHandle>,
    /// What it is doing.
    pub status: watch::Receiver<StreamStatus>,
}

/// All of them, by name.
#[derive(Debug)]
pub struct Directory(watch::Sender<BTreeMap<String, Published>>);

impl Default for Directory {
    fn default() -> Self {
        Self(watch::Sender::new(BTreeMap::new()))
    }
}

impl Directory {
    /// Notes that a stream is there, or with `None`, that it is not.
    pub fn note(&self, name: &str, published: Option<Published>) {
        self.0.send_modify(|streams| match published {
            Some(published) => drop(streams.insert(name.to_owned(), published)),
            None => drop(streams.remove(name)),
        });
    }

    /// A view of one stream.
    pub fn look_at(&self, name: &str) -> View {
        View { name: name.to_owned(), streams: self.0.subscribe() }
    }
}

/// One stream, whether it is there or not.
#[derive(Debug, Clone)]
pub struct View {
    name: String,
    streams: watch::Receiver<BTreeMap<String, Published>>,
}

impl View {
    /// The stream, if it is there.
    pub fn get(&self) -> Option<Published> {
        self.streams.borrow().get(&self.name).cloned()
    }

    /// Waits until it is there. Safe to cancel.
    pub async fn wait(&mut self) -> Published {
        loop {
            let found = self.streams.borrow_and_update().get(&self.name).cloned();
            if let Some(published) = found {
                return published;
            }
            if self.streams.changed().await.is_err() {
                // The daemon ends.
                std::future::pending::<()>().await;
            }
        }
    }
}
