// SPDX-License-Identifier: Apache-2.0
//! What a child does: it runs a pipeline, says when it is ready, and counts between two words of its parent.

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, bail};
use gstreamer as gst;
use gstreamer::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::stamp::{StampSrc, made_ns};

/// What a child counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Count {
    pub frames: u64,
    pub seconds: f64,
    /// Processor time.
    pub cpu_ns: u64,
    /// From the source to here, of readers.
    pub latency_p50_ns: u64,
    /// Pictures whose ends are not of one picture.
    pub torn: u64,
    /// Pictures that were copied, as far as the element says.
    pub copied: u64,
}

pub fn send(kind: &str, socket: &str, width: &str, height: &str, fps: &str) -> anyhow::Result<()> {
    let kind = prepare(kind)?;
    let (width, height, fps): (usize, usize, u64) = (width.parse()?, height.parse()?, fps.parse()?);
    let bytes = width * height;
    let source = StampSrc::new(bytes, fps);
    let rate = if fps == 0 { 1000 } else { fps };
    let caps = format!("video/x-raw,format=GRAY8,width={width},height={height},framerate={rate}/1");
    let description = format!("capsfilter caps={caps} ! {}", kind.sink(socket, bytes));
    let rest = gst::parse::bin_from_description(&description, true)?;
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref::<gst::Element>(), rest.upcast_ref()])?;
    source.link(&rest)?;
    pipeline.set_state(gst::State::Playing).context("the sender does not start")?;
    let sink = rest.by_name("sink").context("no sink")?;
    let copied = || if kind == Kind::Videostream { sink.property::<u64>("copied") } else { 0 };
    say("ready");
    let watch = Stopwatch::begin()?;
    let before = (source.made(), copied());
    let (seconds, cpu_ns) = watch.end()?;
    let (frames, copied) = (source.made() - before.0, copied() - before.1);
    answer(&Count { frames, seconds, cpu_ns, latency_p50_ns: 0, torn: 0, copied })?;
    // The readers are still there: nobody waits for what nobody wants any more.
    std::process::exit(0)
}

#[derive(Default)]
struct Seen {
    latencies: Vec<u64>,
    torn: u64,
}

pub fn read(kind: &str, socket: &str) -> anyhow::Result<()> {
    let kind = prepare(kind)?;
    let description = format!("{} ! fakesink name=sink sync=false signal-handoffs=true", kind.source(socket));
    let pipeline = gst::parse::launch(&description)?.downcast::<gst::Pipeline>().ok().context("no pipeline")?;
    let sink = pipeline.by_name("sink").context("no sink")?;
    let seen = Arc::<Mutex<Seen>>::default();
    let (shared, ready) = (Arc::clone(&seen), std::sync::Once::new());
    sink.connect("handoff", false, move |values| {
        let now = vsclient::monotonic_ns();
        let buffer = values.get(1)?.get::<gst::Buffer>().ok()?;
        let picture = buffer.map_readable().ok()?;
        let mut seen = shared.lock().unwrap();
        match made_ns(&picture) {
            Some(made) => seen.latencies.push(now.saturating_sub(made)),
            None => seen.torn += 1,
        }
        ready.call_once(|| say("ready"));
        None
    });
    pipeline.set_state(gst::State::Playing).context("the reader does not start")?;
    let watch = Stopwatch::begin()?;
    *seen.lock().unwrap() = Seen::default();
    let (seconds, cpu_ns) = watch.end()?;
    let Seen { mut latencies, torn } = std::mem::take(&mut *seen.lock().unwrap());
    latencies.sort_unstable();
    let copied = match kind {
        Kind::Videostream => pipeline
            .by_name("source")
            .map_or(0, |source| source.property::<gst::Structure>("stats").get::<u64>("copied").unwrap_or(0)),
        _ => 0,
    };
    answer(&Count {
        frames: latencies.len() as u64 + torn,
        seconds,
        cpu_ns,
        latency_p50_ns: latencies.get(latencies.len() / 2).copied().unwrap_or(0),
        torn,
        copied,
    })?;
    std::process::exit(0)
}

fn prepare(kind: &str) -> anyhow::Result<Kind> {
    gst::init()?;
    gstvideostream::register_static()?;
    Kind::named(kind).with_context(|| format!("no kind {kind}"))
}

/// From the parent's one word to its other.
struct Stopwatch {
    begun: Instant,
    cpu_ns: u64,
}

impl Stopwatch {
    fn begin() -> anyhow::Result<Self> {
        word("begin")?;
        Ok(Self { begun: Instant::now(), cpu_ns: cpu_ns() })
    }

    fn end(self) -> anyhow::Result<(f64, u64)> {
        word("end")?;
        Ok((self.begun.elapsed().as_secs_f64(), cpu_ns() - self.cpu_ns))
    }
}

fn word(wanted: &str) -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    match line.trim() {
        word if word == wanted => Ok(()),
        other => bail!("the parent said '{other}', not '{wanted}'"),
    }
}

fn say(word: &str) {
    println!("{word}");
    let _ = std::io::stdout().flush();
}

fn answer(count: &Count) -> anyhow::Result<()> {
    say(&serde_json::to_string(count)?);
    Ok(())
}

fn cpu_ns() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}
