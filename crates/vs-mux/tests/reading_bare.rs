// SPDX-License-Identifier: Apache-2.0
//! Bare streams: the pictures that ffprobe finds, and nothing lost between them.

#![allow(clippy::unwrap_used)]

mod support;

use support::Succeed;
use support::files::{all, assert_same_pictures, make, open};
use tempfile::TempDir;
use vs_bitstream::{NalKind, nal_units};
use vs_mux::Codec;

#[test]
fn bare_streams() {
    let folder = TempDir::new().unwrap();
    let cases = [
        ("plain.h264", "-c:v libx264 -bf 3 -g 20"),
        ("slices.h264", "-c:v libx264 -x264-params slices=4 -g 20"),
        ("delimiters.h264", "-c:v libx264 -x264-params aud=1:keyint=20 -bf 2"),
        (
            "slices-delimiters.h264",
            "-c:v libx264 -x264-params slices=3:aud=1:nal-hrd=vbr -b:v 500k -maxrate 500k -bufsize 1M",
        ),
        ("intra.h264", "-c:v libx264 -g 1"),
        ("baseline.h264", "-c:v libx264 -profile:v baseline -g 20"),
        ("plain.h265", "-c:v libx265 -preset ultrafast -bf 3 -g 20"),
        ("slices.h265", "-c:v libx265 -preset ultrafast -x265-params slices=3:log-level=none"),
        ("delimiters.h265", "-c:v libx265 -preset ultrafast -x265-params aud=1:log-level=none"),
    ];
    for (name, options) in cases {
        let options = format!("{options} -pix_fmt yuv420p");
        let path = make(&folder, name, "size=320x240:rate=30:duration=2", &options);
        let mut movie = open(&path);
        let units = all(&mut movie);
        let probe = std::process::Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "packet=size,flags", "-of", "csv=p=0"])
            .arg(&path)
            .succeed();
        // Which of two pictures a zero between them belongs to is a matter of taste.
        let found = String::from_utf8(probe.stdout).unwrap();
        let found: Vec<_> = found.lines().map(|line| line.split_once(',').unwrap()).collect();
        assert_eq!(units.len(), found.len(), "{name}");
        for (unit, (size, flags)) in units.iter().zip(found) {
            assert!(unit.data.len().abs_diff(size.parse().unwrap()) <= 1, "{name}");
            assert_eq!(unit.keyframe, flags.starts_with('K'), "{name}");
        }
        assert!(units.iter().flat_map(|unit| unit.data.clone()).eq(std::fs::read(&path).unwrap()), "{name}");
        assert_eq!(movie.track().frame_duration_ns, Some(33_333_333), "{name}");
        assert_eq!((movie.track().width, movie.track().height, units.len()), (320, 240, 60), "{name}");
        assert!(units.iter().all(|unit| unit.times.is_none() && unit.shown));
        assert_same_pictures(&path, &movie, &units);
        movie.rewind();
        assert!(all(&mut movie) == units);
    }
}

/// A stream that says its parameter sets once: each keyframe gets them.
#[test]
fn parameter_sets_that_come_once() {
    let folder = TempDir::new().unwrap();
    let path = make(&folder, "often.h264", "size=160x120:rate=25:duration=2", "-c:v libx264 -g 10 -pix_fmt yuv420p");
    let units = all(&mut open(&path));
    let is_set = |nal: &&[u8]| NalKind::of(Codec::H264, nal).is_parameter_set();
    let once = units.iter().enumerate().flat_map(|(number, unit)| {
        let nals = nal_units(&unit.data).filter(|nal| number == 0 || !is_set(nal));
        nals.flat_map(|nal| [&[0, 0, 1], nal].concat()).collect::<Vec<_>>()
    });
    let path = folder.path().join("once.h264");
    std::fs::write(&path, once.collect::<Vec<_>>()).unwrap();
    let read = all(&mut open(&path));
    assert_eq!(read.len(), units.len());
    assert!(read.iter().zip(&units).all(|(read, unit)| nal_units(&read.data).eq(nal_units(&unit.data))));
}

#[test]
fn interlaced_streams_say_so() {
    let folder = TempDir::new().unwrap();
    let options = "-c:v libx264 -flags +ildct+ilme -pix_fmt yuv420p";
    let path = make(&folder, "interlaced.h264", "size=160x128:rate=25:duration=1", options);
    let mut movie = open(&path);
    let units = all(&mut movie);
    assert_same_pictures(&path, &movie, &units);
    let sps = vs_bitstream::h264::Sps::parse(&movie.track().parameter_sets.sps[0]).unwrap();
    assert!(!sps.frame_mbs_only);
}
