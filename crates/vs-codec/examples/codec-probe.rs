// SPDX-License-Identifier: Apache-2.0
//! Tries the codecs and converters of this machine out, as callers of `vs_codec` meet them.
//!
//! ```text
//! codec-probe codec [OPTION=VALUE …]      there and back, drains, flushes, keyframes, no session left
//!     codec=FWHT format=NV12 size=656x368 frames=300
//! codec-probe convert [OPTION=VALUE …]    a converter, and an encoder behind it
//!     format=RGB3 to=YUYV size=656x368 frames=60
//! codec-probe unplug [OPTION=VALUE …]     encodes until the device is gone
//! ```
//!
//! Each line of output is one JSON object. The exit code is 1 if a promise is broken.

use std::error::Error;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;
use vs_codec::{
    AccessUnit, Backend, BackendKind, Changes, Choice, ConverterConfig, DecoderConfig, Device, EncoderConfig, FrameTag,
    KeyframeInterval, OpenError, Output, Picture, Priority, Quality, RateControl, Session, Sessions, SubmitError,
    open_converter, open_decoder, open_encoder,
};
use vs_frame::clock::{NS_PER_SEC, monotonic_ns};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_v4l2::DeviceKind;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A driver that says nothing for so long is taken for dead.
const TIMEOUT_NS: u64 = 60 * NS_PER_SEC;

/// What a round trip through a codec may lose, in dB.
const MIN_PSNR: f64 = 35.0;

/// Pictures from one keyframe to the next; the kernel's test codec can do up to 16.
const GOP: u32 = 15;

const RATE: Rate = Rate::fps(30);

const HEAP: &str = "/dev/dma_heap/system";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["codec", ref options @ ..] => Probe::new(options).and_then(|probe| probe.codec()),
        ["convert", ref options @ ..] => Probe::new(options).and_then(|probe| probe.convert()),
        ["unplug", ref options @ ..] => Probe::new(options).and_then(|probe| probe.unplug()),
        _ => Err("usage: codec-probe codec|convert|unplug [OPTION=VALUE …]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

struct Probe {
    codec: FourCc,
    format: FourCc,
    to: FourCc,
    size: (u32, u32),
    frames: u64,
    devices: Vec<Device>,
}

/// What came out, in order.
type Outputs<T> = Vec<Output<T>>;

/// Takes a picture, and lets go of it, for a device has only so many.
type Sink<'a> = &'a mut dyn FnMut(Output<Picture>) -> Outcome<()>;

impl Probe {
    fn new(options: &[&str]) -> Outcome<Self> {
        let mut probe = Self {
            codec: FourCc::FWHT,
            format: FourCc::NV12,
            to: FourCc::YUYV,
            size: (656, 368),
            frames: 300,
            devices: devices()?,
        };
        for option in options {
            let (name, value) = option.split_once('=').ok_or_else(|| format!("'{option}' is not OPTION=VALUE"))?;
            match name {
                "codec" => probe.codec = value.parse()?,
                "format" => probe.format = value.parse()?,
                "to" => probe.to = value.parse()?,
                "size" => {
                    let (width, height) = value.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
                    probe.size = (width.parse()?, height.parse()?);
                }
                "frames" => probe.frames = value.parse()?,
                _ => return Err(format!("there is no option '{name}'").into()),
            }
        }
        Ok(probe)
    }

    fn hardware(&self) -> Choice<'_> {
        Choice { backend: Backend::Only(BackendKind::V4l2), ..Choice::auto(&self.devices) }
    }

    fn input(&self) -> Outcome<Format> {
        Ok(Format::packed(self.format, self.size.0, self.size.1, RATE)?)
    }

    fn config(&self) -> EncoderConfig {
        EncoderConfig {
            codec: self.codec,
            rate_control: Quality::new(95).map(RateControl::Quality),
            keyframe_interval: NonZeroU32::new(GOP).map_or_else(KeyframeInterval::default, KeyframeInterval::Frames),
            ..EncoderConfig::default()
        }
    }

    fn encoder(&self) -> Outcome<Box<dyn vs_codec::Encoder>> {
        Ok(open_encoder(&self.input()?, &self.config(), &self.hardware())?)
    }

    fn decoder(&self) -> Outcome<Box<dyn vs_codec::Decoder>> {
        let config =
            DecoderConfig { size: Some(self.size), formats: vec![self.format], ..DecoderConfig::new(self.codec) };
        Ok(open_decoder(&config, &self.hardware())?)
    }

    fn camera(&self, memory: CpuMemory) -> Outcome<Camera> {
        Camera::new(self.input()?, memory)
    }

    fn codec(&self) -> Outcome<()> {
        self.round_trip("copied", CpuMemory::Memfd)?;
        if Path::new(HEAP).exists() {
            self.round_trip("imported", CpuMemory::DmaHeap(HEAP.into()))?;
        }
        self.drains()?;
        self.flushes()?;
        self.keyframes()?;
        self.changes()?;
        self.no_session_left()?;
        self.starts_and_stops()
    }

    fn round_trip(&self, name: &str, memory: CpuMemory) -> Outcome<()> {
        let camera = self.camera(memory)?;
        let (mut encoder, mut decoder) = (self.encoder()?, self.decoder()?);
        let mut check = Check::new(&camera);
        let (mut units, mut bytes, mut keyframes) = (0, 0, 0);
        for serial in 0..self.frames {
            for output in encode(&mut *encoder, &camera, serial)? {
                let unit = done(output)?;
                check_unit(&unit, units)?;
                (units, bytes, keyframes) = (units + 1, bytes + unit.data.len(), keyframes + u64::from(unit.keyframe));
                decode(&mut *decoder, &unit, &mut |output| check.one(output))?;
            }
        }
        for output in drain(&mut *encoder)? {
            let unit = done(output)?;
            check_unit(&unit, units)?;
            (units, bytes, keyframes) = (units + 1, bytes + unit.data.len(), keyframes + u64::from(unit.keyframe));
            decode(&mut *decoder, &unit, &mut |output| check.one(output))?;
        }
        drain_decoder(&mut *decoder, &mut |output| check.one(output))?;
        println!(
            "{}",
            json!({ "round trip": name, "by": [&encoder.effective().name, &decoder.info().name], "units": units,
                "frames": check.next, "keyframes": keyframes, "bytes": bytes, "psnr": check.worst })
        );
        if camera.pool.available() != camera.pool.max() {
            return Err("the encoder still holds pictures after its drain".into());
        }
        let wanted = (self.frames, self.frames, self.frames.div_ceil(u64::from(GOP)));
        expect("units, frames and keyframes", (units, check.next, keyframes), wanted)
    }

    fn drains(&self) -> Outcome<()> {
        let camera = self.camera(CpuMemory::Memfd)?;
        let (mut encoder, mut decoder) = (self.encoder()?, self.decoder()?);
        let mut check = Check::new(&camera);
        let mut keyframes = Vec::new();
        // It goes on after each, with a keyframe.
        for count in [0, 1, 0, 5] {
            let mut units = Vec::new();
            for serial in check.next..check.next + count {
                units.extend(encode(&mut *encoder, &camera, serial)?);
            }
            units.extend(drain(&mut *encoder)?);
            let units: Vec<AccessUnit> = units.into_iter().map(done).collect::<Outcome<_>>()?;
            keyframes.extend(units.iter().filter(|unit| unit.keyframe).map(|unit| unit.tag.serial));
            for unit in &units {
                decode(&mut *decoder, unit, &mut |output| check.one(output))?;
            }
            drain_decoder(&mut *decoder, &mut |output| check.one(output))?;
            match encoder.receive()? {
                Output::Pending => {}
                other => return Err(format!("after the drain: {other:?}").into()),
            }
        }
        println!("{}", json!({ "drained": [0, 1, 0, 5], "frames": check.next, "keyframes": keyframes }));
        expect("frames", check.next, 6)?;
        expect("keyframes", keyframes, vec![0, 1])
    }

    fn flushes(&self) -> Outcome<()> {
        let camera = self.camera(CpuMemory::Memfd)?;
        let (mut encoder, mut decoder) = (self.encoder()?, self.decoder()?);
        for serial in 0..6 {
            encode(&mut *encoder, &camera, serial)?;
        }
        encoder.drain()?;
        encoder.flush()?;
        let mut check = Check { next: 10, ..Check::new(&camera) };
        let mut units = Vec::new();
        for serial in 10..30 {
            units.extend(encode(&mut *encoder, &camera, serial)?);
        }
        units.extend(drain(&mut *encoder)?);
        let units: Vec<AccessUnit> = units.into_iter().map(done).collect::<Outcome<_>>()?;
        expect("units after a flush", units.len(), 20)?;
        expect("the first is a keyframe", units[0].keyframe, true)?;
        for unit in &units[..4] {
            decode(&mut *decoder, unit, &mut |_| Ok(()))?;
        }
        decoder.flush()?;
        for unit in &units {
            decode(&mut *decoder, unit, &mut |output| check.one(output))?;
        }
        drain_decoder(&mut *decoder, &mut |output| check.one(output))?;
        println!("{}", json!({ "flushed": 6, "frames": check.next - 10, "psnr": check.worst }));
        expect("the last frame", check.next, 30)
    }

    /// Exactly the picture that it was asked for becomes one.
    fn keyframes(&self) -> Outcome<()> {
        let camera = self.camera(CpuMemory::Memfd)?;
        let mut encoder = self.encoder()?;
        let mut units = Vec::new();
        for serial in 0..12 {
            if [0, 4, 9].contains(&serial) {
                encoder.force_keyframe();
            }
            units.extend(encode(&mut *encoder, &camera, serial)?);
        }
        units.extend(drain(&mut *encoder)?);
        let units: Vec<AccessUnit> = units.into_iter().map(done).collect::<Outcome<_>>()?;
        let keyframes: Vec<u64> = units.iter().filter(|unit| unit.keyframe).map(|unit| unit.tag.serial).collect();
        println!("{}", json!({ "forced": [0, 4, 9], "keyframes": keyframes }));
        expect("units", units.len(), 12)?;
        expect("keyframes", keyframes, vec![0, 4, 9])
    }

    fn changes(&self) -> Outcome<()> {
        let mut encoder = self.encoder()?;
        let before = encoder.effective().clone();
        let interval = NonZeroU32::new(4).map(KeyframeInterval::Frames);
        encoder.reconfigure(&Changes { keyframe_interval: interval, ..Changes::default() })?;
        expect("the interval", encoder.effective().keyframe_interval.get(), 4)?;
        let worse = Quality::new(50).map(RateControl::Quality);
        encoder.reconfigure(&Changes { rate_control: worse, ..Changes::default() })?;
        let after = encoder.effective().clone();
        println!(
            "{}",
            json!({ "rate control": [format!("{:?}", before.rate_control), format!("{:?}", after.rate_control)],
                "interval": [before.keyframe_interval.get(), after.keyframe_interval.get()] })
        );
        if before.rate_control == after.rate_control {
            return Err("the quality is what it was".into());
        }
        let bits = "5M".parse().map(RateControl::Vbr)?;
        let refused = encoder.reconfigure(&Changes { rate_control: Some(bits), ..Changes::default() });
        if self.codec == FourCc::FWHT && (refused.is_ok() || *encoder.effective() != after) {
            return Err("a codec without bitrates took one".into());
        }
        Ok(())
    }

    /// Who has no session left, or cannot, is passed over, and said to be.
    fn no_session_left(&self) -> Outcome<()> {
        let one = self.devices.iter().find(|device| device.function.kind == DeviceKind::Encoder).ok_or("no encoder")?;
        let first = Device { name: "first".into(), sessions: Arc::new(Sessions::new(2, 1)), ..one.clone() };
        let second = Device { name: "second".into(), ..one.clone() };
        let (only, both) = ([first.clone()], [first.clone(), second]);
        let guest = Choice { priority: Priority::Guest, ..Choice::auto(&only) };
        let (input, config) = (self.input()?, self.config());
        let held = open_encoder(&input, &config, &guest)?;
        expect("no reason for the first choice", held.effective().reason.as_str(), "")?;
        let refused = open_encoder(&input, &config, &guest).err().ok_or("there were too many sessions")?;
        let other = open_encoder(&input, &config, &Choice { devices: &both, ..guest })?;
        println!(
            "{}",
            json!({ "refused": refused.to_string(), "took": &other.effective().name,
            "because": &other.effective().reason })
        );
        expect("the reason", other.effective().reason.as_str(), "first: all of its sessions are in use")?;
        let owner = open_encoder(&input, &config, &Choice::auto(&only))?;
        expect("sessions", first.sessions.open(), 2)?;
        drop((held, owner));
        expect("sessions", first.sessions.open(), 0)?;
        if !matches!(refused, OpenError::Nobody { .. }) {
            return Err(format!("{refused:?}").into());
        }
        // A device that promises what its driver then refuses.
        let mut liar = (*one.function).clone();
        liar.formats.iter_mut().for_each(|format| format.fourcc = FourCc::H264);
        let liars = [Device { name: "liar".into(), function: Arc::new(liar), ..one.clone() }];
        let config = EncoderConfig { codec: FourCc::H264, ..config };
        let software = open_encoder(&input, &config, &Choice::auto(&liars))?;
        println!("{}", json!({ "took": &software.effective().name, "because": &software.effective().reason }));
        expect("who", software.effective().backend, BackendKind::Software)?;
        expect("the reason names the device", software.effective().reason.starts_with("liar: "), true)
    }

    /// Sessions that are closed in the middle of their work leave nothing behind.
    fn starts_and_stops(&self) -> Outcome<()> {
        let camera = self.camera(CpuMemory::Memfd)?;
        let files = || Ok::<_, std::io::Error>(std::fs::read_dir("/proc/self/fd")?.count());
        camera.frame(0)?;
        let before = files()?;
        for _ in 0..20 {
            let mut encoder = self.encoder()?;
            for serial in 0..3 {
                encode(&mut *encoder, &camera, serial)?;
            }
            self.decoder()?;
        }
        expect("pictures that are free", camera.pool.available(), camera.pool.max())?;
        let after = files()?;
        println!("{}", json!({ "starts": 20, "files before": before, "files after": after }));
        // The camera may have made a buffer or two since.
        if after > before + camera.pool.max() { Err("closed sessions left files open".into()) } else { Ok(()) }
    }

    fn convert(&self) -> Outcome<()> {
        let camera = self.camera(CpuMemory::Memfd)?;
        let config = ConverterConfig { fourcc: Some(self.to), ..ConverterConfig::default() };
        let mut converter = open_converter(&self.input()?, &config, &self.hardware())?;
        expect("the format", (converter.info().output.fourcc, converter.info().output.width), (self.to, self.size.0))?;
        let mut sample = None;
        for serial in 0..self.frames {
            let frame = camera.frame(serial)?;
            while let Err(error) = converter.submit(&frame, tag(serial)) {
                wait_if_full(&*converter, error)?;
                // The caller lets go of all but the first.
                while let Some(output) = there(converter.receive()?) {
                    check_picture(&done(output)?, &mut sample)?;
                }
            }
        }
        converter.drain()?;
        loop {
            match converter.receive()? {
                Output::Drained => break,
                Output::Pending => wait(&*converter)?,
                output => check_picture(&done(output)?, &mut sample)?,
            }
        }
        let (first, count) = sample.ok_or("nothing was converted")?;
        println!("{}", json!({ "converted": count, "by": &converter.info().name }));
        expect("pictures", count, self.frames)?;
        drop(converter);
        self.bridge(&camera, &first)
    }

    /// An encoder that takes only what the converter makes; `first` is the first picture as the
    /// converter makes it.
    fn bridge(&self, camera: &Camera, first: &Frame) -> Outcome<()> {
        let mut devices = self.devices.clone();
        for device in devices.iter_mut().filter(|device| device.function.kind == DeviceKind::Encoder) {
            let mut picky = (*device.function).clone();
            picky.output_formats.retain(|format| format.fourcc == self.to);
            device.function = Arc::new(picky);
        }
        let mut encoder = open_encoder(&self.input()?, &self.config(), &Choice::auto(&devices))?;
        let decoder = DecoderConfig { size: Some(self.size), formats: vec![self.to], ..DecoderConfig::new(self.codec) };
        let mut decoder = open_decoder(&decoder, &self.hardware())?;
        let mut units = Vec::new();
        for serial in 0..self.frames {
            if serial == 7 {
                encoder.force_keyframe();
            }
            units.extend(encode(&mut *encoder, camera, serial)?);
        }
        units.extend(drain(&mut *encoder)?);
        let units: Vec<AccessUnit> = units.into_iter().map(done).collect::<Outcome<_>>()?;
        for (serial, unit) in units.iter().enumerate() {
            check_unit(unit, serial as u64)?;
        }
        expect("bridged units", units.len() as u64, self.frames)?;
        expect("the forced keyframe", units[7].keyframe && !units[6].keyframe && !units[8].keyframe, true)?;
        let mut decoded = None;
        decode(&mut *decoder, &units[0], &mut |output| done(output).map(|picture| decoded = Some(picture)))?;
        drain_decoder(&mut *decoder, &mut |output| done(output).map(|picture| decoded = Some(picture)))?;
        let psnr = psnr(&decoded.ok_or("nothing was decoded")?.frame, first)?;
        println!("{}", json!({ "bridged": units.len(), "by": &encoder.effective().name, "psnr": psnr }));
        // It drains and goes on, and forgets what it is told to forget.
        for serial in 0..5 {
            encode(&mut *encoder, camera, serial)?;
        }
        encoder.flush()?;
        let mut after = encode(&mut *encoder, camera, 100)?;
        after.extend(drain(&mut *encoder)?);
        let after: Vec<AccessUnit> = after.into_iter().map(done).collect::<Outcome<_>>()?;
        let after: Vec<(u64, bool)> = after.iter().map(|unit| (unit.tag.serial, unit.keyframe)).collect();
        expect("after a flush", after, vec![(100, true)])?;
        if psnr < MIN_PSNR { Err(format!("the bridge costs too much: {psnr:.1} dB").into()) } else { Ok(()) }
    }

    /// Encodes until the session fails; then every input has been accounted for, once.
    fn unplug(&self) -> Outcome<()> {
        let camera = self.camera(CpuMemory::Memfd)?;
        let mut encoder = self.encoder()?;
        let mut accounts = Accounts::default();
        let mut encodes = false;
        for serial in 0.. {
            let frame = camera.frame(serial)?;
            loop {
                if let Some(failure) = accounts.receive(&mut *encoder)? {
                    let Accounts { open, done, lost } = accounts;
                    println!("{}", json!({ "failed": failure.to_string(), "done": done, "lost": lost }));
                    return expect("inputs that are not accounted for", open.len(), 0);
                }
                // Whoever waits for this line unplugs it now.
                if accounts.done > 0 && !std::mem::replace(&mut encodes, true) {
                    println!("{}", json!({ "encodes": &encoder.effective().name }));
                }
                match encoder.submit(&frame, tag(serial)) {
                    Ok(()) => break accounts.open.push(tag(serial)),
                    Err(SubmitError::Full) => wait(&*encoder)?,
                    // Why, and what became of the others, is received.
                    Err(SubmitError::Backend(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

/// What went in and has not come out, and how much has.
#[derive(Default)]
struct Accounts {
    open: Vec<FrameTag>,
    done: u64,
    lost: u64,
}

impl Accounts {
    /// Takes what is there, or the failure of the session.
    fn receive(&mut self, encoder: &mut dyn vs_codec::Encoder) -> Outcome<Option<vs_codec::BackendError>> {
        loop {
            let (tag, count) = match encoder.receive() {
                Ok(Output::Done(unit)) => (unit.tag, &mut self.done),
                Ok(Output::Lost(tag, _)) => (tag, &mut self.lost),
                Ok(Output::Pending) => return Ok(None),
                Ok(Output::Drained) => return Err("drained, and not asked to".into()),
                Err(failure) => return Ok(Some(failure)),
            };
            *count += 1;
            let at = self.open.iter().position(|open| *open == tag).ok_or("an input came out twice")?;
            self.open.remove(at);
        }
    }
}

/// The hardware of this machine, by the names that its drivers give it.
fn devices() -> Outcome<Vec<Device>> {
    let all = vs_v4l2::discover()?.into_iter();
    let device = |info: vs_v4l2::DeviceInfo| {
        let function = Arc::new(info.function.ok()?);
        Some(Device { name: info.node.name, devnode: info.node.devnode, function, sessions: Arc::default() })
    };
    Ok(all.filter_map(device).collect())
}

fn done<T: std::fmt::Debug>(output: Output<T>) -> Outcome<T> {
    match output {
        Output::Done(done) => Ok(done),
        other => Err(format!("not done: {other:?}").into()),
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Outcome<()> {
    if got == wanted { Ok(()) } else { Err(format!("{what}: wanted {wanted:?}, got {got:?}").into()) }
}

/// Submits a picture, waiting for room, and takes what is there.
fn encode(encoder: &mut dyn vs_codec::Encoder, camera: &Camera, serial: u64) -> Outcome<Outputs<AccessUnit>> {
    let frame = camera.frame(serial)?;
    let mut units = Vec::new();
    while let Err(error) = encoder.submit(&frame, tag(serial)) {
        wait_if_full(encoder, error)?;
        units.extend(take(encoder)?);
    }
    units.extend(take(encoder)?);
    Ok(units)
}

fn decode(decoder: &mut dyn vs_codec::Decoder, unit: &AccessUnit, sink: Sink<'_>) -> Outcome<()> {
    while let Err(error) = decoder.submit(&unit.data, unit.tag) {
        wait_if_full(decoder, error)?;
        while let Some(output) = there(decoder.receive()?) {
            sink(output)?;
        }
    }
    while let Some(output) = there(decoder.receive()?) {
        sink(output)?;
    }
    Ok(())
}

fn drain_decoder(decoder: &mut dyn vs_codec::Decoder, sink: Sink<'_>) -> Outcome<()> {
    decoder.drain()?;
    loop {
        match decoder.receive()? {
            Output::Drained => return Ok(()),
            Output::Pending => wait(decoder)?,
            output => sink(output)?,
        }
    }
}

/// What has come out; `None` if there is nothing yet.
fn there<T>(output: Output<T>) -> Option<Output<T>> {
    match output {
        Output::Pending => None,
        output => Some(output),
    }
}

/// Drains, and takes everything up to the end.
fn drain(encoder: &mut dyn vs_codec::Encoder) -> Outcome<Outputs<AccessUnit>> {
    encoder.drain()?;
    let mut units = Vec::new();
    loop {
        match encoder.receive()? {
            Output::Drained => return Ok(units),
            Output::Pending => wait(encoder)?,
            output => units.push(output),
        }
    }
}

/// Takes what is there.
fn take(encoder: &mut dyn vs_codec::Encoder) -> Outcome<Outputs<AccessUnit>> {
    let mut units = Vec::new();
    while let Some(output) = there(encoder.receive()?) {
        units.push(output);
    }
    Ok(units)
}

fn wait_if_full<S: Session + ?Sized>(session: &S, error: SubmitError) -> Outcome<()> {
    if matches!(error, SubmitError::Full) { wait(session) } else { Err(error.into()) }
}

/// Waits as the traits say: for the descriptor, or the deadline.
fn wait<S: Session + ?Sized>(session: &S) -> Outcome<()> {
    let fd = session.as_poll_fd().ok_or("nothing to wait for")?;
    let now = monotonic_ns();
    let until = session.deadline().unwrap_or(u64::MAX).min(now + TIMEOUT_NS);
    let ns = until.saturating_sub(now);
    let timeout = Timespec { tv_sec: (ns / NS_PER_SEC) as _, tv_nsec: (ns % NS_PER_SEC) as _ };
    let ready = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&timeout))?;
    if ready == 0 && until == now + TIMEOUT_NS { Err("nothing comes any more".into()) } else { Ok(()) }
}

/// The times of a picture.
fn tag(serial: u64) -> FrameTag {
    let time_ns = RATE.offset_ns(serial);
    FrameTag { serial, capture_ns: time_ns + 7, pts_ns: time_ns as i64, duration_ns: RATE.interval_ns() }
}

/// Paints smooth pictures, without edges for a codec to stumble over.
struct Camera {
    pool: CpuPool,
    format: Arc<Format>,
}

impl Camera {
    fn new(format: Format, memory: CpuMemory) -> Outcome<Self> {
        let format = Arc::new(format);
        Ok(Self { pool: CpuPool::new(Arc::clone(&format), memory, 1, 32)?, format })
    }

    /// The upper part is far from its neighbours', so that their PSNR is about 22 dB; the lower
    /// part stays, to be predicted.
    fn frame(&self, serial: u64) -> Outcome<Frame> {
        let mut slot = self.pool.acquire()?.ok_or("no buffer is free")?;
        let format = &self.format;
        let planes = format.fourcc.pixel_info().map_or(&[][..], |info| info.planes);
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
        let bytes_used = std::array::from_fn(|memory| format.memory_size(memory) as u32);
        Ok(slot.finish(FrameMeta { bytes_used, ..FrameMeta::default() })?)
    }
}

/// Up from 40 to 216 and down again.
fn wave(at: usize) -> u8 {
    let at = at % 352;
    (40 + at.min(352 - at)) as u8
}

fn check_unit(unit: &AccessUnit, serial: u64) -> Outcome<()> {
    expect("the tag of an access unit", unit.tag, tag(serial))?;
    expect("its decoding time", unit.dts_ns, unit.tag.pts_ns)
}

/// Compares what is decoded with what it was.
struct Check<'a> {
    camera: &'a Camera,
    next: u64,
    worst: f64,
}

impl<'a> Check<'a> {
    fn new(camera: &'a Camera) -> Self {
        Self { camera, next: 0, worst: f64::INFINITY }
    }

    fn one(&mut self, output: Output<Picture>) -> Outcome<()> {
        let picture = done(output)?;
        let tag = tag(self.next);
        expect("the tag of a picture", picture.tag, tag)?;
        check_times(&picture)?;
        let psnr = psnr(&picture.frame, &self.camera.frame(self.next)?)?;
        self.worst = self.worst.min(psnr);
        self.next += 1;
        if psnr < MIN_PSNR { Err(format!("frame {} has a PSNR of {psnr:.1} dB", tag.serial).into()) } else { Ok(()) }
    }
}

/// Of converted pictures: in order, with their times; keeps the first.
fn check_picture(picture: &Picture, sample: &mut Option<(Frame, u64)>) -> Outcome<()> {
    check_times(picture)?;
    let (_, count) = sample.get_or_insert_with(|| (picture.frame.clone(), 0));
    expect("the serial of a picture", picture.tag.serial, *count)?;
    *count += 1;
    Ok(())
}

fn check_times(picture: &Picture) -> Outcome<()> {
    let (meta, tag) = (picture.frame.meta(), picture.tag);
    let times = (meta.capture_ns, meta.pts, meta.duration);
    expect("the times of a picture", times, (tag.capture_ns, Some(tag.pts_ns), tag.duration_ns))
}

fn psnr(got: &Frame, wanted: &Frame) -> Outcome<f64> {
    let size = |frame: &Frame| (frame.format().fourcc, frame.format().width, frame.format().height);
    expect("the format of a picture", size(got), size(wanted))?;
    let (got, wanted) = (got.map()?, wanted.map()?);
    let (mut error, mut count) = (0_u64, 0_u64);
    for index in 0..wanted.plane_count() {
        let (got, wanted) = (got.plane(index).ok_or("no such plane")?, wanted.plane(index).ok_or("no such plane")?);
        for (a, b) in got.rows().zip(wanted.rows()) {
            error += a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
            count += b.len() as u64;
        }
    }
    Ok(10.0 * (255.0_f64.powi(2) * count as f64 / error.max(1) as f64).log10())
}
