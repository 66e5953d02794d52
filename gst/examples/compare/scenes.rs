// SPDX-License-Identifier: Apache-2.0
//! What is measured, and how it is told.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bench::stats::Summary;
use gstreamer as gst;
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use super::child::Child;
use super::kind::Kind;
use super::roles::Count;

const SIZES: [(u32, u32); 2] = [(640, 480), (1920, 1080)];
const READERS: [usize; 3] = [1, 4, 16];

/// Of a live source.
const FPS: u64 = 30;

/// Rounds, and how long each is counted.
const FULL: (usize, Duration) = (5, Duration::from_secs(3));
const QUICK: (usize, Duration) = (2, Duration::from_secs(1));

/// What happens to one of the readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    None,
    Stopped,
    Killed,
}

#[derive(Clone, Copy)]
struct Scene {
    size: (u32, u32),
    fps: u64,
    readers: usize,
    mishap: Mishap,
}

/// One round of a scene.
struct Round {
    /// Frames that the source made in a second.
    made: f64,
    /// The same of the readers that go on; the least of them.
    read: f64,
    /// The median over those readers.
    latency_us: f64,
    /// Processor time of all, for each frame made.
    cpu_us: f64,
    torn: u64,
    copied: u64,
}

impl Scene {
    fn name(&self) -> String {
        let ((width, height), readers) = (self.size, self.readers);
        let pace = if self.fps == 0 { "free".to_owned() } else { format!("{}fps", self.fps) };
        let mishap = match self.mishap {
            Mishap::None => "",
            Mishap::Stopped => "_one_stopped",
            Mishap::Killed => "_one_killed",
        };
        format!("{width}x{height}_{pace}_n{readers}{mishap}")
    }

    fn play(&self, kind: Kind, time: Duration) -> anyhow::Result<Round> {
        let dir = tempfile::tempdir()?;
        let socket = dir.path().join("socket").display().to_string();
        let [width, height] = [self.size.0, self.size.1].map(|number| number.to_string());
        let fps = self.fps.to_string();
        let mut sender = Child::start(&["send", kind.name(), &socket, &width, &height, &fps])?;
        let start = |_| Child::start(&["read", kind.name(), &socket]);
        let mut readers = (0..self.readers).map(start).collect::<Result<Vec<_>, _>>()?;
        let victim = match self.mishap {
            Mishap::None => None,
            Mishap::Stopped | Mishap::Killed => readers.pop(),
        };
        if let Some(victim) = &victim {
            victim.signal(if self.mishap == Mishap::Stopped { Signal::STOP } else { Signal::KILL })?;
        }
        for child in readers.iter_mut().chain([&mut sender]) {
            child.tell("begin")?;
        }
        std::thread::sleep(time);
        for child in readers.iter_mut().chain([&mut sender]) {
            child.tell("end")?;
        }
        let read = readers.iter_mut().map(Child::count).collect::<Result<Vec<_>, _>>()?;
        let sent = sender.count()?;
        Ok(Round::of(&sent, &read))
    }
}

impl Round {
    fn of(sent: &Count, read: &[Count]) -> Self {
        let rate = |count: &Count| count.frames as f64 / count.seconds;
        let latencies = Summary::of(read.iter().map(|count| count.latency_p50_ns as f64 / 1e3));
        let cpu: u64 = sent.cpu_ns + read.iter().map(|count| count.cpu_ns).sum::<u64>();
        Self {
            made: rate(sent),
            read: read.iter().map(rate).fold(f64::INFINITY, f64::min),
            latency_us: latencies.median,
            cpu_us: cpu as f64 / 1e3 / sent.frames.max(1) as f64,
            torn: read.iter().map(|count| count.torn).sum(),
            copied: sent.copied + read.iter().map(|count| count.copied).sum::<u64>(),
        }
    }
}

fn scenes() -> Vec<Scene> {
    let mut scenes = Vec::new();
    for size in SIZES {
        let scene = |fps, readers, mishap| Scene { size, fps, readers, mishap };
        scenes.extend(READERS.map(|readers| scene(FPS, readers, Mishap::None)));
        scenes.push(scene(0, 1, Mishap::None));
    }
    let [.., large] = SIZES;
    scenes.extend([Mishap::Stopped, Mishap::Killed].map(|mishap| Scene { size: large, fps: FPS, readers: 4, mishap }));
    scenes
}

/// Measures all and prints it.
pub fn run(quick: bool) -> anyhow::Result<()> {
    gst::init()?;
    gstvideostream::register_static()?;
    let (there, missing): (Vec<_>, Vec<_>) = Kind::ALL.into_iter().partition(|kind| kind.is_there());
    for kind in missing {
        println!("{}sink is not there: this is GStreamer {}", kind.name(), gst::version_string());
    }
    let (rounds, time) = if quick { QUICK } else { FULL };
    let mut figures = Map::new();
    println!(
        "{:34} {:>7} {:>18} {:>18} {:>24} {:>24} {:>5} {:>7}",
        "", "", "made/s", "read/s", "latency p50 us", "CPU us per frame", "torn", "copied"
    );
    for scene in scenes() {
        let mut played: Vec<Vec<Round>> = there.iter().map(|_| Vec::new()).collect();
        for _ in 0..rounds {
            for (kind, played) in there.iter().zip(&mut played) {
                played.push(scene.play(*kind, time).with_context(|| format!("{} with {kind:?}", scene.name()))?);
            }
        }
        for (kind, played) in there.iter().zip(&played) {
            let of = |what: fn(&Round) -> f64| Summary::of(played.iter().map(what));
            let (torn, copied) = (sum(played, |round| round.torn), sum(played, |round| round.copied));
            let (made, read) = (of(|round| round.made), of(|round| round.read));
            let (latency, cpu) = (of(|round| round.latency_us), of(|round| round.cpu_us));
            println!(
                "{:34} {:>7} {:>18.1} {:>18.1} {latency:>24} {cpu:>24} {torn:>5} {copied:>7}",
                scene.name(),
                kind.name(),
                made.median,
                read.median,
            );
            let value = json!({
                "made_per_second": made, "read_per_second": read, "latency_p50_us": latency, "cpu_us_per_frame": cpu,
                "torn": torn, "copied": copied,
            });
            figures.insert(format!("{}_{}", scene.name(), kind.name()), value);
        }
    }
    write(&Value::Object(figures))
}

fn sum(rounds: &[Round], what: fn(&Round) -> u64) -> u64 {
    rounds.iter().map(what).sum()
}

fn write(figures: &Value) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/gst.json");
    std::fs::create_dir_all(path.parent().context("no folder")?)?;
    std::fs::write(&path, serde_json::to_vec_pretty(figures)?)?;
    println!("figures: target/bench/gst.json");
    Ok(())
}
