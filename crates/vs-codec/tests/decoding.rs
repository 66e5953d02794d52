// SPDX-License-Identifier: Apache-2.0
//! What others have encoded, the software decoder shows as they would, and in the same order.

#![cfg(feature = "software-h264")]
#![allow(clippy::unwrap_used)]

#[path = "support/decode.rs"]
mod decode;
mod support;

use std::sync::Arc;

use decode::{Encoded, collect, decode_all, picture_bytes, submit_all, survive_damage, tag};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::{Camera, encode, format, open};
use vs_codec::{
    AccessUnit, Choice, Decoder, DecoderConfig, EncoderConfig, KeyframeInterval, Loss, OpenError, Output, Profile,
    SubmitError, open_decoder,
};
use vs_frame::{Colorimetry, FourCc, Rate};

fn decoder() -> Box<dyn Decoder> {
    open_decoder(&DecoderConfig::new(FourCc::H264), &Choice::default()).unwrap()
}

fn encoded(frames: u64, config: &EncoderConfig) -> (Camera, Vec<AccessUnit>) {
    let qvga = format(FourCc::NV12, 320, 240, 30);
    let camera = Camera::new(qvga.clone());
    let mut encoder = open(&qvga, config);
    let units = encode(&mut *encoder, &camera, 0..frames);
    (camera, units)
}

/// Ten frames from keyframe to keyframe.
fn short(frames: u64) -> (Camera, Vec<AccessUnit>) {
    let keyframe_interval = KeyframeInterval::Frames(10.try_into().unwrap());
    encoded(frames, &EncoderConfig { keyframe_interval, ..EncoderConfig::default() })
}

fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / squares.max(1e-9)).log10()
}

#[test]
fn what_was_encoded_here_comes_back() {
    for profile in [Profile::Baseline, Profile::Main, Profile::High] {
        for fourcc in [FourCc::NV12, FourCc::YUV420] {
            let frames = 300;
            let (camera, units) =
                encoded(frames, &EncoderConfig { profile: Some(profile), ..EncoderConfig::default() });
            let mut decoder = open_decoder(
                &DecoderConfig { formats: vec![FourCc::MJPEG, fourcc], ..DecoderConfig::new(FourCc::H264) },
                &Choice::default(),
            )
            .unwrap();
            let mut next = 0;
            for unit in &units {
                decoder.submit(&unit.data, unit.tag).unwrap();
                // Nothing is reordered, so that nothing waits.
                let Output::Done(picture) = decoder.receive().unwrap() else { panic!("{next} is missing") };
                assert_eq!(picture.tag, camera.tag(next));
                assert_eq!(picture.frame.meta().capture_ns, picture.tag.capture_ns);
                assert_eq!(picture.frame.meta().pts, Some(picture.tag.pts_ns));
                let format = picture.frame.format();
                assert_eq!((format.fourcc, format.width, format.height), (fourcc, 320, 240));
                assert_eq!(format.color, Colorimetry::BT601);
                if fourcc == FourCc::NV12 {
                    let original = camera.frame(next);
                    let psnr = psnr(&picture_bytes(&original), &picture_bytes(&picture.frame));
                    assert!(psnr >= 35.0, "{psnr} dB");
                }
                next += 1;
            }
            assert_eq!(next, frames);
        }
    }
}

#[test]
fn a_drain_gives_everything_and_says_so_once() {
    let (_, units) = short(300);
    let mut decoder = decoder();
    for count in [0, 1, 300] {
        let tags = submit_all(&mut *decoder, &units[..count]);
        decoder.drain().unwrap();
        assert!(matches!(decoder.submit(&units[0].data, units[0].tag), Err(SubmitError::Draining)));
        let (mut outputs, drained) = collect(&mut *decoder);
        let mut all = tags;
        all.append(&mut outputs);
        assert!(drained && all.len() == count);
        assert!(matches!(decoder.receive().unwrap(), Output::Pending));
        // It begins anew.
        decoder.submit(&units[1].data, units[1].tag).unwrap();
        assert!(matches!(decoder.receive().unwrap(), Output::Lost(lost, Loss::NoPicture) if lost == units[1].tag));
    }
}

#[test]
fn a_flush_forgets_and_goes_on_at_the_next_keyframe() {
    let (_, units) = short(40);
    let mut decoder = decoder();
    for unit in &units[..5] {
        decoder.submit(&unit.data, unit.tag).unwrap();
        if unit.tag.serial < 3 {
            assert!(matches!(decoder.receive().unwrap(), Output::Done(_)));
        }
    }
    decoder.drain().unwrap();
    decoder.flush().unwrap();
    assert!(matches!(decoder.receive().unwrap(), Output::Pending));
    let outputs = decode_all(&mut *decoder, units[25..].iter().map(|unit| (Arc::clone(&unit.data), unit.tag)));
    let shown: Vec<_> = outputs.iter().map(|(tag, picture)| (tag.serial, picture.is_ok())).collect();
    let expected: Vec<_> = (25..40).map(|serial| (serial, serial >= 30)).collect();
    assert_eq!(shown, expected);
}

fn readable(decoder: &dyn Decoder) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let fd = decoder.as_poll_fd().unwrap();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).unwrap() == 1
}

#[test]
fn a_caller_that_holds_its_pictures_is_waited_for() {
    let (_, units) = short(300);
    let mut config = DecoderConfig::new(FourCc::H264);
    config.pictures = 3;
    let mut decoder = open_decoder(&config, &Choice::default()).unwrap();
    assert!(!readable(&*decoder));
    let (mut held, mut serials, mut next) = (Vec::new(), Vec::new(), 0);
    while next < units.len() {
        match decoder.submit(&units[next].data, units[next].tag) {
            Ok(()) => next += 1,
            Err(SubmitError::Full) => {
                while let Output::Done(picture) = decoder.receive().unwrap() {
                    serials.push(picture.tag.serial);
                    held.push(picture);
                }
                assert!((3..=4).contains(&held.len()));
                assert!(matches!(decoder.submit(&units[next].data, units[next].tag), Err(SubmitError::Full)));
                assert!(matches!(decoder.receive().unwrap(), Output::Pending));
                assert!(!readable(&*decoder), "there is nothing to do");
                held.pop();
                assert!(readable(&*decoder), "a picture came home");
                assert!(matches!(decoder.receive().unwrap(), Output::Pending));
                assert!(readable(&*decoder), "and it stays said");
                decoder.submit(&units[next].data, units[next].tag).unwrap();
                next += 1;
                held.clear();
            }
            Err(error) => panic!("{error}"),
        }
    }
    // While it is drained as well.
    decoder.drain().unwrap();
    assert!(readable(&*decoder));
    let (rest, drained) = collect(&mut *decoder);
    serials.extend(rest.iter().map(|(tag, _)| tag.serial));
    assert!(drained && serials.iter().copied().eq(0..300));
    assert!(!readable(&*decoder));
}

#[test]
fn a_caller_that_never_receives_is_told_to() {
    let (_, units) = short(20);
    let mut decoder = decoder();
    let nothing: Arc<[u8]> = Arc::from([0, 0, 0, 1, 9, 0xf0]);
    let taken = (0..1000).take_while(|serial| decoder.submit(&nothing, tag(*serial)).is_ok()).count();
    assert!(taken < 1000);
    assert!(matches!(decoder.submit(&units[0].data, tag(0)), Err(SubmitError::Full)));
    assert!(matches!(decoder.receive().unwrap(), Output::Lost(lost, Loss::NoPicture) if lost == tag(0)));
    decoder.submit(&units[0].data, tag(1000)).unwrap();
    let too_long: Arc<[u8]> = vec![0; 9 << 20].into();
    let error = decoder.submit(&too_long, tag(0)).unwrap_err();
    assert!(matches!(error, SubmitError::TooLong { .. }), "{error}");
}

#[test]
fn other_peoples_streams_are_decoded() {
    let big = "size=1920x1080:rate=30000/1001";
    let small = "size=322x182:rate=25";
    // The library is not exact with B-frames: 60 dB is less than one shade here and there.
    let (exact, nearly) = (f64::INFINITY, 60.0);
    let cases: &[(&str, u32, f64, &str)] = &[
        (small, 50, exact, "-profile:v baseline"),
        (small, 50, exact, "-profile:v main -bf 0"),
        (small, 50, exact, "-profile:v main -bf 0 -coder cavlc"),
        (small, 60, exact, "-profile:v high -bf 0 -x264-params slices=4:ref=4:8x8dct=1:cqm=jvt"),
        (small, 60, exact, "-profile:v main -bf 0 -x264-params weightp=2:ref=6"),
        (small, 60, exact, "-profile:v main -x264-params intra-refresh=1:keyint=20:bframes=0"),
        (small, 60, exact, "-profile:v high -bf 1 -x264-params direct=none"),
        ("size=318x178:rate=25", 30, exact, "-profile:v high -bf 0"),
        ("size=16x16:rate=25", 30, exact, "-profile:v high -bf 0"),
        (big, 20, exact, "-profile:v high -bf 0 -preset veryfast"),
        (small, 50, nearly, "-profile:v main -bf 2 -coder cavlc"),
        (small, 120, nearly, "-profile:v main -bf 3 -x264-params b-pyramid=normal:ref=4:keyint=40:scenecut=0"),
        (small, 120, nearly, "-profile:v high -bf 3 -x264-params b-pyramid=normal:ref=4:keyint=40:scenecut=0"),
        (small, 120, nearly, "-profile:v high -preset veryslow -x264-params b-pyramid=strict:bframes=8:direct=spatial"),
        (small, 60, nearly, "-profile:v high -x264-params slices=4:ref=4:bframes=3:cqm=jvt"),
        (small, 60, nearly, "-profile:v high -x264-params nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500:bframes=3"),
        (small, 60, 30.0, "-profile:v high -bf 3 -x264-params direct=temporal"),
        (big, 20, nearly, "-profile:v high -bf 3 -preset veryfast"),
    ];
    for (source, frames, wanted, options) in cases {
        let encoded = Encoded::x264(source, *frames, options);
        let mut decoder = decoder();
        let units = encoded.units.iter().cloned().zip((0..).map(tag));
        let shown = decode_all(&mut *decoder, units);
        assert_eq!(shown.len(), *frames as usize, "{options}");
        for (index, ((_, picture), expected)) in shown.iter().zip(&encoded.pictures).enumerate() {
            let picture = picture.as_ref().unwrap_or_else(|loss| panic!("{options}: {index}: {loss}"));
            assert_eq!(picture.len(), expected.len(), "{options}");
            let psnr = if picture == expected { f64::INFINITY } else { psnr(picture, expected) };
            assert!(psnr >= *wanted, "{options}: picture {index} of {source}: {psnr} dB");
        }
        // Each access unit once.
        let mut serials: Vec<_> = shown.iter().map(|(tag, _)| tag.serial).collect();
        serials.sort_unstable();
        assert!(serials.into_iter().eq(0..u64::from(*frames)), "{options}");
    }
}

#[test]
fn pictures_say_what_their_stream_says() {
    let encoded = Encoded::x264(
        "size=1920x1080:rate=30000/1001",
        2,
        "-preset ultrafast -x264-params colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv",
    );
    let mut decoder = decoder();
    decoder.submit(&encoded.units[0], tag(0)).unwrap();
    decoder.drain().unwrap();
    let Output::Done(picture) = decoder.receive().unwrap() else { panic!() };
    let format = picture.frame.format();
    assert_eq!((format.width, format.height, format.color), (1920, 1080, Colorimetry::BT709));
    assert_eq!(format.rate, Rate { num: 30_000, den: 1001 });
}

#[test]
fn the_size_may_change_at_a_keyframe() {
    let streams = ["size=320x240:rate=25", "size=640x360:rate=25", "size=320x240:rate=25"]
        .map(|source| Encoded::x264(source, 20, "-bf 3 -x264-params b-pyramid=normal:direct=none"));
    let units: Vec<_> = streams.iter().flat_map(|stream| stream.units.iter().cloned()).collect();
    let expected: Vec<_> = streams.iter().flat_map(|stream| stream.pictures.iter()).collect();
    let shown = decode_all(&mut *decoder(), units.into_iter().zip((0..).map(tag)));
    assert_eq!(shown.len(), 60);
    for ((_, picture), expected) in shown.iter().zip(expected) {
        assert!(picture.as_ref().unwrap() == expected);
    }
}

#[test]
fn what_cannot_be_decoded_is_refused_with_the_reason() {
    let cases = [
        ("-profile:v high422 -pix_fmt yuv422p", "4:2:2"),
        ("-profile:v high444 -pix_fmt yuv444p", "4:4:4"),
        ("-profile:v high10 -pix_fmt yuv420p10le", "more than 8 bit"),
        ("-pix_fmt gray", "without colour"),
        ("-x264-params interlaced=1", "interlaced"),
    ];
    for (options, word) in cases {
        let encoded = Encoded::x264("size=320x240:rate=25", 3, options);
        let parameter_sets = Arc::clone(&encoded.units[0]);
        let config = DecoderConfig { parameter_sets, ..DecoderConfig::new(FourCc::H264) };
        let error = open_decoder(&config, &Choice::default()).err().unwrap();
        assert!(matches!(error, OpenError::Stream { .. }) && error.to_string().contains(word), "{error}");
        // Also if it shows only later.
        let error = decoder().submit(&encoded.units[0], tag(0)).unwrap_err();
        assert!(matches!(error, SubmitError::Backend(_)) && error.to_string().contains(word), "{error}");
    }
    let error = open_decoder(&DecoderConfig::new(FourCc::VP8), &Choice::default()).err().unwrap();
    assert_eq!(error.to_string(), "there is no software for VP80 here");
}

/// Bits flipped at random: nothing crashes or hangs, each access unit comes back once, and what
/// follows a keyframe that is whole is shown.
#[test]
fn damage_is_survived() {
    let streams = [
        Encoded::x264("size=64x48:rate=25", 12, "-profile:v baseline -x264-params keyint=8"),
        Encoded::x264("size=64x48:rate=25", 12, "-profile:v main -bf 3 -x264-params b-pyramid=normal:keyint=8:ref=4"),
        Encoded::x264("size=48x64:rate=25", 12, "-profile:v high -x264-params slices=3:bframes=2:keyint=8:cqm=jvt"),
    ];
    survive_damage(&decoder, &streams, 10_000);
}
