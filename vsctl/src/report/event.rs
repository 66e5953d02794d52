// SPDX-License-Identifier: Apache-2.0
//! Something that has happened, as `vsctl monitor` tells it.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use super::Rate;
use crate::output::{Output, Report};
use crate::units;

/// Columns for what it is about, so that the texts stand below one another.
const SUBJECT: usize = 12;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// When it was heard of.
    pub wall_ns: u64,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    DaemonAppeared { version: String, epoch: u64 },
    DaemonGone {},
    DeviceAdded { device: String, kind: String, card: String, node: String },
    DeviceRemoved { device: String },
    DevicePresent { device: String, node: String },
    DeviceAbsent { device: String },
    DeviceProblem { device: String, text: Option<String> },
    ControlChanged { device: String, control: String, value: Value },
    StreamAdded { stream: String, source: String, state: String },
    StreamRemoved { stream: String },
    StreamState { stream: String, before: String, state: String, text: Option<String> },
    StreamFormat { stream: String, fourcc: String, width: u32, height: u32, rate: Option<Rate> },
    RecordingStarted { recording: u64, name: Option<String>, stream: String, file: Option<String> },
    RecordingFile(RecordedFile),
    RecordingEnded { recording: u64, stream: String, state: String, error: Option<String> },
    ClientConnected(Client),
    ClientLeft(Departure),
    TroubleBegan(Trouble),
    TroubleOver(Trouble),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordedFile {
    pub recording: u64,
    pub stream: String,
    pub number: u64,
    pub file: Option<String>,
    pub frames: u64,
    pub dropped: u64,
    pub duration_ns: u64,
    pub bytes: u64,
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Client {
    pub stream: String,
    pub id: u64,
    pub name: String,
    pub pid: i32,
    pub uid: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Departure {
    #[serde(flatten)]
    pub client: Client,
    /// Why the daemon ended it; `None` if the client did.
    pub reason: Option<String>,
    pub text: Option<String>,
    pub delivered: Option<u64>,
}

/// A counter of something unwanted that grows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Trouble {
    pub stream: String,
    /// Whose it is; `None` of the source.
    pub client: Option<String>,
    /// `skipped`, `revoked` or `source`.
    pub counter: &'static str,
    pub reason: String,
    /// By how much it has grown since it began to.
    pub count: u64,
}

impl Event {
    /// Something that is heard of now.
    pub fn now(what: What) -> Self {
        Self { wall_ns: u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default(), what }
    }

    /// The time of day here, to the millisecond.
    fn time(&self) -> String {
        let time = Timestamp::from_nanosecond(i128::from(self.wall_ns)).unwrap_or_default();
        time.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
    }
}

impl What {
    /// The stream it is about.
    pub fn stream(&self) -> Option<&str> {
        match self {
            Self::StreamAdded { stream, .. }
            | Self::StreamRemoved { stream }
            | Self::StreamState { stream, .. }
            | Self::StreamFormat { stream, .. }
            | Self::RecordingStarted { stream, .. }
            | Self::RecordingEnded { stream, .. } => Some(stream),
            Self::RecordingFile(file) => Some(&file.stream),
            Self::ClientConnected(client) => Some(&client.stream),
            Self::ClientLeft(gone) => Some(&gone.client.stream),
            Self::TroubleBegan(trouble) | Self::TroubleOver(trouble) => Some(&trouble.stream),
            _ => None,
        }
    }

    /// The device it is about.
    pub fn device(&self) -> Option<&str> {
        match self {
            Self::DeviceAdded { device, .. }
            | Self::DeviceRemoved { device }
            | Self::DevicePresent { device, .. }
            | Self::DeviceAbsent { device }
            | Self::DeviceProblem { device, .. }
            | Self::ControlChanged { device, .. } => Some(device),
            _ => None,
        }
    }

    /// For people, without the name.
    fn words(&self) -> String {
        match self {
            Self::DaemonAppeared { version, .. } => format!("videostreamd {version} is there"),
            Self::DaemonGone {} => "videostreamd has gone: waiting for it".to_owned(),
            Self::DeviceAdded { kind, card, node, .. } => format!("new {kind}: {card}, {}", or_dash(node)),
            Self::DeviceRemoved { .. } => "device removed".to_owned(),
            Self::DevicePresent { node, .. } => format!("device plugged in: {}", or_dash(node)),
            Self::DeviceAbsent { .. } => "device unplugged".to_owned(),
            Self::DeviceProblem { text: Some(text), .. } => format!("cannot be used: {text}"),
            Self::DeviceProblem { text: None, .. } => "can be used".to_owned(),
            Self::ControlChanged { control, value, .. } => format!("{control}={value}"),
            Self::StreamAdded { source, state, .. } => format!("new stream ({source}), {state}"),
            Self::StreamRemoved { .. } => "stream removed".to_owned(),
            Self::StreamState { state, text, .. } => with(state, text.as_deref()),
            Self::StreamFormat { fourcc, width, height, rate, .. } => {
                let rate = rate.map_or_else(String::new, |rate| format!(", {} fps", units::fps(rate.fps)));
                format!("format {fourcc} {width}x{height}{rate}")
            }
            Self::RecordingStarted { recording, file, .. } => {
                with(&format!("recording {recording} started"), file.as_deref())
            }
            Self::RecordingFile(file) => file.words(),
            Self::RecordingEnded { recording, state, error, .. } => {
                with(&format!("recording {recording} {state}"), error.as_deref())
            }
            Self::ClientConnected(client) => format!("client {} connected", client.who()),
            Self::ClientLeft(gone) => {
                let who = gone.client.who();
                match &gone.reason {
                    Some(reason) => with(&format!("client {who} dismissed ({reason})"), gone.text.as_deref()),
                    None => format!("client {who} left"),
                }
            }
            Self::TroubleBegan(trouble) => format!("{} {}", trouble.words(), trouble.count),
            Self::TroubleOver(trouble) => format!("{} no more, {} in all", trouble.words(), trouble.count),
        }
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn with(text: &str, more: Option<&str>) -> String {
    more.map_or_else(|| text.to_owned(), |more| format!("{text}: {more}"))
}

impl Client {
    fn who(&self) -> String {
        format!("{} (pid {}, uid {})", self.name, self.pid, self.uid)
    }
}

impl RecordedFile {
    fn words(&self) -> String {
        let file = self.file.as_deref().unwrap_or("a file");
        let size = (units::count(self.frames, "frame"), units::duration(self.duration_ns), units::bytes(self.bytes));
        with(&format!("{file} is complete: {}, {}, {}", size.0, size.1, size.2), self.error.as_deref())
    }
}

impl Trouble {
    fn words(&self) -> String {
        match (&self.client, self.counter) {
            (Some(client), "revoked") => format!("client {client}: leases revoked ({})", self.reason),
            (Some(client), _) => format!("client {client}: frames skipped ({})", self.reason),
            (None, _) => format!("source: {}", self.reason),
        }
    }
}

impl Report for Event {
    fn text(&self, _: &Output) -> String {
        let subject = self.what.stream().or(self.what.device()).unwrap_or("-");
        let line = format!("{}  {subject:<SUBJECT$}  {}", self.time(), self.what.words());
        // What others call themselves must not move the cursor.
        line.chars().map(|c| if c.is_control() { '?' } else { c }).chain(['\n']).collect()
    }
}
