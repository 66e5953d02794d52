// SPDX-License-Identifier: Apache-2.0
//! Recordings by policy: `[recording.NAME]` of the configuration. The daemon makes the files itself, in a directory
//! of its own, and deletes old ones.
//!
//! * [`config`]: what the administrator says
//! * [`naming`]: what files are called, and which are the recording's own
//! * [`clock`], [`retention`], [`floor`]: how old files are, which must go, how much stays free
//! * [`directory`]: all that is done to the file system; [`store`]: all of this together
//! * [`files`]: the store as a recording sees it; [`leftovers`]: files that were not finished
//!
//! Who begins such a recording, and begins it again, is [`control`](crate::control)'s part.

mod clock;
pub mod config;
mod directory;
mod files;
mod floor;
mod leftovers;
mod naming;
mod retention;
mod store;

use std::sync::{Arc, Mutex, PoisonError};

pub use self::clock::Moment;
pub use self::config::Policy;
use self::directory::Directory;
pub use self::directory::DirectoryError;
pub use self::files::PolicyFiles;
pub use self::store::NoRoom;
use self::store::Store;

/// What a recording by policy writes into, while its directory is there.
#[derive(Debug, Clone)]
pub struct Place {
    recording: String,
    store: Arc<Mutex<Store>>,
}

impl Place {
    /// Opens the directory, lists it, and begins to finalise what was not finished. Waits for the disk.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn open(policy: &Policy, path: &std::path::Path) -> Result<Self, DirectoryError> {
        let directory = Directory::open(path, policy.directory.is_none())?;
        let (store, torn) = Store::open(&policy.name, directory, policy.rules.clone(), Moment::now())?;
        let (files, bytes) = store.contents();
        tracing::info!(recording = policy.name, directory = %path.display(), files, bytes, "recordings that are there");
        let place = Self { recording: policy.name.clone(), store: Arc::new(Mutex::new(store)) };
        leftovers::finalise(&place.recording, &place.store, torn);
        Ok(place)
    }

    /// Whether its path still leads to it.
    pub fn is_current(&self) -> bool {
        self.with(|store| store.directory().is_current())
    }

    /// Whether it makes sense to begin.
    ///
    /// # Errors
    /// [`NoRoom`] if not.
    pub fn has_room(&self) -> Result<(), NoRoom> {
        self.with(|store| store.has_room(store.space()?))
    }

    /// Deletes what has had its time, and what is too much.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn tidy(&self) -> std::io::Result<()> {
        self.with(|store| store.tidy(Moment::now()))
    }

    /// Finished files, and their bytes.
    pub fn contents(&self) -> (usize, u64) {
        self.with(|store| store.contents())
    }

    /// Files for one run of the recording.
    pub fn files(&self) -> PolicyFiles {
        PolicyFiles::new(&self.recording, Arc::clone(&self.store))
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Store) -> T) -> T {
        ask(&mut self.store.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
