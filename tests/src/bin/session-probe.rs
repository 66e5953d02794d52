// SPDX-License-Identifier: Apache-2.0
//! Codec sessions of the daemon, as programs use them, judged by the pictures.
//!
//! ```text
//! session-probe session CODEC SIZE FRAMES    through an encoder and a decoder: there and back, drains of 0 and 1,
//!                                            another size in the middle, a seek
//! session-probe stream SOCKET CODEC FRAMES   what a coded stream of a test pattern carries, through a decoder
//! session-probe unplug CODEC SIZE            encodes until nothing can any more, and says "begun" before
//! ```
//!
//! Every picture that comes back must be the one whose turn it is, with its times, and at least
//! 35 dB of it. The last line of output says what was seen.

use std::collections::VecDeque;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vs_pattern::Pattern;
use vsclient::codec::{Decoder, Encoder, Output, SubmitError};
use vsclient::publish::{CpuMemory, CpuPool, Frame, FrameFlags, FrameMeta};
use vsclient::{Client, Format, FourCc, Rate};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Longer than an emulated machine needs for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than a look at an access unit takes there.
const LEASE: Duration = Duration::from_secs(10);

/// How long to listen to one of two.
const TURN: Duration = Duration::from_millis(20);

/// What a round trip may lose, in dB.
const MIN_PSNR: f64 = 35.0;

const RATE: Rate = Rate::fps(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seen = match arguments[..] {
        ["session", codec, size, frames] => session(codec, size, frames),
        ["stream", socket, codec, frames] => stream(socket, codec, frames),
        ["unplug", codec, size] => unplug(codec, size),
        _ => {
            eprintln!("usage: session-probe session|stream|unplug …");
            return ExitCode::from(2);
        }
    };
    match seen {
        Ok(seen) => {
            println!("{seen}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn size(text: &str) -> Result<(u32, u32)> {
    let (width, height) = text.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
    Ok((width.parse()?, height.parse()?))
}

fn session(codec: &str, text: &str, frames: &str) -> Result<String> {
    let (codec, (width, height), frames): (FourCc, _, u64) = (codec.parse()?, size(text)?, frames.parse()?);
    let mut trip = Trip::new(codec, width, height)?;
    let encoder = trip.encoder.info().clone();
    let decoder = trip.decoder.info().clone();

    // A drain of nothing, of one and of all.
    trip.finish()?;
    for count in [1, frames] {
        trip.send(count)?;
        trip.finish()?;
    }
    // Other pictures in the middle: the encoder is opened anew, the decoder finds out by itself.
    trip.camera = Camera::new(width + 64, height + 32)?;
    trip.send(frames.min(20))?;
    trip.finish()?;
    trip.seek()?;
    let (frames, worst) = (trip.received, trip.worst);
    Ok(format!(
        "{frames} frames there and back in order, PSNR at least {worst:.1}; encoder {} ({}), decoder {} ({})",
        encoder.name, encoder.backend, decoder.name, decoder.backend
    ))
}

/// From a camera through an encoder and a decoder, and what is on its way.
struct Trip {
    camera: Camera,
    encoder: Encoder,
    decoder: Decoder,
    /// Serials that were sent and have not come back.
    on_the_way: VecDeque<(u64, (u32, u32))>,
    sent: u64,
    received: u64,
    worst: f64,
}

impl Trip {
    fn new(codec: FourCc, width: u32, height: u32) -> Result<Self> {
        let camera = Camera::new(width, height)?;
        let encoder = Encoder::builder().codec(codec).timeout(Some(PATIENCE)).open(&camera.format)?;
        let decoder = Decoder::builder().codec(codec).formats(&[FourCc::NV12]).timeout(Some(PATIENCE)).open()?;
        Ok(Self { camera, encoder, decoder, on_the_way: VecDeque::new(), sent: 0, received: 0, worst: f64::INFINITY })
    }

    fn send(&mut self, frames: u64) -> Result<()> {
        for _ in 0..frames {
            let frame = self.camera.frame(self.sent)?;
            loop {
                match self.encoder.try_submit(&frame, self.sent) {
                    Ok(()) => break,
                    Err(SubmitError::Full) => self.step()?,
                    Err(error) => return Err(error.into()),
                }
            }
            self.on_the_way.push_back((self.sent, (frame.format().width, frame.format().height)));
            self.sent += 1;
        }
        Ok(())
    }

    /// Passes one access unit on. Returns whether it was the end of a drain.
    fn pass_on(&mut self) -> Result<bool> {
        match self.next_unit()? {
            Output::Done(unit) => {
                loop {
                    match self.decoder.try_submit(&unit.frame, unit.tag) {
                        Ok(()) => break,
                        Err(SubmitError::Full) => self.take()?,
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(false)
            }
            Output::Drained => Ok(true),
            other => Err(format!("the encoder says {other:?}").into()),
        }
    }

    /// What the encoder says next. Access units lie with the decoder, which gives them back only if
    /// its pictures are taken: so both are listened to.
    fn next_unit(&mut self) -> Result<Output> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(output) = self.encoder.receive(Some(TURN))? {
                return Ok(output);
            }
            while let Some(output) = self.decoder.try_receive()? {
                self.decoded(output)?;
            }
        }
        Err("the encoder is silent".into())
    }

    fn step(&mut self) -> Result<()> {
        if self.pass_on()? { Err("a drain that nobody asked for has ended".into()) } else { Ok(()) }
    }

    /// Takes one picture.
    fn take(&mut self) -> Result<()> {
        let output = self.decoder.receive(Some(PATIENCE))?.ok_or("the decoder is silent")?;
        self.decoded(output)
    }

    fn decoded(&mut self, output: Output) -> Result<()> {
        match output {
            Output::Done(done) => self.check(&done.frame, done.tag),
            other => Err(format!("the decoder says {other:?}").into()),
        }
    }

    fn check(&mut self, picture: &Frame, tag: u64) -> Result<()> {
        let (wanted, size) = self.on_the_way.pop_front().ok_or("a picture more than was sent")?;
        let (meta, format) = (picture.meta(), picture.format());
        let (pts, _) = times(wanted);
        if tag != wanted || meta.pts != Some(pts) || (format.width, format.height) != size {
            return Err(format!("wanted picture {wanted} of {size:?}, got {tag} at {:?}: {format:?}", meta.pts).into());
        }
        self.worst = self.worst.min(psnr(picture, wanted, pts as u64)?);
        self.received += 1;
        Ok(())
    }

    /// Drains both; afterwards nothing is on the way.
    fn finish(&mut self) -> Result<()> {
        self.encoder.drain()?;
        while !self.pass_on()? {}
        self.decoder.drain()?;
        loop {
            match self.decoder.receive(Some(PATIENCE))?.ok_or("the decoder is silent")? {
                Output::Done(done) => self.check(&done.frame, done.tag)?,
                Output::Drained => break,
                other => return Err(format!("the decoder says {other:?}").into()),
            }
        }
        if self.on_the_way.is_empty() { Ok(()) } else { Err(format!("lost {:?}", self.on_the_way).into()) }
    }

    /// Throws away what is on its way, as a player does that jumps; what follows must be whole.
    fn seek(&mut self) -> Result<()> {
        self.send(3)?;
        self.encoder.flush()?;
        self.decoder.flush()?;
        self.on_the_way.clear();
        self.send(5)?;
        self.finish()
    }
}

fn times(serial: u64) -> (i64, u64) {
    let time_ns = RATE.offset_ns(serial);
    (time_ns as i64, time_ns + 1)
}

/// Paints what the daemon's patterns show.
struct Camera {
    format: Arc<Format>,
    pattern: Pattern,
    pool: CpuPool,
}

impl Camera {
    fn new(width: u32, height: u32) -> Result<Self> {
        let format = Arc::new(Format::packed(FourCc::NV12, width, height, RATE)?);
        let pool = CpuPool::new(Arc::clone(&format), CpuMemory::Memfd, 1, 32)?;
        Ok(Self { pattern: Pattern::new(&format)?, pool, format })
    }

    fn frame(&self, serial: u64) -> Result<Frame> {
        let (pts, capture_ns) = times(serial);
        let mut slot = self.pool.acquire()?.ok_or("no buffer is free")?;
        slot.write(|memories| self.pattern.render(serial, pts as u64, memories))??;
        let bytes_used = self.format.picture_bytes();
        Ok(slot.finish(FrameMeta { capture_ns, pts: Some(pts), bytes_used, ..FrameMeta::default() })?)
    }
}

/// How near a picture is to the pattern of this serial and time, in dB.
fn psnr(picture: &Frame, serial: u64, time_ns: u64) -> Result<f64> {
    let format = picture.format();
    let wanted = Format::packed(format.fourcc, format.width, format.height, RATE)?;
    let mut painted: Vec<_> =
        (0..wanted.memories()).map(|memory| vec![0; wanted.memory_size(memory) as usize]).collect();
    let mut memories: Vec<&mut [u8]> = painted.iter_mut().map(Vec::as_mut_slice).collect();
    Pattern::new(&wanted)?.render(serial, time_ns, &mut memories)?;
    let view = picture.map()?;
    let (mut error, mut count) = (0_u64, 0_u64);
    for (index, plane) in wanted.planes.iter().enumerate() {
        let got = view.plane(index).ok_or("a plane is missing")?;
        let memory = &painted[usize::from(plane.memory)];
        for (number, row) in got.rows().enumerate() {
            let start = plane.offset as usize + number * plane.stride as usize;
            let expected = memory.get(start..start + row.len()).ok_or("a row too many")?;
            error += row.iter().zip(expected).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
            count += row.len() as u64;
        }
    }
    let psnr = 10.0 * (255.0_f64.powi(2) * count as f64 / error.max(1) as f64).log10();
    if psnr < MIN_PSNR { Err(format!("picture {serial} has a PSNR of {psnr:.1} dB").into()) } else { Ok(psnr) }
}

fn stream(socket: &str, codec: &str, frames: &str) -> Result<String> {
    let (codec, frames): (FourCc, usize) = (codec.parse()?, frames.parse()?);
    let mut client = Client::builder(socket).name("session-probe").lease(LEASE).connect_or_wait()?;
    let mut decoder = Decoder::builder().codec(codec).formats(&[FourCc::NV12]).timeout(Some(PATIENCE)).open()?;
    let (mut sent, mut seen) = (VecDeque::new(), Seen { received: 0, worst: f64::INFINITY });
    let mut draining = false;
    while seen.received < frames {
        if sent.len() + seen.received < frames {
            let frame = client.next_frame(PATIENCE)?.ok_or("no access unit came")?;
            let meta = *frame.meta();
            if sent.is_empty() && seen.received == 0 && !meta.flags.contains(FrameFlags::KEYFRAME) {
                return Err("the stream begins in the middle".into());
            }
            // The picture's serial in the pattern's stream, and when it was painted.
            sent.push_back((u64::from(meta.sequence), meta.capture_ns));
            let unit = frame.read(|view| view.payload().to_vec())?;
            loop {
                match decoder.submit_unit(&unit, meta, meta.capture_ns) {
                    Ok(()) => break,
                    Err(SubmitError::Full) => check(&take(&mut decoder, true)?, &mut sent, &mut seen)?,
                    Err(error) => return Err(error.into()),
                }
            }
        } else if !draining {
            // The last ones stay inside until they are asked for.
            decoder.drain()?;
            draining = true;
        } else {
            return Err(format!("{} of {frames} pictures came out", seen.received).into());
        }
        while let output @ Some(_) = take(&mut decoder, draining)? {
            check(&output, &mut sent, &mut seen)?;
            if matches!(output, Some(Output::Drained)) {
                break;
            }
        }
    }
    let Seen { received, worst } = seen;
    Ok(format!("{received} frames of a coded stream in order, PSNR at least {worst:.1}"))
}

/// What has come out of a stream.
struct Seen {
    received: usize,
    worst: f64,
}

/// Whether a picture is the one whose turn it is: of this serial, taken at this time.
fn check(output: &Option<Output>, sent: &mut VecDeque<(u64, u64)>, seen: &mut Seen) -> Result<()> {
    let done = match output {
        Some(Output::Done(done)) => done,
        Some(Output::Drained) => return Ok(()),
        other => return Err(format!("the decoder says {other:?}").into()),
    };
    let (serial, capture_ns) = sent.pop_front().ok_or("a picture more than was sent")?;
    if done.tag != capture_ns || done.frame.meta().capture_ns != capture_ns {
        return Err(format!("wanted picture {serial} of {capture_ns}, got that of {}", done.tag).into());
    }
    seen.worst = seen.worst.min(psnr(&done.frame, serial, capture_ns)?);
    seen.received += 1;
    Ok(())
}

/// What the decoder has; with `all` it is waited for.
fn take(decoder: &mut Decoder, all: bool) -> Result<Option<Output>> {
    if all { Ok(decoder.receive(Some(PATIENCE))?) } else { Ok(decoder.try_receive()?) }
}

fn unplug(codec: &str, text: &str) -> Result<String> {
    let (codec, (width, height)): (FourCc, _) = (codec.parse()?, size(text)?);
    let camera = Camera::new(width, height)?;
    let mut encoder = Encoder::builder().codec(codec).timeout(Some(PATIENCE)).open(&camera.format)?;
    let (mut sent, mut done, mut lost) = (0_u64, 0, 0);
    let end = loop {
        let frame = camera.frame(sent)?;
        match encoder.submit(&frame, sent) {
            Ok(()) => sent += 1,
            Err(SubmitError::Ended(ended)) => break ended.to_string(),
            Err(error) => return Err(error.into()),
        }
        drop(frame);
        match encoder.receive(Some(PATIENCE)) {
            Ok(Some(Output::Done(_))) => {
                done += 1;
                if done == 1 {
                    println!("begun");
                }
            }
            Ok(Some(Output::Lost(_))) => lost += 1,
            Ok(other) => return Err(format!("the encoder says {other:?}").into()),
            Err(error) => break error.to_string(),
        }
    };
    Ok(format!("sent {sent}, done {done}, lost {lost}: {end}"))
}
