// SPDX-License-Identifier: Apache-2.0
//! Streams, their formats and clients.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use vsclient::dbus::{self, ClientInfo, StreamFormat, StreamInfo};

use super::departure::Departure;
use super::encoder::Encoder;
use super::{Rate, rate, some_text};
use crate::latency::Latency;
use crate::output::{Output, Report};
use crate::table::{Align, Table};
use crate::units;

/// Counts by reason, in an order that does not change from call to call.
pub type Reasons = BTreeMap<String, u64>;

pub fn reasons(counts: &HashMap<String, u64>) -> Reasons {
    counts.iter().map(|(reason, n)| (reason.clone(), *n)).collect()
}

/// A stream.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stream {
    pub name: String,
    /// `stopped`, `idle`, `waiting`, `running` or `failed`.
    pub state: String,
    /// Why.
    pub state_text: Option<String>,
    /// `pattern`, `camera`, `ipc`, `coded`, `converted` or `file`.
    pub source: String,
    pub device: Option<String>,
    /// The stream that it is made from.
    pub from: Option<String>,
    pub socket: Option<String>,
    pub format: Option<Format>,
    /// The encoder that makes its frames.
    pub encoding: Option<Encoder>,
    /// What is kept of it for recordings that begin with it.
    pub past: Option<Past>,
    pub adjustments: Vec<String>,
    /// Frames per second as measured; `null` if nobody asked for it.
    pub measured_fps: Option<f64>,
    /// Frames.
    pub published: u64,
    /// To all clients together.
    pub delivered: u64,
    /// Frames by reason.
    pub skipped: Reasons,
    pub revoked: Reasons,
    pub goodbyes: Reasons,
    pub source_counters: Reasons,
    /// Buffers that the source has, those of them that are spares, and how many there can be.
    pub buffers: u32,
    pub spares: u32,
    pub buffers_max: u32,
    /// Leases that all clients together hold, and at most held.
    pub held: u32,
    pub held_max: u32,
    /// Frames that somebody has a right to, and how many these may be.
    pub frames_live: u32,
    pub frames_max: u32,
    /// From capture to publication.
    pub capture_latency_us: Option<Latency>,
    /// How long clients held frames.
    pub lease_hold_us: Option<Latency>,
    pub clients: Vec<Client>,
    /// Those who went last.
    pub departures: Vec<Departure>,
}

impl From<&StreamInfo> for Stream {
    fn from(info: &StreamInfo) -> Self {
        let counters = &info.counters;
        let device = info.device.rsplit_once("/device/").and_then(|(_, element)| dbus::unescape(element));
        Self {
            name: info.name.clone(),
            state: info.state.clone(),
            state_text: some_text(&info.state_text),
            source: info.source_kind.clone(),
            device,
            from: some_text(&info.from),
            socket: some_text(&info.socket),
            format: Format::new(&info.format),
            encoding: Encoder::new(&info.encoding),
            past: Past::new(&info.past),
            adjustments: info.adjustments.clone(),
            measured_fps: None,
            published: counters.published,
            delivered: counters.delivered,
            skipped: reasons(&counters.skipped),
            revoked: reasons(&counters.revoked),
            goodbyes: reasons(&counters.goodbyes),
            source_counters: reasons(&counters.source),
            buffers: counters.buffers,
            spares: counters.spares,
            buffers_max: counters.buffers_max,
            held: counters.held,
            held_max: counters.held_max,
            frames_live: counters.frames_live,
            frames_max: counters.frames_max,
            capture_latency_us: Latency::of(&counters.capture_latency),
            lease_hold_us: Latency::of(&counters.lease_hold),
            clients: info.clients.iter().map(Client::from).collect(),
            departures: info.departures.iter().map(Departure::from).collect(),
        }
    }
}

/// What is kept of what has been encoded.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Past {
    pub duration_ns: u64,
    pub memory: u64,
    pub duration_wanted_ns: u64,
    pub memory_max: u64,
}

impl Past {
    fn new(past: &dbus::Past) -> Option<Self> {
        let dbus::Past { duration, memory, duration_wanted, memory_max, .. } = *past;
        (duration_wanted > 0).then_some(Self {
            duration_ns: duration,
            memory,
            duration_wanted_ns: duration_wanted,
            memory_max,
        })
    }

    fn text(&self) -> String {
        let [duration, wanted] = [self.duration_ns, self.duration_wanted_ns].map(units::duration);
        let [memory, max] = [self.memory, self.memory_max].map(units::bytes);
        format!("the last {duration}, {memory}; wanted {wanted}, at most {max}")
    }
}

/// A format.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Format {
    pub fourcc: String,
    pub width: u32,
    pub height: u32,
    pub rate: Option<Rate>,
    pub memory: String,
    pub planes: Vec<Plane>,
    pub modifier: u64,
    pub field: u32,
    pub rotation: u32,
    pub colorspace: u32,
    pub transfer: u32,
    pub encoding: u32,
    pub quantization: u32,
}

/// Where a plane lies, in bytes.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Plane {
    pub memory: u32,
    pub offset: u32,
    pub stride: u32,
    pub size: u32,
}

impl Format {
    fn new(format: &StreamFormat) -> Option<Self> {
        let plane = |plane: &dbus::PlaneInfo| Plane {
            memory: plane.memory,
            offset: plane.offset,
            stride: plane.stride,
            size: plane.size,
        };
        (!format.fourcc.is_empty()).then(|| Self {
            fourcc: format.fourcc.clone(),
            width: format.width,
            height: format.height,
            rate: rate(format.rate),
            memory: format.memory.clone(),
            planes: format.planes.iter().map(plane).collect(),
            modifier: format.modifier,
            field: format.field,
            rotation: format.rotation,
            colorspace: format.colorspace,
            transfer: format.transfer,
            encoding: format.encoding,
            quantization: format.quantization,
        })
    }

    fn size(&self) -> String {
        format!("{}x{}", self.width, self.height)
    }

    fn fps(&self) -> String {
        self.rate.map(|rate| units::fps(rate.fps)).unwrap_or_default()
    }
}

/// Somebody who is connected.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Client {
    pub id: u64,
    pub name: String,
    pub pid: i32,
    pub uid: u32,
    pub protocol: String,
    pub mode: String,
    pub credits: u32,
    pub held: u32,
    pub held_max: u32,
    pub delivered: u64,
    pub skipped: Reasons,
    pub revoked: Reasons,
    pub stray_unlocks: u64,
    pub muted: u64,
    pub connected_ns: u64,
    /// How long it held frames.
    pub lease_hold_us: Option<Latency>,
}

impl From<&ClientInfo> for Client {
    fn from(info: &ClientInfo) -> Self {
        Self {
            id: info.id,
            name: info.name.clone(),
            pid: info.pid,
            uid: info.uid,
            protocol: info.protocol.clone(),
            mode: info.mode.clone(),
            credits: info.credits,
            held: info.held,
            held_max: info.held_max,
            delivered: info.delivered,
            skipped: reasons(&info.skipped),
            revoked: reasons(&info.revoked),
            stray_unlocks: info.stray_unlocks,
            muted: info.muted,
            connected_ns: info.connected,
            lease_hold_us: Latency::of(&info.lease_hold),
        }
    }
}

impl Client {
    fn held_for(&self, quantile: fn(&Latency) -> f64) -> String {
        self.lease_hold_us.as_ref().map(|hold| units::microseconds(quantile(hold))).unwrap_or_default()
    }
}

/// The streams, one in a row.
pub fn table(streams: &[Stream], output: &Output, details: bool) -> String {
    let mut table = Table::new([
        ("STREAM", Align::Left),
        ("STATE", Align::Left),
        ("SOURCE", Align::Left),
        ("FORMAT", Align::Left),
        ("SIZE", Align::Left),
        ("FPS", Align::Right),
        ("MEMORY", Align::Left),
        ("PUBLISHED", Align::Right),
        ("CLIENTS", Align::Right),
    ]);
    for stream in streams {
        let of_format = |text: fn(&Format) -> String| stream.format.as_ref().map(text).unwrap_or_default();
        let source = stream.device.as_ref().or(stream.from.as_ref()).map(|name| format!("{} {name}", stream.source));
        let fps = stream.measured_fps.map(units::fps).unwrap_or_else(|| of_format(Format::fps));
        table.row([
            stream.name.clone(),
            stream.state.clone(),
            source.unwrap_or_else(|| stream.source.clone()),
            of_format(|format| format.fourcc.clone()),
            of_format(Format::size),
            fps,
            of_format(|format| format.memory.clone()),
            stream.published.to_string(),
            stream.clients.len().to_string(),
        ]);
        if let Some(text) = &stream.state_text {
            table.note(text);
        }
        for adjustment in &stream.adjustments {
            table.note(adjustment);
        }
        if details {
            stream.details().into_iter().for_each(|detail| table.note(detail));
        }
    }
    table.text(output.headings())
}

impl Stream {
    /// What does not fit into a row.
    fn details(&self) -> Vec<String> {
        let mut details = Vec::new();
        details.extend(self.encoding.as_ref().map(|encoder| format!("encoder    {}", encoder.text())));
        details.extend(self.past.as_ref().map(|past| format!("kept       {}", past.text())));
        details.extend(self.socket.as_ref().map(|socket| format!("socket     {socket}")));
        let [skipped, revoked] = [&self.skipped, &self.revoked].map(units::by_reason);
        details.push(format!("clients    delivered {}, skipped {skipped}, revoked {revoked}", self.delivered));
        let Self { held, held_max, frames_live, frames_max, .. } = self;
        details
            .push(format!("leases     {held} held, at most {held_max}; {frames_live} of {frames_max} frames in use"));
        if self.buffers > 0 {
            let Self { buffers, spares, buffers_max, .. } = self;
            details.push(format!("buffers    {buffers}, {spares} of them spare; at most {buffers_max}"));
        }
        details.extend(self.lease_hold_us.map(|hold| format!("held for   {}", hold.text())));
        details.extend(
            self.capture_latency_us.map(|latency| format!("latency    {}, capture to publication", latency.text())),
        );
        if !self.goodbyes.is_empty() {
            details.push(format!("goodbyes   {}", units::by_reason(&self.goodbyes)));
        }
        let counts: Vec<_> = self.source_counters.iter().map(|(what, n)| format!("{what} {n}")).collect();
        if !counts.is_empty() {
            details.push(format!("source     {}", counts.join(", ")));
        }
        for (index, plane) in self.format.iter().flat_map(|format| &format.planes).enumerate() {
            let Plane { memory, offset, stride, size } = plane;
            details.push(format!("plane {index}    memory {memory}, offset {offset}, stride {stride}, {size} bytes"));
        }
        details
    }
}

/// The clients of all streams, one in a row.
pub fn clients_table(streams: &[Stream], output: &Output) -> String {
    let mut table = Table::new([
        ("CLIENT", Align::Left),
        ("STREAM", Align::Left),
        ("NAME", Align::Left),
        ("PID", Align::Right),
        ("MODE", Align::Left),
        ("HELD", Align::Right),
        ("DELIVERED", Align::Right),
        ("SKIPPED", Align::Left),
        ("REVOKED", Align::Left),
        ("HOLD-P50", Align::Right),
        ("HOLD-P99", Align::Right),
    ]);
    for stream in streams {
        for client in &stream.clients {
            table.row([
                client.id.to_string(),
                stream.name.clone(),
                client.name.clone(),
                client.pid.to_string(),
                client.mode.clone(),
                format!("{}/{}", client.held, client.credits),
                client.delivered.to_string(),
                units::by_reason(&client.skipped),
                units::by_reason(&client.revoked),
                client.held_for(|hold| hold.p50),
                client.held_for(|hold| hold.p99),
            ]);
        }
    }
    table.text(output.headings())
}

/// A stream that was started.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Started {
    pub stream: Stream,
}

impl Report for Started {
    fn text(&self, _: &Output) -> String {
        let stream = &self.stream;
        let mut text = format!("{} is {}", stream.name, stream.state);
        if let Some(format) = &stream.format {
            let fps = format.rate.map(|rate| format!(" at {} fps", units::fps(rate.fps))).unwrap_or_default();
            text += &format!(": {} {}{fps}, {}", format.fourcc, format.size(), format.memory);
        }
        text.push('\n');
        for line in stream.socket.iter().map(|socket| format!("socket: {socket}")) {
            text += &format!("{line}\n");
        }
        for note in stream.state_text.iter().chain(&stream.adjustments) {
            text += &format!("note: {note}\n");
        }
        text
    }
}

/// A stream that was stopped.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stopped {
    pub stream: String,
    pub state: &'static str,
}

impl Report for Stopped {
    fn text(&self, _: &Output) -> String {
        format!("{} is {}\n", self.stream, self.state)
    }
}
