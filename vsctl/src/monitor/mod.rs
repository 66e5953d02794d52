// SPDX-License-Identifier: Apache-2.0
//! What is known of the daemon, and what each piece of news says that is new.
//!
//! The bus tells of objects, states and formats at once, and tells properties anew that are as they were. Of clients and counters it tells
//! nothing, for they change with every frame: those are looked at now and then.

mod clients;
mod troubles;

use std::collections::HashMap;

use vsclient::dbus::{Change, ControlValue, DeviceInfo, Object, Objects, RecordingInfo, StreamFormat, StreamInfo};
use zbus::zvariant::OwnedValue;

use crate::report::event::{RecordedFile, What};
use crate::report::{rate, some_text};
use clients::Clients;
use troubles::Troubles;

/// What is known.
#[derive(Debug, Default)]
pub struct Book {
    streams: HashMap<String, Stream>,
    devices: HashMap<String, Device>,
    recordings: HashMap<u64, Recording>,
}

#[derive(Debug, Default)]
struct Stream {
    state: String,
    text: String,
    /// The state that was told last, if its text has not been heard yet, which is told behind it.
    untold: Option<String>,
    format: StreamFormat,
    clients: Clients,
    troubles: Troubles,
}

#[derive(Debug)]
struct Device {
    kind: String,
    node: String,
    present: bool,
    problem: String,
}

#[derive(Debug)]
struct Recording {
    stream: String,
    state: String,
    error: String,
}

impl Book {
    /// What is there when nobody has looked before: no news.
    pub fn begin(objects: &Objects) -> Self {
        let mut book = Self::default();
        let _ = book.all(objects);
        let _ = book.look(objects);
        book
    }

    /// The daemon has gone, and what was known with it.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Everything that there is, of a daemon that has just come: what is not known yet is new.
    pub fn all(&mut self, objects: &Objects) -> Vec<What> {
        let mut news = Vec::new();
        news.extend(objects.devices.iter().filter_map(|device| self.device_added(device)));
        news.extend(objects.streams.iter().filter_map(|stream| self.stream_added(stream)));
        news.extend(objects.recordings.iter().filter_map(|(number, info)| self.recording_added(*number, info)));
        news
    }

    /// A look at clients and counters.
    pub fn look(&mut self, objects: &Objects) -> Vec<What> {
        let mut news = Vec::new();
        for now in &objects.streams {
            // A stream that the bus has not told of yet, or that has gone meanwhile, has its turn later, or had it.
            if let Some(stream) = self.streams.get_mut(&now.name) {
                news.extend(stream.tell(&now.name));
                stream.clients.look(now, &mut news);
                stream.troubles.look(now, &mut news);
            }
        }
        news
    }

    /// What the bus tells.
    pub fn change(&mut self, change: Change) -> Vec<What> {
        match change {
            Change::StreamAdded(stream) => self.stream_added(&stream).into_iter().collect(),
            Change::DeviceAdded(device) => self.device_added(&device).into_iter().collect(),
            Change::RecordingAdded(number, info) => self.recording_added(number, &info).into_iter().collect(),
            Change::Removed(object) => self.removed(object).into_iter().collect(),
            Change::Properties { object, values } => self.properties(object, &values),
            Change::FileFinished { recording, number, file } => vec![What::RecordingFile(RecordedFile {
                recording,
                stream: self.recordings.get(&recording).map_or_else(String::new, |known| known.stream.clone()),
                number,
                file: some_text(&file.file),
                frames: file.frames,
                dropped: file.dropped,
                duration_ns: file.duration,
                bytes: file.bytes,
                error: some_text(&file.error),
            })],
            Change::ControlChanged { device, control } => {
                let value = match control.value {
                    Some(ControlValue::Number(number)) => number.into(),
                    Some(ControlValue::Text(text)) => text.into(),
                    None => serde_json::Value::Null,
                };
                vec![What::ControlChanged { device, control: control.name, value }]
            }
            // The rest is for whoever keeps the book.
            _ => Vec::new(),
        }
    }

    fn stream_added(&mut self, info: &StreamInfo) -> Option<What> {
        if self.streams.contains_key(&info.name) {
            return None;
        }
        let (state, text, format) = (info.state.clone(), info.state_text.clone(), info.format.clone());
        let stream = Stream { state, text, format, ..Stream::default() };
        self.streams.insert(info.name.clone(), stream);
        Some(What::StreamAdded {
            stream: info.name.clone(),
            source: info.source_kind.clone(),
            state: info.state.clone(),
        })
    }

    fn device_added(&mut self, info: &DeviceInfo) -> Option<What> {
        let DeviceInfo { name, kind, card, node, present, problem, .. } = info.clone();
        let device = Device { kind: kind.clone(), node: node.clone(), present, problem };
        let known = self.devices.insert(name.clone(), device);
        known.is_none().then_some(What::DeviceAdded { device: name, kind, card, node })
    }

    fn recording_added(&mut self, number: u64, info: &RecordingInfo) -> Option<What> {
        let RecordingInfo { stream, state, error, .. } = info.clone();
        let under_way = state == "recording";
        let known = self.recordings.insert(number, Recording { stream: stream.clone(), state, error });
        // A recording that has ended can be seen for a minute.
        (known.is_none() && under_way).then(|| What::RecordingStarted {
            recording: number,
            name: some_text(&info.name),
            stream,
            file: some_text(&info.file),
        })
    }

    fn removed(&mut self, object: Object) -> Option<What> {
        match object {
            Object::Stream(stream) => self.streams.remove(&stream).map(|_| What::StreamRemoved { stream }),
            Object::Device(device) => self.devices.remove(&device).map(|_| What::DeviceRemoved { device }),
            Object::Recording(number) => {
                self.recordings.remove(&number);
                None
            }
            Object::Manager => None,
        }
    }

    fn properties(&mut self, object: Object, values: &HashMap<String, OwnedValue>) -> Vec<What> {
        match object {
            Object::Stream(name) => {
                self.streams.get_mut(&name).map_or_else(Vec::new, |stream| stream.properties(&name, values))
            }
            Object::Device(name) => {
                self.devices.get_mut(&name).map_or_else(Vec::new, |device| device.properties(&name, values))
            }
            Object::Recording(number) => {
                let recording = self.recordings.get_mut(&number);
                recording.and_then(|recording| recording.properties(number, values)).into_iter().collect()
            }
            Object::Manager => Vec::new(),
        }
    }
}

impl Stream {
    fn properties(&mut self, name: &str, values: &HashMap<String, OwnedValue>) -> Vec<What> {
        let mut news = Vec::new();
        if let Some(state) = text(values, "State")
            && state != self.state
        {
            // One whose text never came.
            news.extend(self.tell(name));
            self.untold = Some(std::mem::replace(&mut self.state, state));
        }
        if let Some(text) = text(values, "StateText") {
            let differs = text != self.text;
            self.text = text;
            if differs && self.untold.is_none() {
                self.untold = Some(self.state.clone());
            }
            news.extend(self.tell(name));
        }
        if let Some(format) = values.get("Format").and_then(|value| StreamFormat::try_from(value.clone()).ok())
            && format != self.format
        {
            if !format.fourcc.is_empty() {
                news.push(What::StreamFormat {
                    stream: name.to_owned(),
                    fourcc: format.fourcc.clone(),
                    width: format.width,
                    height: format.height,
                    rate: rate(format.rate),
                });
            }
            self.format = format;
        }
        news
    }

    /// A state that has not been told.
    fn tell(&mut self, name: &str) -> Option<What> {
        let before = self.untold.take()?;
        Some(What::StreamState {
            stream: name.to_owned(),
            before,
            state: self.state.clone(),
            text: some_text(&self.text),
        })
    }
}

impl Device {
    fn properties(&mut self, name: &str, values: &HashMap<String, OwnedValue>) -> Vec<What> {
        let mut news = Vec::new();
        let device = || name.to_owned();
        if let Some(kind) = text(values, "Kind") {
            self.kind = kind;
        }
        if let Some(node) = text(values, "Node") {
            // Presence is told before the node.
            if self.present && self.node.is_empty() && !node.is_empty() {
                news.push(What::DevicePresent { device: device(), node: node.clone() });
            }
            self.node = node;
        }
        if let Some(present) = values.get("Present").and_then(|value| bool::try_from(value.clone()).ok())
            && present != self.present
        {
            self.present = present;
            if !present {
                self.node.clear();
                news.push(What::DeviceAbsent { device: device() });
            }
        }
        if let Some(problem) = text(values, "Problem")
            && problem != self.problem
        {
            news.push(What::DeviceProblem { device: device(), text: some_text(&problem) });
            self.problem = problem;
        }
        news
    }
}

impl Recording {
    fn properties(&mut self, number: u64, values: &HashMap<String, OwnedValue>) -> Option<What> {
        let was_under_way = self.state == "recording";
        if let Some(state) = text(values, "State") {
            self.state = state;
        }
        let error = text(values, "Error");
        if let Some(error) = &error {
            self.error.clone_from(error);
        }
        let (stream, state) = (self.stream.clone(), self.state.clone());
        let ended = |error| Some(What::RecordingEnded { recording: number, stream, state, error });
        match (was_under_way && self.state != "recording", error) {
            // Why it failed is told behind it.
            (true, None) if self.state == "failed" => None,
            (true, _) => ended(some_text(&self.error)),
            (false, Some(error)) if self.state == "failed" && !error.is_empty() => ended(Some(error)),
            _ => None,
        }
    }
}

fn text(values: &HashMap<String, OwnedValue>, key: &str) -> Option<String> {
    String::try_from(values.get(key)?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use zbus::zvariant::Value;

    use super::*;

    fn stream(name: &str, state: &str) -> StreamInfo {
        let mut stream = StreamInfo::default();
        (stream.name, stream.state) = (name.to_owned(), state.to_owned());
        stream
    }

    fn told(object: Object, key: &str, value: &str) -> Change {
        let value = OwnedValue::try_from(Value::from(value.to_owned())).unwrap();
        Change::Properties { object, values: HashMap::from([(key.to_owned(), value)]) }
    }

    fn of_a(key: &str, value: &str) -> Change {
        told(Object::Stream("a".to_owned()), key, value)
    }

    fn state(before: &str, state: &str, text: Option<&str>) -> What {
        let text = text.map(str::to_owned);
        What::StreamState { stream: "a".to_owned(), before: before.to_owned(), state: state.to_owned(), text }
    }

    #[test]
    fn a_state_comes_with_its_text_and_once() {
        let mut book = Book::begin(&Objects { streams: vec![stream("a", "idle")], ..Objects::default() });
        assert_eq!(book.change(of_a("State", "waiting")), []);
        assert_eq!(book.change(of_a("StateText", "no camera")), [state("idle", "waiting", Some("no camera"))]);
        assert_eq!(book.change(of_a("State", "waiting")), []);
        assert_eq!(book.change(of_a("StateText", "no camera")), []);
        assert_eq!(book.change(of_a("StateText", "still none")), [state("waiting", "waiting", Some("still none"))]);
        assert_eq!(book.change(of_a("State", "running")), []);
        assert_eq!(book.change(of_a("State", "idle")), [state("waiting", "running", Some("still none"))]);
    }

    #[test]
    fn a_daemon_that_has_come_again_tells_all_anew() {
        let objects = Objects { streams: vec![stream("a", "running")], ..Objects::default() };
        let mut book = Book::begin(&objects);
        assert_eq!(book.all(&objects), []);
        book.forget();
        assert_eq!(book.all(&objects).len(), 1);
        assert_eq!(book.change(Change::StreamAdded(Box::new(stream("a", "running")))), []);
        let removed = Change::Removed(Object::Stream("a".to_owned()));
        assert_eq!(book.change(removed.clone()), [What::StreamRemoved { stream: "a".to_owned() }]);
        assert_eq!(book.change(removed), []);
        assert_eq!(book.change(of_a("State", "idle")), []);
    }

    #[test]
    fn recordings_say_why_they_failed() {
        let mut book = Book::default();
        let mut info = RecordingInfo::default();
        (info.stream, info.state) = ("a".to_owned(), "recording".to_owned());
        for number in [1, 2] {
            let started = book.change(Change::RecordingAdded(number, Box::new(info.clone())));
            assert!(matches!(started.as_slice(), [What::RecordingStarted { .. }]), "{started:?}");
        }
        let ended = |state: &str, error: Option<&str>, recording| What::RecordingEnded {
            recording,
            stream: "a".to_owned(),
            state: state.to_owned(),
            error: error.map(str::to_owned),
        };
        assert_eq!(book.change(told(Object::Recording(1), "State", "finished")), [ended("finished", None, 1)]);
        assert_eq!(book.change(told(Object::Recording(1), "Error", "")), []);
        assert_eq!(book.change(told(Object::Recording(2), "State", "failed")), []);
        assert_eq!(
            book.change(told(Object::Recording(2), "Error", "disk full")),
            [ended("failed", Some("disk full"), 2)]
        );
    }
}
