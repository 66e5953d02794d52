// SPDX-License-Identifier: Apache-2.0
//! What a frame costs its reader, in each language.
//!
//! The same program three times: receive 1080p frames as fast as they are published, and add up a row
//! of each. The publisher never waits, and what a reader has no time for is skipped. Rust is the limit
//! that the others are held against; they take turns.
//!
//! What is published comes in two ways. *Written*: each frame is a new picture, as of a camera or a
//! decoder, which costs far more than any reader. *Bare*: the same memory over and over, for nothing;
//! so each reader is as fast as it can be, and what is left is the language itself.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use vsclient::publish::{BufferError, FrameMeta, Publisher};
use vsclient::{Format, FourCc, Rate, monotonic_ns};

use crate::args::Plan;
use bench::stats::Summary;

const SIZE: (u32, u32) = (1920, 1080);

/// Frames of a run.
const FRAMES: u32 = 10_000;

/// Buffers of the publisher: those that readers may hold, and enough for it never to wait.
const BUFFERS: usize = 16;

/// A pause when all buffers are out, which the reader's credits do not let happen for long.
const PAUSE: Duration = Duration::from_micros(50);

/// The programs. Their source is beside each library, `examples/checksum`.
const LANGUAGES: [&str; 3] = ["rust", "c", "python"];

/// What one run prints.
#[derive(Clone, Debug, Deserialize)]
struct Run {
    frames: u32,
    seconds: f64,
    latency_p50_ns: u64,
    cpu_ns_per_frame: u64,
}

/// What one language gave.
#[derive(Clone, Debug, Serialize)]
pub struct Language {
    pub name: &'static str,
    pub us_per_frame: Summary,
    pub cpu_us_per_frame: Summary,
    pub latency_p50_us: Summary,
    /// Time per frame over that of Rust in the same round.
    pub over_rust: Summary,
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pictures {
    /// Each is a new one.
    Written,
    /// Memory as it is.
    Bare,
}

impl Pictures {
    /// What the names of its figures begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Written => "time_per_frame",
            Self::Bare => "bare_time_per_frame",
        }
    }
}

/// What each language gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    pub pictures: Pictures,
    pub languages: Vec<Language>,
}

/// Measures them with a publisher in this process.
pub fn run(plan: &Plan, dir: &Path) -> anyhow::Result<Vec<Scene>> {
    let scene = |pictures| with(plan, dir, pictures);
    [Pictures::Written, Pictures::Bare].into_iter().map(scene).collect()
}

fn with(plan: &Plan, dir: &Path, pictures: Pictures) -> anyhow::Result<Scene> {
    let programs = programs()?;
    // What this thread starts inherits it: the reader. The publisher's threads have a processor of their own, or the
    // kernel gathers all of them on the one where the frames are, and it is measured how they take turns.
    let (first, others) = processors()?;
    let all = sched_getaffinity(None)?;
    sched_setaffinity(None, &others)?;
    let stream = dir.join("languages");
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, started) = mpsc::channel();
    let publisher = std::thread::spawn({
        let (stream, stop) = (stream.clone(), Arc::clone(&stop));
        move || publish(&stream, pictures, first, &stop, &tell)
    });
    // An error tells nothing and is found when the thread is joined.
    let _ = started.recv();
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); LANGUAGES.len()];
    let measured = (0..=plan.rounds).try_for_each(|round| {
        for (program, runs) in programs.iter().zip(&mut runs) {
            let run = receive(program, &stream)?;
            // Round 0 warms up and does not count.
            if round > 0 {
                runs.push(run);
            }
        }
        anyhow::Ok(())
    });
    sched_setaffinity(None, &all)?;
    stop.store(true, Ordering::Relaxed);
    publisher.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
    measured?;
    let per_frame = |run: &Run| run.seconds * 1e6 / f64::from(run.frames);
    let languages = LANGUAGES.iter().zip(&runs).map(|(name, own)| Language {
        name,
        us_per_frame: Summary::of(own.iter().map(per_frame)),
        cpu_us_per_frame: Summary::of(own.iter().map(|run| run.cpu_ns_per_frame as f64 / 1e3)),
        latency_p50_us: Summary::of(own.iter().map(|run| run.latency_p50_ns as f64 / 1e3)),
        over_rust: Summary::of(own.iter().zip(&runs[0]).map(|(own, rust)| per_frame(own) / per_frame(rust))),
    });
    Ok(Scene { pictures, languages: languages.collect() })
}

/// How to start each program. `make bench` builds them.
fn programs() -> anyhow::Result<[Vec<PathBuf>; 3]> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let here = std::env::current_exe()?;
    let target = here.parent().context("this program lies nowhere")?;
    let programs = [
        vec![target.join("examples/checksum")],
        vec![root.join(".build/c/checksum")],
        vec![root.join(".build/python/bin/python"), root.join("libvsclient/python/examples/checksum.py")],
    ];
    for program in programs.iter().flatten() {
        ensure!(program.exists(), "{} is missing: `make bench` builds it", program.display());
    }
    Ok(programs)
}

/// Publishes until it is told to stop.
fn publish(
    stream: &Path,
    pictures: Pictures,
    processor: CpuSet,
    stop: &AtomicBool,
    started: &Sender<()>,
) -> anyhow::Result<()> {
    sched_setaffinity(None, &processor)?;
    let format = Format::packed(FourCc::NV12, SIZE.0, SIZE.1, Rate::fps(1000))?;
    let publisher = Publisher::builder(&stream.to_string_lossy()).format(format).buffers(BUFFERS).start()?;
    let _ = started.send(());
    while !stop.load(Ordering::Relaxed) {
        let mut slot = match publisher.buffer() {
            Ok(slot) => slot,
            Err(BufferError::Exhausted(_)) => {
                std::thread::sleep(PAUSE);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if pictures == Pictures::Written {
            let value = publisher.next_serial() as u8;
            slot.write(|memories| memories.iter_mut().for_each(|memory| memory.fill(value)))?;
        }
        let bytes_used = slot.format().picture_bytes();
        let meta = FrameMeta { capture_ns: monotonic_ns(), bytes_used, ..FrameMeta::default() };
        publisher.publish(slot.finish(meta)?)?;
    }
    Ok(())
}

/// The first of the processors that this process may use, and the others; twice the same if there is only one.
fn processors() -> anyhow::Result<(CpuSet, CpuSet)> {
    let mut others = sched_getaffinity(None).context("cannot learn which processors there are")?;
    let first = (0..CpuSet::MAX_CPU).find(|cpu| others.is_set(*cpu)).context("there is no processor")?;
    if others.count() == 1 {
        return Ok((others, others));
    }
    others.unset(first);
    let mut alone = CpuSet::new();
    alone.set(first);
    Ok((alone, others))
}

fn receive(program: &[PathBuf], stream: &Path) -> anyhow::Result<Run> {
    let (first, more) = program.split_first().context("no program")?;
    let mut command = Command::new(first);
    command.args(more).arg(stream).arg(FRAMES.to_string()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot run {}", first.display()))?;
    ensure!(output.status.success(), "{} ended with {}", first.display(), output.status);
    let run: Run =
        serde_json::from_slice(&output.stdout).with_context(|| format!("{} wrote no JSON", first.display()))?;
    ensure!(run.frames == FRAMES, "{} got {} frames", first.display(), run.frames);
    Ok(run)
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pictures = match self.pictures {
            Pictures::Written => "each a new picture",
            Pictures::Bare => "the same memory over and over",
        };
        writeln!(
            f,
            "{FRAMES} frames of {}x{} as fast as they come, {pictures}, one row of each added up",
            SIZE.0, SIZE.1
        )?;
        writeln!(
            f,
            "{:>8} {:>24} {:>24} {:>24} {:>20}",
            "", "us per frame", "CPU us per frame", "latency p50 us", "over rust"
        )?;
        for Language { name, us_per_frame, cpu_us_per_frame, latency_p50_us, over_rust } in &self.languages {
            writeln!(
                f,
                "{name:>8} {:>24} {:>24} {:>24} {:>20}",
                us_per_frame.to_string(),
                cpu_us_per_frame.to_string(),
                latency_p50_us.to_string(),
                over_rust.to_string()
            )?;
        }
        Ok(())
    }
}
