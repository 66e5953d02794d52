// SPDX-License-Identifier: Apache-2.0
//! Objects that come and go with devices. zbus tells of them (`InterfacesAdded`,
//! `InterfacesRemoved`); what else changes about a device is told here.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use zbus::Connection;

use super::controls::{self, Controls};
use super::device::{self, Device};
use super::stream::{self, Stream};
use super::{Tasks, path, recording};
use crate::control::{Changed, Control};

/// Keeps the bus in step with what there is.
pub(super) fn follow(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    mut changed: UnboundedReceiver<Changed>,
) {
    let (connection, control, inner) = (connection.clone(), Arc::clone(control), tasks.clone());
    tasks.spawn(async move {
        while let Some(changed) = changed.recv().await {
            // A bus that is gone has no readers.
            let _ = match &changed {
                Changed::Device(name) => look_at_device(&connection, &inner, &control, name).await,
                Changed::Stream(name) => look_at_stream(&connection, &inner, &control, name).await,
                Changed::Recording(number) => look_at_recording(&connection, &inner, &control, *number).await,
            };
        }
    });
}

/// What counts is what there is now: a message may be older than the last change.
async fn look_at_device(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    name: &str,
) -> zbus::Result<()> {
    let (server, path) = (connection.object_server(), path::device(name)?);
    if control.devices().get(name).is_none() {
        server.remove::<Controls, _>(&path).await?;
        server.remove::<Device, _>(&path).await?;
        return Ok(());
    }
    if server.at(&path, Device::new(name, control.devices())).await? {
        return controls::publish(connection, tasks, control, name).await;
    }
    device::announce(&server.interface(&path).await?).await
}

/// A recording that the daemon has begun itself.
async fn look_at_recording(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    number: u64,
) -> zbus::Result<()> {
    if let Some(found) = control.recording(number) {
        recording::publish(connection, tasks, control, number, found, None).await?;
    }
    Ok(())
}

async fn look_at_stream(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    name: &str,
) -> zbus::Result<()> {
    let (server, path) = (connection.object_server(), path::stream(name)?);
    let there = control.find_stream(name);
    let shown = server.interface::<_, Stream>(&path).await;
    if let Ok(shown) = shown {
        let same = match &there {
            Some(entry) => shown.get().await.shows(entry),
            None => false,
        };
        if same {
            return Ok(());
        }
        server.remove::<Stream, _>(&path).await?;
    }
    match there {
        Some(entry) => stream::publish(connection, tasks, control, entry).await,
        None => Ok(()),
    }
}
