// SPDX-License-Identifier: Apache-2.0
//! What we read in parameter sets is what the encoders put there.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::LazyLock;

use proptest::prelude::*;
use support::Clip;
use vs_bitstream::{NalKind, ParameterSets, h264, h265};
use vs_mux::{Codec, Colour};

/// The parameter sets of a stream encoded with `options`.
fn sets(codec: Codec, input: &str, options: &[&str]) -> ParameterSets {
    ParameterSets::gather(codec, &support::encode(codec, input, options)).unwrap()
}

#[test]
fn sizes_with_cropping_in_every_chroma_format() {
    for (pixels, chroma_format, depth) in [
        ("yuv420p", 1, 8),
        ("yuv422p", 2, 8),
        ("yuv444p", 3, 8),
        ("gray", 0, 8),
        ("yuv420p10le", 1, 10),
        ("yuv422p10le", 2, 10),
    ] {
        for codec in [Codec::H264, Codec::H265] {
            let sets = sets(codec, "s=166x122:r=25:d=0.04", &["-pix_fmt", pixels]);
            let format = sets.format(codec).unwrap();
            assert_eq!((format.width, format.height), (166, 122), "{codec} {pixels}");
            assert_eq!(format.chroma_format, chroma_format, "{codec} {pixels}");
            assert_eq!(format.bit_depth_luma, depth, "{codec} {pixels}");
            assert_eq!(format.frame_duration_ns, Some(40_000_000), "{codec} {pixels}");
        }
    }
}

#[test]
fn interlaced_pictures_are_as_high_as_their_frames() {
    let sets = sets(Codec::H264, "s=720x484:r=25:d=0.04", &["-flags", "+ilme+ildct"]);
    let format = sets.format(Codec::H264).unwrap();
    assert_eq!((format.width, format.height), (720, 484));
}

#[test]
fn profiles_and_levels() {
    let h264 = sets(Codec::H264, "s=160x120:r=25:d=0.04", &["-profile:v", "baseline", "-level", "3.1"]);
    let sps = h264::Sps::parse(&h264.sps[0]).unwrap();
    assert_eq!((sps.profile, sps.level), (66, 31));

    let x265 = ["-x265-params", "log-level=none:level-idc=4.1:no-high-tier=1:temporal-layers=1"];
    let h265 = sets(Codec::H265, "s=160x120:r=25:d=0.2", &x265);
    let sps = h265::Sps::parse(&h265.sps[0]).unwrap();
    // Main profile, main tier; levels are thirty times the level.
    assert_eq!((sps.profile_tier_level[0], sps.profile_tier_level[11]), (1, 123));
    assert_eq!(sps.temporal_layers, 2);
}

#[test]
fn colours_pixel_shape_and_rate() {
    let pq = Colour { primaries: 9, transfer: 16, matrix: 9, full_range: true };
    let x264 = ["-x264-params", "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:fullrange=on"];
    let x265 = [
        "-x265-params",
        "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=full:scaling-list=default",
    ];
    for (codec, options) in [(Codec::H264, x264), (Codec::H265, x265)] {
        let format = sets(codec, "s=160x120:r=30000/1001:d=0.04:sar=4/3", &options).format(codec).unwrap();
        assert_eq!(format.colour, Some(pq), "{codec}");
        assert_eq!(format.pixel_aspect, Some((4, 3)), "{codec}");
        assert_eq!(format.frame_duration_ns, Some(33_366_666), "{codec}");
    }
}

#[test]
fn keyframes_are_where_the_encoder_says() {
    for (codec, options) in [
        (Codec::H264, &["-g", "7", "-bf", "2"][..]),
        (Codec::H265, &["-x265-params", "log-level=none:keyint=7:bframes=2:open-gop=1"][..]),
    ] {
        for unit in Clip::encode(codec, "s=160x120:r=30:d=1", options).units {
            assert_eq!(vs_bitstream::is_keyframe(codec, &unit.data), unit.keyframe, "{codec}");
            let delimiter = vs_bitstream::nal_units(&unit.data).next().map(|nal| NalKind::of(codec, nal));
            assert_eq!(delimiter, Some(NalKind::Delimiter));
        }
    }
}

proptest! {
    /// Damage deep inside a parameter set that is otherwise one.
    #[test]
    fn damaged_sets_are_survived(hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        static SETS: LazyLock<[ParameterSets; 2]> = LazyLock::new(|| {
            [Codec::H264, Codec::H265].map(|codec| sets(codec, "s=166x122:r=25:d=0.04", &[]))
        });
        for (codec, sets) in [Codec::H264, Codec::H265].into_iter().zip(&*SETS) {
            let mut sets = sets.clone();
            for (at, byte) in &hits {
                // The NAL unit header stays, else it would be no parameter set any more.
                let body = &mut sets.sps[0][2..];
                *at.get_mut(body) = *byte;
            }
            if let Ok(format) = sets.format(codec) {
                prop_assert!(format.width > 0 && format.height > 0 && format.bit_depth_luma >= 8);
            }
        }
    }
}
