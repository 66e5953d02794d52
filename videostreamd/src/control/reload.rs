// SPDX-License-Identifier: Apache-2.0
//! A new configuration while the daemon runs: what differs is done, and nothing else is touched.
//!
//! The unit is a section. A stream whose section says the same as before goes on, with its clients; one that differs is
//! stopped and is there again at once, and its clients come back by themselves. A configuration that is wrong anywhere
//! changes nothing at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;
use vs_ipc::wire::GoodbyeReason;

use super::entry::Origin;
use super::plan::OnFailure;
use super::{Changed, Control, ControlError, StreamEntry};
use crate::config::load::{self, Loaded};
use crate::config::{Config, SocketName};
use crate::stream::spec::{StreamSpec, Wanted};

/// What a reload has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Streams, by name.
    pub streams: Changes,
    /// Recordings of the configuration, by name.
    pub recordings: Changes,
    /// Sections that differ and count from the next start on.
    pub restart: Vec<String>,
}

/// Names, each in one of the lists at most, in alphabetical order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What was not there before.
    pub added: Vec<String>,
    /// What is another one than before.
    pub changed: Vec<String>,
    /// What is not there any more.
    pub removed: Vec<String>,
}

impl Changes {
    /// From what was given up to what has come in its place.
    pub fn between(old: impl Iterator<Item = String>, new: impl Iterator<Item = String>) -> Self {
        let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.collect(), new.collect());
        Self {
            added: new.difference(&old).cloned().collect(),
            changed: new.intersection(&old).cloned().collect(),
            removed: old.difference(&new).cloned().collect(),
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, changed, removed } = self;
        write!(f, "{} added, {} changed, {} removed", added.len(), changed.len(), removed.len())?;
        let names: Vec<_> = [added, changed, removed].into_iter().flatten().map(String::as_str).collect();
        if names.is_empty() { Ok(()) } else { write!(f, ": {}", names.join(", ")) }
    }
}

impl Control {
    /// Reads the configuration anew and does what differs; returns when that is done.
    ///
    /// # Errors
    /// [`ControlError::BadFile`] with file, line and what would be right if it is wrong: then nothing has changed.
    pub async fn reload(self: &Arc<Self>) -> Result<Reloaded, ControlError> {
        let _one = self.reloading.lock().await;
        // Where the sockets are stays as it is until the daemon starts anew.
        let origin = load::Origin { socket_dir: Some(self.socket_dir.clone()), ..self.origin.clone() };
        let loaded = tokio::task::spawn_blocking(move || origin.load()).await;
        let loaded = loaded.map_err(|crash| ControlError::Failed(crash.to_string()))?.map_err(|error| {
            tracing::error!(%error, "the configuration is wrong: everything stays as it was");
            ControlError::BadFile(error.to_string())
        })?;
        let (before, loaded) = (self.loaded(), Arc::new(loaded));
        let restart = needs_restart(&before, &loaded);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
        self.tell(self.devices.want(loaded.cameras()).into_iter().map(Changed::Device));
        let streams = self.reload_streams(&loaded).await;
        let recordings = self.reload_policies(&loaded.recordings).await;
        tracing::info!(file = %loaded.path.display(), %streams, %recordings, ?restart, "the configuration was read anew");
        Ok(Reloaded { streams, recordings, restart })
    }

    async fn reload_streams(&self, loaded: &Loaded) -> Changes {
        let mut wanted: BTreeMap<&str, &StreamSpec> =
            loaded.streams.iter().map(|spec| (spec.name.as_str(), spec)).collect();
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for entry in self.streams() {
            let configured = wanted.remove(entry.spec.name.as_str()).cloned();
            let Some((spec, origin)) = self.successor(&entry, configured, loaded) else {
                old.push((entry, None));
                continue;
            };
            if spec.is_like(&entry.spec) {
                entry.set_origin(origin);
            } else {
                old.push((entry, Some(StreamEntry::new(spec, origin))));
            }
        }
        new.extend(wanted.into_values().map(|spec| StreamEntry::new(spec.clone(), Origin::Config)));
        let names = |entry: &Arc<StreamEntry>| entry.spec.name.clone();
        let came = old.iter().filter_map(|(_, next)| next.as_ref()).chain(&new);
        let changes = Changes::between(old.iter().map(|(entry, _)| names(entry)), came.map(names));
        join_all(old.iter().map(|(entry, next)| self.replace(entry, next.as_ref()))).await;
        for entry in &new {
            self.put(&entry.spec.name, Some(entry));
            self.tell([Changed::Stream(entry.spec.name.clone())].into_iter());
        }
        join_all(new.iter().map(|entry| self.bring_up(entry, false))).await;
        // A camera whose section has gone is shown as any other.
        self.show_cameras();
        self.offer().await;
        changes
    }

    /// What a stream is from now on; `None` if it is no more.
    fn successor(
        &self,
        entry: &StreamEntry,
        configured: Option<StreamSpec>,
        loaded: &Loaded,
    ) -> Option<(StreamSpec, Origin)> {
        if let Some(spec) = configured {
            return Some((spec, Origin::Config));
        }
        let name = &entry.spec.name;
        match entry.origin() {
            // It is there until whoever has asked for it stops it.
            Origin::Request => Some((entry.spec.clone(), Origin::Request)),
            Origin::Config if !self.devices.cameras().contains(name) => None,
            Origin::Config | Origin::Camera => Some((loaded.implicit(name, &self.socket_dir)?, Origin::Camera)),
        }
    }

    /// Stops a stream; the `next` one of its name, if there is one, is there as soon as the sockets are free.
    async fn replace(&self, entry: &Arc<StreamEntry>, next: Option<&Arc<StreamEntry>>) {
        let name = &entry.spec.name;
        let (held, text) = (
            entry.is_held(),
            if next.is_some() { "its configuration has changed" } else { "it is not configured any more" },
        );
        {
            // Nobody starts the next one before this one has gone.
            let _changing = match next {
                Some(next) => Some(next.changing.lock().await),
                None => None,
            };
            self.put(name, next);
            if let Err(error) = self.stop(entry, GoodbyeReason::StreamRemoved, text, false).await {
                tracing::warn!(stream = name, %error, "a stream did not stop cleanly");
            }
            // Whoever waits for news of it learns that there will be none.
            entry.say(vs_ipc::wire::StreamState::Stopped, text);
        }
        self.tell([Changed::Stream(name.clone())].into_iter());
        match next {
            Some(next) => self.bring_up(next, held).await,
            None => drop(self.switched_off().remove(name)),
        }
    }

    /// The stream of this name is this one now.
    fn put(&self, name: &str, entry: Option<&Arc<StreamEntry>>) {
        let mut streams = self.lock_streams();
        match entry {
            Some(entry) => drop(streams.insert(name.to_owned(), Arc::clone(entry))),
            None => drop(streams.remove(name)),
        }
    }

    /// Begins with what a stream is to do by itself, and what somebody wanted of the one before.
    async fn bring_up(&self, entry: &StreamEntry, held: bool) {
        if self.switched_off().contains(&entry.spec.name) {
            return;
        }
        if !entry.spec.always_on && !held {
            return self.publish(entry).await;
        }
        if let Err(error) = self.start(entry, &Wanted::default(), OnFailure::Stay).await {
            tracing::error!(stream = entry.spec.name, %error, "cannot start a stream with its new configuration");
        }
    }
}

/// What is only looked at when the daemon starts.
fn needs_restart(before: &Loaded, now: &Loaded) -> Vec<String> {
    let (before, now) = (&before.config, &now.config);
    let mut sections = Vec::new();
    if before.daemon != now.daemon {
        sections.push("daemon".to_owned());
    }
    if before.metrics != now.metrics {
        sections.push("metrics".to_owned());
    }
    let names: BTreeSet<_> = before.device.keys().chain(now.device.keys()).collect();
    let differs = |name: &&&SocketName| {
        let device = |config: &'_ Config| config.device.get(**name).map(|device| device.get_ref().clone());
        device(before) != device(now)
    };
    sections.extend(names.iter().filter(differs).map(|name| format!("device.{}", name.as_str())));
    sections
}
