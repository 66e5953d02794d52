// SPDX-License-Identifier: Apache-2.0
//! `org.videostream.VideoStream1.Stream`

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use vs_frame::{Format, MemoryKind};
use vs_ipc::host::{ClientSnapshot, Departure, HostSnapshot};
use zbus::object_server::InterfaceRef;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, Value};
use zbus::{Connection, interface};

use super::dict::{Dict, by_reason, dict, distribution};
use super::encoding::encoding;
use super::error::Error;
use super::path;
use super::tasks::Tasks;
use crate::control::{Control, StreamEntry};
use crate::devices::Devices;
use crate::stream::handle::StreamSnapshot;
use crate::stream::source::Counts;
use crate::stream::spec::SourceSpec;

pub(super) struct Stream {
    entry: Arc<StreamEntry>,
    devices: Arc<Devices>,
}

impl Stream {
    /// Whether it is this stream's object, and not that of an earlier one of its name.
    pub(super) fn shows(&self, entry: &Arc<StreamEntry>) -> bool {
        Arc::ptr_eq(&self.entry, entry)
    }
}

/// Puts a stream on the bus and keeps its properties' readers informed.
pub(super) async fn publish(
    connection: &Connection,
    tasks: &Tasks,
    control: &Arc<Control>,
    entry: Arc<StreamEntry>,
) -> zbus::Result<()> {
    let path = path::stream(&entry.spec.name)?;
    let (mut status, control, shown) = (entry.status(), Arc::clone(control), Arc::downgrade(&entry));
    let server = connection.object_server();
    server.at(&path, Stream { entry, devices: Arc::clone(control.devices()) }).await?;
    let object = server.interface::<_, Stream>(&path).await?;
    tasks.spawn(async move {
        while status.changed().await.is_ok() {
            // A stream that is only as long as its camera has gone: there is no object any more.
            let is_there = shown.upgrade().is_some_and(|entry| control.shows(&entry));
            if !is_there {
                return;
            }
            // A bus that is gone has no readers.
            let _ = announce(&object).await;
        }
    });
    Ok(())
}

async fn announce(object: &InterfaceRef<Stream>) -> zbus::Result<()> {
    let (stream, emitter) = (object.get().await, object.signal_emitter());
    stream.state_changed(emitter).await?;
    stream.state_text_changed(emitter).await?;
    stream.socket_changed(emitter).await?;
    stream.vsl_socket_changed(emitter).await?;
    stream.format_changed(emitter).await?;
    stream.encoding_changed(emitter).await?;
    stream.adjustments_changed(emitter).await
}

#[interface(name = "org.videostream.VideoStream1.Stream")]
impl Stream {
    #[zbus(property)]
    fn name(&self) -> &str {
        &self.entry.spec.name
    }

    #[zbus(property)]
    fn state(&self) -> String {
        self.entry.state_name().to_owned()
    }

    #[zbus(property)]
    fn state_text(&self) -> String {
        self.entry.status().borrow().text.clone()
    }

    #[zbus(property)]
    fn source_kind(&self) -> &str {
        self.entry.spec.source.kind()
    }

    #[zbus(property)]
    fn device(&self) -> zbus::fdo::Result<OwnedObjectPath> {
        let path = match &self.entry.spec.source {
            SourceSpec::Camera { device } if self.devices.get(device).is_some() => path::device(device)?,
            _ => OwnedObjectPath::from(ObjectPath::from_static_str("/").map_err(zbus::Error::from)?),
        };
        Ok(path)
    }

    #[zbus(property)]
    fn from(&self) -> &str {
        self.entry.spec.source.from().unwrap_or_default()
    }

    #[zbus(property)]
    fn socket(&self) -> String {
        self.entry.socket().map(|path| path.display().to_string()).unwrap_or_default()
    }

    #[zbus(property)]
    fn vsl_socket(&self) -> String {
        self.entry.vsl_socket().map(|path| path.display().to_string()).unwrap_or_default()
    }

    #[zbus(property)]
    fn format(&self) -> Dict {
        let status = self.entry.status().borrow().clone();
        status.format.map(|f| format(&f, status.memory)).unwrap_or_default()
    }

    #[zbus(property)]
    fn encoding(&self) -> Dict {
        self.entry.status().borrow().encoder.as_ref().map(|encoder| encoding(encoder)).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn past(&self) -> Dict {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.entry.past().map_or_else(Dict::default, |(pre, past)| {
            dict([
                ("duration", Value::from(ns(past.duration))),
                ("memory", Value::from(past.memory as u64)),
                ("duration-wanted", Value::from(ns(pre.duration))),
                ("memory-max", Value::from(pre.memory as u64)),
            ])
        })
    }

    async fn request_keyframe(&self) -> Result<(), Error> {
        Ok(self.entry.request_keyframe().await?)
    }

    #[zbus(property)]
    fn adjustments(&self) -> Vec<String> {
        self.entry.status().borrow().adjustments.clone()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn counters(&self) -> Dict {
        self.entry.snapshot().await.map(|snapshot| counters(&snapshot)).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn clients(&self) -> Vec<Dict> {
        let snapshot = self.entry.snapshot().await;
        snapshot.map(|snapshot| snapshot.host.clients.iter().map(client).collect()).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn departures(&self) -> Vec<Dict> {
        let snapshot = self.entry.snapshot().await;
        snapshot.map(|snapshot| snapshot.host.departures.iter().map(departure).collect()).unwrap_or_default()
    }
}

fn format(format: &Format, memory: Option<MemoryKind>) -> Dict {
    let planes: Vec<Dict> = format
        .planes
        .iter()
        .map(|plane| {
            dict([
                ("memory", Value::from(u32::from(plane.memory))),
                ("offset", Value::from(plane.offset)),
                ("stride", Value::from(plane.stride)),
                ("size", Value::from(plane.size)),
            ])
        })
        .collect();
    let memory = match memory {
        Some(MemoryKind::DmaBuf) => "dmabuf",
        Some(MemoryKind::Memfd) => "memfd",
        None => "",
    };
    dict([
        ("fourcc", Value::from(format.fourcc.to_string())),
        ("width", Value::from(format.width)),
        ("height", Value::from(format.height)),
        ("rate", Value::from((format.rate.num, format.rate.den))),
        ("planes", Value::from(planes)),
        ("colorspace", Value::from(u32::from(format.color.colorspace))),
        ("transfer", Value::from(u32::from(format.color.transfer))),
        ("encoding", Value::from(u32::from(format.color.encoding))),
        ("quantization", Value::from(u32::from(format.color.quantization))),
        ("field", Value::from(u32::from(format.field.0))),
        ("rotation", Value::from(u32::from(format.rotation))),
        ("modifier", Value::from(format.modifier)),
        ("memory", Value::from(memory)),
    ])
}

fn counters(snapshot: &StreamSnapshot) -> Dict {
    let StreamSnapshot { host, source, buffers } = snapshot;
    let HostSnapshot { published, delivered, skipped, revoked, goodbyes, .. } = host;
    let goodbyes: HashMap<String, u64> =
        goodbyes.iter().map(|(reason, count)| (reason.name().to_owned(), *count)).collect();
    dict([
        ("published", Value::from(*published)),
        ("delivered", Value::from(*delivered)),
        ("skipped", Value::from(by_reason(skipped))),
        ("revoked", Value::from(by_reason(revoked))),
        ("goodbyes", Value::from(goodbyes)),
        ("source", Value::from(source_counts(source))),
        ("buffers", Value::from(buffers.all)),
        ("spares", Value::from(buffers.spares)),
        ("buffers-max", Value::from(buffers.max)),
        ("held", Value::from(host.held as u32)),
        ("held-max", Value::from(host.held_max as u32)),
        ("frames-live", Value::from(host.frames_live as u32)),
        ("frames-max", Value::from(host.frames_max as u32)),
        ("capture-latency", Value::from(distribution(&host.capture_latency))),
        ("lease-hold", Value::from(distribution(&host.lease_hold))),
    ])
}

fn source_counts(counts: &Counts) -> HashMap<String, u64> {
    let named = counts.outcomes().into_iter().chain(counts.repairs());
    named.map(|(name, count)| (name.to_owned(), count)).collect()
}

fn client(client: &ClientSnapshot) -> Dict {
    dict([
        ("id", Value::from(client.id)),
        ("name", Value::from(client.name.clone())),
        ("pid", Value::from(client.pid)),
        ("uid", Value::from(client.uid)),
        ("protocol", Value::from(client.dialect.name())),
        ("mode", Value::from(client.mode.name())),
        ("credits", Value::from(u32::from(client.credits))),
        ("held", Value::from(client.held as u32)),
        ("held-max", Value::from(client.held_max as u32)),
        ("delivered", Value::from(client.delivered)),
        ("skipped", Value::from(by_reason(&client.skipped))),
        ("revoked", Value::from(by_reason(&client.revoked))),
        ("stray-unlocks", Value::from(client.stray_unlocks)),
        ("muted", Value::from(client.muted)),
        ("connected", Value::from(client.connected_ns)),
        ("lease-hold", Value::from(distribution(&client.lease_hold))),
    ])
}

fn departure(departure: &Departure) -> Dict {
    dict([
        ("id", Value::from(departure.id)),
        ("name", Value::from(departure.name.clone())),
        ("pid", Value::from(departure.pid)),
        ("uid", Value::from(departure.uid)),
        ("reason", Value::from(departure.reason.map_or("", |reason| reason.name()))),
        ("text", Value::from(departure.text.clone())),
        ("delivered", Value::from(departure.delivered)),
        ("skipped", Value::from(by_reason(&departure.skipped))),
        ("revoked", Value::from(by_reason(&departure.revoked))),
        ("held", Value::from(departure.held as u32)),
        ("connected", Value::from(departure.connected_ns)),
        ("left", Value::from(departure.left_ns)),
        ("times", Value::from(departure.times)),
    ])
}
