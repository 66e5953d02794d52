// SPDX-License-Identifier: Apache-2.0
//! `org.videostream.VideoStream1.Playback`, beside the stream of a file that somebody plays.

use std::sync::Arc;
use std::time::Duration;

use zbus::names::UniqueName;
use zbus::zvariant::{OwnedObjectPath, Value};
use zbus::{Connection, interface};

use super::dict::{Dict, dict};
use super::path;
use super::recording::owner_gone;
use super::tasks::Tasks;
use crate::control::{Control, Playing};
use crate::stream::file::{EndReason, Ending, Playback, Progress};

/// How long it stays on the bus after its end, for those who want to know how it went.
const KEPT: Duration = Duration::from_secs(60);

pub(super) struct Object {
    playback: Arc<Playback>,
}

/// Puts what is played on the bus and looks after it: it ends when `owner` leaves the bus.
pub(super) async fn publish(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    playing: Playing,
    owner: Option<UniqueName<'static>>,
) -> zbus::Result<OwnedObjectPath> {
    let path = path::stream(&playing.entry.spec.name)?;
    let server = connection.object_server();
    // One that has ended may still lie there.
    let _ = server.remove::<Object, _>(&path).await;
    server.at(&path, Object { playback: Arc::clone(&playing.playback) }).await?;
    let (connection, control, object) = (connection.clone(), Arc::clone(control), path.clone());
    tasks.spawn(async move {
        let Ending { reason, text } = tokio::select! {
            // Who plays it leaves when it is over, which is no reason of its own.
            biased;
            ending = playing.playback.wait() => ending,
            () = left(&connection, owner) => {
                Ending { reason: EndReason::Stopped, text: "whoever played it has left".to_owned() }
            }
        };
        control.end_play(&playing, reason, &text).await;
        // With the stream goes the file.
        let playback = Arc::clone(&playing.playback);
        drop(playing);
        tokio::time::sleep(KEPT).await;
        let shown = connection.object_server().interface::<_, Object>(&object).await;
        let same = match shown {
            Ok(shown) => Arc::ptr_eq(&shown.get().await.playback, &playback),
            Err(_) => false,
        };
        if same {
            let _ = connection.object_server().remove::<Object, _>(&object).await;
        }
    });
    Ok(path)
}

/// Waits until the one who wants it to go on has left the bus.
async fn left(connection: &Connection, owner: Option<UniqueName<'static>>) {
    if let Some(owner) = owner {
        match owner_gone(connection, owner.into()).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "cannot watch the caller who plays a file: it will go on"),
        }
    }
    std::future::pending().await
}

#[interface(name = "org.videostream.VideoStream1.Playback")]
impl Object {
    #[zbus(out_args("summary"))]
    async fn wait(&self) -> Dict {
        let Ending { reason, text } = self.playback.wait().await;
        let mut summary = progress(&self.playback.progress());
        summary.extend(dict([("reason", Value::from(reason.name())), ("text", Value::from(text))]));
        summary
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn progress(&self) -> Dict {
        progress(&self.playback.progress())
    }
}

fn progress(progress: &Progress) -> Dict {
    dict([
        ("frames", Value::from(progress.frames)),
        ("damaged", Value::from(progress.damaged)),
        ("late", Value::from(progress.late)),
        ("loops", Value::from(progress.loops)),
        ("position", Value::from(progress.position_ns)),
        ("duration", Value::from(progress.duration_ns)),
    ])
}
