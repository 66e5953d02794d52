// SPDX-License-Identifier: Apache-2.0
//! Tries encoders, decoders and converters out: what goes in comes out, once, in order, and
//! looks the same.
//!
//! ```text
//! m2m-probe codec ENCODER DECODER [OPTION=VALUE …]   all that a pair of codecs must be able to do
//!     codec=FWHT format=NV12 size=656x368 frames=300 sessions=20
//! m2m-probe convert NODE [OPTION=VALUE …]            a converter
//!     format=RGB3 to=YUYV size=656x368 frames=60
//! ```
//!
//! Each line of output is one JSON object. The exit code is 1 if a promise is broken.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vs_frame::fourcc::PixelInfo;
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameFlags, FrameMeta, Rate};
use vs_v4l2::m2m::{
    ConverterRequest, DecoderRequest, Delivery, EncoderControl, EncoderRequest, Failure, Input, Session, SubmitError,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A driver that says nothing for so long is taken for dead.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a round trip through a codec may lose.
const MIN_PSNR: f64 = 35.0;

const HEAP: &str = "/dev/dma_heap/system";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["codec", encoder, decoder, ref options @ ..] => {
            Options::parse(options).and_then(|options| codec(Path::new(encoder), Path::new(decoder), &options))
        }
        ["convert", node, ref options @ ..] => {
            Options::parse(options).and_then(|options| convert(Path::new(node), &options))
        }
        ["unplug", encoder, ref options @ ..] => {
            Options::parse(options).and_then(|options| unplug(Path::new(encoder), &options))
        }
        _ => Err("usage: m2m-probe codec ENCODER DECODER | convert NODE | unplug ENCODER [OPTION=VALUE …]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

struct Options {
    codec: FourCc,
    format: FourCc,
    to: FourCc,
    size: (u32, u32),
    frames: u64,
    sessions: u32,
}

impl Options {
    fn parse(options: &[&str]) -> Outcome<Self> {
        let mut parsed = Self {
            codec: FourCc::FWHT,
            format: FourCc::NV12,
            to: FourCc::YUYV,
            size: (656, 368),
            frames: 300,
            sessions: 20,
        };
        for option in options {
            let (name, value) = option.split_once('=').ok_or_else(|| format!("'{option}' is not OPTION=VALUE"))?;
            match name {
                "codec" => parsed.codec = value.parse()?,
                "format" => parsed.format = value.parse()?,
                "to" => parsed.to = value.parse()?,
                "size" => {
                    let (width, height) = value.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
                    parsed.size = (width.parse()?, height.parse()?);
                }
                "frames" => parsed.frames = value.parse()?,
                "sessions" => parsed.sessions = value.parse()?,
                _ => return Err(format!("there is no option '{name}'").into()),
            }
        }
        Ok(parsed)
    }

    fn source(&self, size: (u32, u32)) -> Outcome<Arc<Format>> {
        Ok(Arc::new(Format::packed(self.format, size.0, size.1, Rate::fps(30))?))
    }
}

fn codec(encoder: &Path, decoder: &Path, options: &Options) -> Outcome<()> {
    let pair = Pair { encoder, decoder, options };
    pair.round_trip("copied", options.size, CpuMemory::Memfd, options.frames)?;
    if Path::new(HEAP).exists() {
        pair.round_trip("imported", options.size, CpuMemory::DmaHeap(HEAP.into()), options.frames.div_ceil(5))?;
    }
    // Not a multiple of anything that codecs like.
    pair.round_trip("padded", (options.size.0 - 6, options.size.1 - 2), CpuMemory::Memfd, 10)?;
    pair.drains()?;
    pair.seek()?;
    pair.resolutions()?;
    pair.starts_and_stops()
}

struct Pair<'a> {
    encoder: &'a Path,
    decoder: &'a Path,
    options: &'a Options,
}

/// An access unit and its token.
#[derive(Clone)]
struct Unit {
    token: u64,
    bytes: Vec<u8>,
    meta: FrameMeta,
}

impl Pair<'_> {
    fn open_encoder(&self, source: &Arc<Format>, import: bool) -> Outcome<Session> {
        let mut request = EncoderRequest::new(self.options.codec, Arc::clone(source));
        request.import = import;
        request.controls = vec![
            (EncoderControl::Gop, 15),
            (EncoderControl::KeyQp, 4),
            (EncoderControl::PredictedQp, 4),
            (EncoderControl::Bitrate, 2_000_000),
        ];
        let session = Session::encoder(self.encoder, &request)?;
        if session.imports() != import {
            return Err(format!("import: wanted {import}, got {}", session.imports()).into());
        }
        Ok(session)
    }

    fn open_decoder(&self, size: (u32, u32)) -> Outcome<Session> {
        let mut request = DecoderRequest::new(self.options.codec);
        request.size = Some(size);
        request.raw = vec![self.options.format];
        Ok(Session::decoder(self.decoder, &request)?)
    }

    fn encode(&self, size: (u32, u32), memory: CpuMemory, tokens: std::ops::Range<u64>) -> Outcome<Vec<Unit>> {
        let source = self.options.source(size)?;
        let import = matches!(memory, CpuMemory::DmaHeap(_));
        let mut session = self.open_encoder(&source, import)?;
        let pool = CpuPool::new(source, memory, 4, 32)?;
        let inputs = tokens.clone().map(|token| paint(&pool, token).map(|frame| (token, Input::from(frame))));
        let mut units = Vec::new();
        run(&mut session, inputs, &mut |token, frame| {
            let view = frame.map()?;
            units.push(Unit { token, bytes: view.payload().to_vec(), meta: *frame.meta() });
            Ok(())
        })?;
        let got: Vec<u64> = units.iter().map(|unit| unit.token).collect();
        if got != tokens.collect::<Vec<_>>() {
            return Err(format!("encoded, but not as they came: {got:?}").into());
        }
        if pool.available() != pool.max() {
            return Err("the encoder still holds pictures after its drain".into());
        }
        Ok(units)
    }

    fn round_trip(&self, name: &str, size: (u32, u32), memory: CpuMemory, frames: u64) -> Outcome<()> {
        let units = self.encode(size, memory, 0..frames)?;
        let mut session = self.open_decoder(size)?;
        let (tokens, psnr) = self.decode(&mut session, &units, size)?;
        let bytes: usize = units.iter().map(|unit| unit.bytes.len()).sum();
        let keys = units.iter().filter(|unit| unit.meta.flags.contains(FrameFlags::KEYFRAME)).count();
        println!(
            "{}",
            json!({ "round trip": name, "size": [size.0, size.1], "planar": format!("{:?}", session.planar()),
                "frames": tokens.len(), "keyframes": keys, "bytes": bytes, "psnr": psnr, "strays": session.strays() })
        );
        check_in_order(&tokens, 0..frames)
    }

    /// Decodes to the end; the tokens in the order of delivery, and the worst PSNR.
    fn decode(&self, session: &mut Session, units: &[Unit], size: (u32, u32)) -> Outcome<(Vec<u64>, f64)> {
        let mut tokens = Vec::new();
        let mut worst = f64::INFINITY;
        let painter = Painter::new(&self.options.source(size)?)?;
        run(session, inputs_of(units), &mut |token, frame| {
            check_picture(frame, size, token, &painter, &mut worst)?;
            tokens.push(token);
            Ok(())
        })?;
        Ok((tokens, worst))
    }

    fn drains(&self) -> Outcome<()> {
        let size = self.options.size;
        for count in [0, 1] {
            let units = self.encode(size, CpuMemory::Memfd, 0..count)?;
            let mut session = self.open_decoder(size)?;
            let (tokens, _) = self.decode(&mut session, &units, size)?;
            check_in_order(&tokens, 0..count)?;
            // It goes on after a drain, with a keyframe.
            let units = self.encode(size, CpuMemory::Memfd, 0..5)?;
            let (tokens, _) = self.decode(&mut session, &units, size)?;
            check_in_order(&tokens, 0..5)?;
            println!("{}", json!({ "drained": count, "went on with": tokens.len() }));
        }
        Ok(())
    }

    fn seek(&self) -> Outcome<()> {
        let size = self.options.size;
        let units = self.encode(size, CpuMemory::Memfd, 0..60)?;
        let mut session = self.open_decoder(size)?;
        for unit in &units[..20] {
            submit(&mut session, unit.token, Input::unit(unit.bytes.clone(), unit.meta), &mut |_, _| Ok(()))?;
        }
        session.flush();
        let key = (30..60).find(|at| units[*at].meta.flags.contains(FrameFlags::KEYFRAME)).ok_or("no keyframe")?;
        let mut tokens = Vec::new();
        let mut worst = f64::INFINITY;
        let painter = Painter::new(&self.options.source(size)?)?;
        run(&mut session, inputs_of(&units[key..]), &mut |token, frame| {
            check_picture(frame, size, token, &painter, &mut worst)?;
            tokens.push(token);
            Ok(())
        })?;
        println!("{}", json!({ "seek to": key, "frames": tokens.len(), "psnr": worst }));
        check_in_order(&tokens, key as u64..60)
    }

    fn resolutions(&self) -> Outcome<()> {
        let (width, height) = self.options.size;
        let sizes = [(width, height), (width + 160, height + 32), (width - 16, height - 8), (width, height)];
        let mut units = Vec::new();
        for (at, size) in sizes.iter().enumerate() {
            let first = at as u64 * 10;
            units.extend(self.encode(*size, CpuMemory::Memfd, first..first + 10)?);
        }
        // Told the largest, for its buffers of access units.
        let mut session = self.open_decoder(sizes[1])?;
        let mut tokens = Vec::new();
        let mut worst = f64::INFINITY;
        run(&mut session, inputs_of(&units), &mut |token, frame| {
            let size = sizes[(token / 10) as usize];
            let painter = Painter::new(&self.options.source(size)?)?;
            check_picture(frame, size, token, &painter, &mut worst)?;
            tokens.push(token);
            Ok(())
        })?;
        println!("{}", json!({ "resolutions": sizes, "frames": tokens.len(), "psnr": worst }));
        check_in_order(&tokens, 0..40)
    }

    /// Sessions that are closed in the middle of their work leave nothing behind.
    fn starts_and_stops(&self) -> Outcome<()> {
        let source = self.options.source(self.options.size)?;
        let pool = CpuPool::new(Arc::clone(&source), CpuMemory::Memfd, 4, 32)?;
        let before = open_files()?;
        for _ in 0..self.options.sessions {
            let mut session = self.open_encoder(&source, false)?;
            for token in 0..3 {
                submit(&mut session, token, paint(&pool, token)?.into(), &mut |_, _| Ok(()))?;
            }
            self.open_decoder(self.options.size)?;
        }
        if pool.available() != pool.max() {
            return Err("closed sessions still hold pictures".into());
        }
        let after = open_files()?;
        println!("{}", json!({ "sessions": self.options.sessions, "files before": before, "files after": after }));
        if after > before { Err("closed sessions left files open".into()) } else { Ok(()) }
    }
}

fn open_files() -> Outcome<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn convert(node: &Path, options: &Options) -> Outcome<()> {
    let source = options.source(options.size)?;
    let mut memories = vec![("copied", CpuMemory::Memfd)];
    if Path::new(HEAP).exists() {
        memories.push(("imported", CpuMemory::DmaHeap(PathBuf::from(HEAP))));
    }
    for (name, memory) in memories {
        let mut request = ConverterRequest::new(Arc::clone(&source), options.to, options.size);
        request.import = matches!(memory, CpuMemory::DmaHeap(_));
        let mut session = Session::converter(node, &request)?;
        let pool = CpuPool::new(Arc::clone(&source), memory, 4, 32)?;
        let inputs = (0..options.frames).map(|token| paint(&pool, token).map(|frame| (token, Input::from(frame))));
        let mut tokens = Vec::new();
        run(&mut session, inputs, &mut |token, frame| {
            if frame.format().fourcc != options.to {
                return Err(format!("{} instead of {}", frame.format().fourcc, options.to).into());
            }
            tokens.push(token);
            Ok(())
        })?;
        println!(
            "{}",
            json!({ "converted": name, "imports": session.imports(), "from": options.format.to_string(),
                "to": options.to.to_string(), "frames": tokens.len() })
        );
        check_in_order(&tokens, 0..options.frames)?;
    }
    Ok(())
}

/// Encodes until the session fails; then every input has been accounted for, once.
fn unplug(encoder: &Path, options: &Options) -> Outcome<()> {
    let source = options.source(options.size)?;
    let pool = CpuPool::new(Arc::clone(&source), CpuMemory::Memfd, 4, 32)?;
    let mut session = Session::encoder(encoder, &EncoderRequest::new(options.codec, source))?;
    println!("{}", json!({ "encodes": encoder }));
    let mut open = BTreeSet::new();
    let (mut done, mut lost) = (0, 0);
    for token in 0.. {
        let mut input = Some(Input::from(paint(&pool, token)?));
        while let Some(next) = input.take() {
            match session.submit(token, next) {
                Ok(()) => drop(open.insert(token)),
                Err(SubmitError::Full(back) | SubmitError::Failed(back)) => input = Some(back),
            }
            if !session.wait(TIMEOUT)? {
                return Err("nothing comes any more".into());
            }
            while let Some(delivery) = session.next() {
                match delivery {
                    Delivery::Frame { token, .. } if open.remove(&token) => done += 1,
                    Delivery::Lost { token, .. } if open.remove(&token) => lost += 1,
                    Delivery::Format(_) => {}
                    Delivery::Failed(failure) => {
                        println!("{}", json!({ "failed": format!("{failure:?}"), "done": done, "lost": lost }));
                        let gone = failure == Failure::Gone && open.is_empty();
                        return if gone { Ok(()) } else { Err(format!("not accounted for: {open:?}").into()) };
                    }
                    wrong => return Err(format!("{wrong:?}").into()),
                }
            }
        }
    }
    Ok(())
}

fn inputs_of(units: &[Unit]) -> impl Iterator<Item = Outcome<(u64, Input)>> + '_ {
    units.iter().map(|unit| Ok((unit.token, Input::unit(unit.bytes.clone(), unit.meta))))
}

/// Takes what a frame is for.
type Sink<'a> = &'a mut dyn FnMut(u64, &Frame) -> Outcome<()>;

/// Submits everything, drains, and takes everything.
fn run(session: &mut Session, inputs: impl Iterator<Item = Outcome<(u64, Input)>>, sink: Sink<'_>) -> Outcome<()> {
    for input in inputs {
        let (token, input) = input?;
        submit(session, token, input, sink)?;
    }
    session.drain();
    while !take(session, sink)? {}
    Ok(())
}

fn submit(session: &mut Session, token: u64, mut input: Input, sink: Sink<'_>) -> Outcome<()> {
    loop {
        match session.submit(token, input) {
            Ok(()) => return Ok(()),
            Err(SubmitError::Full(back)) => input = back,
            Err(error @ SubmitError::Failed(_)) => return Err(error.into()),
        }
        take(session, sink)?;
    }
}

/// Waits, and takes what is there; whether a drain has ended.
fn take(session: &mut Session, sink: Sink<'_>) -> Outcome<bool> {
    if !session.wait(TIMEOUT)? {
        return Err("nothing comes any more".into());
    }
    while let Some(delivery) = session.next() {
        match delivery {
            Delivery::Frame { token, frame } => sink(token, &frame)?,
            Delivery::Headers(_) | Delivery::Format(_) | Delivery::Flushed => {}
            Delivery::Drained => return Ok(true),
            wrong => return Err(format!("{wrong:?}").into()),
        }
    }
    Ok(false)
}

fn check_in_order(tokens: &[u64], wanted: std::ops::Range<u64>) -> Outcome<()> {
    if wanted.clone().eq(tokens.iter().copied()) {
        return Ok(());
    }
    Err(format!("wanted {wanted:?}, got {tokens:?}").into())
}

/// Paints pictures to compare with.
struct Painter {
    pool: CpuPool,
}

impl Painter {
    fn new(format: &Arc<Format>) -> Outcome<Self> {
        Ok(Self { pool: CpuPool::new(Arc::clone(format), CpuMemory::Memfd, 1, 2)? })
    }
}

/// A smooth picture, without edges for a codec to stumble over. Its upper part is far from its
/// neighbours', so that their PSNR is about 22 dB; its lower part stays, to be predicted.
fn paint(pool: &CpuPool, serial: u64) -> Outcome<Frame> {
    let mut slot = pool.acquire()?.ok_or("no buffer is free")?;
    let format = Arc::clone(slot.format());
    let planes = format.fourcc.pixel_info().map_or(&[][..], |info: &PixelInfo| info.planes);
    slot.write(|memories| {
        for (index, layout) in format.planes.iter().enumerate() {
            let memory = &mut memories[usize::from(layout.memory)];
            let bytes = planes.get(index).map_or(1, |plane| plane.bytes) as usize;
            let rows = format.plane_rows(index) as usize;
            for y in 0..rows {
                let moves = if 3 * y < 2 * rows { 24 * serial as usize } else { 0 };
                let start = layout.offset as usize + y * layout.stride as usize;
                let row = &mut memory[start..start + format.plane_row_bytes(index) as usize];
                for (x, byte) in row.iter_mut().enumerate() {
                    *byte = wave(x / bytes + y + moves + 70 * (x % bytes));
                }
            }
        }
    })?;
    let meta = FrameMeta { capture_ns: serial + 1, pts: Some(serial as i64), ..FrameMeta::default() };
    let meta = FrameMeta { bytes_used: std::array::from_fn(|memory| format.memory_size(memory) as u32), ..meta };
    Ok(slot.finish(meta)?)
}

/// Up from 40 to 216 and down again.
fn wave(at: usize) -> u8 {
    let at = at % 352;
    (40 + at.min(352 - at)) as u8
}

fn check_picture(frame: &Frame, size: (u32, u32), token: u64, painter: &Painter, worst: &mut f64) -> Outcome<()> {
    let format = frame.format();
    if (format.width, format.height) != size {
        return Err(format!("frame {token} is {}x{}, not {size:?}", format.width, format.height).into());
    }
    if (frame.meta().capture_ns, frame.meta().pts) != (token + 1, Some(token as i64)) {
        return Err(format!("frame {token} has lost its times: {:?}", frame.meta()).into());
    }
    let original = paint(&painter.pool, token)?;
    let (got, wanted) = (frame.map()?, original.map()?);
    let (mut error, mut count) = (0_u64, 0_u64);
    for index in 0..wanted.plane_count() {
        let (got, wanted) = (got.plane(index).ok_or("no such plane")?, wanted.plane(index).ok_or("no such plane")?);
        for (a, b) in got.rows().zip(wanted.rows()) {
            error += a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
            count += b.len() as u64;
        }
    }
    let psnr = 10.0 * (255.0_f64.powi(2) * count as f64 / error.max(1) as f64).log10();
    *worst = worst.min(psnr);
    if psnr < MIN_PSNR { Err(format!("frame {token} has a PSNR of {psnr:.1} dB").into()) } else { Ok(()) }
}
