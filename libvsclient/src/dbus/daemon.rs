// SPDX-License-Identifier: Apache-2.0
//! The way to the daemon.

use std::collections::HashMap;

use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::proxy::CacheProperties;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};
use zbus::{Connection, Proxy};

use super::names::{device_path, object_path, recording_path, stream_path};
use super::objects::{Interfaces, ManagerInfo, Objects};
use super::proxy::{ControlsProxy, DeviceProxy, ManagerProxy, PlaybackProxy, RecordingProxy, StreamProxy};
use super::{Bus, CallError, ConnectError, ROOT_PATH, SERVICE};

/// Connects to the daemon on a bus. Where the bus knows how to start it, and it does not
/// run, it is started.
///
/// # Errors
/// [`ConnectError`] if there is no bus, or no daemon on it.
pub async fn connect(bus: &Bus) -> Result<Daemon, ConnectError> {
    let (connection, dbus, running) = look(bus).await?;
    if !running {
        start(bus, &dbus).await?;
    }
    Ok(Daemon { connection })
}

/// Connects to the daemon on a bus if it runs. It is not started.
///
/// # Errors
/// [`ConnectError`] if there is no bus.
pub async fn connect_running(bus: &Bus) -> Result<Option<Daemon>, ConnectError> {
    let (connection, _, running) = look(bus).await?;
    Ok(running.then_some(Daemon { connection }))
}

/// Connects to a bus, and asks it whether the daemon runs.
async fn look(bus: &Bus) -> Result<(Connection, DBusProxy<'static>, bool), ConnectError> {
    let no_bus = |source| ConnectError::NoBus { bus: bus.clone(), source };
    let connection = bus.builder().map_err(no_bus)?.build().await.map_err(no_bus)?;

    let strange = |source| ConnectError::Bus { bus: bus.clone(), source };
    let dbus = DBusProxy::new(&connection).await.map_err(strange)?;
    let name = BusName::try_from(SERVICE).map_err(|error| strange(error.into()))?;
    let running = dbus.name_has_owner(name).await.map_err(|error| strange(error.into()))?;
    Ok((connection, dbus, running))
}

/// Lets the bus start the daemon, if it knows how.
async fn start(bus: &Bus, dbus: &DBusProxy<'_>) -> Result<(), ConnectError> {
    let strange = |source: zbus::fdo::Error| ConnectError::Bus { bus: bus.clone(), source: source.into() };
    let known = dbus.list_activatable_names().await.map_err(strange)?;
    if !known.iter().any(|name| name.as_str() == SERVICE) {
        return Err(ConnectError::NotRunning { bus: bus.clone() });
    }
    let name = SERVICE.try_into().map_err(|error: zbus::names::Error| strange(zbus::Error::from(error).into()))?;
    let started = dbus.start_service_by_name(name, 0).await;
    started.map_err(|source| ConnectError::Activation { bus: bus.clone(), source })?;
    Ok(())
}

/// A connection to the daemon. Cloning copies a pointer.
#[derive(Debug, Clone)]
pub struct Daemon {
    connection: Connection,
}

impl Daemon {
    /// The daemon at the other end of a connection that exists already. Nothing is asked.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// The connection to the bus.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The daemon as a whole.
    ///
    /// # Errors
    /// [`CallError`] if the bus has gone.
    pub async fn manager(&self) -> Result<ManagerProxy<'static>, CallError> {
        Ok(ManagerProxy::new(&self.connection).await?)
    }

    /// A stream by its name; whether it exists shows with the first call.
    ///
    /// # Errors
    /// [`CallError`] if the bus has gone.
    pub async fn stream(&self, name: &str) -> Result<StreamProxy<'static>, CallError> {
        Ok(StreamProxy::new(&self.connection, object_path(stream_path(name))?).await?)
    }

    /// A device by its name; whether it exists shows with the first call.
    ///
    /// # Errors
    /// [`CallError`] if the bus has gone.
    pub async fn device(&self, name: &str) -> Result<DeviceProxy<'static>, CallError> {
        Ok(DeviceProxy::new(&self.connection, object_path(device_path(name))?).await?)
    }

    /// The controls of a device by its name; whether it exists shows with the first call.
    ///
    /// # Errors
    /// [`CallError`] if the bus has gone.
    pub async fn controls(&self, device: &str) -> Result<ControlsProxy<'static>, CallError> {
        Ok(ControlsProxy::new(&self.connection, object_path(device_path(device))?).await?)
    }

    /// A recording by its number; whether it exists shows with the first call.
    ///
    /// # Errors
    /// [`CallError`] if the bus has gone.
    pub async fn recording(&self, number: u64) -> Result<RecordingProxy<'static>, CallError> {
        Ok(RecordingProxy::new(&self.connection, object_path(recording_path(number))?).await?)
    }

    /// The file that a stream of this name plays; whether it does shows with the first call.
    ///
    /// # Errors
    /// [`CallError`] if the bus has gone.
    pub async fn playback(&self, stream: &str) -> Result<PlaybackProxy<'static>, CallError> {
        Ok(PlaybackProxy::new(&self.connection, object_path(stream_path(stream))?).await?)
    }

    /// The manager's properties.
    ///
    /// # Errors
    /// [`CallError`] if the daemon does not answer.
    pub async fn info(&self) -> Result<ManagerInfo, CallError> {
        let root = self.root("org.freedesktop.DBus.Properties").await?;
        Ok(root.call("GetAll", &"org.videostream.VideoStream1.Manager").await?)
    }

    /// All streams, devices and recordings with all their properties, as they are now.
    ///
    /// # Errors
    /// [`CallError`] if the daemon does not answer.
    pub async fn objects(&self) -> Result<Objects, CallError> {
        let root = self.root("org.freedesktop.DBus.ObjectManager").await?;
        let objects: HashMap<OwnedObjectPath, Interfaces> = root.call("GetManagedObjects", &()).await?;
        Ok(Objects::new(objects))
    }

    async fn root(&self, interface: &'static str) -> Result<Proxy<'static>, CallError> {
        let path = ObjectPath::from_static_str(ROOT_PATH).map_err(zbus::Error::from)?;
        let builder = zbus::proxy::Builder::new(&self.connection).destination(SERVICE)?.path(path)?;
        Ok(builder.interface(interface)?.cache_properties(CacheProperties::No).build().await?)
    }
}
