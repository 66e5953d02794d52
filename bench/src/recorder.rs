// SPDX-License-Identifier: Apache-2.0
//! What it costs to make a file of access units, beside what the file system alone would cost.
//!
//! Real access units of 1080p, encoded beforehand and kept in memory, go into a file as fast as it
//! takes them: through the recorder's writer with its usual fragments and syncs, and as plain `write`s of as many
//! bytes in the same sizes with `fdatasync` at the same intervals and at the end. They take turns.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::Serialize;
use vs_codec::{Backend, BackendKind, Bitrate, Choice, EncoderConfig, FrameTag, Output, RateControl, open_encoder};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, FrameMeta, Rate};
use vs_mux::Codec;
use vs_mux::mp4::{AccessUnit, FileSink, Mp4Writer, Options, Sink, TrackConfig};
use vs_pattern::Pattern;

use crate::args::Plan;
use crate::pacer::thread_cpu_ns;
use bench::stats::Summary;

const SIZE: (u32, u32) = (1920, 1080);
const RATE: Rate = Rate::fps(30);

/// Bits per second that people choose for it.
const BITRATE: u32 = 8_000_000;

/// Access units that are written over and over, from one keyframe to the next.
const UNITS: u64 = 60;

/// Access units of a burst: 100 s of video, 100 MB.
const BURST: u64 = 3000;

/// How strong the noise is that makes the encoder use its bits: pictures of a camera have some.
const NOISE: u8 = 24;

/// What it gave.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    /// Mean size of an access unit in bytes.
    pub unit_bytes: f64,
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// The recorder's writer.
    pub writer: Figures,
    /// Plain writes of as many bytes.
    pub plain: Figures,
    /// Bytes per second of the first over those of the second, of neighbouring bursts.
    pub speed_over_plain: Summary,
    /// Processor time of the second over that of the first.
    pub plain_cpu_over_writer: Summary,
}

/// What one side took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Processor time for an access unit, in µs.
    pub cpu_us: Summary,
    /// MB (10^6 bytes) of file in a second, until the last byte is on the disk.
    pub mb_s: Summary,
}

/// What one burst took.
#[derive(Clone, Copy)]
struct Taken {
    cpu_us: f64,
    mb_s: f64,
}

struct Unit {
    data: Arc<[u8]>,
    keyframe: bool,
}

/// Measures it with files in `folder`.
pub fn run(plan: &Plan, folder: &Path) -> anyhow::Result<Scene> {
    let units = encode()?;
    let path = folder.join("recorder.mp4");
    let sizes = sizes(&units)?;
    let file_bytes: usize = sizes.iter().sum();
    let material: Vec<u8> = units.iter().flat_map(|unit| unit.data.iter().copied()).collect();
    let (mut writer, mut plain) = (Vec::new(), Vec::new());
    let by_writer = || measure(&path, file_bytes, |file| record(FileSink::new(file)?, &units));
    let by_hand = || measure(&path, file_bytes, |file| Ok(copy(file, &material, &sizes)?));
    // Round 0 warms up and does not count.
    for round in 0..=plan.rounds {
        let (first, second) = if round % 2 == 0 {
            (by_writer()?, by_hand()?)
        } else {
            let hand = by_hand()?;
            (by_writer()?, hand)
        };
        if round > 0 {
            writer.push(first);
            plain.push(second);
        }
    }
    let pairs = || writer.iter().zip(&plain);
    Ok(Scene {
        unit_bytes: material.len() as f64 / units.len() as f64,
        file_bytes: file_bytes as u64,
        writer: Figures::of(&writer),
        plain: Figures::of(&plain),
        speed_over_plain: Summary::of(pairs().map(|(ours, plain)| ours.mb_s / plain.mb_s)),
        plain_cpu_over_writer: Summary::of(pairs().map(|(ours, plain)| plain.cpu_us / ours.cpu_us)),
    })
}

/// Pictures with some noise, encoded.
fn encode() -> anyhow::Result<Vec<Unit>> {
    let format = Arc::new(Format::packed(FourCc::NV12, SIZE.0, SIZE.1, RATE)?);
    let pool = CpuPool::new(Arc::clone(&format), CpuMemory::Memfd, 1, 2)?;
    let pattern = Pattern::new(&format)?;
    let choice = Choice { backend: Backend::Only(BackendKind::Software), ..Choice::default() };
    let bitrate = Bitrate::new(BITRATE).context("a bitrate of 0")?;
    let config = EncoderConfig { rate_control: Some(RateControl::Vbr(bitrate)), ..EncoderConfig::default() };
    let mut encoder = open_encoder(&format, &config, &choice)?;
    let mut noise = 1_u32;
    let mut units = Vec::new();
    for serial in 0..UNITS {
        let mut slot = pool.acquire()?.context("a pool without room")?;
        slot.write(|memories| {
            let painted = pattern.render(serial, RATE.offset_ns(serial), memories);
            memories.iter_mut().flat_map(|memory| memory.iter_mut()).for_each(|byte| {
                // A linear congruence (Numerical Recipes, ranqd1): its high bits are noise enough.
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = byte.saturating_add((noise >> 24) as u8 % NOISE);
            });
            painted
        })??;
        let picture = slot.finish(FrameMeta { bytes_used: format.picture_bytes(), ..FrameMeta::default() })?;
        let pts_ns = RATE.offset_ns(serial) as i64;
        encoder.submit(&picture, FrameTag { serial, pts_ns, ..FrameTag::default() })?;
        let Output::Done(unit) = encoder.receive()? else { anyhow::bail!("the encoder keeps a picture") };
        units.push(Unit { data: unit.data, keyframe: unit.keyframe });
    }
    ensure!(units.first().is_some_and(|unit| unit.keyframe), "the first access unit is no keyframe");
    Ok(units)
}

/// Records a burst of them.
fn record(sink: impl Sink, units: &[Unit]) -> anyhow::Result<()> {
    let mut writer = Mp4Writer::new(sink, TrackConfig::new(Codec::H264), Options::default())?;
    for (number, unit) in (0..BURST).zip(units.iter().cycle()) {
        let pts_ns = RATE.offset_ns(number) as i64;
        writer.write(&AccessUnit {
            data: &unit.data,
            pts_ns,
            dts_ns: pts_ns,
            duration_ns: None,
            keyframe: unit.keyframe,
        })?;
    }
    ensure!(writer.finish()?.progressive, "the file has not become an ordinary MP4");
    Ok(())
}

/// The sizes in which the writer writes a burst.
fn sizes(units: &[Unit]) -> anyhow::Result<Vec<usize>> {
    let mut sizes = Sizes(Vec::new());
    record(&mut sizes, units)?;
    Ok(sizes.0)
}

/// Notes how much is written at the end of the file each time.
struct Sizes(Vec<usize>);

impl Sink for Sizes {
    fn write_at(&mut self, offset: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        if offset == self.0.iter().sum::<usize>() as u64 {
            self.0.push(parts.iter().map(|part| part.len()).sum());
        }
        Ok(())
    }

    fn rewritable(&self) -> bool {
        true
    }

    fn truncate(&mut self, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `material` over and over in these sizes, and syncs as often as the writer does.
fn copy(mut file: File, material: &[u8], sizes: &[usize]) -> io::Result<()> {
    let Options { sync, fragment, .. } = Options::default();
    let mut unsynced: Option<Instant> = None;
    let mut rest = material;
    for &size in sizes {
        let mut left = size;
        while left > 0 {
            if rest.is_empty() {
                rest = material;
            }
            let (now, later) = rest.split_at(left.min(rest.len()));
            file.write_all(now)?;
            (left, rest) = (left - now.len(), later);
        }
        let since = *unsynced.get_or_insert_with(Instant::now);
        if sync.is_some_and(|interval| since.elapsed() + fragment >= interval) {
            file.sync_data()?;
            unsynced = None;
        }
    }
    file.sync_data()
}

fn measure(path: &Path, bytes: usize, work: impl FnOnce(File) -> anyhow::Result<()>) -> anyhow::Result<Taken> {
    let file = File::options().read(true).write(true).create_new(true).open(path);
    let file = file.with_context(|| format!("cannot make {}", path.display()))?;
    let (begin, cpu_ns) = (Instant::now(), thread_cpu_ns());
    let worked = work(file);
    let (seconds, cpu_ns) = (begin.elapsed().as_secs_f64(), thread_cpu_ns() - cpu_ns);
    std::fs::remove_file(path)?;
    worked?;
    Ok(Taken { cpu_us: cpu_ns as f64 / 1e3 / BURST as f64, mb_s: bytes as f64 / 1e6 / seconds })
}

impl Figures {
    fn of(bursts: &[Taken]) -> Self {
        Self {
            cpu_us: Summary::of(bursts.iter().map(|burst| burst.cpu_us)),
            mb_s: Summary::of(bursts.iter().map(|burst| burst.mb_s)),
        }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit_bytes, file_bytes, writer, plain, .. } = self;
        let (size, units) = (*file_bytes as f64 / 1e6, unit_bytes / 1e3);
        writeln!(
            f,
            "recording {size:.0} MB in access units of {units:.1} kB: processor µs for each, MB/s to the disk"
        )?;
        writeln!(f, "  writer {} {}", writer.cpu_us, writer.mb_s)?;
        writeln!(f, "  plain  {} {}", plain.cpu_us, plain.mb_s)
    }
}
