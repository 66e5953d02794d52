// SPDX-License-Identifier: Apache-2.0
//! What x265 has encoded, the software decoder shows as ffmpeg does, byte for byte.

#![cfg(feature = "software-h265")]
#![allow(clippy::unwrap_used)]

#[path = "support/decode.rs"]
mod decode;

use std::sync::Arc;

use decode::{Encoded, collect, compare, decode_all, survive_damage, tag};
use vs_codec::{Choice, Decoder, DecoderConfig, Loss, OpenError, Output, SubmitError, decodable, open_decoder};
use vs_frame::{Colorimetry, FourCc, Rate};

const SMALL: &str = "size=322x182:rate=25";

/// Three B-frames in a pyramid, keyframes every 20 pictures that those before them refer to.
const OPEN_GOP: &str = "-x265-params bframes=3:b-pyramid=1:open-gop=1:keyint=20:min-keyint=20:scenecut=0";

fn decoder() -> Box<dyn Decoder> {
    open_decoder(&DecoderConfig::new(FourCc::HEVC), &Choice::default()).unwrap()
}

#[test]
fn other_peoples_streams_are_decoded() {
    assert!(decodable().contains(&FourCc::HEVC));
    let cases = [
        (SMALL, 30, "-x265-params bframes=0"),
        (SMALL, 70, OPEN_GOP),
        (SMALL, 60, "-x265-params bframes=8:b-adapt=2:ref=5:weightb=1:open-gop=0:keyint=30"),
        (SMALL, 40, "-preset veryslow -x265-params keyint=20"),
        (SMALL, 30, "-x265-params slices=3:tskip=1:amp=1:rect=1"),
        (SMALL, 30, "-x265-params intra-refresh=1:bframes=0:keyint=12"),
        (SMALL, 20, "-x265-params lossless=1:constrained-intra=1"),
        (SMALL, 30, "-x265-params scaling-list=default:hrd=1:vbv-maxrate=500:vbv-bufsize=500"),
        ("size=318x178:rate=25", 30, OPEN_GOP),
        ("size=66x34:rate=25", 30, "-x265-params ctu=16:max-tu-size=16:temporal-layers=3"),
        ("size=1920x1080:rate=30000/1001", 10, "-preset ultrafast"),
    ];
    for (source, frames, options) in cases {
        let encoded = Encoded::x265(source, frames, options);
        assert_eq!(encoded.pictures.len(), frames as usize);
        compare(&mut *decoder(), &encoded, &format!("{options} of {source}"));
    }
}

#[test]
fn nothing_waits_where_nothing_is_reordered() {
    let encoded = Encoded::x265(SMALL, 10, "-x265-params bframes=0");
    let mut decoder = decoder();
    for (unit, serial) in encoded.units.iter().zip(0..) {
        decoder.submit(unit, tag(serial)).unwrap();
        let Output::Done(picture) = decoder.receive().unwrap() else { panic!("{serial} is missing") };
        assert_eq!(picture.tag, tag(serial));
    }
}

#[test]
fn pictures_say_what_their_stream_says() {
    let params = "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=limited";
    let encoded = Encoded::x265("size=1920x1080:rate=30000/1001", 1, &format!("-x265-params {params}"));
    for fourcc in [FourCc::YUV420, FourCc::NV12] {
        let config = DecoderConfig { formats: vec![fourcc], ..DecoderConfig::new(FourCc::HEVC) };
        let mut decoder = open_decoder(&config, &Choice::default()).unwrap();
        decoder.submit(&encoded.units[0], tag(0)).unwrap();
        decoder.drain().unwrap();
        let Output::Done(picture) = decoder.receive().unwrap() else { panic!() };
        let format = picture.frame.format();
        assert_eq!((format.fourcc, format.width, format.height), (fourcc, 1920, 1080));
        assert_eq!((format.color, format.rate), (Colorimetry::BT709, Rate { num: 30_000, den: 1001 }));
    }
}

#[test]
fn the_size_may_change_at_a_keyframe() {
    let streams = ["size=320x240:rate=25", "size=640x360:rate=25", "size=320x240:rate=25"]
        .map(|source| Encoded::x265(source, 25, OPEN_GOP));
    let units = streams.iter().flat_map(|stream| stream.units.iter().cloned()).collect();
    let pictures = streams.iter().flat_map(|stream| stream.pictures.iter().cloned()).collect();
    compare(&mut *decoder(), &Encoded { units, pictures }, "three sizes");
}

#[test]
fn a_drain_gives_everything_and_says_so_once() {
    let encoded = Encoded::x265(SMALL, 60, OPEN_GOP);
    let mut decoder = decoder();
    for count in [0, 1, 60] {
        let units = encoded.units[..count].iter().cloned().zip((0..).map(tag));
        let shown = decode_all(&mut *decoder, units);
        assert_eq!(shown.len(), count);
        assert!(shown.iter().zip(&encoded.pictures).all(|((_, picture), expected)| picture.as_ref() == Ok(expected)));
        assert!(matches!(decoder.receive().unwrap(), Output::Pending));
        decoder.submit(&encoded.units[1], tag(1)).unwrap();
        assert!(matches!(decoder.receive().unwrap(), Output::Lost(lost, Loss::NoPicture) if lost == tag(1)));
    }
}

/// At a keyframe in the middle, what refers to pictures before it cannot be shown.
#[test]
fn decoding_begins_at_any_keyframe() {
    let encoded = Encoded::x265(SMALL, 60, OPEN_GOP);
    let second = (1..).find(|at| vs_bitstream::is_keyframe(vs_bitstream::Codec::H265, &encoded.units[*at])).unwrap();
    // x265 says its parameter sets only once.
    let sets: Vec<u8> = vs_bitstream::nal_units(&encoded.units[0])
        .filter(|nal| matches!(nal[0] >> 1 & 0x3f, 32..=34))
        .flat_map(|nal| [&[0, 0, 0, 1], nal].concat())
        .collect();
    let mut decoder = decoder();
    for unit in &encoded.units[..5] {
        decoder.submit(unit, tag(0)).unwrap();
    }
    decoder.flush().unwrap();
    assert!(matches!(decoder.receive().unwrap(), Output::Pending));
    let first = Arc::from([&sets[..], &encoded.units[second]].concat());
    let units = std::iter::once(first).chain(encoded.units[second + 1..].iter().cloned());
    let shown = decode_all(&mut *decoder, units.zip((0..).map(tag)));
    assert_eq!(shown.len(), encoded.units.len() - second);
    let pictures: Vec<_> = shown.iter().filter_map(|(_, picture)| picture.as_ref().ok()).collect();
    assert!(shown.len() - pictures.len() > 0, "nothing was reordered across the keyframe");
    assert!(pictures.iter().rev().zip(encoded.pictures.iter().rev()).all(|(picture, expected)| *picture == expected));
}

#[test]
fn what_cannot_be_decoded_is_refused_with_the_reason() {
    let cases = [
        (SMALL, "-pix_fmt yuv422p", "4:2:2"),
        (SMALL, "-pix_fmt yuv444p", "4:4:4"),
        (SMALL, "-pix_fmt yuv420p10le", "more than 8 bit"),
        (SMALL, "-pix_fmt gray", "without colour"),
        ("size=8704x64:rate=25", "-preset ultrafast", "pictures of 8704x64"),
    ];
    for (source, options, word) in cases {
        let encoded = Encoded::x265(source, 2, options);
        let parameter_sets = Arc::clone(&encoded.units[0]);
        let config = DecoderConfig { parameter_sets, ..DecoderConfig::new(FourCc::HEVC) };
        let error = open_decoder(&config, &Choice::default()).err().unwrap();
        assert!(matches!(error, OpenError::Stream { .. }) && error.to_string().contains(word), "{error}");
        let error = decoder().submit(&encoded.units[0], tag(0)).unwrap_err();
        assert!(matches!(error, SubmitError::Backend(_)) && error.to_string().contains(word), "{error}");
    }
}

/// A picture that is gone takes what refers to it with it, up to the next keyframe.
#[test]
fn nothing_is_shown_that_refers_to_what_is_missing() {
    let options = "-x265-params bframes=0:keyint=10:min-keyint=10:scenecut=0:ref=1:open-gop=0:repeat-headers=1";
    let encoded = Encoded::x265(SMALL, 30, options);
    let units = encoded.units.iter().cloned().zip((0..).map(tag)).filter(|(_, tag)| tag.serial != 13);
    let shown = decode_all(&mut *decoder(), units);
    let lost: Vec<_> = shown.iter().filter(|(_, picture)| picture.is_err()).map(|(tag, _)| tag.serial).collect();
    assert_eq!(lost, (14..20).collect::<Vec<_>>());
}

#[test]
fn damage_is_survived() {
    let streams = [
        Encoded::x265("size=64x48:rate=25", 12, "-x265-params bframes=0:keyint=8:repeat-headers=1"),
        Encoded::x265("size=64x48:rate=25", 12, "-x265-params bframes=3:keyint=8:repeat-headers=1"),
        Encoded::x265(
            "size=96x96:rate=25",
            12,
            "-x265-params slices=2:ctu=32:max-tu-size=32:keyint=8:repeat-headers=1",
        ),
    ];
    survive_damage(&decoder, &streams, 3000);
}

#[test]
fn a_unit_that_is_no_stream_is_survived() {
    let mut decoder = decoder();
    for bytes in [&[][..], &[0, 0, 1], &[0, 0, 1, 0x26], &[0, 0, 1, 0x26, 1], &[0, 0, 1, 0x26, 1, 0x80], &[0xff; 64]] {
        decoder.submit(&Arc::from(bytes), tag(0)).unwrap();
        let (shown, _) = collect(&mut *decoder);
        assert!(matches!(&shown[..], [(_, Err(_))]), "{bytes:?}");
    }
}
