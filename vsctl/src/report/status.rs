// SPDX-License-Identifier: Apache-2.0
//! What goes on in the daemon.

use serde::Serialize;

use super::recording::{self, Recording};
use super::stream::{self, Stream};
use crate::output::{Output, Report};

/// The daemon, its streams and its recordings.
#[derive(Debug, Serialize)]
pub struct Status {
    pub daemon: DaemonStatus,
    pub streams: Vec<Stream>,
    pub recordings: Vec<Recording>,
    /// Only one stream was asked for.
    #[serde(skip)]
    pub single: bool,
}

/// The daemon.
#[derive(Debug, Serialize)]
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
        parts.push(stream::table(&self.streams, output, output.verbose || self.single));
        parts.push(stream::clients_table(&self.streams, output));
        parts.push(recording::table(&self.recordings, output));
        if self.streams.is_empty() && output.headings() {
            parts.push("no streams: `vsctl devices` lists cameras, `vsctl start-stream cam0` starts one\n".to_owned());
        }
        parts.retain(|part| !part.is_empty());
        parts.join("\n")
    }
}
