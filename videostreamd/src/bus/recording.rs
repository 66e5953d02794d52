// SPDX-License-Identifier: Apache-2.0
//! `org.videostream.VideoStream1.Recording`

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use tokio::sync::watch;
use zbus::fdo::DBusProxy;
use zbus::names::{BusName, OwnedUniqueName, UniqueName};
use zbus::object_server::{InterfaceRef, SignalEmitter};
use zbus::zvariant::{self, OwnedObjectPath, Value};
use zbus::{Connection, interface};

use super::dict::{Dict, dict};
use super::encoding::encoding;
use super::error::Error;
use super::options;
use super::path;
use super::tasks::Tasks;
use crate::control::Control;
use crate::recording::{Counts, Entry, Ledger, Recording, Summary, Supply};

/// How long an ended recording stays on the bus, for those who want to know how it went.
const KEPT: Duration = Duration::from_secs(60);

pub(super) struct Object {
    recording: Arc<Recording>,
    /// Where further files are passed; `None` if it has them from elsewhere.
    supply: Option<Supply>,
    /// Everything about the files has been said.
    told: watch::Receiver<bool>,
}

/// Whoever has asked for a recording over the bus.
pub(super) struct Caller {
    /// Where further files are passed.
    pub(super) supply: Supply,
    /// The recording ends when this connection leaves the bus.
    pub(super) owner: Option<UniqueName<'static>>,
}

/// Puts a recording on the bus and looks after it: its object goes some time after its end. Without a `caller` it has
/// its files from elsewhere, and ends when somebody stops it.
pub(super) async fn publish(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    number: u64,
    recording: Arc<Recording>,
    caller: impl Into<Option<Caller>>,
) -> zbus::Result<OwnedObjectPath> {
    let path = path::recording(number)?;
    let server = connection.object_server();
    let (all_told, told) = watch::channel(false);
    let (supply, owner) = caller.into().map_or((None, None), |caller| (Some(caller.supply), caller.owner));
    if !server.at(&path, Object { recording: Arc::clone(&recording), supply, told }).await? {
        // Who is told of it and who has started it may both want to see it.
        return Ok(path);
    }
    let object = server.interface::<_, Object>(&path).await?;
    if let Some(owner) = owner {
        let (connection, recording) = (connection.clone(), Arc::clone(&recording));
        tasks.spawn(async move {
            tokio::select! {
                gone = owner_gone(&connection, owner.into()) => match gone {
                    Ok(()) => recording.stop(),
                    Err(error) => tracing::warn!(%error, "cannot watch the caller of a recording: it will go on"),
                },
                _ = recording.wait() => {}
            }
        });
    }
    let (connection, control, place) = (connection.clone(), Arc::clone(control), path.clone());
    tasks.spawn(async move {
        tell_files(&object, recording.ledger()).await;
        recording.wait().await;
        let _ = announce_end(&object).await;
        all_told.send_replace(true);
        tokio::time::sleep(KEPT).await;
        let _ = connection.object_server().remove::<Object, _>(&place).await;
        control.forget_recording(number);
    });
    Ok(path)
}

/// Tells of each file that is begun or finished, until the recording has ended.
async fn tell_files(object: &InterfaceRef<Object>, mut files: watch::Receiver<Ledger>) {
    let (mut begun, mut finished) = (1, 0);
    loop {
        let Ledger { begun: now, finished: entries, .. } = files.borrow_and_update().clone();
        // A bus that is gone has no readers.
        if now > begun {
            begun = now;
            let _ = announce_file(object).await;
        }
        for entry in entries.iter().filter(|entry| entry.number > finished) {
            let _ = Object::file_finished(object.signal_emitter(), entry.number, file(entry)).await;
        }
        finished = entries.back().map_or(finished, |entry| entry.number);
        if files.changed().await.is_err() {
            return;
        }
    }
}

async fn announce_file(object: &InterfaceRef<Object>) -> zbus::Result<()> {
    let (recording, emitter) = (object.get().await, object.signal_emitter());
    recording.segments_changed(emitter).await?;
    recording.file_changed(emitter).await?;
    recording.encoding_changed(emitter).await
}

async fn announce_end(object: &InterfaceRef<Object>) -> zbus::Result<()> {
    let (recording, emitter) = (object.get().await, object.signal_emitter());
    recording.state_changed(emitter).await?;
    recording.error_changed(emitter).await
}

/// Waits until a connection has left the bus.
pub(super) async fn owner_gone(connection: &Connection, owner: OwnedUniqueName) -> zbus::Result<()> {
    let bus = DBusProxy::new(connection).await?;
    let name = BusName::Unique(owner.into_inner());
    let mut changes = bus.receive_name_owner_changed_with_args(&[(0, name.as_str())]).await?;
    if !bus.name_has_owner(name).await? {
        return Ok(());
    }
    while let Some(change) = changes.next().await {
        if change.args()?.new_owner().is_none() {
            return Ok(());
        }
    }
    Ok(())
}

#[interface(name = "org.videostream.VideoStream1.Recording")]
impl Object {
    #[zbus(out_args("summary"))]
    async fn stop(&self) -> Dict {
        self.recording.stop();
        summary(&self.end().await)
    }

    #[zbus(out_args("summary"))]
    async fn wait(&self) -> Dict {
        summary(&self.end().await)
    }

    async fn add_file(&self, file: zvariant::OwnedFd, options: Dict) -> Result<(), Error> {
        let title = options::add_file(options)?;
        let supply = self.supply.as_ref().ok_or_else(|| {
            Error::BadFile(
                "the daemon opens the files of this recording by itself, as its configuration says".to_owned(),
            )
        })?;
        Ok(supply.add(File::from(OwnedFd::from(file)), title)?)
    }

    #[zbus(signal)]
    async fn file_finished(emitter: &SignalEmitter<'_>, number: u64, file: Dict) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> &str {
        self.recording.name()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn stream(&self) -> &str {
        self.recording.stream()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn pre(&self) -> u64 {
        self.recording.pre_ns()
    }

    #[zbus(property)]
    fn state(&self) -> &str {
        self.recording.summary().map_or("recording", |summary| state(&summary))
    }

    #[zbus(property)]
    fn error(&self) -> String {
        self.recording.summary().map(|summary| summary.error).unwrap_or_default()
    }

    #[zbus(property)]
    fn encoding(&self) -> Dict {
        self.recording.encoder().map(|encoder| encoding(&encoder)).unwrap_or_default()
    }

    #[zbus(property)]
    fn file(&self) -> String {
        self.recording.ledger().borrow().name.clone()
    }

    #[zbus(property)]
    fn segments(&self) -> u64 {
        self.recording.ledger().borrow().begun
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn progress(&self) -> Dict {
        progress(&self.recording.counts())
    }
}

impl Object {
    /// Whoever learns of the end has heard of each file before.
    async fn end(&self) -> Summary {
        let summary = self.recording.wait().await;
        let _ = self.told.clone().wait_for(|told| *told).await;
        summary
    }
}

fn state(summary: &Summary) -> &'static str {
    if summary.reason.is_failure() { "failed" } else { "finished" }
}

fn progress(counts: &Counts) -> Dict {
    dict([
        ("frames", Value::from(counts.frames)),
        ("dropped", Value::from(counts.dropped)),
        ("duration", Value::from(counts.duration_ns)),
        ("bytes", Value::from(counts.bytes)),
    ])
}

fn summary(summary: &Summary) -> Dict {
    let mut entries = progress(&summary.counts);
    entries.extend(dict([
        ("state", Value::from(state(summary))),
        ("reason", Value::from(summary.reason.name())),
        ("error", Value::from(summary.error.clone())),
        ("segments", Value::from(summary.segments)),
        ("progressive", Value::from(summary.progressive)),
    ]));
    entries
}

fn file(entry: &Entry) -> Dict {
    let Entry { name, part, .. } = entry;
    // A clock that was never set may show a time before 1970.
    let began = part.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut entries = progress(&part.counts);
    entries.extend(dict([
        ("file", Value::from(name.clone())),
        ("began", Value::from(u64::try_from(began.as_nanos()).unwrap_or(u64::MAX))),
        ("error", Value::from(part.error.clone())),
        ("progressive", Value::from(part.progressive)),
    ]));
    entries
}
