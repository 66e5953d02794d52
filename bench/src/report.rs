// SPDX-License-Identifier: Apache-2.0
//! The figures as a file, and the ratios that count as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;
use serde::Serialize;

use crate::args::Plan;
use crate::{bad, crowd, encode, languages, latency, lock, memory, rates, recorder, size, snapshot};
use bench::stats::Summary;

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    architecture: String,
    /// When it was measured, UTC.
    date: String,
}

impl Machine {
    pub fn read() -> Self {
        let uname = rustix::system::uname();
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"));
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name.trim()).into(),
            kernel: uname.release().to_string_lossy().into_owned(),
            architecture: uname.machine().to_string_lossy().into_owned(),
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        }
    }
}

/// All that a run has measured.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    rounds: u32,
    frames_per_round: u32,
    /// The medians by the names under which others look for them.
    ratios: BTreeMap<String, f64>,
    /// The same with their spread.
    ratio_spread: BTreeMap<String, Summary>,
    latency: Vec<latency::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<size::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<lock::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bad: Option<bad::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<rates::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encode: Option<encode::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorder: Option<recorder::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<snapshot::Scene>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    languages: Vec<languages::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crowd: Option<crowd::Scene>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<memory::Scene>,
}

impl Report {
    pub fn new(machine: Machine, plan: &Plan) -> Self {
        Self {
            machine,
            rounds: plan.rounds,
            frames_per_round: plan.frames,
            ratios: BTreeMap::new(),
            ratio_spread: BTreeMap::new(),
            latency: Vec::new(),
            size: None,
            lock: None,
            bad: None,
            rates: None,
            encode: None,
            recorder: None,
            snapshot: None,
            languages: Vec::new(),
            crowd: None,
            memory: None,
        }
    }

    pub fn latency(&mut self, scene: latency::Scene) {
        let (clients, ratios) = (scene.clients, scene.leased_over_bare);
        self.ratio(format!("latency_p50_n{clients}"), ratios.p50);
        self.ratio(format!("latency_p99_n{clients}"), ratios.p99);
        self.ratio(format!("sender_cpu_n{clients}"), ratios.sender_cpu);
        self.latency.push(scene);
    }

    pub fn size(&mut self, scene: size::Scene) {
        self.ratio("size_4k_over_qvga".into(), scene.p50_large_over_small);
        self.size = Some(scene);
    }

    pub fn lock(&mut self, scene: lock::Scene) {
        self.ratio("lock_rtt_n1".into(), scene.p50_over_bare);
        self.lock = Some(scene);
    }

    pub fn bad(&mut self, scene: bad::Scene) {
        self.ratio("honest_p50_with_bad_clients".into(), scene.p50_beset_over_alone);
        self.bad = Some(scene);
    }

    pub fn rates(&mut self, scene: rates::Scene) {
        for rate in &scene.rates {
            self.ratio(format!("sender_cpu_fps{}", rate.fps), rate.sender_cpu_over_bare);
        }
        self.rates = Some(scene);
    }

    pub fn encode(&mut self, scene: encode::Scene) {
        self.ratio("encode_fps_over_bare".into(), scene.daemon_over_bare);
        self.encode = Some(scene);
    }

    pub fn recorder(&mut self, scene: recorder::Scene) {
        self.ratio("recorder_mb_s_over_plain".into(), scene.speed_over_plain);
        self.ratio("plain_cpu_over_recorder".into(), scene.plain_cpu_over_writer);
        self.recorder = Some(scene);
    }

    pub fn snapshot(&mut self, scene: snapshot::Scene) {
        self.ratio("snapshot_p50_over_floor".into(), scene.over_floor);
        self.ratio("snapshot_p50_over_encode".into(), scene.over_encode);
        self.snapshot = Some(scene);
    }

    pub fn languages(&mut self, scenes: Vec<languages::Scene>) {
        for scene in &scenes {
            for language in scene.languages.iter().skip(1) {
                self.ratio(format!("{}_{}_over_rust", scene.pictures.prefix(), language.name), language.over_rust);
            }
        }
        self.languages = scenes;
    }

    fn ratio(&mut self, name: String, ratio: Summary) {
        self.ratios.insert(name.clone(), ratio.median);
        self.ratio_spread.insert(name, ratio);
    }

    /// Writes the file, and its folder if there is none.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut text = serde_json::to_string_pretty(self)?;
            text.push('\n');
            Ok(std::fs::write(path, text)?)
        };
        write()
            .with_context(|| format!("cannot write the figures to {}; --json names another place", path.display()))?;
        println!("figures: {}", path.display());
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cores, cpu, kernel, architecture, date } = &self.machine;
        writeln!(f, "ratios to the bare limit, {} rounds, median (quartiles)", self.rounds)?;
        for (name, ratio) in &self.ratio_spread {
            writeln!(f, "{name:28}{ratio}")?;
        }
        write!(f, "on {cores} cores, {cpu}, Linux {kernel} {architecture}, {date}")
    }
}
