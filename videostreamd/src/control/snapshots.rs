// SPDX-License-Identifier: Apache-2.0
//! Snapshots: of which stream, and how long its camera may need to settle.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use super::plan::OnFailure;
use super::{Control, ControlError, StreamEntry};
use crate::codec_session::Owner;
use crate::snapshot::{self, DEFAULT_SETTLE, Options, Scene, SnapshotError, Taken, Target};
use crate::stream::spec::{SourceSpec, Wanted};

impl Control {
    /// Takes a picture of a stream into a file; of a coded one, what it is made from. A stream that nobody uses is
    /// opened for that.
    ///
    /// # Errors
    /// [`ControlError`]; the file may hold a part of the picture then.
    pub async fn snapshot(
        &self,
        name: &str,
        file: File,
        options: Options,
        owner: Owner,
    ) -> Result<Taken, ControlError> {
        let place = self.snapshots.enter(owner.uid)?;
        let target = Target::new(file).map_err(SnapshotError::from)?;
        let entry = self.made_from(self.stream(name)?, |source| match source {
            SourceSpec::Coded { from, .. } => Some(from),
            _ => None,
        })?;
        // One that is made from another settles when that does.
        let origin = self.made_from(Arc::clone(&entry), SourceSpec::from)?;
        let not_running = || ControlError::NotRunning(entry.spec.name.clone());
        let stream = entry.handle().ok_or_else(not_running)?;
        for entry in [&entry, &origin] {
            if entry.handle().is_some() && entry.is_unused() {
                // What is known to be missing is said at once.
                self.plan(entry, &Wanted::default(), None, OnFailure::Stop)?;
            }
        }
        let settle = options.settle.unwrap_or_else(|| default_settle(&origin.spec.source));
        let scene = Scene {
            name: entry.spec.name.clone(),
            stream,
            status: entry.status(),
            origin: origin.handle().filter(|_| !Arc::ptr_eq(&origin, &entry)),
            settle,
        };
        Ok(snapshot::take(scene, options, target, place).await?)
    }

    /// The stream that `entry` is made from, or what that is made from, and so on, as far as `from` says.
    fn made_from(
        &self,
        mut entry: Arc<StreamEntry>,
        from: impl Fn(&SourceSpec) -> Option<&str>,
    ) -> Result<Arc<StreamEntry>, ControlError> {
        while let Some(upstream) = from(&entry.spec.source).map(str::to_owned) {
            entry = self.stream(&upstream)?;
        }
        Ok(entry)
    }
}

/// What is painted or played is at its best from the first picture on. What another host publishes may come from a camera.
fn default_settle(source: &SourceSpec) -> Duration {
    match source {
        SourceSpec::Camera { .. } | SourceSpec::Ipc { .. } => DEFAULT_SETTLE,
        SourceSpec::Pattern | SourceSpec::File(_) | SourceSpec::Coded { .. } | SourceSpec::Converted { .. } => {
            Duration::ZERO
        }
    }
}

impl From<SnapshotError> for ControlError {
    fn from(error: SnapshotError) -> Self {
        let text = error.to_string();
        match error {
            SnapshotError::Busy(_) => Self::Busy(text),
            SnapshotError::NoPicture(_) => Self::NoPicture(text),
            SnapshotError::Refused(_) => Self::BadFormat(text),
            SnapshotError::Target(_) => Self::BadFile(text),
            SnapshotError::Failed(_) => Self::Failed(text),
        }
    }
}
