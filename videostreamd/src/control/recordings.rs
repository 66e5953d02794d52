// SPDX-License-Identifier: Apache-2.0
//! Recordings: which there are, and what is recorded for a stream.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use vs_ipc::wire::StreamState;

use super::plan::OnFailure;
use super::{Control, ControlError, StreamEntry};
use crate::recording::{Files, RecordOptions, Recording};
use crate::rendition::{Coding, Wishes};
use crate::stream::spec::{SourceSpec, Wanted};

/// How long recordings may take to be completed when the daemon ends. systemd's default
/// patience for a stopping unit is 90 s.
const FINISH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a stream may take to run that somebody else has just opened: what it is made from must
/// be opened first, too.
const OPENING_GRACE: Duration = Duration::from_secs(2);

impl Control {
    /// Waits for the recordings of a stream that has stopped.
    pub(super) async fn recordings_of(&self, stream: &str) {
        let of_stream: Vec<_> = self.lock_recordings().values().filter(|r| r.stream() == stream).cloned().collect();
        let waits = join_all(of_stream.iter().map(|recording| recording.wait()));
        if tokio::time::timeout(FINISH_TIMEOUT, waits).await.is_err() {
            tracing::error!(stream, "a recording could not be completed in time: its file plays as it lies");
        }
    }

    /// Begins a recording; returns when its first frame is in the file.
    ///
    /// # Errors
    /// [`ControlError`]; the file may hold a few bytes then.
    pub async fn record(
        &self,
        name: &str,
        files: Box<dyn Files>,
        options: RecordOptions,
    ) -> Result<(u64, Arc<Recording>), ControlError> {
        let entry = self.stream(name)?;
        if entry.handle().is_none() {
            return Err(ControlError::NotRunning(name.to_owned()));
        }
        let entry = if options.pre.is_some() { self.remembered(&entry, &options.coding)? } else { entry };
        let (entry, coding) = self.recorded(&entry, &options.coding)?;
        let from = &entry.spec.name;
        let handle = entry.handle().ok_or_else(|| ControlError::NotRunning(from.clone()))?;
        if entry.is_unused() {
            // What is known to be missing is said at once.
            self.plan(&entry, &Wanted::default(), None, OnFailure::Stop)?;
        } else if !entry.runs_within(OPENING_GRACE).await {
            return Err(entry.no_frames());
        }
        let recording = Recording::begin(&self.renditions, from, &handle, files, coding, options).await;
        let recording = Arc::new(recording.map_err(|error| {
            if entry.state() == StreamState::Running {
                ControlError::Failed(error.to_string())
            } else {
                entry.no_frames()
            }
        })?);
        let number = self.next_recording.fetch_add(1, Ordering::Relaxed);
        self.lock_recordings().insert(number, Arc::clone(&recording));
        Ok((number, recording))
    }

    /// The entry whose past a recording of `entry` can begin with: itself, or of pictures a stream that encodes them
    /// as is wished.
    fn remembered(&self, entry: &Arc<StreamEntry>, wishes: &Wishes) -> Result<Arc<StreamEntry>, ControlError> {
        let name = &entry.spec.name;
        let encodes = |other: &Arc<StreamEntry>| match &other.spec.source {
            SourceSpec::Coded { from, .. } => Arc::ptr_eq(other, entry) || from == name,
            _ => false,
        };
        let as_wished = |other: &Arc<StreamEntry>| {
            let coding = other.coding().unwrap_or_default();
            wishes.over(&coding).is_ok_and(|wanted| wanted == coding)
        };
        let kept = |other: &Arc<StreamEntry>| other.pre().map(|pre| pre.duration);
        let with_past = self.streams().into_iter().filter(|other| encodes(other) && as_wished(other));
        with_past.filter(|other| kept(other).is_some()).max_by_key(kept).ok_or_else(|| {
            ControlError::BadFormat(format!(
                "nothing is kept of what '{name}' showed before, encoded like this: say pre = \"10s\" in the configuration \
                 of a stream with from = \"{name}\", or `vsctl start-stream NAME --from {name} --pre 10s`"
            ))
        })
    }

    /// What is recorded for an entry, and how: of a coded stream what it is made from, encoded as
    /// it is.
    fn recorded(&self, entry: &Arc<StreamEntry>, wishes: &Wishes) -> Result<(Arc<StreamEntry>, Coding), ControlError> {
        let SourceSpec::Coded { from, .. } = &entry.spec.source else {
            let coding = wishes.over(&Coding::default()).map_err(ControlError::BadFormat)?;
            return Ok((Arc::clone(entry), coding));
        };
        let coding = entry.coding().unwrap_or_default();
        if wishes.over(&coding).map_err(ControlError::BadFormat)? != coding {
            return Err(ControlError::BadFormat(format!(
                "stream '{}' is coded already, as its configuration says: record '{from}' with a codec, bitrate or \
                 keyframe interval of your own",
                entry.spec.name
            )));
        }
        Ok((self.stream(from)?, coding))
    }

    /// The recording of this number, running or just ended.
    pub fn recording(&self, number: u64) -> Option<Arc<Recording>> {
        self.lock_recordings().get(&number).cloned()
    }

    /// Forgets a recording that has ended.
    pub fn forget_recording(&self, number: u64) {
        self.lock_recordings().remove(&number);
    }

    fn lock_recordings(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Recording>>> {
        self.recordings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
