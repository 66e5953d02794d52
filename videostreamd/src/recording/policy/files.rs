// SPDX-License-Identifier: Apache-2.0
//! The store as a recording sees it: where its files come from.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::Context;

use super::clock::Moment;
use super::leftovers;
use super::store::Store;
use crate::recording::{Files, Part};

/// Files of a recording by policy.
#[derive(Debug)]
pub struct PolicyFiles {
    recording: String,
    store: Arc<Mutex<Store>>,
    /// What was given and is not finished, oldest first.
    given: VecDeque<String>,
}

impl PolicyFiles {
    /// For one run of the recording.
    pub fn new(recording: &str, store: Arc<Mutex<Store>>) -> Self {
        Self { recording: recording.to_owned(), store, given: VecDeque::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that nobody writes any more and that is no ordinary MP4.
    fn leave(&self, name: String) {
        self.lock().abandon(&name, Moment::now());
        leftovers::finalise(&self.recording, &self.store, vec![name]);
    }
}

impl Files for PolicyFiles {
    fn next(&mut self, begins: SystemTime) -> anyhow::Result<Option<File>> {
        let created = self.lock().create(begins);
        let (file, name) = created
            .with_context(|| format!("cannot make a file for it in {}", self.lock().directory().path().display()))?;
        self.given.push_back(name);
        Ok(Some(file))
    }

    fn name(&self) -> String {
        let Some(name) = self.given.back() else { return String::new() };
        self.lock().directory().path().join(name).display().to_string()
    }

    fn finished(&mut self, part: &Part) {
        let Some(name) = self.given.pop_front() else { return };
        if !part.progressive {
            return self.leave(name);
        }
        let finished = self.lock().finish(&name, Moment::now());
        match finished {
            Ok(path) => tracing::debug!(recording = self.recording, file = path, bytes = part.counts.bytes, "finished"),
            Err(error) => tracing::error!(
                recording = self.recording,
                file = name,
                %error,
                "cannot give a finished recording its name: it is given at the next start"
            ),
        }
    }

    fn make_room(&mut self) -> anyhow::Result<()> {
        let mut store = self.lock();
        let space = store.space().context("cannot ask how much space is left")?;
        Ok(store.make_room(Moment::now(), space)?)
    }
}

impl Drop for PolicyFiles {
    /// A file may have been made that nothing came for any more.
    fn drop(&mut self) {
        for name in std::mem::take(&mut self.given) {
            self.leave(name);
        }
    }
}
