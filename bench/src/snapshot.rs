// SPDX-License-Identifier: Apache-2.0
//! How long it takes to have a JPEG of a camera that runs.
//!
//! The camera shows 1080p at 30 fps to a client, as it would be in use. Its floor is what nobody can do without who takes the next picture:
//! one frame interval, and the bare encoder on the same pixels, in this process. The two take turns.

use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use rustix::fs::MemfdFlags;
use serde::Serialize;
use system_tests::Rig;
use vs_codec::{ConverterConfig, convert_once};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, FrameMeta, Rate};
use vs_pattern::Pattern;
use vsclient::Client;
use vsclient::dbus::SnapshotOptions;

use crate::args::Plan;
use bench::stats::{Summary, percentile};

const SIZE: (u32, u32) = (1920, 1080);
const RATE: Rate = Rate::fps(30);

/// What the daemon takes if nothing is said.
const QUALITY: u8 = 90;

/// Snapshots of a burst.
const BURST: u32 = 15;

const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "
[stream.camera]
pattern = \"bars\"
size = \"1920x1080\"
rate = 30
always-on = true
";

/// What it gave, in ms.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    /// From the call to the answer, over all rounds.
    pub p50_ms: f64,
    pub p95_ms: f64,
    /// Encoding alone, in this process.
    pub encode_ms: Summary,
    /// One frame interval, and that.
    pub floor_ms: Summary,
    /// The median of a round over the floor of the same round.
    pub over_floor: Summary,
    /// The same over encoding alone.
    pub over_encode: Summary,
}

/// Measures it with the real daemon on a bus of its own.
pub fn run(plan: &Plan) -> anyhow::Result<Scene> {
    let rig = Rig::start(CONFIG);
    let mut client = Client::builder(&rig.socket("camera").to_string_lossy()).no_reconnect().connect()?;
    client.next_frame(PATIENCE)?.context("no frame comes")?;
    let reader = std::thread::spawn(move || for _ in client.frames().map_while(Result::ok) {});
    let pixels = pixels()?;
    let interval_ms = RATE.interval_ns().unwrap_or(0) as f64 / 1e6;
    let (mut all, mut encode, mut over_floor, mut over_encode) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Round 0 warms up and does not count.
    for round in 0..=plan.rounds {
        let bare = burst(|| bare(&pixels))?;
        let mut daemon = burst(|| by_daemon(&rig))?;
        if round == 0 {
            continue;
        }
        let (bare_ms, daemon_ms) = (percentile(&bare, 50) / 1e3, percentile(&daemon, 50) / 1e3);
        encode.push(bare_ms);
        over_floor.push(daemon_ms / (interval_ms + bare_ms));
        over_encode.push(daemon_ms / bare_ms);
        all.append(&mut daemon);
    }
    // The client goes with its stream.
    drop(rig);
    let _ = reader.join();
    all.sort_unstable();
    Ok(Scene {
        p50_ms: percentile(&all, 50) / 1e3,
        p95_ms: percentile(&all, 95) / 1e3,
        floor_ms: Summary::of(encode.iter().map(|bare_ms| interval_ms + bare_ms)),
        encode_ms: Summary::of(encode),
        over_floor: Summary::of(over_floor),
        over_encode: Summary::of(over_encode),
    })
}

/// How long each of some took, in µs, sorted.
fn burst(mut one: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<u32>> {
    let mut took = Vec::new();
    for _ in 0..BURST {
        let begin = Instant::now();
        one()?;
        took.push(u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    took.sort_unstable();
    Ok(took)
}

/// A picture of the camera in RGB.
fn pixels() -> anyhow::Result<Vec<u8>> {
    let format = Arc::new(Format::packed(FourCc::NV12, SIZE.0, SIZE.1, RATE)?);
    let pool = CpuPool::new(Arc::clone(&format), CpuMemory::Memfd, 1, 1)?;
    let mut slot = pool.acquire()?.context("a pool without room")?;
    slot.write(|memories| Pattern::new(&format).map(|pattern| pattern.render(1, 1, memories)))???;
    let frame = slot.finish(FrameMeta { bytes_used: format.picture_bytes(), ..FrameMeta::default() })?;
    let config = ConverterConfig { fourcc: Some(FourCc::RGB24), ..ConverterConfig::default() };
    let frame = convert_once(&frame, &config)?;
    let view = frame.map()?;
    Ok(view.plane(0).context("no pixels")?.data.to_vec())
}

fn bare(pixels: &[u8]) -> anyhow::Result<()> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(pixels, SIZE.0 as u16, SIZE.1 as u16, ColorType::Rgb)?;
    ensure!(!file.is_empty(), "the encoder wrote nothing");
    Ok(())
}

fn by_daemon(rig: &Rig) -> anyhow::Result<()> {
    let file = File::from(rustix::fs::memfd_create("picture", MemfdFlags::CLOEXEC)?);
    let info = rig.wait(async {
        let manager = rig.control().manager().await?;
        anyhow::Ok(manager.snapshot("camera", file.as_fd().into(), &SnapshotOptions::default()).await?)
    })?;
    ensure!(info.bytes > 0 && (info.width, info.height) == SIZE, "the daemon took another picture: {info:?}");
    Ok(())
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50_ms, p95_ms, encode_ms, floor_ms, .. } = self;
        writeln!(
            f,
            "a JPEG of a camera that shows {}x{} at {RATE} fps, ms: p50 {p50_ms:.1}, p95 {p95_ms:.1}",
            SIZE.0, SIZE.1
        )?;
        writeln!(f, "encoding alone {encode_ms}; with one frame interval, the floor: {floor_ms}")
    }
}
