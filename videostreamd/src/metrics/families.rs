// SPDX-License-Identifier: Apache-2.0
//! Which metrics there are. Reasons and states that have not occurred are told as 0, so that
//! the first occurrence shows as an increase.

use vs_ipc::host::{ByReason, ClientSnapshot, HostSnapshot, Reason};
use vs_ipc::wire::GoodbyeReason;

use super::exposition::{Exposition, Family, Kind, Labels};
use crate::stream::handle::{STATES, StreamSnapshot};
use crate::stream::source::{BufferCounts, Counts};

/// A stream at one moment.
#[derive(Debug)]
pub struct StreamSample {
    /// Its name.
    pub name: String,
    /// What it is doing, one of [`STATES`].
    pub state: &'static str,
    /// Its counters; `None` if it is stopped, or does not answer.
    pub snapshot: Option<StreamSnapshot>,
}

/// Streams are few: their distributions have a bucket for each power of two.
const STREAM_STEP: usize = 1;

/// Clients are many: theirs have one for each second power of two.
const CLIENT_STEP: usize = 2;

/// The whole text.
pub fn text(streams: &[StreamSample]) -> String {
    let mut text = Exposition::default();
    let mut info = text.family("videostream_build_info", Kind::Gauge, "The running videostreamd; always 1.");
    info.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let mut states = text.family("videostream_stream_state", Kind::Gauge, "1 for what the stream is doing, else 0.");
    for stream in streams {
        for state in STATES {
            states.sample(&[("stream", &stream.name), ("state", state)], u64::from(state == stream.state));
        }
    }
    let running: Vec<Stream<'_>> = streams.iter().filter_map(Stream::of).collect();
    of_streams(&mut text, &running);
    of_clients(&mut text, &running);
    text.finish()
}

/// A stream that has told its counters.
struct Stream<'a> {
    name: &'a str,
    host: &'a HostSnapshot,
    source: &'a Counts,
    buffers: &'a BufferCounts,
    clients: Vec<Client<'a>>,
}

struct Client<'a> {
    stream: &'a str,
    id: String,
    snapshot: &'a ClientSnapshot,
}

impl<'a> Stream<'a> {
    fn of(sample: &'a StreamSample) -> Option<Self> {
        let StreamSnapshot { host, source, buffers } = sample.snapshot.as_ref()?;
        let name = sample.name.as_str();
        let client = |snapshot: &'a ClientSnapshot| Client { stream: name, id: snapshot.id.to_string(), snapshot };
        Some(Self { name, host, source, buffers, clients: host.clients.iter().map(client).collect() })
    }
}

fn of_streams(text: &mut Exposition, streams: &[Stream<'_>]) {
    type Value = fn(&HostSnapshot) -> u64;
    let plain: [(&str, Kind, &str, Value); 7] = [
        ("videostream_stream_frames_published_total", Kind::Counter, "Frames published.", |host| host.published),
        (
            "videostream_stream_frames_delivered_total",
            Kind::Counter,
            "Frames sent, summed over all clients that there were.",
            |host| host.delivered,
        ),
        ("videostream_stream_clients", Kind::Gauge, "Clients connected.", |host| host.clients.len() as u64),
        ("videostream_stream_leases_held", Kind::Gauge, "Leases that all clients together hold.", |host| {
            host.held as u64
        }),
        (
            "videostream_stream_leases_held_max",
            Kind::Gauge,
            "The most leases that all clients together held since the stream started.",
            |host| host.held_max as u64,
        ),
        (
            "videostream_stream_frames_live",
            Kind::Gauge,
            "Frames that somebody has a right to, the newest included.",
            |host| host.frames_live as u64,
        ),
        (
            "videostream_stream_frames_live_limit",
            Kind::Gauge,
            "Frames that clients may keep from the source; beyond it, frames are skipped for all.",
            |host| host.frames_max as u64,
        ),
    ];
    for (name, kind, help, value) in plain {
        let mut family = text.family(name, kind, help);
        streams.iter().for_each(|stream| family.sample(&[("stream", stream.name)], value(stream.host)));
    }
    let help = "Frames that a client did not get, by reason, summed over all clients that there were.";
    let mut family = text.family("videostream_stream_frames_skipped_total", Kind::Counter, help);
    for stream in streams {
        by_reason(&mut family, &[("stream", stream.name)], &stream.host.skipped);
    }
    let help = "Leases that the daemon ended, by reason, summed over all clients that there were.";
    let mut family = text.family("videostream_stream_leases_revoked_total", Kind::Counter, help);
    for stream in streams {
        by_reason(&mut family, &[("stream", stream.name)], &stream.host.revoked);
    }
    let help = "Connections that the daemon ended or refused, by reason.";
    let mut family = text.family("videostream_stream_goodbyes_total", Kind::Counter, help);
    for stream in streams {
        for reason in GoodbyeReason::ALL {
            let count = stream.host.goodbyes.iter().find(|(known, _)| known == reason).map_or(0, |(_, count)| *count);
            family.sample(&[("stream", stream.name), ("reason", reason.name())], count);
        }
    }
    let help = "Frames at the source since it was opened: captured, corrupt, lost by the device, no-buffer.";
    let mut family = text.family("videostream_source_frames_total", Kind::Counter, help);
    for stream in streams {
        for (outcome, n) in stream.source.outcomes() {
            family.sample(&[("stream", stream.name), ("outcome", outcome)], n);
        }
    }
    let help =
        "What befell the source's device, and what was done about it: outages, stalls, refusals, restarts, reopens.";
    let mut family = text.family("videostream_source_troubles_total", Kind::Counter, help);
    for stream in streams {
        for (trouble, n) in stream.source.repairs() {
            family.sample(&[("stream", stream.name), ("trouble", trouble)], n);
        }
    }
    type Number = fn(&BufferCounts) -> u32;
    let numbers: [(&str, &str, Number); 3] = [
        ("videostream_source_buffers", "Buffers that the source has.", |buffers| buffers.all),
        (
            "videostream_source_buffers_spare",
            "Buffers that the source has only because clients hold many.",
            |buffers| buffers.spares,
        ),
        ("videostream_source_buffers_limit", "Buffers that the source can have.", |buffers| buffers.max),
    ];
    for (name, help, number) in numbers {
        let mut family = text.family(name, Kind::Gauge, help);
        streams.iter().for_each(|stream| family.sample(&[("stream", stream.name)], number(stream.buffers).into()));
    }
    let help = "From the capture of a frame to its publication.";
    let mut family = text.family("videostream_stream_capture_latency_seconds", Kind::Histogram, help);
    for stream in streams {
        family.histogram(&[("stream", stream.name)], &stream.host.capture_latency, STREAM_STEP);
    }
    let help = "How long clients held a frame, until they unlocked it or its deadline passed.";
    let mut family = text.family("videostream_stream_lease_hold_seconds", Kind::Histogram, help);
    for stream in streams {
        family.histogram(&[("stream", stream.name)], &stream.host.lease_hold, STREAM_STEP);
    }
}

fn of_clients(text: &mut Exposition, streams: &[Stream<'_>]) {
    let clients = || streams.iter().flat_map(|stream| &stream.clients);
    let mut family = text.family("videostream_client_info", Kind::Gauge, "A connected client; always 1.");
    for client in clients() {
        let (pid, uid) = (client.snapshot.pid.to_string(), client.snapshot.uid.to_string());
        let [stream, id, name] = client.labels();
        let (protocol, mode) = (client.snapshot.dialect.name(), client.snapshot.mode.name());
        let who = [("pid", pid.as_str()), ("uid", &uid), ("protocol", protocol), ("mode", mode)];
        family.sample(&[[stream, id, name].as_slice(), &who].concat(), 1);
    }
    type Value = fn(&ClientSnapshot) -> u64;
    let plain: [(&str, Kind, &str, Value); 6] = [
        ("videostream_client_frames_delivered_total", Kind::Counter, "Frames sent to this client.", |c| c.delivered),
        (
            "videostream_client_stray_unlocks_total",
            Kind::Counter,
            "Unlocks of frames that this client did not hold.",
            |client| client.stray_unlocks,
        ),
        (
            "videostream_client_muted_total",
            Kind::Counter,
            "Times that this client was not listened to for a while, because it sent too many messages.",
            |client| client.muted,
        ),
        ("videostream_client_leases_held", Kind::Gauge, "Leases that this client holds.", |c| c.held as u64),
        ("videostream_client_leases_held_max", Kind::Gauge, "The most leases that this client held.", |client| {
            client.held_max as u64
        }),
        ("videostream_client_credits", Kind::Gauge, "Leases that this client may hold at once.", |client| {
            u64::from(client.credits)
        }),
    ];
    for (name, kind, help, value) in plain {
        let mut family = text.family(name, kind, help);
        clients().for_each(|client| family.sample(&client.labels(), value(client.snapshot)));
    }
    let help = "Frames that this client did not get, by reason.";
    let mut family = text.family("videostream_client_frames_skipped_total", Kind::Counter, help);
    for client in clients() {
        by_reason(&mut family, &client.labels(), &client.snapshot.skipped);
    }
    let help = "Leases of this client that the daemon ended, by reason.";
    let mut family = text.family("videostream_client_leases_revoked_total", Kind::Counter, help);
    for client in clients() {
        by_reason(&mut family, &client.labels(), &client.snapshot.revoked);
    }
    let help = "How long this client held a frame, until it unlocked it or its deadline passed.";
    let mut family = text.family("videostream_client_lease_hold_seconds", Kind::Histogram, help);
    for client in clients() {
        family.histogram(&client.labels(), &client.snapshot.lease_hold, CLIENT_STEP);
    }
}

impl Client<'_> {
    /// Two clients may call themselves the same; their ids tell them apart.
    fn labels(&self) -> [(&str, &str); 3] {
        [("stream", self.stream), ("id", &self.id), ("client", &self.snapshot.name)]
    }
}

fn by_reason<R: Reason, const N: usize>(family: &mut Family<'_>, labels: Labels<'_>, counts: &ByReason<R, N>) {
    for (reason, count) in counts.iter() {
        let mut labels = labels.to_vec();
        labels.push(("reason", reason.name()));
        family.sample(&labels, count);
    }
}
