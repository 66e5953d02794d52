// SPDX-License-Identifier: Apache-2.0
//! The daemon on D-Bus: objects that translate between messages and [`Control`].
//!
//! `dbus/*.xml` is the contract; a test holds the running daemon to it.

mod address;
mod codec;
mod controls;
mod device;
mod dict;
mod encoding;
mod error;
mod manager;
mod objects;
mod options;
mod path;
mod playback;
mod recording;
mod snapshot;
mod stream;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use tokio::sync::mpsc::UnboundedReceiver;
use zbus::fdo::RequestNameFlags;

use crate::control::{Changed, Control};
use crate::metrics::Metrics;

use self::tasks::Tasks;

pub use address::Address;

/// The well-known name.
const NAME: &str = "org.videostream.VideoStream1";

/// How long answers that are on their way may take when the daemon ends.
const GRACE: Duration = Duration::from_secs(2);

/// The daemon's place on the bus.
pub struct Bus {
    connection: zbus::Connection,
    tasks: Tasks,
}

impl Bus {
    /// Publishes the objects, then takes the name: whoever sees the name sees all objects.
    pub async fn serve(
        address: &Address,
        control: Arc<Control>,
        metrics: Arc<Metrics>,
        changed: UnboundedReceiver<Changed>,
    ) -> anyhow::Result<Self> {
        let connection = address.connect().await?;
        let tasks = Tasks::default();
        let server = connection.object_server();
        server.at(path::ROOT, zbus::fdo::ObjectManager).await?;
        for name in control.devices().names() {
            server.at(path::device(&name)?, device::Device::new(&name, control.devices())).await?;
            controls::publish(&connection, &tasks, &control, &name).await?;
        }
        for entry in control.streams() {
            stream::publish(&connection, &tasks, &control, entry).await?;
        }
        objects::follow(&connection, &tasks, &control, changed);
        server.at(path::ROOT, manager::Manager::new(control, metrics, tasks.clone())).await?;
        let flags = RequestNameFlags::DoNotQueue.into();
        connection.request_name_with_flags(NAME, flags).await.with_context(|| {
            format!(
                "cannot take the name {NAME} on the {address} bus: another daemon has it, or the bus policy forbids it"
            )
        })?;
        Ok(Self { connection, tasks })
    }

    /// Waits until the bus has gone: nobody can reach the daemon any more.
    pub async fn lost(&self) {
        let mut messages = zbus::MessageStream::from(&self.connection);
        while let Some(Ok(_)) = messages.next().await {}
    }

    /// Leaves the bus when the answers that are on their way have been sent.
    pub async fn leave(self) {
        self.tasks.abort();
        let _ = tokio::time::timeout(GRACE, self.connection.graceful_shutdown()).await;
    }
}
