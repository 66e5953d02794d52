// SPDX-License-Identifier: Apache-2.0
//! What it costs to have pictures encoded by the daemon instead of by the library itself.
//!
//! The same pictures with the same settings, in turns: the bare encoder in this process, and an
//! encoder of the real daemon that this process has opened. Then whether a camera of 1080p30 is
//! encoded without a picture lost, and what more consumers of the same rendition cost.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use system_tests::{Rig, eventually};
use vs_codec::{Backend, BackendKind, Choice, EncoderConfig, FrameTag, open_encoder};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_pattern::Pattern;
use vsclient::Client;
use vsclient::codec::{Encoder, Output, SubmitError};

use crate::args::Plan;
use bench::stats::Summary;

/// Full HD, for that is what people ask about.
const SIZE: (u32, u32) = (1920, 1080);
const RATE: Rate = Rate::fps(30);

/// Different pictures that are encoded over and over: enough to move, few enough to lie in memory.
const PICTURES: u64 = 16;

/// Pictures of a burst: one and a half seconds of an encoder that is just fast enough.
const BURST: u64 = 45;

/// Pictures of which a camera may lose none.
const SUSTAINED: u64 = 150;

const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = "
[stream.camera]
pattern = \"bars\"
size = \"1920x1080\"
rate = 30
[stream.coded]
from = \"camera\"
";

/// What it gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    /// Frames per second of the bare encoder.
    pub bare_fps: Summary,
    /// Of the daemon's.
    pub daemon_fps: Summary,
    /// The second over the first, of neighbouring bursts.
    pub daemon_over_bare: Summary,
    /// A camera's pictures, encoded for one client.
    pub alone: Sustained,
    /// The same for two clients and a recording.
    pub shared: Sustained,
}

/// What became of a camera's pictures.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sustained {
    /// Access units that each client got.
    pub frames: u64,
    /// How many came in a second.
    pub fps: f64,
    /// Those that were missing.
    pub lost: u64,
    /// Encoders that worked for them.
    pub encoders: usize,
    /// Processor time of the daemon for a picture, in ms.
    pub cpu_ms: f64,
}

/// Measures it with the real daemon on a bus of its own.
pub fn run(plan: &Plan) -> anyhow::Result<Scene> {
    let rig = Rig::start(CONFIG);
    let pictures = paint()?;
    let (mut bare, mut daemon) = (Vec::new(), Vec::new());
    // Round 0 warms up and does not count.
    for round in 0..=plan.rounds {
        let (bare_fps, daemon_fps) = if round % 2 == 0 {
            let first = by_library(&pictures)?;
            (first, by_daemon(&rig, &pictures)?)
        } else {
            let first = by_daemon(&rig, &pictures)?;
            (by_library(&pictures)?, first)
        };
        if round > 0 {
            bare.push(bare_fps);
            daemon.push(daemon_fps);
        }
    }
    let ratios: Vec<f64> = daemon.iter().zip(&bare).map(|(daemon, bare)| daemon / bare).collect();
    let alone = sustain(&rig, 1, false)?;
    let shared = sustain(&rig, 2, true)?;
    Ok(Scene {
        bare_fps: Summary::of(bare),
        daemon_fps: Summary::of(daemon),
        daemon_over_bare: Summary::of(ratios),
        alone,
        shared,
    })
}

/// Pictures as the daemon's own test pattern shows them.
fn paint() -> anyhow::Result<Vec<Frame>> {
    let format = Arc::new(Format::packed(FourCc::NV12, SIZE.0, SIZE.1, RATE)?);
    let pool = CpuPool::new(Arc::clone(&format), CpuMemory::Memfd, 1, PICTURES as usize)?;
    let pattern = Pattern::new(&format)?;
    let picture = |serial| {
        let mut slot = pool.acquire()?.context("a pool without room")?;
        slot.write(|memories| pattern.render(serial, RATE.offset_ns(serial), memories))??;
        let meta = FrameMeta { bytes_used: format.picture_bytes(), ..FrameMeta::default() };
        Ok(slot.finish(meta)?)
    };
    (1..=PICTURES).map(picture).collect()
}

fn cycle(pictures: &[Frame]) -> impl Iterator<Item = (u64, &Frame)> {
    (0..BURST).zip(pictures.iter().cycle())
}

fn by_library(pictures: &[Frame]) -> anyhow::Result<f64> {
    let choice = Choice { backend: Backend::Only(BackendKind::Software), ..Choice::default() };
    let input = pictures.first().context("no pictures")?.format();
    let mut encoder = open_encoder(input, &EncoderConfig::default(), &choice)?;
    let begin = Instant::now();
    for (number, picture) in cycle(pictures) {
        let pts_ns = RATE.offset_ns(number) as i64;
        encoder.submit(picture, FrameTag { serial: number, pts_ns, ..FrameTag::default() })?;
        ensure!(matches!(encoder.receive()?, vs_codec::Output::Done(_)), "the library keeps a picture");
    }
    Ok(BURST as f64 / begin.elapsed().as_secs_f64())
}

fn by_daemon(rig: &Rig, pictures: &[Frame]) -> anyhow::Result<f64> {
    let input = pictures.first().context("no pictures")?.format();
    let mut encoder = Encoder::builder().bus(rig.place().bus()).backend("software").open(input)?;
    let (begin, mut done) = (Instant::now(), 0);
    for (number, picture) in cycle(pictures) {
        while let Err(error) = encoder.try_submit(picture, number) {
            ensure!(matches!(error, SubmitError::Full), "the daemon takes no picture: {error}");
            done += take(encoder.receive(Some(PATIENCE))?)?;
        }
    }
    while done < BURST {
        done += take(encoder.receive(Some(PATIENCE))?)?;
    }
    Ok(BURST as f64 / begin.elapsed().as_secs_f64())
}

/// How many access units that is.
fn take(output: Option<Output>) -> anyhow::Result<u64> {
    match output {
        Some(Output::Done(_)) => Ok(1),
        other => bail!("the daemon's encoder says {other:?}"),
    }
}

/// A camera that is encoded for so many clients, and into a file.
fn sustain(rig: &Rig, clients: usize, record: bool) -> anyhow::Result<Sustained> {
    let socket = rig.socket("coded");
    let connect = |_| Client::builder(&socket.to_string_lossy()).credits(8).connect();
    let mut clients = (0..clients).map(connect).collect::<Result<Vec<_>, _>>()?;
    let file = rig.path("out.mp4");
    let file = file.to_string_lossy();
    let recording = record.then(|| rig.vsctl_beside(&["record", "--force", "coded", &file]));
    if record {
        eventually("the recording", || {
            clients.iter_mut().for_each(|client| drop(client.next_frame(Duration::from_millis(1))));
            rig.objects().recordings.first().map(|_| ())
        });
    }
    // What was missed while all of them came does not count.
    for client in &mut clients {
        client.next_frame(PATIENCE)?.context("no access unit comes")?;
    }
    let (begin, cpu) = (Instant::now(), cpu_ms(rig)?);
    let mut lost = 0;
    for _ in 0..SUSTAINED {
        for client in &mut clients {
            let unit = client.next_frame(PATIENCE)?.context("no access unit comes")?;
            lost += unit.skipped().total();
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let cpu_ms = (cpu_ms(rig)? - cpu) / SUSTAINED as f64;
    let encoders = encoders(rig)?;
    lost += rig.stream("coded").counters.source.get("lost").copied().unwrap_or(0);
    drop(recording);
    drop(clients);
    eventually("the encoder to be closed", || encoders_closed(rig));
    Ok(Sustained { frames: SUSTAINED, fps: SUSTAINED as f64 / seconds, lost, encoders, cpu_ms })
}

fn encoders_closed(rig: &Rig) -> Option<()> {
    encoders(rig).is_ok_and(|encoders| encoders == 0).then_some(())
}

/// Threads of the daemon that encode.
fn encoders(rig: &Rig) -> anyhow::Result<usize> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", rig.daemon().process.pid()))?;
    let encodes = |task: std::io::Result<std::fs::DirEntry>| {
        let name = task.ok().and_then(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        name.is_some_and(|name| name.starts_with("enc-"))
    };
    Ok(tasks.map(encodes).filter(|encodes| *encodes).count())
}

/// Processor time of the daemon (proc_pid_stat(5)).
fn cpu_ms(rig: &Rig) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", rig.daemon().process.pid()))?;
    // The name in the second field may hold anything; what follows its end does not.
    let (_, fields) = stat.rsplit_once(") ").context("an unknown form of /proc/PID/stat")?;
    let ticks = |index: usize| -> anyhow::Result<f64> {
        Ok(fields.split(' ').nth(index).context("a field of /proc/PID/stat is missing")?.parse()?)
    };
    Ok((ticks(11)? + ticks(12)?) * 1000.0 / rustix::param::clock_ticks_per_second() as f64)
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "encoding {}x{}, frames per second: bare {}, daemon {}",
            SIZE.0, SIZE.1, self.bare_fps, self.daemon_fps
        )?;
        for (who, sustained) in [("one client", self.alone), ("two clients and a recording", self.shared)] {
            let Sustained { frames, fps, lost, encoders, cpu_ms } = sustained;
            writeln!(
                f,
                "a camera of 30 fps for {who}: {frames} access units at {fps:.2} fps, {lost} missing, {encoders} encoder, \
                 {cpu_ms:.1} ms of processor time each"
            )?;
        }
        Ok(())
    }
}
