// SPDX-License-Identifier: Apache-2.0
//! Streams of x264 and x265 become MP4 and streams again: others play what is between without a word, with each
//! picture at its time, and every NAL unit is there afterwards.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::conversion::{gstreamer_frames, there_and_back};
use support::files::{make, pictures};
use support::{decode_clean, names, probe};
use tempfile::TempDir;
use vs_mux::convert::{Options, Report};

/// What ffprobe and ffmpeg say of a converted stream of `seconds / frames` a frame.
#[track_caller]
fn assert_plays(bare: &Path, mp4: &Path, report: &Report, (frames, seconds): (i64, i64)) {
    let probe = probe(mp4);
    assert_eq!(probe.complaints, "", "{}", mp4.display());
    assert_eq!(names(&std::fs::read(mp4).unwrap()), ["ftyp", "mdat", "moov"]);
    let base = probe.stream["time_base"].as_str().unwrap();
    let scale: i64 = base.strip_prefix("1/").unwrap().parse().unwrap();
    let mut times: Vec<i64> = probe.packets.iter().map(|packet| packet.pts).collect();
    times.sort_unstable();
    let expected: Vec<i64> = (0..times.len() as i64).map(|n| n * seconds * scale / frames).collect();
    assert_eq!(times, expected, "{}", mp4.display());
    assert!(probe.packets.iter().all(|packet| packet.dts <= packet.pts));
    assert!(probe.packets.windows(2).all(|pair| pair[0].dts < pair[1].dts));
    assert_eq!(report.frames, times.len() as u64);
    assert_eq!(decode_clean(mp4) as u64, report.frames);
    assert_eq!(pictures(mp4), pictures(bare), "{}", mp4.display());
    assert!(
        gstreamer_frames(mp4, report.codec).is_none_or(|frames| frames as u64 == report.frames),
        "{}",
        mp4.display()
    );
}

/// Streams whose sets stand where most encoders put them: at each keyframe.
#[test]
fn ordinary_streams() {
    let folder = TempDir::new().unwrap();
    let cases = [
        ("baseline.h264", "-c:v libx264 -profile:v baseline -g 20"),
        ("b-frames.h264", "-c:v libx264 -bf 3 -g 20"),
        ("pyramid.h264", "-c:v libx264 -x264-params bframes=7:b-pyramid=normal:b-adapt=0:keyint=30"),
        ("slices.h264", "-c:v libx264 -x264-params slices=4:keyint=20"),
        (
            "delimiters.h264",
            "-c:v libx264 -x264-params aud=1:keyint=20:nal-hrd=vbr -b:v 500k -maxrate 500k -bufsize 1M",
        ),
        ("intra.h264", "-c:v libx264 -g 1"),
        ("open-gop.h264", "-c:v libx264 -x264-params open-gop=1:keyint=12:bframes=3:b-adapt=0"),
        ("mbaff.h264", "-c:v libx264 -flags +ildct+ilme -x264-params tff=1:keyint=20"),
        (
            "pic-struct.h264",
            "-c:v libx264 -x264-params pic-struct=1:keyint=20:nal-hrd=cbr -b:v 1M -maxrate 1M -bufsize 1M",
        ),
        (
            "pyramid.h265",
            "-c:v libx265 -x265-params bframes=8:b-pyramid=1:b-adapt=0:rc-lookahead=20:keyint=30:repeat-headers=1:log-level=none",
        ),
        ("slices.h265", "-c:v libx265 -x265-params slices=3:keyint=20:repeat-headers=1:log-level=none"),
        (
            "delimiters.h265",
            "-c:v libx265 -x265-params aud=1:keyint=20:repeat-headers=1:hrd=1:vbv-maxrate=500:vbv-bufsize=500:log-level=none",
        ),
        (
            "open-gop.h265",
            "-c:v libx265 -x265-params open-gop=1:keyint=12:bframes=4:b-adapt=0:repeat-headers=1:log-level=none",
        ),
        (
            "radl.h265",
            "-c:v libx265 -x265-params no-open-gop=1:keyint=12:min-keyint=12:radl=2:bframes=4:b-adapt=0:repeat-headers=1:log-level=none",
        ),
    ];
    for (name, options) in cases {
        let options = format!("{options} -preset ultrafast -pix_fmt yuv420p");
        let bare = make(&folder, name, "size=322x184:rate=30000/1001:duration=2", &options);
        let (report, mp4) = there_and_back(&bare, &Options::default());
        assert_eq!((report.frames, report.width, report.height), (60, 322, 184), "{name}");
        assert_eq!((report.sets_in_band, &report.notes[..]), (false, &[][..]), "{name}");
        assert_plays(&bare, &mp4, &report, (30_000, 1001));
    }
}
