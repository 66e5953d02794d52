// SPDX-License-Identifier: Apache-2.0
//! `org.videostream.VideoStream1.Recording`

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use zbus::fdo::DBusProxy;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::zvariant::{OwnedObjectPath, Value};
use zbus::{Connection, interface};

use super::dict::{Dict, dict};
use super::encoding::encoding;
use super::path;
use super::tasks::Tasks;
use crate::control::Control;
use crate::recording::{Counts, EndReason, Recording, Summary};

/// How long an ended recording stays on the bus, for those who want to know how it went.
const KEPT: Duration = Duration::from_secs(60);

pub(super) struct Object {
    recording: Arc<Recording>,
}

/// Puts a recording on the bus and looks after it: it ends when `owner` leaves the bus, and
/// its object goes some time after its end.
pub(super) async fn publish(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    number: u64,
    recording: Arc<Recording>,
    owner: Option<zbus::names::UniqueName<'static>>,
) -> zbus::Result<OwnedObjectPath> {
    let path = path::recording(number)?;
    let server = connection.object_server();
    server.at(&path, Object { recording: Arc::clone(&recording) }).await?;
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
    let (connection, control, object) = (connection.clone(), Arc::clone(control), path.clone());
    tasks.spawn(async move {
        recording.wait().await;
        let _ = announce_end(&connection, &object).await;
        tokio::time::sleep(KEPT).await;
        let _ = connection.object_server().remove::<Object, _>(&object).await;
        control.forget_recording(number);
    });
    Ok(path)
}

async fn announce_end(connection: &Connection, path: &OwnedObjectPath) -> zbus::Result<()> {
    let object = connection.object_server().interface::<_, Object>(path).await?;
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
        summary(&self.recording.wait().await)
    }

    #[zbus(out_args("summary"))]
    async fn wait(&self) -> Dict {
        summary(&self.recording.wait().await)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn stream(&self) -> &str {
        self.recording.stream()
    }

    #[zbus(property)]
    fn state(&self) -> &str {
        self.recording.summary().map_or("recording", |summary| state(&summary))
    }

    #[zbus(property)]
    fn error(&self) -> String {
        self.recording.summary().map(|summary| summary.error).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn encoding(&self) -> Dict {
        self.recording.encoder().map(|encoder| encoding(&encoder)).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn progress(&self) -> Dict {
        progress(&self.recording.counts())
    }
}

fn state(summary: &Summary) -> &'static str {
    if summary.reason == EndReason::Failed { "failed" } else { "finished" }
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
        ("progressive", Value::from(summary.progressive)),
    ]));
    entries
}
