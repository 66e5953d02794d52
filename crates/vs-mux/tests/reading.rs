// SPDX-License-Identifier: Apache-2.0
//! Files of other people's encoders: what is read is what ffprobe sees, and decodes to what ffmpeg
//! decodes from the file itself.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::path::Path;

use support::files::{all, assert_same_pictures, make, open, pictures, remux};
use support::{Succeed, ffmpeg, probe};
use tempfile::TempDir;
use vs_mux::mp4::Rotation;
use vs_mux::read::{Movie, OpenMovieError, TrackCodec, Unit};

/// What is read has the times, keyframes and pictures that ffprobe and ffmpeg find.
fn assert_read(path: &Path) -> (Movie<File>, Vec<Unit>) {
    let (movie, units, moved) = compare(path);
    assert_eq!(moved, 0, "{}", path.display());
    (movie, units)
}

/// The same, and by how many ticks all times are later than ffprobe has them.
fn compare(path: &Path) -> (Movie<File>, Vec<Unit>, i64) {
    let mut movie = open(path);
    let units = all(&mut movie);
    let probe = probe(path);
    let scale = i64::from(movie.track().timescale.unwrap().get());
    assert_eq!(probe.stream["time_base"], format!("1/{scale}"));
    let ticks = |ns: i64| (i128::from(ns) * i128::from(scale) * 2 + 1_000_000_000).div_euclid(2_000_000_000) as i64;
    let moved = ticks(units[0].times.unwrap().pts_ns) - probe.packets[0].pts;
    let read: Vec<_> = units
        .iter()
        .map(|unit| (unit.times.unwrap(), unit))
        .map(|(times, unit)| (ticks(times.pts_ns) - moved, ticks(times.dts_ns) - moved, unit.keyframe, unit.shown))
        .collect();
    let found: Vec<_> =
        probe.packets.iter().map(|packet| (packet.pts, packet.dts, packet.keyframe, !packet.discard)).collect();
    assert_eq!(read, found, "{}", path.display());
    let size = (movie.track().width.into(), movie.track().height.into());
    assert_eq!(size, (probe.stream["width"].as_u64().unwrap(), probe.stream["height"].as_u64().unwrap()));

    movie.rewind();
    assert!(all(&mut movie) == units);
    assert!(movie.next_unit().unwrap().is_none());
    (movie, units, moved)
}

/// Every way in which one stream can lie in a file.
fn assert_all_containers(original: &Path, codec: &str) {
    let ways = [
        ("plain.mp4", ""),
        ("faststart.mp4", "-movflags faststart"),
        ("plain.mov", ""),
        ("fragmented.mp4", "-movflags frag_keyframe+empty_moov"),
        ("every-frame.mp4", "-movflags frag_every_frame+empty_moov+default_base_moof"),
        ("delayed.mp4", "-movflags frag_keyframe+delay_moov"),
        ("first-in-moov.mp4", "-movflags frag_keyframe"),
        ("dash.mp4", "-movflags dash+frag_keyframe"),
        ("negative.mp4", "-movflags negative_cts_offsets"),
        ("scale.mp4", "-video_track_timescale 90000"),
        ("no-edit.mp4", "-use_editlist 0"),
        ("in-band.mp4", if codec == "h264" { "-tag:v avc3" } else { "-tag:v hev1" }),
    ];
    for (name, options) in ways {
        let path = remux(original, name, "", options);
        let (movie, units) = assert_read(&path);
        assert_same_pictures(&path, &movie, &units);
    }
}

#[test]
fn h264_with_b_frames_in_all_containers() {
    let folder = TempDir::new().unwrap();
    let options = "-c:v libx264 -preset medium -bf 3 -g 20 -pix_fmt yuv420p";
    assert_all_containers(&make(&folder, "made.mp4", "size=176x144:rate=25:duration=3", options), "h264");
}

#[test]
fn h265_in_all_containers() {
    let folder = TempDir::new().unwrap();
    let options = "-c:v libx265 -preset ultrafast -bf 3 -g 20 -pix_fmt yuv420p";
    assert_all_containers(&make(&folder, "made.mp4", "size=176x144:rate=30000/1001:duration=2", options), "hevc");
}

#[test]
fn profiles_sizes_and_slices() {
    let folder = TempDir::new().unwrap();
    let cases = [
        ("baseline.mp4", "size=160x120:rate=30:duration=1", "-c:v libx264 -profile:v baseline -pix_fmt yuv420p"),
        ("main.mp4", "size=322x182:rate=30:duration=1", "-c:v libx264 -profile:v main -pix_fmt yuv420p"),
        ("high10.mp4", "size=160x120:rate=30:duration=1", "-c:v libx264 -pix_fmt yuv420p10le"),
        ("high422.mp4", "size=162x90:rate=30:duration=1", "-c:v libx264 -pix_fmt yuv422p"),
        ("high444.mp4", "size=161x91:rate=30:duration=1", "-c:v libx264 -pix_fmt yuv444p"),
        ("slices.mp4", "size=320x240:rate=30:duration=1", "-c:v libx264 -x264-params slices=4 -pix_fmt yuv420p"),
        ("delimiters.mp4", "size=160x120:rate=30:duration=1", "-c:v libx264 -x264-params aud=1 -pix_fmt yuv420p"),
        ("open-gop.mp4", "size=160x120:rate=30:duration=2", "-c:v libx264 -x264-params open-gop=1:keyint=15 -bf 2"),
        ("interlaced.mp4", "size=160x128:rate=25:duration=1", "-c:v libx264 -flags +ildct+ilme -pix_fmt yuv420p"),
        ("main10.mp4", "size=160x120:rate=30:duration=1", "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le"),
        ("odd.mp4", "size=178x102:rate=30:duration=1", "-c:v libx265 -preset ultrafast -pix_fmt yuv420p"),
    ];
    for (name, input, options) in cases {
        let path = make(&folder, name, input, options);
        let (movie, units) = assert_read(&path);
        assert_same_pictures(&path, &movie, &units);
    }
}

/// A cut without encoding again: frames before it are needed, but not shown.
#[test]
fn edits() {
    let folder = TempDir::new().unwrap();
    let options = "-c:v libx264 -bf 2 -g 25 -pix_fmt yuv420p";
    let whole = make(&folder, "whole.mp4", "size=160x120:rate=25:duration=3", options);
    let (_, units) = assert_read(&whole);
    assert!(units.iter().all(|unit| unit.shown));
    let cut = remux(&whole, "cut.mp4", "-ss 1.5", "");
    // The cut is between two frames. ffprobe has the time begin with the second.
    let (movie, units, moved) = compare(&cut);
    let frame = i64::from(movie.track().timescale.unwrap().get()) / 25;
    assert!((0..frame).contains(&moved));
    assert!(units.iter().any(|unit| !unit.shown));
    assert_eq!(units.iter().filter(|unit| unit.shown).count(), pictures(&cut).len());
    // Times that begin late: an empty edit.
    let late = remux(&whole, "late.mp4", "-itsoffset 2", "");
    let (_, units) = assert_read(&late);
    assert_eq!(units.iter().map(|unit| unit.times.unwrap().pts_ns).min(), Some(2_000_000_000));
}

#[test]
fn what_a_track_says() {
    let folder = TempDir::new().unwrap();
    let options = "-c:v libx264 -pix_fmt yuv420p -colorspace bt709 -color_primaries bt709 -color_trc bt709";
    let path = make(&folder, "made.mp4", "size=160x120:rate=25:duration=2", options);
    let turned = remux(&path, "turned.mp4", "", "-metadata:s:v rotate=90");
    let track = open(&path).track().clone();
    assert_eq!((track.codec, track.width, track.height), (TrackCodec::H264, 160, 120));
    assert_eq!(
        (track.duration_ns, track.frames, track.frame_duration_ns),
        (Some(2_000_000_000), Some(50), Some(40_000_000))
    );
    assert_eq!(track.colour.map(|colour| (colour.primaries, colour.transfer, colour.matrix)), Some((1, 1, 1)));
    assert_eq!(track.rotation, Rotation::None);
    assert_ne!(open(&turned).track().rotation, Rotation::None);
    let sps = vs_bitstream::h264::Sps::parse(&track.parameter_sets.sps[0]).unwrap();
    assert_eq!((sps.profile, sps.frame_mbs_only, sps.coded_size, sps.crop), (100, true, (160, 128), [0, 0, 0, 8]));
    assert_eq!(sps.max_reorder_frames, Some(2));
    assert_eq!(sps.reorder_frames(), 2);
}

#[test]
fn what_a_track_of_h265_says() {
    let folder = TempDir::new().unwrap();
    let options = "-c:v libx265 -preset ultrafast -x265-params bframes=3:log-level=none -pix_fmt yuv420p10le";
    let track = open(&make(&folder, "made.mp4", "size=178x102:rate=25:duration=1", options)).track().clone();
    assert_eq!((track.codec, track.width, track.height), (TrackCodec::H265, 178, 102));
    let sps = vs_bitstream::h265::Sps::parse(&track.parameter_sets.sps[0]).unwrap();
    assert_eq!((sps.profile(), sps.format.bit_depth_luma, sps.fields), (2, 10, false));
    assert_eq!((sps.coded_size, sps.crop), ((192, 112), [0, 14, 0, 10]));
    assert!(sps.max_reorder_pictures.is_some_and(|pictures| (1..=3).contains(&pictures)));
    assert!(sps.max_dec_pic_buffering > sps.max_reorder_pictures);
}

#[test]
fn seeking() {
    let folder = TempDir::new().unwrap();
    let options = "-c:v libx264 -bf 2 -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p";
    let plain = make(&folder, "made.mp4", "size=160x120:rate=25:duration=4", options);
    let fragmented = remux(&plain, "fragmented.mp4", "", "-movflags frag_keyframe+empty_moov");
    for path in [plain, fragmented] {
        let mut movie = open(&path);
        let units = all(&mut movie);
        let keyframes: Vec<_> =
            (0..units.len()).filter(|&at| units[at].keyframe).map(|at| (units[at].times.unwrap().pts_ns, at)).collect();
        assert_eq!(keyframes.len(), 4);
        for to_ns in [2_500_000_000, -1, 0, i64::MAX, 1_000_000_000, 999_999_999, 2_000_000_001] {
            let frame = keyframes.iter().rfind(|(pts_ns, _)| *pts_ns <= to_ns).map_or(0, |(_, at)| *at);
            movie.seek(to_ns).unwrap();
            assert!(all(&mut movie) == units[frame..], "{} to {to_ns}", path.display());
        }
        movie.rewind();
        assert!(all(&mut movie) == units);
    }
}

#[test]
fn other_codecs_and_files() {
    let folder = TempDir::new().unwrap();
    let input = "size=160x120:rate=25:duration=1";
    let vp9 = make(&folder, "vp9.mp4", input, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8");
    let (movie, units) = assert_read(&vp9);
    assert_eq!((movie.track().codec, units.len()), (TrackCodec::Vp9, 25));
    let refused =
        |name, options| Movie::open(File::open(make(&folder, name, input, options)).unwrap()).unwrap_err().to_string();
    assert!(refused("mpeg4.mp4", "-c:v mpeg4").contains("MPEG-4 part 2"));
    assert!(refused("jpeg.mov", "-c:v mjpeg").contains("Motion JPEG"));
    assert!(refused("made.mkv", "-c:v libx264").contains("Matroska"));
    assert!(refused("made.ts", "-c:v libx264").contains("transport stream"));
    assert!(refused("made.avi", "-c:v libx264").contains("AVI"));
    let encrypted = "-c:v libx264 -encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb \
                     -encryption_kid a7e61c373e219033c21091fa607bf3b8";
    assert!(refused("encrypted.mp4", encrypted).contains("encrypted"));
    let sound = folder.path().join("sound.mp4");
    ffmpeg().args(["-f", "lavfi", "-i", "sine=duration=1"]).arg(&sound).succeed();
    assert!(matches!(Movie::open(File::open(sound).unwrap()), Err(OpenMovieError::NoVideo { tracks: 1 })));
}

/// Sound and video in turns: chunks of one track between those of another.
#[test]
fn beside_sound() {
    let folder = TempDir::new().unwrap();
    for (name, flags) in [
        ("plain.mp4", ""),
        ("fragmented.mp4", "-movflags frag_keyframe+empty_moov"),
        ("base.mp4", "-movflags frag_keyframe+empty_moov+default_base_moof"),
    ] {
        let options = format!("-f lavfi -i sine=duration=3 -c:v libx264 -bf 2 -g 25 -pix_fmt yuv420p {flags}");
        let path = make(&folder, name, "size=160x120:rate=25:duration=3", &options);
        let (movie, units) = assert_read(&path);
        assert_same_pictures(&path, &movie, &units);
    }
}
