// SPDX-License-Identifier: Apache-2.0
//! The daemon, with an end to patience.

use std::future::Future;
use std::time::Duration;

use vsclient::dbus::{self, Bus, Daemon, Objects, StreamInfo};

use crate::exit::NoAnswer;

/// How long the daemon may take for an answer. It answers when the work is done, and the
/// longest work is to finish a recording on a slow disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for an answer of the daemon, but not for ever.
pub async fn answer<T, E>(call: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    E: Into<anyhow::Error>,
{
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(NoAnswer(PATIENCE).into()),
    }
}

/// Connects to the daemon.
pub async fn connect(bus: &Bus) -> anyhow::Result<Daemon> {
    answer(dbus::connect(bus)).await
}

/// Everything that the daemon has.
pub async fn objects(daemon: &Daemon) -> anyhow::Result<Objects> {
    answer(daemon.objects()).await
}

/// A stream by its name.
pub fn stream<'a>(objects: &'a Objects, name: &str) -> Option<&'a StreamInfo> {
    objects.streams.iter().find(|stream| stream.name == name)
}

/// Makes sure that a device is there.
pub async fn device(daemon: &Daemon, name: &str) -> anyhow::Result<()> {
    let objects = objects(daemon).await?;
    if objects.devices.iter().any(|device| device.name == name) {
        return Ok(());
    }
    let names: Vec<_> = objects.devices.iter().map(|device| device.name.as_str()).collect();
    let known = if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
    Err(dbus::CallError::NoSuchDevice(format!("there is no device '{name}': {known}")).into())
}

/// What to say of a stream that is not there: those that are.
pub fn no_such_stream(objects: &Objects, name: &str) -> dbus::CallError {
    if objects.devices.iter().any(|device| device.name == name && device.kind == "camera") {
        return dbus::CallError::NotRunning(format!(
            "camera '{name}' has no stream yet: start one with `vsctl start-stream {name}`"
        ));
    }
    let names: Vec<_> = objects.streams.iter().map(|stream| stream.name.as_str()).collect();
    let known = match names.as_slice() {
        [] => "there are none: `vsctl devices` lists cameras to start one with".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    dbus::CallError::NoSuchStream(format!("there is no stream '{name}': {known}"))
}

/// A call whose refusal is told in the daemon's words.
pub async fn call<T>(call: impl Future<Output = zbus::Result<T>>) -> Result<T, dbus::CallError> {
    Ok(call.await?)
}
