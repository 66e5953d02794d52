// SPDX-License-Identifier: Apache-2.0
//! The pictures, their order and their times are those of the file.

use std::path::Path;

use serde_json::{Value, json};
use system_tests::vsctl::Outcome;
use system_tests::{Rig, client, video};

use super::clips::{ALIKE_DB, SCENE, make, pictures, psnr, times, x264};
use super::{Got, connect, decodes, play, receive_all};

/// Times of both sides are rounded to ns.
const ROUNDING_NS: u64 = 1;

/// Plays a file to its end; what was received, and what `vsctl` says of it.
fn played(rig: &Rig, file: &Path, options: &[&str]) -> (Vec<Got>, Value) {
    let mut vsctl = play(rig, file, options);
    let (got, _) = receive_all(&mut connect(rig));
    (got, Outcome::of(&mut vsctl).good().json())
}

/// What is played of a file must be what `ffmpeg` decodes of it.
fn compare(rig: &Rig, file: &Path, exact: bool) {
    let name = file.file_name().unwrap().to_string_lossy();
    let (got, answer) = played(rig, file, &[]);
    let size = got[0].size;
    let expected = pictures(file, size);
    assert_eq!(got.len(), expected.len(), "{name}: {answer:#}");
    let luma = (size.0 * size.1) as usize;
    for (number, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(got.picture.len(), expected.len(), "{name}: picture {number} is of another size");
        let db = psnr(&got.picture[..luma], &expected[..luma]);
        let fine = if exact { got.picture == *expected } else { db >= ALIKE_DB };
        assert!(fine, "{name}: picture {number} is another one ({db:.1} dB)");
        assert_eq!((got.sequence as usize, got.gap), (number, false), "{name}");
    }
    assert_eq!((&answer["reason"], &answer["damaged"], &answer["late"]), (&json!("end"), &json!(0), &json!(0)));
    assert_eq!(answer["frames"], expected.len());
}

fn compare_times(rig: &Rig, file: &Path) {
    let (got, _) = played(rig, file, &[]);
    let expected = times(file);
    let received: Vec<_> = got.iter().map(|got| got.pts_ns).collect();
    let same = |(one, other): (&i64, &i64)| one.abs_diff(*other) <= ROUNDING_NS;
    assert_eq!(received.len(), expected.len());
    assert!(received.iter().zip(&expected).all(same), "{}: {received:?}, not {expected:?}", file.display());
}

#[test]
fn pictures_are_those_that_others_decode() {
    let rig = Rig::start("");
    let exact = [
        ("baseline.mp4", "176x144", "-profile:v baseline"),
        ("main.mp4", "322x242", "-profile:v main -bf 0"),
        ("high.mov", "322x242", "-profile:v high -bf 0 -g 12"),
        // 1080 lines are coded as 1088 and cropped.
        ("cropped.mp4", "1920x1080", "-profile:v high -bf 0 -preset ultrafast -frames:v 5"),
        ("bare.h264", "322x242", "-profile:v high -bf 0"),
        ("fragments.mp4", "322x242", "-bf 0 -g 10 -movflags +frag_keyframe+empty_moov"),
        ("slices.mp4", "322x242", "-bf 0 -x264-params slices=4"),
    ];
    for (name, size, options) in exact {
        compare(&rig, &x264(&rig, name, size, 40, options), true);
    }
    let nearly = [
        ("b-main.mp4", "322x242", "-profile:v main -bf 2"),
        ("b-high.mp4", "640x362", "-profile:v high -bf 4 -x264-params b-pyramid=normal:ref=4"),
        ("b-bare.h264", "322x242", "-profile:v high -bf 3"),
    ];
    for (name, size, options) in nearly {
        compare(&rig, &x264(&rig, name, size, 40, options), false);
    }
}

/// Codecs that are features of the daemon: played if it has them.
#[test]
fn optional_codecs_are_exact() {
    let rig = Rig::start("");
    let cases = [
        ("HEVC", "b.mp4", "libx265 -x265-params log-level=none:bframes=3:b-pyramid=1:keyint=12"),
        ("HEVC", "in-band.mov", "libx265 -tag:v hev1 -x265-params log-level=none:repeat-headers=1"),
        ("HEVC", "bare.h265", "libx265 -x265-params log-level=none"),
        ("VP90", "hidden.mp4", "libvpx-vp9 -auto-alt-ref 1 -lag-in-frames 16 -cpu-used 5"),
    ];
    for (codec, name, options) in cases.into_iter().filter(|(codec, ..)| decodes(&rig, codec)) {
        let scene = format!("-f lavfi -i {SCENE}=size=322x242:rate=30 -frames:v 40 -pix_fmt yuv420p -c:v {options}");
        let file = make(&rig, &format!("{codec}-{name}"), &scene);
        compare(&rig, &file, true);
        // A bare stream has no times.
        if !name.starts_with("bare") {
            compare_times(&rig, &file);
        }
    }
}

#[test]
fn times_are_those_of_the_file() {
    let rig = Rig::start("");
    compare_times(&rig, &x264(&rig, "b.mp4", "176x144", 50, "-bf 3"));
    // No two intervals are alike.
    let uneven = "-bf 2 -vf settb=1/90000,setpts=N*3000+N*N*37 -fps_mode passthrough -enc_time_base 1:90000";
    compare_times(&rig, &x264(&rig, "uneven.mp4", "176x144", 40, uneven));
    // Nothing is shown for ten seconds, but they do not have to be waited for.
    let pause = "-bf 0 -vf settb=1/90000,setpts=N*3000+gte(N\\,20)*900000 -fps_mode passthrough -enc_time_base 1:90000";
    compare_times(&rig, &x264(&rig, "pause.mp4", "176x144", 40, pause));
}

#[test]
fn what_an_edit_list_cuts_away_is_not_shown() {
    let rig = Rig::start("");
    let whole = x264(&rig, "whole.mp4", "176x144", 60, "-bf 0 -g 30");
    let cut = make(&rig, "cut.mp4", &format!("-ss 0.5 -i {} -c copy", whole.display()));
    let (got, _) = played(&rig, &cut, &[]);
    let whole = pictures(&whole, (176, 144));
    let first = whole.iter().position(|picture| *picture == got[0].picture).unwrap();
    assert_eq!(first, 15, "it begins with another picture");
    assert!(got.iter().zip(&whole[first..]).all(|(got, whole)| got.picture == *whole));
    assert_eq!((got.len(), got[0].pts_ns), (45, 0));
}

/// Has a file say that its pictures are to be turned by a quarter (ISO/IEC 14496-12, 8.3.2).
fn turn_clockwise(file: &Path) {
    /// From the type of the box to the matrix in it.
    const TO_MATRIX: usize = 4 + 40;
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(4).position(|four| four == b"tkhd").unwrap() + TO_MATRIX;
    let matrix: [i32; 9] = [0, 0x1_0000, 0, -0x1_0000, 0, 0, 0, 0, 0x4000_0000];
    bytes[at..at + 36].copy_from_slice(&matrix.map(i32::to_be_bytes).concat());
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn the_format_is_told_as_the_file_has_it() {
    let rig = Rig::start("");
    let colours = "-bf 0 -r 25 -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv";
    let file = x264(&rig, "upright.mp4", "176x144", 10, colours);
    turn_clockwise(&file);
    let mut vsctl = play(&rig, &file, &[]);
    let mut client = connect(&rig);
    let frame = client::next(&mut client);
    let format = frame.format();
    assert_eq!((format.rate.num, format.rate.den), (25, 1));
    assert_eq!(format.rotation, 270, "counter-clockwise");
    assert_eq!(format.color, vs_frame::Colorimetry::BT709);
    drop(frame);
    receive_all(&mut client);
    assert_eq!(Outcome::of(&mut vsctl).good().json()["frames"], 10);
}

#[test]
fn pictures_may_change_their_size() {
    let rig = Rig::start("");
    let parts = [("small.h264", "176x144"), ("large.h264", "320x240"), ("again.h264", "176x144")];
    let parts = parts.map(|(name, size)| std::fs::read(x264(&rig, name, size, 10, "-bf 0")).unwrap());
    let file = rig.path("changing.h264");
    std::fs::write(&file, parts.concat()).unwrap();
    let (got, answer) = played(&rig, &file, &[]);
    let widths: Vec<_> = got.iter().map(|got| got.size.0).collect();
    assert_eq!(widths, [[176; 10], [320; 10], [176; 10]].concat(), "{answer:#}");
}

#[test]
fn what_we_record_we_play() {
    let rig = Rig::start("[stream.raw]\npattern = \"bars\"\nsize = \"320x240\"\n");
    let file = rig.path("ours.mp4");
    let _ = rig.ask(&["record", "raw", file.to_str().unwrap(), "--frames", "30"]);
    compare(&rig, &file, true);
    compare_times(&rig, &file);
    assert_eq!(video::probe(&file).frames, 30);
}
