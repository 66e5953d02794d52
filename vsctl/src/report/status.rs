// SPDX-License-Identifier: Apache-2.0
//! What goes on in the daemon.

use serde::Serialize;

use super::departure;
use super::recording::{self, Recording};
use super::session::{self, CodecSession};
use super::stream::{self, Stream};
use crate::output::{Output, Report};

/// The daemon, its streams and its recordings.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    pub daemon: DaemonStatus,
    pub streams: Vec<Stream>,
    pub recordings: Vec<Recording>,
    /// Encoders and decoders of other processes.
    pub codec_sessions: Vec<CodecSession>,
    /// Only one stream was asked for.
    #[serde(skip)]
    pub single: bool,
}

/// The daemon.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DaemonStatus {
    pub version: String,
    pub socket_directory: String,
    pub epoch: u64,
}

impl Report for Status {
    fn text(&self, output: &Output) -> String {
        let mut parts = Vec::new();
        if output.verbose {
            let DaemonStatus { version, socket_directory, .. } = &self.daemon;
            parts.push(format!("videostreamd {version}, sockets in {socket_directory}\n"));
        }
        let details = output.verbose || self.single;
        parts.push(stream::table(&self.streams, output, details));
        parts.push(stream::clients_table(&self.streams, output));
        parts.push(departure::table(&self.streams, output, details));
        parts.push(recording::table(&self.recordings, output));
        parts.push(session::table(&self.codec_sessions, output));
        if self.streams.is_empty() && output.headings() {
            parts.push("no streams: `vsctl devices` lists cameras, `vsctl start-stream cam0` starts one\n".to_owned());
        }
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use clap::Parser;
    use vsclient::dbus::{ClientInfo, DepartureInfo, Distribution, StreamInfo};

    use super::*;
    use crate::cli::Cli;

    /// A stream with a reader and two who have gone. The structs may grow: they have no literals.
    fn stream() -> StreamInfo {
        let mut hold = Distribution::default();
        (hold.count, hold.sum, hold.min, hold.max) = (4, 44_000_000, 1_000_000, 40_000_000);
        hold.buckets = vec![(1_048_576, 3), (41_943_040, 1)];
        let mut reader = ClientInfo::default();
        reader.name = "reader".to_owned();
        reader.lease_hold = hold.clone();
        let mut thrown_out = DepartureInfo::default();
        thrown_out.name = "deaf".to_owned();
        thrown_out.reason = "not-reading".to_owned();
        thrown_out.text = "64 control messages are unread".to_owned();
        thrown_out.skipped = HashMap::from([("no-credit".to_owned(), 3)]);
        let mut left = DepartureInfo::default();
        left.name = "polite".to_owned();
        let mut stream = StreamInfo::default();
        stream.name = "cam0".to_owned();
        stream.clients = vec![reader];
        stream.departures = vec![thrown_out, left];
        stream.counters.capture_latency = hold;
        (stream.counters.held, stream.counters.held_max) = (1, 5);
        stream
    }

    fn status(line: &str) -> (Status, Output) {
        let daemon = DaemonStatus { version: "1".to_owned(), socket_directory: "/run".to_owned(), epoch: 1 };
        let streams = vec![Stream::from(&stream())];
        let output = Output::new(&Cli::try_parse_from(line.split(' ')).unwrap().global);
        (Status { daemon, streams, recordings: Vec::new(), codec_sessions: Vec::new(), single: false }, output)
    }

    #[test]
    fn people_see_who_was_thrown_out_and_on_demand_who_left() {
        let (status, output) = status("vsctl status");
        let text = status.text(&output);
        assert!(text.contains("not-reading: 64 control messages are unread"), "{text}");
        assert!(text.contains("1.05 ms") && text.contains("40.0 ms"), "how long frames are held:\n{text}");
        assert!(!text.contains("polite"), "{text}");
    }

    #[test]
    fn details_say_what_the_stream_as_a_whole_does() {
        let (status, output) = status("vsctl status -v");
        let text = status.text(&output);
        assert!(text.contains("polite") && text.contains("1 held, at most 5"), "{text}");
        assert!(text.contains("p50 1.05 ms, p99 40.0 ms, at most 40.0 ms, capture to publication"), "{text}");
    }

    #[test]
    fn programs_see_it_all() {
        let (status, _) = status("vsctl status --json");
        let json = serde_json::to_value(&status).unwrap();
        let stream = &json["streams"][0];
        assert_eq!(stream["clients"][0]["lease_hold_us"]["mean"], 11_000.0);
        assert_eq!(stream["capture_latency_us"]["p50"], 1048.58);
        assert_eq!(stream["lease_hold_us"], serde_json::Value::Null);
        assert_eq!(stream["departures"][0]["reason"], "not-reading");
        assert_eq!(stream["departures"][0]["skipped"]["no-credit"], 3);
        assert_eq!(stream["departures"][1]["reason"], serde_json::Value::Null);
        assert_eq!((&stream["held"], &stream["held_max"]), (&1.into(), &5.into()));
    }
}
