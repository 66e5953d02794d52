// SPDX-License-Identifier: Apache-2.0
//! `org.videostream.VideoStream1.Controls`, beside `Device` at each device.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use vs_v4l2::controls::{Reading, Wish, find};
use vs_v4l2::{Control as DeviceControl, ControlError as Refusal, ControlValue, DeviceKind};
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{OwnedValue, Value};
use zbus::{Connection, interface};

use super::dict::{Dict, dict};
use super::error::Error;
use super::options::{self, Options};
use super::path;
use super::tasks::Tasks;
use crate::control::{Control, ControlError};
use crate::controls::DeviceControls;

pub(super) struct Controls {
    device: String,
    control: Arc<Control>,
    /// Ends the telling of changes when it is dropped with the object.
    _shown: oneshot::Sender<()>,
}

/// Puts the controls of a device on the bus and tells their changes, until they are taken off.
pub(super) async fn publish(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    device: &str,
) -> zbus::Result<()> {
    let path = path::device(device)?;
    let mut changes = control.controls().of(device).changes();
    let (shown, mut removed) = oneshot::channel();
    let object = Controls { device: device.to_owned(), control: Arc::clone(control), _shown: shown };
    connection.object_server().at(&path, object).await?;
    let emitter = SignalEmitter::new(connection, path)?.into_owned();
    tasks.spawn(async move {
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                _ = &mut removed => return,
            };
            match change {
                // A bus that is gone has no readers.
                Ok(reading) => {
                    drop(Controls::control_changed(&emitter, &reading.control.name, described(&reading)).await)
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    Ok(())
}

impl Controls {
    fn node(&self) -> Result<PathBuf, Error> {
        let device = self.control.devices().get(&self.device).filter(|known| known.present);
        let gone = || Error::NoSuchDevice(format!("the device '{}' is not there: plug it in", self.device));
        Ok(device.and_then(|known| known.info).ok_or_else(gone)?.node.devnode.clone())
    }

    /// Asks the device, which may take its time.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&DeviceControls, PathBuf) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Error> {
        let (controls, node) = (self.control.controls().of(&self.device), self.node()?);
        let asked = tokio::task::spawn_blocking(move || ask(&controls, node)).await;
        let answer = asked.map_err(|error| ControlError::Failed(error.to_string()))?;
        Ok(answer.map_err(ControlError::from)?)
    }

    /// Where each open file has controls of its own, setting them here would change nothing.
    fn check_shared(&self) -> Result<(), Error> {
        let device = self.control.devices().get(&self.device);
        let kind = device.and_then(|known| known.info).and_then(|info| info.kind());
        match kind {
            Some(DeviceKind::Camera) | None => Ok(()),
            Some(_) => Err(Error::BadControl(format!(
                "'{}' is no camera: each of its sessions has controls of its own, which end with it",
                self.device
            ))),
        }
    }
}

#[interface(name = "org.videostream.VideoStream1.Controls")]
impl Controls {
    #[zbus(out_args("controls"))]
    async fn list_controls(&self, options: Dict) -> Result<Vec<Dict>, Error> {
        Options::new(options).finish("ListControls knows none")?;
        let (readings, remembered) = self.ask(|controls, node| controls.read(&node)).await?;
        let listed = |reading: &Reading| {
            let mut entry = described(reading);
            let is_remembered = remembered.contains(&reading.control.name);
            entry.extend(dict([("remembered", Value::from(is_remembered))]));
            entry
        };
        Ok(readings.iter().map(listed).collect())
    }

    #[zbus(out_args("values"))]
    async fn get_controls(&self, names: Vec<String>, options: Dict) -> Result<Dict, Error> {
        Options::new(options).finish("GetControls knows none")?;
        let (readings, _) = self.ask(|controls, node| controls.read(&node)).await?;
        if names.is_empty() {
            return Ok(values(&readings));
        }
        let all: Vec<DeviceControl> = readings.iter().map(|reading| reading.control.clone()).collect();
        let mut wanted = Dict::new();
        for name in &names {
            let control = find(&all, name).map_err(ControlError::from)?;
            let reading = readings.iter().find(|reading| reading.control.id == control.id && reading.value.is_some());
            let unreadable = || Refusal::Unreadable { name: control.name.clone(), why: why_unreadable(control) };
            wanted.extend(values([reading.ok_or_else(unreadable).map_err(ControlError::from)?]));
        }
        Ok(wanted)
    }

    #[zbus(out_args("values"))]
    async fn set_controls(&self, values: Dict, options: Dict) -> Result<Dict, Error> {
        let remember = options::remember(options)?;
        self.check_shared()?;
        let wishes = values.into_iter().map(|(name, value)| Ok((name.clone(), wish(&name, value)?)));
        let wishes = wishes.collect::<Result<Vec<_>, Error>>()?;
        let readings = self.ask(move |controls, node| controls.set(&node, &wishes, remember)).await?;
        Ok(self::values(&readings))
    }

    #[zbus(out_args("refused"))]
    async fn reset_controls(&self, names: Vec<String>, options: Dict) -> Result<HashMap<String, String>, Error> {
        Options::new(options).finish("ResetControls knows none")?;
        self.check_shared()?;
        let refused = self.ask(move |controls, node| controls.reset(&node, &names)).await?;
        Ok(refused.into_iter().collect())
    }

    #[zbus(signal)]
    async fn control_changed(emitter: &SignalEmitter<'_>, name: &str, control: Dict) -> zbus::Result<()>;
}

fn why_unreadable(control: &DeviceControl) -> &'static str {
    use vs_v4l2::controls::{ControlFlags, ControlKind};
    match control.kind {
        ControlKind::Button => "it is a button",
        ControlKind::Compound(_) => "it is an array or a structure",
        _ if control.flags.contains(ControlFlags::WRITE_ONLY) => "it can only be set",
        _ => "the device does not tell it now",
    }
}

/// What a caller wrote: a number, a boolean, or a text to be understood.
fn wish(name: &str, value: OwnedValue) -> Result<Wish, Error> {
    let number = match &*value {
        Value::Bool(on) => i64::from(*on),
        Value::U8(n) => i64::from(*n),
        Value::I16(n) => i64::from(*n),
        Value::U16(n) => i64::from(*n),
        Value::I32(n) => i64::from(*n),
        Value::U32(n) => i64::from(*n),
        Value::I64(n) => *n,
        Value::U64(n) if i64::try_from(*n).is_ok() => *n as i64,
        Value::Str(text) => return Ok(Wish::Written(text.to_string())),
        other => {
            let signature = other.value_signature().to_string();
            return Err(Error::BadControl(format!(
                "control '{name}': a value is a number, a boolean or a text, not of type {signature}"
            )));
        }
    };
    Ok(Wish::Value(ControlValue::Number(number)))
}

fn value(value: &ControlValue) -> Value<'static> {
    match value {
        ControlValue::Number(number) => Value::from(*number),
        ControlValue::Text(text) => Value::from(text.clone()),
    }
}

fn values<'a>(readings: impl IntoIterator<Item = &'a Reading>) -> Dict {
    let named = |reading: &Reading| {
        let value = value(reading.value.as_ref()?).try_to_owned().ok()?;
        Some((reading.control.name.clone(), value))
    };
    readings.into_iter().filter_map(named).collect()
}

fn described(reading: &Reading) -> Dict {
    let Reading { control, value: now } = reading;
    let menu: Vec<(i64, String)> = control.menu.iter().map(|item| (item.index, item.label.clone())).collect();
    let mut entry = dict([
        ("name", Value::from(control.name.clone())),
        ("id", Value::from(control.id)),
        ("title", Value::from(control.title.clone())),
        ("class", Value::from(control.class.clone())),
        ("type", Value::from(control.kind.name())),
        ("min", Value::from(control.min)),
        ("max", Value::from(control.max)),
        ("step", Value::from(control.step)),
        ("default", Value::from(control.default)),
        ("flags", Value::from(control.flags.names().collect::<Vec<_>>())),
        ("menu", Value::from(menu)),
        ("dims", Value::from(control.dims.clone())),
    ]);
    if let Some(now) = now {
        entry.extend(dict([("value", value(now))]));
    }
    entry
}
