// SPDX-License-Identifier: Apache-2.0
//! What happens to the daemon's objects, as it happens, in the order in which the daemon tells it.
//!
//! The signals come over a connection of their own: they wait in it while the caller is busy, and who waits for an answer of the daemon on
//! the same connection would wait for room in that queue.

use std::collections::HashMap;

use futures_util::StreamExt;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue};
use zbus::{MatchRule, Message, MessageStream};

use super::names::{recording_number, unescape};
use super::objects::Interfaces;
use super::{Bus, ConnectError, ControlInfo, DeviceInfo, ROOT_PATH, RecordedFile, RecordingInfo, SERVICE, StreamInfo};

/// The interfaces end like this behind [`SERVICE`].
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// An object of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Object {
    /// The daemon as a whole.
    Manager,
    /// A stream, by its name.
    Stream(String),
    /// A device, by its name.
    Device(String),
    /// A recording, by its number.
    Recording(u64),
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// The daemon has come to the bus. What was known of another one before does not count any more.
    Appeared,
    /// The daemon has left the bus.
    Gone,
    /// There is a new stream.
    StreamAdded(Box<StreamInfo>),
    /// There is a new device, or one has become something else.
    DeviceAdded(Box<DeviceInfo>),
    /// There is a new recording.
    RecordingAdded(u64, Box<RecordingInfo>),
    /// There is no such object any more.
    Removed(Object),
    /// Properties have been told anew, changed or not.
    Properties {
        /// Of what.
        object: Object,
        /// By their names, such as `StateText`.
        values: HashMap<String, OwnedValue>,
    },
    /// A file of a recording is complete.
    FileFinished {
        /// Number of the recording.
        recording: u64,
        /// Number of the file in it, from 1.
        number: u64,
        /// The file.
        file: RecordedFile,
    },
    /// A control of a device has another value, or other limits.
    ControlChanged {
        /// Name of the device.
        device: String,
        /// The control.
        control: Box<ControlInfo>,
    },
}

/// Everything that happens, from the moment at which it was asked for.
#[derive(Debug)]
pub struct Changes {
    messages: MessageStream,
    /// Who is the daemon now. Nobody else is listened to.
    owner: Option<OwnedUniqueName>,
}

/// Listens to the daemon, also before it is there and after it has gone.
///
/// # Errors
/// [`ConnectError`] if there is no bus.
pub async fn changes(bus: &Bus) -> Result<Changes, ConnectError> {
    let no_bus = |source| ConnectError::NoBus { bus: bus.clone(), source };
    let connection = bus.builder().map_err(no_bus)?.build().await.map_err(no_bus)?;
    let strange = |source: zbus::Error| ConnectError::Bus { bus: bus.clone(), source };
    listen(&connection).await.map_err(strange)
}

async fn listen(connection: &zbus::Connection) -> zbus::Result<Changes> {
    let dbus = DBusProxy::new(connection).await?;
    // First of all: what comes while the rest is asked waits in it.
    let messages = MessageStream::from(connection);
    let signals = || MatchRule::builder().msg_type(Type::Signal);
    let of_daemon = signals().sender(SERVICE)?.path_namespace(ROOT_PATH)?.build();
    let of_bus = signals().sender("org.freedesktop.DBus")?.interface("org.freedesktop.DBus")?;
    let of_bus = of_bus.member("NameOwnerChanged")?.arg(0, SERVICE)?.build();
    dbus.add_match_rule(of_bus).await?;
    dbus.add_match_rule(of_daemon).await?;
    let owner = match dbus.get_name_owner(BusName::try_from(SERVICE)?).await {
        Ok(owner) => Some(owner),
        Err(zbus::fdo::Error::NameHasNoOwner(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Changes { messages, owner })
}

impl Changes {
    /// Waits for the next one; `None` if the bus has gone. May be cancelled: nothing is lost.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            let message = self.messages.next().await?.ok()?;
            if message.message_type() != Type::Signal {
                continue;
            }
            let known = match self.is_of_bus(&message) {
                true => self.owner_changed(&message),
                false if self.is_of_daemon(&message) => read(&message),
                false => None,
            };
            // What a later daemon tells in other words is passed over.
            if known.is_some() {
                return known;
            }
        }
    }

    fn is_of_bus(&self, message: &Message) -> bool {
        message.header().sender().is_some_and(|sender| sender == "org.freedesktop.DBus")
    }

    fn is_of_daemon(&self, message: &Message) -> bool {
        self.owner.as_ref().is_some_and(|owner| message.header().sender() == Some(&**owner))
    }

    fn owner_changed(&mut self, message: &Message) -> Option<Change> {
        if message.header().member().is_none_or(|member| member != "NameOwnerChanged") {
            return None;
        }
        let (name, _, owner): (String, String, String) = message.body().deserialize().ok()?;
        if name != SERVICE {
            return None;
        }
        let owner = OwnedUniqueName::try_from(owner).ok();
        // The question for the owner may have been answered before this was told.
        if owner == self.owner {
            return None;
        }
        self.owner = owner;
        Some(if self.owner.is_some() { Change::Appeared } else { Change::Gone })
    }
}

/// The change that a signal of the daemon tells of.
fn read(message: &Message) -> Option<Change> {
    let header = message.header();
    let (interface, member) = (header.interface()?.as_str(), header.member()?.as_str());
    let (object, body) = (object(header.path()?), message.body());
    match (interface, member) {
        (OBJECT_MANAGER, "InterfacesAdded") => {
            let (path, interfaces): (OwnedObjectPath, Interfaces) = body.deserialize().ok()?;
            interfaces.added(&path)
        }
        (OBJECT_MANAGER, "InterfacesRemoved") => {
            let (path, interfaces): (OwnedObjectPath, Vec<String>) = body.deserialize().ok()?;
            let object = self::object(&path)?;
            let kind = match object {
                Object::Manager => "Manager",
                Object::Stream(_) => "Stream",
                Object::Device(_) => "Device",
                Object::Recording(_) => "Recording",
            };
            interfaces.iter().any(|interface| own(interface) == Some(kind)).then_some(Change::Removed(object))
        }
        (PROPERTIES, "PropertiesChanged") => {
            let (interface, values, _): (String, HashMap<String, OwnedValue>, Vec<String>) = body.deserialize().ok()?;
            own(&interface)?;
            Some(Change::Properties { object: object?, values })
        }
        (interface, "FileFinished") if own(interface) == Some("Recording") => {
            let Some(Object::Recording(recording)) = object else { return None };
            let (number, file) = body.deserialize().ok()?;
            Some(Change::FileFinished { recording, number, file })
        }
        (interface, "ControlChanged") if own(interface) == Some("Controls") => {
            let Some(Object::Device(device)) = object else { return None };
            let (_, control): (String, ControlInfo) = body.deserialize().ok()?;
            Some(Change::ControlChanged { device, control: Box::new(control) })
        }
        _ => None,
    }
}

/// The last part of the name of an interface of the daemon.
fn own(interface: &str) -> Option<&str> {
    interface.strip_prefix(SERVICE)?.strip_prefix('.')
}

fn object(path: &ObjectPath<'_>) -> Option<Object> {
    let Some(rest) = path.strip_prefix(ROOT_PATH)?.strip_prefix('/') else {
        return (path.as_str() == ROOT_PATH).then_some(Object::Manager);
    };
    match rest.split_once('/')? {
        ("stream", name) => unescape(name).map(Object::Stream),
        ("device", name) => unescape(name).map(Object::Device),
        ("recording", _) => recording_number(path).map(Object::Recording),
        _ => None,
    }
}

impl Interfaces {
    /// The object that has come with these interfaces.
    fn added(self, path: &ObjectPath<'_>) -> Option<Change> {
        let stream = self.stream.map(|stream| Change::StreamAdded(Box::new(stream)));
        let device = self.device.map(|device| Change::DeviceAdded(Box::new(device)));
        let number = recording_number(path);
        let recording = self.recording.zip(number).map(|(info, number)| Change::RecordingAdded(number, Box::new(info)));
        stream.or(device).or(recording)
    }
}

#[cfg(test)]
mod tests {
    use zbus::zvariant::{DynamicType, Value};

    use super::*;

    fn signal<B: serde::Serialize + DynamicType>(path: &str, interface: &str, member: &str, body: &B) -> Message {
        Message::signal(path, interface, member).unwrap().build(body).unwrap()
    }

    fn path(rest: &str) -> String {
        format!("{ROOT_PATH}/{rest}")
    }

    #[test]
    fn objects_come_and_go() {
        let properties = HashMap::from([("Name", Value::from("front-door")), ("State", Value::from("idle"))]);
        let interfaces = HashMap::from([
            ("org.freedesktop.DBus.Peer", HashMap::new()),
            ("org.videostream.VideoStream1.Stream", properties),
        ]);
        let at = path("stream/front_2ddoor");
        let at = ObjectPath::try_from(at.as_str()).unwrap();
        let Some(Change::StreamAdded(stream)) =
            read(&signal(ROOT_PATH, OBJECT_MANAGER, "InterfacesAdded", &(&at, interfaces)))
        else {
            panic!("no stream")
        };
        assert_eq!((stream.name.as_str(), stream.state.as_str()), ("front-door", "idle"));
        let gone = |interfaces: &[&str]| {
            read(&signal(ROOT_PATH, OBJECT_MANAGER, "InterfacesRemoved", &(&at, interfaces.to_vec())))
        };
        let stream = Object::Stream("front-door".to_owned());
        assert_eq!(gone(&["org.videostream.VideoStream1.Stream"]), Some(Change::Removed(stream)));
        assert_eq!(gone(&["org.videostream.VideoStream1.Playback"]), None);
    }

    #[test]
    fn properties_and_signals_are_of_their_object() {
        let values = HashMap::from([("State", Value::from("failed"))]);
        let body = ("org.videostream.VideoStream1.Recording", values, Vec::<String>::new());
        let change = read(&signal(&path("recording/7"), PROPERTIES, "PropertiesChanged", &body));
        let Some(Change::Properties { object: Object::Recording(7), values }) = change else { panic!("{change:?}") };
        assert_eq!(String::try_from(values["State"].clone()).unwrap(), "failed");
        let file = HashMap::from([("file", Value::from("a.mp4")), ("frames", Value::from(9u64))]);
        let interface = "org.videostream.VideoStream1.Recording";
        let change = read(&signal(&path("recording/7"), interface, "FileFinished", &(1u64, file)));
        let Some(Change::FileFinished { recording: 7, number: 1, file }) = change else { panic!("{change:?}") };
        assert_eq!((file.file.as_str(), file.frames), ("a.mp4", 9));
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        assert_eq!(read(&signal(ROOT_PATH, "org.videostream.VideoStream1.Manager", "OfTheFuture", &())), None);
        assert_eq!(read(&signal(&path("elsewhere/x"), PROPERTIES, "PropertiesChanged", &("x",))), None);
        assert_eq!(read(&signal("/", OBJECT_MANAGER, "InterfacesAdded", &(1u8,))), None);
    }
}
