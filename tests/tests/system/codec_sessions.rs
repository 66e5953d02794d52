// SPDX-License-Identifier: Apache-2.0
//! Encoders and decoders that programs use through the daemon: what goes in comes out once, in
//! order, whoever dies or lies meanwhile.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags};
use system_tests::daemon::Footprint;
use system_tests::process::End;
use system_tests::{PATIENCE, Peer, Process, Rig, eventually, video};
use vs_ipc::wire::exchange::Lend;
use vs_ipc::wire::{self, format_message};
use vs_pattern::Pattern;
use vsclient::codec::{Decoder, Encoder, EncoderBuilder, Frame, Lost, OpenError, Output, SubmitError};
use vsclient::dbus::{CallError, CodecSessionInfo, EncoderOptions};
use vsclient::{Format, FourCc, FrameFlags, FrameMeta, Rate};

const NS_PER_FRAME: i64 = 33_333_333;

fn format(width: u32, height: u32) -> Format {
    Format::packed(FourCc::NV12, width, height, Rate::fps(30)).unwrap()
}

fn builder() -> EncoderBuilder {
    Encoder::builder().bitrate(1_000_000).timeout(Some(PATIENCE))
}

fn open(rig: &Rig, builder: EncoderBuilder, format: &Format) -> Result<Encoder, OpenError> {
    rig.wait(builder.open_on(rig.control(), format))
}

fn sessions(rig: &Rig) -> Vec<CodecSessionInfo> {
    rig.wait(async { rig.control().manager().await.unwrap().codec_sessions().await }).unwrap()
}

fn all_closed(rig: &Rig) {
    eventually("all sessions to end", || sessions(rig).is_empty().then_some(()));
}

/// What was made of one picture.
#[derive(Debug)]
struct Unit {
    tag: u64,
    pts: i64,
    keyframe: bool,
    data: Vec<u8>,
}

/// Submits pictures of the test pattern, and takes what comes out.
struct Camera {
    encoder: Encoder,
    pattern: Pattern,
    units: Vec<Unit>,
    drains: usize,
}

impl Camera {
    fn new(encoder: Encoder, format: &Format) -> Self {
        Self { encoder, pattern: Pattern::new(format).unwrap(), units: Vec::new(), drains: 0 }
    }

    fn paint(&mut self, serial: u64) -> Frame {
        let mut slot = self.encoder.buffer().unwrap();
        slot.write(|memories| self.pattern.render(serial, serial, memories)).unwrap().unwrap();
        let bytes_used = slot.format().picture_bytes();
        let pts = Some(serial as i64 * NS_PER_FRAME);
        slot.finish(FrameMeta { capture_ns: serial, pts, bytes_used, ..FrameMeta::default() }).unwrap()
    }

    fn shoot(&mut self, serials: impl Iterator<Item = u64>) {
        for serial in serials {
            let frame = self.paint(serial);
            while let Err(error) = self.encoder.submit(&frame, 1000 + serial) {
                assert!(matches!(error, SubmitError::Full), "{error}");
                self.take_one();
            }
            while let Some(output) = self.encoder.try_receive().unwrap() {
                self.take(output);
            }
        }
    }

    fn drain(&mut self) {
        self.encoder.drain().unwrap();
        let drains = self.drains + 1;
        while self.drains < drains {
            self.take_one();
        }
        assert_eq!(self.encoder.inside(), 0, "a drain leaves something");
    }

    fn take_one(&mut self) {
        let output = self.encoder.receive(Some(PATIENCE)).unwrap().expect("nothing comes out");
        self.take(output);
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Done(done) => {
                let meta = *done.frame.meta();
                let data = done.frame.map().unwrap().payload().to_vec();
                let keyframe = meta.flags.contains(FrameFlags::KEYFRAME);
                self.units.push(Unit { tag: done.tag, pts: meta.pts.unwrap(), keyframe, data });
            }
            Output::Drained => self.drains += 1,
            other => panic!("{other:?}"),
        }
    }

    /// What others' decoder sees in all that was made.
    fn judged(&self, rig: &Rig) -> Vec<u64> {
        let file = rig.path("units.h264");
        std::fs::write(&file, self.units.iter().flat_map(|unit| unit.data.clone()).collect::<Vec<_>>()).unwrap();
        video::decodes(&file);
        video::serials(&file)
    }
}

fn camera(rig: &Rig, format: &Format) -> Camera {
    Camera::new(open(rig, builder(), format).unwrap(), format)
}

#[test]
fn what_goes_in_comes_out_once_and_in_order() {
    let rig = Rig::start("");
    let format = format(320, 240);
    let mut camera = camera(&rig, &format);
    let info = camera.encoder.info().clone();
    assert_eq!((info.backend.as_str(), info.codec.as_str(), info.size), ("software", "H264", (320, 240)));
    assert_eq!((info.bitrate, info.rate_control.as_str(), info.keyframe_interval), (1_000_000, "vbr", 2_000_000_000));
    camera.shoot(0..300);
    camera.drain();
    let seen: Vec<_> = camera.units.iter().map(|unit| (unit.tag, unit.pts)).collect();
    let submitted: Vec<_> = (0..300).map(|serial| (1000 + serial, serial as i64 * NS_PER_FRAME)).collect();
    assert_eq!(seen, submitted);
    assert!(camera.units.iter().enumerate().all(|(index, unit)| unit.keyframe == (index % 60 == 0)));
    assert_eq!(camera.judged(&rig), (0..300).collect::<Vec<_>>());

    let [session] = &sessions(&rig)[..] else { panic!("not one session") };
    assert_eq!((session.kind.as_str(), session.inputs, session.outputs, session.lost), ("encoder", 300, 300, 0));
    assert_eq!((session.pid, session.name.as_str()), (std::process::id(), info.name.as_str()));
    drop(camera);
    all_closed(&rig);
}

#[test]
fn drains_and_flushes_end_what_they_should_and_no_more() {
    let rig = Rig::start("");
    let mut camera = camera(&rig, &format(160, 120));
    for (round, count) in [0, 1, 0, 30].into_iter().enumerate() {
        let before = camera.units.len();
        camera.shoot(0..count);
        camera.drain();
        assert_eq!(camera.units.len() - before, count as usize, "round {round}");
        assert!(count == 0 || camera.units[before].keyframe, "it can be decoded from here");
    }
    // What was under way is forgotten, also what was to be drained.
    camera.units.clear();
    let frames: Vec<_> = (0..5).map(|serial| camera.paint(serial)).collect();
    for frame in &frames {
        camera.encoder.submit(frame, 1).unwrap();
    }
    camera.encoder.drain().unwrap();
    camera.encoder.flush().unwrap();
    assert_eq!(camera.encoder.inside(), 0);
    drop(frames);
    camera.shoot(50..60);
    camera.drain();
    let tags: Vec<_> = camera.units.iter().map(|unit| unit.tag).collect();
    assert_eq!((tags, camera.units[0].keyframe), ((1050..1060).collect(), true));
    assert_eq!(camera.judged(&rig), (50..60).collect::<Vec<_>>());
}

#[test]
fn settings_change_while_it_runs() {
    let rig = Rig::start("");
    let mut camera = camera(&rig, &format(160, 120));
    camera.shoot(0..10);
    camera.encoder.force_keyframe().unwrap();
    camera.shoot(10..20);
    camera.drain();
    let keyframes: Vec<_> = camera.units.iter().filter(|unit| unit.keyframe).map(|unit| unit.tag).collect();
    assert_eq!(keyframes, [1000, 1010]);
    camera.encoder.set_bitrate(300_000).unwrap();
    let Some(Output::Adjusted(Ok(settings))) = camera.encoder.receive(Some(PATIENCE)).unwrap() else { panic!() };
    assert_eq!((settings.bitrate, settings.keyframe_interval_ns), (Some(300_000), 2_000_000_000));
    camera.encoder.set_bitrate(u64::MAX).unwrap();
    let Some(Output::Adjusted(Err(why))) = camera.encoder.receive(Some(PATIENCE)).unwrap() else { panic!() };
    assert!(why.contains("out of range"), "{why}");
    camera.shoot(20..30);
    camera.drain();
    assert_eq!(camera.judged(&rig), (0..30).collect::<Vec<_>>());
}

#[test]
fn pictures_of_another_size_and_frames_of_a_stream_are_encoded_as_they_come() {
    let rig = Rig::start("[stream.raw]\npattern = \"bars\"\nsize = \"320x240\"\nrate = 30\n");
    let small = format(160, 120);
    let mut camera = camera(&rig, &small);
    camera.shoot(0..5);
    let mut client = system_tests::client::builder(&rig.socket("raw")).connect().unwrap();
    let mut serials = Vec::new();
    for _ in 0..20 {
        let frame = system_tests::client::next(&mut client);
        serials.push(frame.serial());
        camera.encoder.submit(&frame.pass_on().unwrap(), frame.serial()).unwrap();
    }
    while camera.units.len() < 25 {
        camera.take_one();
    }
    assert!(camera.units[5].keyframe, "it begins anew");
    let tags: Vec<_> = camera.units[5..].iter().map(|unit| unit.tag).collect();
    assert_eq!(tags, serials);
    let large = Camera { units: camera.units.split_off(5), ..camera };
    assert_eq!(large.judged(&rig), serials, "what is encoded is what the stream shows");
}

#[test]
fn what_was_encoded_can_be_decoded() {
    let rig = Rig::start("");
    let format = format(320, 240);
    let decoder = rig.wait(Decoder::builder().timeout(Some(PATIENCE)).open_on(rig.control()));
    let mut decoder = match decoder {
        Ok(decoder) => decoder,
        // A build without a software decoder, on a machine without another one.
        Err(OpenError::Refused(CallError::BadFormat(text))) => return eprintln!("not tried: {text}"),
        Err(error) => panic!("{error}"),
    };
    let mut camera = camera(&rig, &format);
    camera.shoot(0..300);
    camera.drain();
    let pattern = Pattern::new(&format).unwrap();
    let mut shown = Vec::new();
    let mut take = |output| match output {
        Output::Done(done) => {
            let view = done.frame.map().unwrap();
            let stamp = pattern_of(done.frame.format()).read(&view).unwrap();
            shown.push((
                done.tag,
                done.frame.meta().pts.unwrap(),
                stamp.serial,
                psnr(&pattern, stamp.serial, &done.frame),
            ));
            false
        }
        Output::Drained => true,
        other => panic!("{other:?}"),
    };
    for unit in &camera.units {
        let meta = FrameMeta { pts: Some(unit.pts), ..FrameMeta::default() };
        while let Err(error) = decoder.submit_unit(&unit.data, meta, unit.tag) {
            assert!(error.to_string().contains("receive what"), "{error}");
            take(decoder.receive(Some(PATIENCE)).unwrap().unwrap());
        }
        while let Some(output) = decoder.try_receive().unwrap() {
            take(output);
        }
    }
    decoder.drain().unwrap();
    while !take(decoder.receive(Some(PATIENCE)).unwrap().expect("it is not drained")) {}
    let expected: Vec<_> = (0..300).map(|serial| (1000 + serial, serial as i64 * NS_PER_FRAME, serial)).collect();
    assert_eq!(shown.iter().map(|(tag, pts, serial, _)| (*tag, *pts, *serial)).collect::<Vec<_>>(), expected);
    let worst = shown.iter().map(|(.., psnr)| *psnr).fold(f64::INFINITY, f64::min);
    assert!(worst >= 35.0, "PSNR {worst}");

    // Rubbish is lost, and says so; the next keyframe is decoded.
    decoder.submit_unit(&[0, 0, 0, 1, 0x65, 1, 2, 3], FrameMeta::default(), 7).unwrap();
    let lost = decoder.receive(Some(PATIENCE)).unwrap().unwrap();
    assert!(matches!(&lost, Output::Lost(Lost { tag: 7, .. })), "{lost:?}");
    decoder.submit_unit(&camera.units[0].data, FrameMeta::default(), 8).unwrap();
    decoder.drain().unwrap();
    let done = decoder.receive(Some(PATIENCE)).unwrap().unwrap();
    assert!(matches!(&done, Output::Done(done) if done.tag == 8), "{done:?}");
}

fn pattern_of(format: &Format) -> Pattern {
    Pattern::new(format).unwrap()
}

/// Peak signal to noise ratio of the luma, in dB, beside the picture that was painted.
fn psnr(pattern: &Pattern, serial: u64, frame: &Frame) -> f64 {
    let painted = pattern.format();
    let mut memory = [vec![0; painted.memory_size(0) as usize]];
    pattern.render(serial, serial, &mut memory.each_mut().map(|bytes| &mut bytes[..])).unwrap();
    let view = frame.map().unwrap();
    let plane = view.plane(0).unwrap();
    let stride = painted.planes[0].stride as usize;
    let pairs = plane.rows().enumerate().flat_map(|(row, bytes)| bytes.iter().zip(&memory[0][row * stride..]));
    let (sum, count) =
        pairs.fold((0u64, 0u64), |(sum, count), (a, b)| (sum + u64::from(a.abs_diff(*b)).pow(2), count + 1));
    if sum == 0 { f64::INFINITY } else { 10.0 * (255.0 * 255.0 * count as f64 / sum as f64).log10() }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let rig = Rig::start("");
    let refused = |options: &EncoderOptions| {
        let opened = rig.wait(async { rig.control().manager().await.unwrap().open_encoder(options).await });
        let error = CallError::from(opened.unwrap_err());
        (error.name(), error.to_string())
    };
    let options = EncoderOptions { format: Some("NV12".to_owned()), size: Some((320, 240)), ..Default::default() };
    let cases = [
        ("BadOption", "'format' is missing", EncoderOptions { format: None, ..options.clone() }),
        ("BadOption", "'size' is missing", EncoderOptions { size: None, ..options.clone() }),
        ("BadOption", "from 1 to 32", EncoderOptions { inputs: Some(33), ..options.clone() }),
        ("BadOption", "profile", EncoderOptions { profile: Some("hi10".to_owned()), ..options.clone() }),
        ("BadOption", "quality", EncoderOptions { quality: Some(101), ..options.clone() }),
        ("BadFormat", "VP80", EncoderOptions { codec: Some("VP80".to_owned()), ..options.clone() }),
        ("BadFormat", "", EncoderOptions { size: Some((16384, 16384)), ..options.clone() }),
        ("BadFormat", "", EncoderOptions { format: Some("H264".to_owned()), ..options.clone() }),
        ("BadFormat", "", EncoderOptions { backend: Some("v4l2".to_owned()), ..options.clone() }),
    ];
    for (name, word, options) in cases {
        let (kind, text) = refused(&options);
        assert!(kind == name && text.contains(word), "{options:?}: {kind}, {text}");
    }
    assert!(sessions(&rig).is_empty());

    // This user has as many as it may; when one ends, there is room for another at once.
    let small = format(64, 48);
    let mut all: Vec<_> = (0..16).map(|_| open(&rig, builder(), &small).unwrap()).collect();
    let error = open(&rig, builder(), &small).unwrap_err();
    assert!(matches!(&error, OpenError::Refused(CallError::Busy(text)) if text.contains("16")), "{error}");
    assert_eq!(sessions(&rig).len(), 16);
    all.pop();
    all.push(open(&rig, builder(), &small).unwrap());
    drop(all);
    all_closed(&rig);
}

/// What the daemon has when nobody has a session.
fn rest(rig: &Rig) -> Footprint {
    all_closed(rig);
    eventually("the daemon to come to rest", || {
        let busy = rig.daemon().threads().iter().any(|name| name.starts_with("codec-"));
        (!busy).then(|| rig.daemon().footprint())
    })
}

fn nothing_is_left(rig: &Rig, before: Footprint) {
    // The C library keeps stacks and arenas of threads that have ended, and the runtime a helper
    // thread for a while: what counts is that it does not grow with what was opened.
    let after = rest(rig);
    let few = after.threads <= before.threads + 1 && after.maps <= before.maps + 64;
    assert!(after.files <= before.files && few, "{after:?}, and before {before:?}: {:#?}", rig.daemon().open_files());
}

/// Has been used before it is measured.
fn warm(rig: &Rig) -> Footprint {
    let mut all: Vec<_> = (0..4).map(|_| camera(rig, &format(64, 48))).collect();
    all.iter_mut().for_each(|camera| camera.shoot(0..3));
    drop(all);
    rest(rig)
}

#[test]
fn sessions_that_are_opened_and_closed_leave_nothing() {
    let rig = Rig::start("");
    let before = warm(&rig);
    for _ in 0..20 {
        let (mut first, mut second) = (camera(&rig, &format(64, 48)), camera(&rig, &format(160, 120)));
        for serial in 0..10 {
            first.shoot(serial..serial + 1);
            second.shoot(serial..serial + 1);
        }
        first.drain();
        second.drain();
        assert_eq!((first.units.len(), second.units.len()), (10, 10));
    }
    nothing_is_left(&rig, before);
}

#[test]
fn a_thousand_clients_that_are_killed_leave_nothing() {
    let rig = Rig::start("");
    let before = warm(&rig);
    let mut command = Command::new(system_tests::binaries::path("doomed-codec"));
    let mut doomed = Process::start("doomed-codec", command.args([&rig.place().bus, "1000"]));
    // Others notice nothing.
    let mut honest = camera(&rig, &format(160, 120));
    let mut serial = 0;
    while doomed.is_running() {
        honest.shoot(serial..serial + 1);
        serial += 1;
    }
    assert_eq!(doomed.wait(), End::Exit(0), "{}", doomed.stderr);
    honest.drain();
    assert_eq!(honest.units.len() as u64, serial);
    drop(honest);
    let mut next = camera(&rig, &format(64, 48));
    next.shoot(0..3);
    next.drain();
    drop(next);
    nothing_is_left(&rig, before);
}

/// A session whose client may say anything.
fn stranger(rig: &Rig) -> Peer {
    let options = EncoderOptions {
        format: Some("NV12".to_owned()),
        size: Some((64, 48)),
        inputs: Some(2),
        outputs: Some(2),
        ..Default::default()
    };
    let opened = rig.wait(async { rig.control().manager().await.unwrap().open_encoder(&options).await });
    OwnedFd::from(opened.unwrap().0).into()
}

fn say(peer: &Peer, record: &[u8], fds: &[&OwnedFd]) {
    let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    assert!(peer.say_with(record, &fds));
}

#[test]
fn whoever_breaks_the_rules_loses_its_own_session_only() {
    let rig = Rig::start("");
    let before = warm(&rig);
    let mut honest = camera(&rig, &format(160, 120));
    honest.shoot(0..5);
    let format = format_message::encode(1, &format(64, 48));
    let memfd = |len, seals| {
        let fd = rustix::fs::memfd_create("t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&fd, len).unwrap();
        rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
        fd
    };
    let whole = memfd(8192, SealFlags::SHRINK | SealFlags::GROW);
    let coded = Format::coded(FourCc::H264, 64, 48, Rate::fps(30), 4608).unwrap();
    let coded = format_message::encode(1, &coded);
    let lend = |number: u64, buffer: u64| {
        wire::record(
            Lend {
                number: number.into(),
                buffer: buffer.into(),
                format: 1.into(),
                memories: 1,
                fds: 1,
                bytes_used: [4608.into(), 0.into(), 0.into(), 0.into()],
                ..Lend::default()
            },
            &[],
        )
    };
    type Mischief<'a> = (&'a str, Box<dyn Fn(&Peer) + 'a>);
    let mischief: [Mischief<'_>; 5] = [
        ("at least 8", Box::new(|peer| say(peer, b"rubbish", &[]))),
        (
            "sealed against shrinking",
            Box::new(|peer| {
                say(peer, &format, &[]);
                say(peer, &lend(1, 1), &[&memfd(8192, SealFlags::empty())]);
            }),
        ),
        (
            "does not fit",
            Box::new(|peer| {
                say(peer, &format, &[]);
                say(peer, &lend(1, 1), &[&memfd(100, SealFlags::SHRINK)]);
            }),
        ),
        (
            "where 2 is due",
            Box::new(|peer| {
                say(peer, &format, &[]);
                say(peer, &lend(1, 1), &[&whole]);
                say(peer, &lend(3, 1), &[]);
            }),
        ),
        (
            "H264",
            Box::new(|peer| {
                say(peer, &coded, &[]);
                say(peer, &lend(1, 1), &[&whole]);
            }),
        ),
    ];
    for (word, act) in &mischief {
        let peer = stranger(&rig);
        act(&peer);
        let text = peer.farewell().text;
        assert!(text.contains(word), "'{text}' does not say '{word}'");
        honest.shoot(5..6);
    }
    drop(mischief);
    // One that keeps what was made stops its own encoder, and it goes on when it gives something back.
    let mut keeper =
        Camera::new(open(&rig, builder().frames(4, 2), &self::format(64, 48)).unwrap(), &self::format(64, 48));
    let mut kept = Vec::new();
    let frames: Vec<_> = (0..4).map(|serial| keeper.paint(serial)).collect();
    frames.iter().for_each(|frame| keeper.encoder.submit(frame, 0).unwrap());
    while kept.len() < 2 {
        kept.push(keeper.encoder.receive(Some(PATIENCE)).unwrap().unwrap());
    }
    honest.shoot(6..40);
    assert!(keeper.encoder.try_receive().unwrap().is_none(), "it gets more than it has credit for");
    kept.clear();
    for _ in 0..2 {
        assert!(matches!(keeper.encoder.receive(Some(PATIENCE)).unwrap(), Some(Output::Done(_))));
    }
    drop((keeper, frames));
    honest.drain();
    assert_eq!(honest.units.len(), 5 + 5 + 34);
    drop(honest);
    nothing_is_left(&rig, before);
}

#[test]
fn clients_are_told_when_the_daemon_ends() {
    let mut rig = Rig::start("");
    let format = format(64, 48);
    let mut camera = camera(&rig, &format);
    camera.shoot(0..3);
    while camera.units.len() < 3 {
        camera.take_one();
    }
    assert_eq!(rig.terminate(), End::Exit(0));
    let error = camera.encoder.receive(Some(PATIENCE)).unwrap_err();
    assert!(error.to_string().contains("shuts down"), "{error}");
    assert!(camera.encoder.drain().is_err());
}
