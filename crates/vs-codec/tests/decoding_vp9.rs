// SPDX-License-Identifier: Apache-2.0
//! What libvpx has encoded, the software decoder shows as ffmpeg does, byte for byte.

#![cfg(feature = "software-vp9")]
#![allow(clippy::unwrap_used)]

#[path = "support/decode.rs"]
mod decode;

use std::sync::Arc;

use decode::{Encoded, collect, compare, decode_all, survive_damage, tag};
use vs_codec::{Choice, Decoder, DecoderConfig, Loss, Output, SubmitError, decodable, open_decoder};
use vs_frame::{Colorimetry, FourCc};

const SMALL: &str = "size=322x182:rate=25";

/// Frames that are not shown, in superframes with others.
const ALTREF: &str = "-auto-alt-ref 1 -lag-in-frames 16 -b:v 200k -g 20 -cpu-used 4";

fn decoder() -> Box<dyn Decoder> {
    open_decoder(&DecoderConfig::new(FourCc::VP9), &Choice::default()).unwrap()
}

#[test]
fn other_peoples_streams_are_decoded() {
    assert!(decodable().contains(&FourCc::VP9));
    let cases = [
        (SMALL, 50, "-b:v 300k -cpu-used 5"),
        (SMALL, 60, ALTREF),
        (SMALL, 20, "-lossless 1 -cpu-used 8"),
        (SMALL, 40, "-error-resilient 1 -deadline realtime -cpu-used 7 -aq-mode 3 -b:v 100k"),
        ("size=317x177:rate=25", 40, ALTREF),
        ("size=16x16:rate=25", 30, "-cpu-used 5"),
        ("size=1280x720:rate=25", 10, "-deadline realtime -cpu-used 8 -tile-columns 2 -tile-rows 1 -b:v 1M"),
    ];
    for (source, frames, options) in cases {
        let encoded = Encoded::vp9(source, frames, options);
        assert_eq!(encoded.pictures.len(), frames as usize);
        compare(&mut *decoder(), &encoded, &format!("{options} of {source}"));
    }
}

#[test]
fn pictures_say_what_their_stream_says() {
    let options = "-deadline realtime -cpu-used 8 -colorspace bt709 -color_range pc";
    let encoded = Encoded::vp9("size=640x360:rate=25", 1, options);
    for fourcc in [FourCc::YUV420, FourCc::NV12] {
        let config = DecoderConfig { formats: vec![fourcc], ..DecoderConfig::new(FourCc::VP9) };
        let mut decoder = open_decoder(&config, &Choice::default()).unwrap();
        decoder.submit(&encoded.units[0], tag(0)).unwrap();
        // Nothing is reordered, so that nothing waits.
        let Output::Done(picture) = decoder.receive().unwrap() else { panic!() };
        let format = picture.frame.format();
        assert_eq!((format.fourcc, format.width, format.height), (fourcc, 640, 360));
        let color = format.color.h273();
        assert_eq!((color.matrix, color.full_range), (1, true));
        assert_eq!(format.color.colorspace, Colorimetry::BT709.colorspace);
    }
}

#[test]
fn the_size_may_change_at_a_keyframe() {
    let streams = ["size=320x240:rate=25", "size=641x359:rate=25", "size=320x240:rate=25"]
        .map(|source| Encoded::vp9(source, 20, ALTREF));
    let units = streams.iter().flat_map(|stream| stream.units.iter().cloned()).collect();
    let pictures = streams.iter().flat_map(|stream| stream.pictures.iter().cloned()).collect();
    compare(&mut *decoder(), &Encoded { units, pictures }, "three sizes");
}

#[test]
fn a_drain_or_flush_goes_on_at_the_next_keyframe() {
    let encoded = Encoded::vp9(SMALL, 30, "-b:v 300k -cpu-used 8 -deadline realtime -g 10");
    let mut decoder = decoder();
    for count in [0, 1, 30] {
        let shown = decode_all(&mut *decoder, encoded.units[..count].iter().cloned().zip((0..).map(tag)));
        assert_eq!(shown.len(), count);
        assert!(matches!(decoder.receive().unwrap(), Output::Pending));
        decoder.submit(&encoded.units[1], tag(1)).unwrap();
        assert!(matches!(decoder.receive().unwrap(), Output::Lost(lost, Loss::NoPicture) if lost == tag(1)));
    }
    decoder.submit(&encoded.units[0], tag(0)).unwrap();
    decoder.flush().unwrap();
    let units = encoded.units[5..].iter().cloned().zip((5..).map(tag));
    let shown = decode_all(&mut *decoder, units);
    for (tag, picture) in &shown {
        let expected = (tag.serial >= 10).then(|| &encoded.pictures[tag.serial as usize]);
        assert_eq!(picture.as_ref().ok(), expected, "{}", tag.serial);
    }
}

#[test]
fn what_cannot_be_decoded_is_refused_with_the_reason() {
    let cases = [
        (SMALL, "-pix_fmt yuv444p", "other than 4:2:0"),
        (SMALL, "-pix_fmt yuv420p10le", "more than 8 bit"),
        ("size=8704x64:rate=25", "", "pictures of 8704x64"),
    ];
    for (source, options, word) in cases {
        let encoded = Encoded::vp9(source, 1, &format!("{options} -deadline realtime -cpu-used 8"));
        let error = decoder().submit(&encoded.units[0], tag(0)).unwrap_err();
        assert!(matches!(error, SubmitError::Backend(_)) && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn damage_is_survived() {
    let streams = [
        Encoded::vp9("size=64x48:rate=25", 12, "-g 8 -b:v 100k -cpu-used 5"),
        Encoded::vp9("size=48x64:rate=25", 20, "-auto-alt-ref 1 -lag-in-frames 12 -b:v 50k -g 16 -cpu-used 2"),
        Encoded::vp9("size=49x33:rate=25", 12, "-error-resilient 1 -b:v 100k -g 8 -cpu-used 5"),
    ];
    survive_damage(&decoder, &streams, 3000);
}

#[test]
fn a_unit_that_is_no_stream_is_survived() {
    let mut decoder = decoder();
    for bytes in [&[][..], &[0x82], &[0x82, 0x49, 0x83, 0x42], &[0xff; 64], &[0xc0, 0, 0xc0]] {
        decoder.submit(&Arc::from(bytes), tag(0)).unwrap();
        let (shown, _) = collect(&mut *decoder);
        assert!(matches!(&shown[..], [(_, Err(_))]), "{bytes:?}");
    }
}
