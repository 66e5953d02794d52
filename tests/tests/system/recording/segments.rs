// SPDX-License-Identifier: Apache-2.0
//! A recording in many files holds each frame once, and each file plays alone.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::vsctl::Outcome;
use system_tests::{Process, Rig, eventually, video};
use vsclient::dbus::{AddFileOptions, CallError, RecordOptions, RecordingInfo};

use super::{CONFIG, FPS, create, plays, record, under_way};

/// The shortest files that there can be.
const SHORTEST: &str = "100ms";

/// Recording `number`, when it is as `is` wants it.
fn recording_that(rig: &Rig, what: &str, is: impl Fn(&RecordingInfo) -> bool) -> (u64, RecordingInfo) {
    eventually(what, || rig.objects().recordings.into_iter().find(|(_, info)| is(info)))
}

fn end(vsctl: &mut Process) -> Value {
    vsctl.signal(Signal::INT);
    Outcome::of(vsctl).good().json()
}

/// The serials of the frames in all files of a report, each of which plays alone.
fn serials(report: &Value) -> Vec<u64> {
    let files = report["files"].as_array().unwrap();
    assert_eq!(json!(files.len()), report["segments"], "{report:#}");
    let serials = files.iter().flat_map(|file| {
        let serials = video::serials(Path::new(file["file"].as_str().unwrap()));
        assert_eq!((&file["frames"], &file["progressive"]), (&json!(serials.len()), &json!(true)), "{file:#}");
        serials
    });
    serials.collect()
}

/// What is not there was dropped: nothing is missing between two files, and nothing is there twice.
fn hold_each_frame_once(report: &Value) {
    let serials = serials(report);
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
    let missing = serials[serials.len() - 1] - serials[0] + 1 - serials.len() as u64;
    assert!(missing <= report["dropped"].as_u64().unwrap(), "{missing} frames are missing: {report:#}");
    assert_eq!(report["frames"], json!(serials.len()));
}

/// All names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn directory(rig: &Rig, name: &str) -> PathBuf {
    let path = rig.path(name);
    std::fs::create_dir(&path).unwrap();
    path
}

#[test]
fn a_hundred_files_hold_every_frame_once() {
    let rig = Rig::start(CONFIG);
    let directory = directory(&rig, "many");
    let path = directory.join("out.mp4");
    let mut vsctl = rig.vsctl_beside(&["--json", "record", "a", path.to_str().unwrap(), "--segment", SHORTEST]);
    recording_that(&rig, "a hundred files", |info| info.segments >= 100);
    let report = end(&mut vsctl);
    assert_eq!((&report["reason"], &report["progressive"]), (&json!("stopped"), &json!(true)), "{report:#}");
    hold_each_frame_once(&report);
    // And nothing else is left behind.
    let files = report["segments"].as_u64().unwrap();
    assert_eq!(names(&directory), (1..=files).map(|n| format!("out-{n:03}.mp4")).collect::<Vec<_>>());
}

/// Each asks the common encoder for its own keyframes.
#[test]
fn recordings_of_one_encoder_are_cut_apart() {
    let rig = Rig::start(CONFIG);
    let directory = directory(&rig, "two");
    let (one, two, whole) = (directory.join("one-%d.mp4"), directory.join("two-%04d.mp4"), directory.join("whole.mp4"));
    let args = [
        [&one, Path::new("--segment"), Path::new("300ms")].map(|arg| arg.to_str().unwrap()).to_vec(),
        [&two, Path::new("--segment"), Path::new("40k")].map(|arg| arg.to_str().unwrap()).to_vec(),
        vec![whole.to_str().unwrap()],
    ];
    let mut vsctl = args.map(|args| rig.vsctl_beside(&[&["--json", "record", "a"], args.as_slice()].concat()));
    eventually("all to get along", || {
        let recordings = rig.objects().recordings;
        let begun =
            |stem: &str, files| recordings.iter().any(|(_, info)| info.file.contains(stem) && info.segments >= files);
        (begun("one-", 10) && begun("two-", 5) && begun("whole", 1)).then_some(())
    });
    let encoders = rig.daemon().threads().iter().filter(|name| name.starts_with("enc-")).count();
    assert_eq!(encoders, 1);
    for vsctl in &mut vsctl {
        hold_each_frame_once(&end(vsctl));
    }
    for name in ["one-1.mp4", "one-10.mp4", "two-0001.mp4", "two-0005.mp4", "whole.mp4"] {
        assert!(directory.join(name).exists(), "{name} among {:?}", names(&directory));
    }
    // So many bytes, and what comes until there is a keyframe.
    let size = directory.join("two-0002.mp4").metadata().unwrap().len();
    assert!(size >= 40_000, "{size} bytes");
}

/// The limits are those of the recording, and each file is told of when it is complete.
#[test]
fn limits_count_over_all_files() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let outcome = rig.vsctl(&["record", "a", path.to_str().unwrap(), "-s", "500ms", "-f", "100"]).good();
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let told = lines.iter().filter(|line| line.contains("out-00")).count();
    assert!(told >= 5 && lines[0].contains("out-001.mp4: "), "{outcome}");
    let total = lines.iter().find(|line| line.contains(" files, ")).unwrap();
    assert!(total.contains(&format!("{told} files")) && total.contains("100 frames"), "{outcome}");
}

#[test]
fn nothing_is_left_behind_by_one_who_is_killed() {
    let rig = Rig::start(CONFIG);
    let directory = directory(&rig, "killed");
    let path = directory.join("out.mp4");
    let mut vsctl = rig.vsctl_beside(&["record", "a", path.to_str().unwrap(), "--segment", "1s"]);
    let (number, _) = recording_that(&rig, "the third file", |info| info.segments >= 3);
    // When a file has its name, the next one has been passed or soon will be.
    eventually("its name", || directory.join("out-003.mp4").exists().then_some(()));
    vsctl.kill();
    let (_, info) = recording_that(&rig, "the recording to end", |info| info.state == "finished");
    assert_eq!(rig.objects().recordings.last().unwrap().0, number);
    let files = names(&directory);
    assert_eq!(files.first().unwrap(), "out-001.mp4", "{files:?}");
    let frames: usize = files.iter().map(|name| plays(&directory.join(name)).len()).sum();
    // The file that is begun in the very moment of the kill has no name yet.
    assert!(files.len() as u64 == info.segments && frames as u64 == info.progress.frames, "{files:?} of {info:#?}");
}

#[test]
fn another_format_goes_into_the_next_file() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let mut vsctl = rig.vsctl_beside(&["--json", "record", "a", path.to_str().unwrap(), "--segment", "1h"]);
    under_way(&rig, FPS);
    let _ = rig.ask(&["start-stream", "a", "--size", "160x120"]);
    let (_, info) = recording_that(&rig, "the second file", |info| info.segments == 2);
    let so_far = info.progress.frames;
    under_way(&rig, so_far + FPS);
    let report = end(&mut vsctl);
    assert_eq!((&report["earlier"], &report["segments"]), (&json!([]), &json!(2)), "{report:#}");
    let sizes = ["out-001.mp4", "out-002.mp4"].map(|name| video::probe(&rig.path(name)).size);
    assert_eq!(sizes, [(320, 240), (160, 120)]);
    serials(&report);
}

/// A recording goes on in the file that it has when nobody passes it another one.
#[test]
fn files_are_passed_ahead_of_time() {
    let rig = Rig::start(CONFIG);
    let first = rig.path("first.mp4");
    let options = RecordOptions { segment_duration: Some(200_000_000), ..RecordOptions::default() };
    let recording = record(&rig, create(&first).as_fd(), &options).unwrap();
    let (_, info) = under_way(&rig, 2 * FPS);
    assert_eq!((info.segments, info.file.as_str()), (1, ""), "{info:#?}");

    let add = |file: &File, title: &str| {
        let options = AddFileOptions { title: Some(title.to_owned()) };
        let added = rig.wait(recording.add_file(file.as_fd().into(), &options));
        added.map_err(CallError::from)
    };
    let filled = rig.path("filled");
    std::fs::write(&filled, "precious").unwrap();
    let filled_file = File::options().read(true).write(true).open(&filled).unwrap();
    assert!(matches!(add(&filled_file, "filled"), Err(CallError::BadFile(text)) if text.contains("8 bytes")));
    add(&create(&rig.path("second.mp4")), "the second").unwrap();
    let (_, info) = recording_that(&rig, "the second file", |info| info.segments == 2);
    assert_eq!(info.file, "the second");
    let summary = rig.wait(recording.stop()).unwrap();
    assert_eq!((summary.segments, summary.progressive), (2, true));
    let late = add(&create(&rig.path("late.mp4")), "late");
    assert!(matches!(late, Err(CallError::NotRunning(_))), "{late:?}");
    assert_eq!(std::fs::read(&filled).unwrap(), b"precious");

    let serials = [plays(&first), plays(&rig.path("second.mp4"))].concat();
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
    assert_eq!(serials.len() as u64, summary.frames);
}

#[test]
fn what_cannot_be_is_refused() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let path = path.to_str().unwrap();
    let detached = rig.vsctl(&["record", "a", path, "--segment", "60s", "--detach"]);
    detached.refused(2, &["--detach", "[recording.NAME]"]);
    rig.vsctl(&["record", "a", path, "--segment", "1ms"]).refused(1, &["segment-duration", "100ms"]);
    rig.vsctl(&["record", "a", path, "--segment", "1k"]).refused(1, &["segment-bytes", "10k"]);
    rig.vsctl(&["record", "a", path, "--fragment", "1min"]).refused(1, &["fragment", "10 s"]);
    assert!(!rig.path("out.mp4").exists() && !rig.path("out-001.mp4").exists());
    std::fs::write(rig.path("out-001.mp4"), "precious").unwrap();
    rig.vsctl(&["record", "a", path, "--segment", "1s"]).refused(1, &["out-001.mp4", "exists already"]);
}

#[test]
fn recordings_are_listed_and_ended_together() {
    let rig = Rig::start(CONFIG);
    assert!(rig.vsctl(&["recordings"]).good().stdout.contains("no recordings"));
    let (one, two) = (rig.path("one.mp4"), rig.path("two.mp4"));
    for path in [&one, &two] {
        let _ = rig.ask(&["record", "a", path.to_str().unwrap(), "--detach", "--sync", "0", "--fragment", "0"]);
    }
    eventually("both to get along", || {
        rig.objects().recordings.iter().all(|(_, info)| info.progress.frames >= FPS).then_some(())
    });
    let list = rig.ask(&["recordings"]);
    let first = &list["recordings"][0];
    assert_eq!((&first["stream"], &first["state"], &first["segments"]), (&json!("a"), &json!("recording"), &json!(1)));
    assert_eq!((&first["file"], &first["name"]), (&json!(one.to_str().unwrap()), &json!(null)), "{list:#}");
    assert!(first["bitrate"].as_u64().unwrap() > 0);
    assert!(rig.vsctl(&["recordings"]).good().stdout.contains("two.mp4"));
    let ended = rig.ask(&["stop-recording", "--all"]);
    assert_eq!(ended["recordings"].as_array().unwrap().len(), 2, "{ended:#}");
    for (path, ended) in [&one, &two].into_iter().zip(ended["recordings"].as_array().unwrap()) {
        assert_eq!(plays(path).len() as u64, ended["frames"].as_u64().unwrap());
    }
    // Nothing is under way any more.
    assert_eq!(rig.ask(&["stop-recording", "--all"])["recordings"], json!([]));
}
