// SPDX-License-Identifier: Apache-2.0
//! A session's life: keyframes, draining, flushing, changes while it runs, refusals.

#![cfg(feature = "software-h264")]
#![allow(clippy::unwrap_used)]

mod support;

use std::num::{NonZeroU8, NonZeroU32};

use proptest::prelude::*;
use support::{Camera, Judgement, NS_PER_MS, bytes, encode, format, keyframes, nal_types, open};
use vs_codec::{
    Backend, BackendKind, Bitrate, Changes, Choice, EncoderConfig, KeyframeInterval, Level, OpenError, Output, Profile,
    Quality, RateControl, SubmitError, open_encoder,
};
use vs_frame::{Format, FourCc, Rate};

const SPS: u8 = 7;
const PPS: u8 = 8;
const IDR: u8 = 5;

fn each(frames: u32) -> KeyframeInterval {
    KeyframeInterval::Frames(NonZeroU32::new(frames).unwrap())
}

fn bitrate(text: &str) -> Bitrate {
    text.parse().unwrap()
}

fn qvga() -> Format {
    format(FourCc::NV12, 320, 240, 30)
}

#[test]
fn keyframes_come_as_asked_and_carry_parameter_sets() {
    let camera = Camera::new(qvga());
    let config = EncoderConfig { keyframe_interval: each(10), ..EncoderConfig::default() };
    let mut encoder = open(&qvga(), &config);
    let units = encode(&mut *encoder, &camera, 0..35);
    assert_eq!(keyframes(&units), [0, 10, 20, 30]);
    for unit in &units {
        let types = nal_types(unit);
        if unit.keyframe {
            assert_eq!(types, [SPS, PPS, IDR]);
            let sets = &encoder.effective().parameter_sets;
            assert!(unit.data.starts_with(sets), "the sets are those that were announced");
        } else {
            assert_eq!(types, [1]);
        }
        assert!(unit.data.len() <= encoder.effective().largest_access_unit as usize);
    }
    // Whoever begins at a keyframe can decode.
    assert_eq!(Judgement::of(&units[20..]).stamps().len(), 15);
}

#[test]
fn a_forced_keyframe_is_the_next_picture_and_restarts_the_interval() {
    let camera = Camera::new(qvga());
    let mut encoder = open(&qvga(), &EncoderConfig { keyframe_interval: each(20), ..EncoderConfig::default() });
    let mut units = encode(&mut *encoder, &camera, 0..7);
    encoder.force_keyframe();
    units.extend(encode(&mut *encoder, &camera, 7..40));
    let keys = keyframes(&units);
    assert_eq!(keys[..2], [0, 7]);
    assert!(keys[2] > 7 && keys[2] <= 27, "{keys:?}");
    assert_eq!(Judgement::of(&units).stamps().len(), 40);
}

#[test]
fn a_drain_gives_everything_and_then_says_so_once() {
    let camera = Camera::new(qvga());
    let mut encoder = open(&qvga(), &EncoderConfig::default());
    for drained in 0..3u64 {
        let serials = drained * 10..drained * 10 + drained;
        for serial in serials.clone() {
            encoder.submit(&camera.frame(serial), camera.tag(serial)).unwrap();
        }
        encoder.drain().unwrap();
        assert!(matches!(encoder.submit(&camera.frame(0), camera.tag(0)), Err(SubmitError::Draining)));
        for serial in serials {
            let Output::Done(unit) = encoder.receive().unwrap() else { panic!("{serial} is missing") };
            assert_eq!((unit.tag.serial, unit.keyframe), (serial, serial % 10 == 0));
        }
        assert_eq!(encoder.receive().unwrap(), Output::Drained);
        assert_eq!(encoder.receive().unwrap(), Output::Pending);
    }
}

#[test]
fn a_flush_forgets_and_goes_on_with_a_keyframe() {
    let camera = Camera::new(qvga());
    let mut encoder = open(&qvga(), &EncoderConfig::default());
    encode(&mut *encoder, &camera, 0..5);
    encoder.submit(&camera.frame(5), camera.tag(5)).unwrap();
    encoder.flush().unwrap();
    assert_eq!(encoder.receive().unwrap(), Output::Pending);
    assert_eq!(keyframes(&encode(&mut *encoder, &camera, 6..9)), [6]);
}

#[test]
fn a_caller_that_never_receives_is_told_to() {
    let camera = Camera::new(qvga());
    let mut encoder = open(&qvga(), &EncoderConfig::default());
    let frame = camera.frame(0);
    let taken = (0..1000).take_while(|serial| encoder.submit(&frame, camera.tag(*serial)).is_ok()).count();
    assert!(taken < 1000);
    assert!(matches!(encoder.submit(&frame, camera.tag(0)), Err(SubmitError::Full)));
    assert!(matches!(encoder.receive(), Ok(Output::Done(unit)) if unit.tag.serial == 0));
    encoder.submit(&frame, camera.tag(1)).unwrap();
}

#[test]
fn bitrates_are_kept_and_can_be_changed_while_running() {
    let format = format(FourCc::YUV420, 640, 480, 30);
    let camera = Camera::noisy(format.clone(), 24);
    let config = EncoderConfig { rate_control: Some(RateControl::Vbr(bitrate("2M"))), ..EncoderConfig::default() };
    let mut encoder = open(&format, &config);
    let mut serial = 0;
    let mut units = Vec::new();
    let mut kbits = |encoder: &mut dyn vs_codec::Encoder, seconds: u64| {
        let new = encode(encoder, &camera, serial..serial + seconds * 30);
        serial += seconds * 30;
        let kbits = bytes(&new) as u64 * 8 / seconds / 1000;
        units.extend(new);
        kbits
    };
    kbits(&mut *encoder, 2);
    let low = kbits(&mut *encoder, 4);
    let rate_control = RateControl::Vbr(bitrate("800k"));
    encoder.reconfigure(&Changes { rate_control: Some(rate_control), ..Changes::default() }).unwrap();
    assert_eq!(encoder.effective().rate_control, rate_control);
    kbits(&mut *encoder, 2);
    let lower = kbits(&mut *encoder, 4);
    assert!((1500..=2500).contains(&low), "{low} kbit/s instead of 2000");
    assert!((600..=1000).contains(&lower), "{lower} kbit/s instead of 800");
    // From one kind of control to another, and far beyond the level it began with.
    for control in [RateControl::Quality(Quality::new(80).unwrap()), RateControl::Cbr(bitrate("60M"))] {
        encoder.reconfigure(&Changes { rate_control: Some(control), ..Changes::default() }).unwrap();
        assert_eq!(encoder.effective().rate_control, control);
        kbits(&mut *encoder, 1);
    }
    assert_eq!(Judgement::of(&units).stamps().len(), units.len());
}

#[test]
fn faster_pictures_do_not_get_more_bits() {
    let per_second = |fps: u32| {
        let format = format(FourCc::YUV420, 640, 480, fps);
        let camera = Camera::noisy(format.clone(), 24);
        let rate_control = Some(RateControl::Cbr(bitrate("2M")));
        let mut encoder = open(&format, &EncoderConfig { rate_control, ..EncoderConfig::default() });
        bytes(&encode(&mut *encoder, &camera, 0..u64::from(fps) * 2)) * 8 / 2
    };
    for fps in [10, 60, 120] {
        let bits = per_second(fps);
        assert!((1_500_000..=2_500_000).contains(&bits), "{fps} fps: {bits} bit/s instead of 2000000");
    }
}

#[test]
fn the_keyframe_interval_can_be_changed_while_running() {
    let camera = Camera::new(qvga());
    let mut encoder = open(&qvga(), &EncoderConfig::default());
    assert_eq!(encoder.effective().keyframe_interval.get(), 60);
    let keyframe_interval = Some(KeyframeInterval::Time(200 * NS_PER_MS));
    encode(&mut *encoder, &camera, 0..5);
    encoder.reconfigure(&Changes { keyframe_interval, ..Changes::default() }).unwrap();
    assert_eq!(encoder.effective().keyframe_interval.get(), 6);
    let keys = keyframes(&encode(&mut *encoder, &camera, 5..40));
    assert!(keys.windows(2).all(|pair| pair[1] - pair[0] == 6) && keys.len() >= 5, "{keys:?}");
}

#[test]
fn quality_is_monotonous() {
    let camera = Camera::noisy(qvga(), 24);
    let sizes = [1, 25, 50, 75, 100].map(|quality| {
        let rate_control = Some(RateControl::Quality(Quality::new(quality).unwrap()));
        let mut encoder = open(&qvga(), &EncoderConfig { rate_control, ..EncoderConfig::default() });
        bytes(&encode(&mut *encoder, &camera, 0..10))
    });
    assert!(sizes.is_sorted() && sizes[0] < sizes[4], "{sizes:?}");
}

#[test]
fn profile_level_and_threads_are_options() {
    let format = format(FourCc::NV12, 1280, 720, 30);
    let camera = Camera::new(format.clone());
    for (profile, name, threads) in
        [(Profile::Baseline, "Constrained Baseline", 1), (Profile::Main, "Main", 2), (Profile::High, "High", 4)]
    {
        let config = EncoderConfig {
            profile: Some(profile),
            level: Level::from_idc(42),
            threads: NonZeroU8::new(threads).unwrap(),
            ..EncoderConfig::default()
        };
        let mut encoder = open(&format, &config);
        let effective = encoder.effective();
        assert_eq!((effective.profile, effective.level), (Some(profile), Level::from_idc(42)));
        assert_eq!(effective.threads, threads);
        let judgement = Judgement::of(&encode(&mut *encoder, &camera, 0..10));
        assert_eq!((judgement.field("profile"), judgement.field("level")), (name, "42"));
        assert_eq!(judgement.field("has_b_frames"), "0");
        assert_eq!(judgement.stamps().len(), 10);
    }
    // Too small to be cut into slices: one thread does it, and it is said.
    let small = support::format(FourCc::NV12, 64, 48, 30);
    let config = EncoderConfig { threads: NonZeroU8::new(4).unwrap(), ..EncoderConfig::default() };
    let mut encoder = open(&small, &config);
    assert_eq!(encoder.effective().threads, 1);
    assert!(encode(&mut *encoder, &Camera::new(small), 0..3)[0].keyframe);
}

#[test]
fn the_smallest_and_the_largest_pictures_are_encoded() {
    for (width, height) in [(16, 16), (16, 8688), (4096, 2304), (8688, 1072)] {
        let format = format(FourCc::GREY, width, height, 30);
        let camera = Camera::new(format.clone());
        let mut encoder = open(&format, &EncoderConfig::default());
        let judgement = Judgement::of(&encode(&mut *encoder, &camera, 0..2));
        assert_eq!(judgement.field("width"), width.to_string());
        assert_eq!(judgement.field("height"), height.to_string());
    }
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let refused =
        |format: &Format, config: &EncoderConfig| open_encoder(format, config, &Choice::default()).err().unwrap();
    let vp8 = EncoderConfig { codec: FourCc::VP8, ..EncoderConfig::default() };
    assert_eq!(refused(&qvga(), &vp8).to_string(), "there is no encoder for VP80 here: H264 can be encoded");
    let default = EncoderConfig::default();
    let error = refused(&Format { fourcc: FourCc::MJPEG, ..qvga() }, &default);
    assert!(matches!(error, OpenError::Input { .. }) && error.to_string().contains("NV12, NV21"), "{error}");
    assert!(matches!(refused(&Format { modifier: 1, ..qvga() }, &default), OpenError::Modifier { modifier: 1 }));
    for (width, height) in [(15, 64), (64, 15), (4112, 2304), (8704, 64)] {
        let error = refused(&format(FourCc::NV12, width, height, 30), &default);
        assert!(matches!(error, OpenError::Size { .. }) && error.to_string().contains("4096x2304"), "{error}");
    }

    let mut encoder = open(&qvga(), &default);
    let other = Camera::new(format(FourCc::YUYV, 320, 240, 30));
    let error = encoder.submit(&other.frame(0), other.tag(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the session was opened for NV12 320x240 and got YUYV 320x240: open another one for the new format"
    );
    // It is unharmed.
    assert_eq!(encode(&mut *encoder, &Camera::new(qvga()), 0..3).len(), 3);
}

fn any_control() -> impl Strategy<Value = RateControl> {
    let bitrate = || (1..=u32::MAX).prop_map(|bits| Bitrate::new(bits).unwrap());
    prop_oneof![
        bitrate().prop_map(RateControl::Vbr),
        bitrate().prop_map(RateControl::Cbr),
        (1..=100u8).prop_map(|quality| RateControl::Quality(Quality::new(quality).unwrap())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_asked_for_every_frame_gives_its_access_unit(
        (width, height) in (16..500u32, 16..500u32), rate in (0..100_000u32, 1..2000u32),
        controls in prop::collection::vec(any_control(), 1..4), interval in 1..=u32::MAX, threads in 1..=u8::MAX,
        profile in prop::option::of(prop::sample::select(vec![Profile::Baseline, Profile::Main, Profile::High])),
        level in prop::option::of(prop::sample::select(vec![10, 22, 31, 52, 62])),
    ) {
        let mut format = format(FourCc::YUV420, width, height, 30);
        format.rate = Rate::new(rate.0, rate.1).unwrap();
        let camera = Camera::noisy(format.clone(), 200);
        let config = EncoderConfig {
            keyframe_interval: each(interval),
            profile,
            level: level.and_then(Level::from_idc),
            threads: NonZeroU8::new(threads).unwrap(),
            ..EncoderConfig::default()
        };
        let mut encoder = open(&format, &config);
        for (first, control) in (0..).step_by(3).zip(controls) {
            encoder.reconfigure(&Changes { rate_control: Some(control), ..Changes::default() }).unwrap();
            for unit in encode(&mut *encoder, &camera, first..first + 3) {
                prop_assert!(unit.data.len() <= encoder.effective().largest_access_unit as usize);
            }
        }
    }
}

#[test]
fn backends_are_chosen_by_name() {
    assert_eq!("auto".parse(), Ok(Backend::Auto));
    let software = "software".parse().unwrap();
    assert_eq!(software, Backend::Only(BackendKind::Software));
    assert!("gpu".parse::<Backend>().unwrap_err().to_string().contains("software"));
    let choice = Choice { backend: software, ..Choice::default() };
    let encoder = open_encoder(&qvga(), &EncoderConfig::default(), &choice).unwrap();
    assert_eq!(encoder.effective().backend, BackendKind::Software);
    assert!(encoder.effective().name.starts_with("openh264 2."));
}
