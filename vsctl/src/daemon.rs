// SPDX-License-Identifier: Apache-2.0
//! The daemon, with an end to patience.

use std::future::Future;
use std::time::Duration;

use vsclient::dbus::{self, Bus, Daemon, Objects, StreamInfo};

use crate::exit::NoAnswer;

/// How long the daemon may take for an answer. It answers when the work is done, and the
/// longest work is to finish a recording on a slow disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// From here on one name may have been meant for another one: 1 is the same, `cam1` and `cam0` have 0.88. The daemon
/// takes the same.
const LIKENESS: f64 = 0.8;

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
    if stream(&objects, name).is_some() {
        let text =
            format!("'{name}' is a stream: name the camera that it shows (`vsctl devices --cameras` lists them)");
        return Err(dbus::CallError::NoSuchDevice(text).into());
    }
    let names: Vec<_> = objects.devices.iter().map(|device| device.name.as_str()).collect();
    let known = known(name, &names).unwrap_or_else(|| "there are none (`vsctl info` says what is missing)".to_owned());
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
    let known = known(name, &names);
    let known = known.unwrap_or_else(|| "there are none: `vsctl devices` lists cameras to start one with".to_owned());
    dbus::CallError::NoSuchStream(format!("there is no stream '{name}': {known}"))
}

/// What there is in place of `name`, and what may have been meant; `None` if there is nothing. As the daemon says it.
fn known(name: &str, names: &[&str]) -> Option<String> {
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    let near = names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    let all = format!("there {} {}", if names.len() == 1 { "is" } else { "are" }, names.join(", "));
    Some(if likeness(near) > LIKENESS { format!("did you mean '{near}'? ({all})") } else { all })
}

/// A call whose refusal is told in the daemon's words.
pub async fn call<T>(call: impl Future<Output = zbus::Result<T>>) -> Result<T, dbus::CallError> {
    Ok(call.await?)
}
