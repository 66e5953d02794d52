// SPDX-License-Identifier: Apache-2.0
//! What `vsctl top` sees in one interval.

use serde::Serialize;

use crate::latency::Latency;
use crate::output::{Output, Report};
use crate::terminal;
use crate::top::layout::{self, Style};

#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Top {
    pub wall_ns: u64,
    pub interval_ns: u64,
    pub daemon: DaemonUse,
    pub streams: Vec<Stream>,
}

#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DaemonUse {
    pub version: String,
    pub pid: Option<u32>,
    pub cpu_percent: Option<f64>,
    pub memory: Option<u64>,
}

#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stream {
    pub name: String,
    pub state: String,
    pub fourcc: Option<String>,
    pub width: u32,
    pub height: u32,
    pub fps: Option<f64>,
    pub skipped_per_s: Option<f64>,
    pub held: u32,
    pub frames_live: u32,
    pub frames_max: u32,
    pub latency_us: Option<Latency>,
    pub cpu_percent: Option<f64>,
    pub clients: Vec<Client>,
}

#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Client {
    pub id: u64,
    pub name: String,
    pub pid: i32,
    pub uid: u32,
    pub fps: Option<f64>,
    pub skipped_per_s: Option<f64>,
    pub held: u32,
    pub credits: u32,
    pub hold_us: Option<Latency>,
}

impl Report for Top {
    fn text(&self, _: &Output) -> String {
        let lines = layout::lines(self, Style { width: terminal::columns(), color: false });
        lines.join("\n") + "\n"
    }
}
