// SPDX-License-Identifier: Apache-2.0
//! What cannot be played is refused at once, with the reason.

use std::path::Path;

use system_tests::{Rig, eventually};

use super::clips::{SCENE, make, x264};
use super::decodes;

/// Nobody plays this file, and `vsctl` says why.
fn refused(rig: &Rig, file: &Path, name: &str, words: &[&str]) {
    let outcome = rig.vsctl(&["--json", "play", file.to_str().unwrap(), "--as", "clip"]);
    assert_eq!(outcome.json()["error"]["name"], name, "{outcome}");
    outcome.refused(1, words);
    assert!(!rig.socket("clip").exists());
}

#[test]
fn what_nobody_here_decodes_is_refused_with_the_reason() {
    let rig = Rig::start("");
    let cases = [
        ("interlaced.mp4", "-x264-params interlaced=1", "interlaced"),
        ("deep.mp4", "-profile:v high10 -pix_fmt yuv420p10le", "8 bit"),
        ("wide.mp4", "-profile:v high422 -pix_fmt yuv422p", "4:2:2"),
        ("interlaced.h264", "-x264-params interlaced=1", "interlaced"),
    ];
    for (name, options, word) in cases {
        let file = x264(&rig, name, "176x144", 10, options);
        refused(&rig, &file, "BadFormat", &["cannot play", name, word]);
    }
    let scene = format!("-f lavfi -i {SCENE}=size=176x144:rate=30 -frames:v 10");
    if !decodes(&rig, "HEVC") {
        let hevc = make(&rig, "other.mp4", &format!("{scene} -c:v libx265 -x265-params log-level=none"));
        refused(&rig, &hevc, "BadFormat", &["HEVC"]);
    }
    let old = make(&rig, "old.mp4", &format!("{scene} -c:v mpeg4"));
    refused(&rig, &old, "BadFormat", &["only H.264"]);
    let sound = make(&rig, "sound.mp4", "-f lavfi -i sine=duration=1 -c:a aac");
    refused(&rig, &sound, "BadFormat", &["no video track"]);
    let key = "-encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8";
    let plain = x264(&rig, "plain.mp4", "176x144", 10, "");
    let secret = make(&rig, "secret.mp4", &format!("-i {} -c copy {key}", plain.display()));
    refused(&rig, &secret, "BadFormat", &["encrypted"]);
    // Nobody has the hardware: that is a reason, too.
    let outcome = rig.vsctl(&["play", plain.to_str().unwrap(), "--backend", "v4l2"]);
    outcome.refused(1, &["cannot play plain.mp4", "no device here"]);
}

#[test]
fn what_is_no_movie_is_refused_with_the_reason() {
    let rig = Rig::start("");
    let file = |name: &str, bytes: &[u8]| {
        let path = rig.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    refused(&rig, &file("empty.mp4", b""), "BadFile", &["empty.mp4"]);
    refused(&rig, &file("text.mp4", b"this is a text and not a movie"), "BadFile", &["neither MP4"]);
    let whole = std::fs::read(x264(&rig, "whole.mp4", "176x144", 30, "")).unwrap();
    refused(&rig, &file("torn.mp4", &whole[..whole.len() / 2]), "BadFile", &["not finished"]);
    rig.vsctl(&["play", "/nonexistent.mp4"]).refused(4, &["there is no file"]);
    rig.vsctl(&["play", "/dev/null", "--as", "clip"]).refused(1, &["not a regular file"]);
    rig.vsctl(&["play", "/etc/hostname", "--as", "a/b"]).refused(1, &["a/b"]);
}

#[test]
fn a_stream_of_the_configuration_says_why_and_waits_for_a_better_file() {
    let rig = Rig::start("");
    let (clip, better) = (rig.path("later.mp4"), x264(&rig, "better.mp4", "176x144", 20, "-bf 0"));
    let config = format!("[stream.later]\nfile = \"{}\"\nloop = true\nalways-on = true\n", clip.display());
    let rig = Rig::start(&config);
    let waits = |state: &str, word: &str| {
        eventually(&format!("{state}: {word}"), || {
            let stream = rig.stream("later");
            (stream.state == state && stream.state_text.contains(word)).then_some(())
        });
    };
    waits("waiting", "there is no file");
    rig.vsctl(&["start-stream", "later"]).refused(1, &["there is no file"]);
    std::fs::write(&clip, "not a movie").unwrap();
    waits("failed", "neither MP4");
    let aside = clip.with_extension("new");
    std::fs::copy(better, &aside).unwrap();
    std::fs::rename(aside, &clip).unwrap();
    waits("running", "");
    rig.vsctl(&["start-stream", "later", "--size", "640x480"]).refused(1, &["the file's"]);
}
