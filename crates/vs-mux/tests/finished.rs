// SPDX-License-Identifier: Apache-2.0
//! A finished recording is an ordinary MP4 with every frame at its time.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use support::{Clip, assert_whole, boxes, names, unsynced};
use vs_mux::mp4::{Options, Rotation, TrackConfig};
use vs_mux::{Codec, Colour};

const MS: i64 = 1_000_000;

#[test]
fn h264_becomes_an_ordinary_mp4() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = Clip::encode(Codec::H264, "s=320x180:r=30:d=3", &["-g", "30", "-bf", "0"]);
    let summary = clip.record(&path, unsynced());
    assert!(summary.progressive);
    assert_eq!((summary.frames, summary.lost_frames, summary.duration_ns), (90, 0, 3000 * MS));

    let probe = assert_whole(&path, &clip, 0);
    assert_eq!(probe.format["duration"], "3.000000");
    assert_eq!(probe.stream["avg_frame_rate"], "30/1");
    assert_eq!(probe.stream["codec_tag_string"], "avc1");
    let file = std::fs::read(&path).unwrap();
    assert_eq!(file.len() as u64, summary.bytes);
    assert_eq!(names(&file), ["ftyp", "mdat", "moov"]);
    assert_eq!(boxes(&file).iter().map(|(_, size)| size).sum::<u64>(), summary.bytes);
}

#[test]
fn h265_becomes_an_ordinary_mp4() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = Clip::encode(Codec::H265, "s=322x182:r=25:d=2", &["-g", "25"]);
    assert!(clip.record(&path, unsynced()).progressive);
    let probe = assert_whole(&path, &clip, clip.units[0].pts_ns);
    assert_eq!(probe.stream["codec_tag_string"], "hvc1");
    assert_eq!((probe.stream["width"].as_u64(), probe.stream["height"].as_u64()), (Some(322), Some(182)));
}

#[test]
fn b_frames_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    for (codec, options) in [
        (Codec::H264, &["-bf", "3", "-g", "24", "-x264-params", "b-adapt=0:b-pyramid=strict:open-gop=1:slices=3"][..]),
        (Codec::H265, &["-x265-params", "log-level=none:bframes=4:b-adapt=0:open-gop=1:keyint=24"][..]),
    ] {
        let clip = Clip::encode(codec, "s=320x180:r=24:d=3", options);
        assert!(clip.units.iter().any(|unit| unit.pts_ns != unit.dts_ns), "the clip has B-frames");
        clip.record(&path, unsynced());
        let probe = assert_whole(&path, &clip, clip.units[0].pts_ns);
        assert_eq!(probe.format["duration"], "3.000000");
    }
}

#[test]
fn variable_rates_and_gaps_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    // A clock far from 0, jitter of up to 7 ms, and a pause of 40 s after the second second.
    let boot = 123_456_789_012_345;
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=4", &["-g", "30", "-bf", "0"]).retimed(|ns| {
        let jitter = (ns / 1000 * 7919) % (7 * MS);
        let pause = if ns >= 2000 * MS { 40_000 * MS } else { 0 };
        boot + ns + jitter + pause
    });
    let summary = clip.record(&path, unsynced());
    assert_whole(&path, &clip, clip.units[0].pts_ns);
    let shown = clip.units.last().unwrap().pts_ns - clip.units[0].pts_ns;
    assert!((shown + 20 * MS..shown + 50 * MS).contains(&summary.duration_ns));
}

#[test]
fn the_last_frame_lasts_as_long_as_it_is_said_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = Clip::encode(Codec::H264, "s=160x120:r=5:d=1", &["-bf", "0"]);
    let sink = vs_mux::mp4::FileSink::new(std::fs::File::create(&path).unwrap()).unwrap();
    let mut writer = vs_mux::mp4::Mp4Writer::new(sink, TrackConfig::new(Codec::H264), unsynced()).unwrap();
    for unit in &clip.units {
        let unit = vs_mux::mp4::AccessUnit { duration_ns: Some(1700 * MS), ..unit.access_unit() };
        writer.write(&unit).unwrap();
    }
    assert_eq!(writer.finish().unwrap().duration_ns, 2500 * MS);
    let probe = assert_whole(&path, &clip, 0);
    assert_eq!(
        probe.packets.iter().map(|packet| packet.duration).collect::<Vec<_>>(),
        [18_000, 18_000, 18_000, 18_000, 153_000]
    );
}

#[test]
fn a_first_frame_after_the_origin_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=1", &["-bf", "2", "-g", "15"]).retimed(|ns| ns + 7250 * MS);
    let origin = clip.units[0].pts_ns - 2500 * MS;
    clip.record(&path, Options { origin_ns: Some(origin), ..unsynced() });
    let probe = assert_whole(&path, &clip, origin);
    assert_eq!(probe.packets[0].pts_time, "2.500000");
    assert_eq!(probe.format["duration"], "3.500000");
}

#[test]
fn frames_before_the_origin_are_decoded_but_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = Clip::encode(Codec::H264, "s=160x120:r=30:d=2", &["-bf", "0", "-g", "60"]);
    clip.record(&path, Options { origin_ns: Some(500 * MS), ..unsynced() });
    let probe = support::probe(&path);
    assert_eq!((probe.packets.len(), probe.complaints.as_str()), (60, ""));
    assert_eq!(probe.format["duration"], "1.500000");
    assert_eq!(support::decode_clean(&path), 45);
}

#[test]
fn one_frame_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    for codec in [Codec::H264, Codec::H265] {
        let mut clip = Clip::encode(codec, "s=160x120:r=25:d=0.5", &[]);
        clip.units.truncate(1);
        clip.record(&path, unsynced());
        let probe = assert_whole(&path, &clip, clip.units[0].pts_ns);
        assert_eq!(probe.format["duration"], "0.040000", "from the stream's own rate");
    }
}

#[test]
fn colour_rotation_pixels_and_date_are_in_their_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip = Clip::encode(
        Codec::H264,
        "s=720x576:r=25:d=0.2:sar=16/11",
        &["-bf", "0", "-x264-params", "colorprim=bt709:transfer=bt709:colormatrix=bt709"],
    );
    let track = TrackConfig {
        colour: Some(Colour { primaries: 9, transfer: 16, matrix: 9, full_range: true }),
        rotation: Rotation::Clockwise90,
        ..TrackConfig::new(Codec::H264)
    };
    let creation_time = Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    clip.record_track(&path, track, Options { creation_time, ..unsynced() });
    let probe = assert_whole(&path, &clip, 0);
    assert_eq!(probe.stream["sample_aspect_ratio"], "16:11");
    assert_eq!(probe.stream["side_data_list"][0]["rotation"], -90);
    assert_eq!(probe.format["tags"]["creation_time"], "2023-11-14T22:13:20.000000Z");
    // ffprobe prefers what the H.264 stream says; the box is what players without a decoder see.
    let file = std::fs::read(&path).unwrap();
    let nclx = b"colrnclx\0\x09\0\x10\0\x09\x80";
    assert!(file.windows(nclx.len()).any(|bytes| bytes == nclx));
}

#[test]
fn a_finer_clock_keeps_microseconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.mp4");
    let clip =
        Clip::encode(Codec::H264, "s=160x120:r=30:d=1", &["-bf", "0"]).retimed(|ns| 3 * ns + (ns / MS % 11) * 1000);
    let track = TrackConfig { timescale: 1_000_000.try_into().unwrap(), ..TrackConfig::new(Codec::H264) };
    clip.record_track(&path, track, unsynced());
    let origin = clip.units[0].pts_ns;
    let expected: Vec<i64> = clip.units.iter().map(|unit| (unit.pts_ns - origin + 500) / 1000).collect();
    let found: Vec<i64> = support::probe(&path).packets.iter().map(|packet| packet.pts).collect();
    assert_eq!(found, expected);
}
