// SPDX-License-Identifier: Apache-2.0
//! Recordings play, show the frames that they should show, and survive whatever ends them.

mod disks;
mod segments;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::video::{self, Probe};
use system_tests::vsctl::Outcome;
use system_tests::{Rig, Witness, eventually};
use vsclient::dbus::{CallError, CodingOptions, RecordOptions, RecordingInfo, RecordingProxy, recording_number};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
always-on = true
buffers = 32
credits-max = 16
";

/// Frames per second of the stream.
const FPS: u64 = 30;

/// An ordinary MP4 of the stream that everybody can play. Returns the serials of its frames.
fn plays(file: &Path) -> Vec<u64> {
    let probe = video::probe(file);
    assert_eq!((probe.codec.as_str(), probe.size), ("h264", (320, 240)));
    let serials = video::serials(file);
    assert_eq!(serials.len() as u64, probe.frames);
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
    serials
}

/// A recording that is under way, with so many frames in the file.
fn under_way(rig: &Rig, frames: u64) -> (u64, RecordingInfo) {
    eventually("a recording to get along", || {
        rig.objects()
            .recordings
            .into_iter()
            .find(|(_, info)| info.state == "recording" && info.progress.frames >= frames)
    })
}

fn coding(coding: CodingOptions) -> RecordOptions {
    RecordOptions { coding, ..Default::default() }
}

/// Asks the daemon to record into a descriptor.
fn record(rig: &Rig, file: BorrowedFd<'_>, options: &RecordOptions) -> Result<RecordingProxy<'static>, CallError> {
    rig.wait(async {
        let manager = rig.control().manager().await.unwrap();
        let path = manager.record("a", file.into(), options).await.map_err(CallError::from)?;
        rig.control().recording(recording_number(&path).unwrap()).await
    })
}

fn create(path: &Path) -> File {
    File::options().read(true).write(true).create_new(true).open(path).unwrap()
}

#[test]
fn three_seconds_are_three_seconds() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let report = rig.ask(&["record", "a", path.to_str().unwrap(), "-t", "3"]);
    assert_eq!(
        (&report["state"], &report["reason"], &report["progressive"]),
        (&json!("finished"), &json!("limit"), &json!(true))
    );
    let Probe { frames, duration, .. } = video::probe(&path);
    assert!((duration - 3.0).abs() <= 0.2, "{duration} s");
    // A machine too busy to encode in time says what it dropped.
    let dropped = report["dropped"].as_u64().unwrap() + rig.stream("a").counters.source["lost"];
    assert!(frames.abs_diff(3 * FPS) <= 1 + dropped, "{frames} frames, {dropped} dropped");
    assert_eq!(report["frames"], json!(frames));
    assert_eq!(report["bytes"], json!(path.metadata().unwrap().len()));
    video::decodes(&path);
    let serials = plays(&path);
    let missing = serials[serials.len() - 1] - serials[0] + 1 - frames;
    assert!(missing <= report["dropped"].as_u64().unwrap(), "{missing} frames are missing: {report:#}");
}

#[test]
fn frames_are_counted_exactly_and_options_reach_the_encoder() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let report =
        rig.ask(&["record", "a", path.to_str().unwrap(), "-f", "45", "-b", "300k", "--keyframe-interval", "0.5"]);
    assert_eq!((&report["frames"], &report["reason"]), (&json!(45), &json!("limit")));
    let encoder = &report["encoding"];
    assert_eq!((&encoder["bitrate"], &encoder["codec"]), (&json!(300_000), &json!("h264")), "{report:#}");
    assert_eq!(plays(&path).len(), 45);
}

#[test]
fn ctrl_c_finishes_the_file() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let mut vsctl = rig.vsctl_beside(&["--json", "record", "a", path.to_str().unwrap()]);
    under_way(&rig, FPS);
    vsctl.signal(Signal::INT);
    let report = Outcome::of(&mut vsctl).good().json();
    assert_eq!((&report["reason"], &report["progressive"]), (&json!("stopped"), &json!(true)), "{report:#}");
    assert_eq!(plays(&path).len() as u64, report["frames"].as_u64().unwrap());
    video::decodes(&path);
}

#[test]
fn a_file_whose_owner_is_killed_is_finished() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let mut vsctl = rig.vsctl_beside(&["record", "a", path.to_str().unwrap()]);
    let (number, _) = under_way(&rig, FPS);
    vsctl.kill();
    let info = eventually("the recording to end", || {
        let (_, info) = rig.objects().recordings.into_iter().find(|(known, _)| *known == number)?;
        (info.state == "finished").then_some(info)
    });
    assert_eq!(plays(&path).len() as u64, info.progress.frames);
    video::decodes(&path);
}

#[test]
fn a_detached_recording_goes_on_until_somebody_ends_it() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let number = rig.ask(&["record", "a", path.to_str().unwrap(), "--detach"])["recording"].as_u64().unwrap();
    under_way(&rig, FPS);
    let report = rig.ask(&["stop-recording", &number.to_string()]);
    assert_eq!((&report["state"], &report["reason"]), (&json!("finished"), &json!("stopped")));
    assert_eq!(plays(&path).len() as u64, report["frames"].as_u64().unwrap());
}

/// What the file holds when everything is killed lacks at most the last second.
#[test]
fn a_file_whose_daemon_is_killed_plays_up_to_the_last_second() {
    let mut rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let path = rig.path("out.mp4");
    let mut vsctl = rig.vsctl_beside(&["record", "a", path.to_str().unwrap()]);
    under_way(&rig, 3 * FPS);
    rig.kill();
    let last = witness.end().last_serial;
    Outcome::of(&mut vsctl).refused(3, &["out.mp4", "the file plays up to there"]);
    video::decodes(&path);
    let serials = plays(&path);
    // Of those that are counted, some wait for the end of their fragment.
    assert!(serials.len() as u64 > 2 * FPS, "{} frames", serials.len());
    let lost = last - serials[serials.len() - 1];
    assert!(lost <= FPS, "the last {lost} frames are missing");
}

#[test]
fn a_daemon_that_ends_finishes_its_files() {
    let mut rig = Rig::start(CONFIG);
    let paths = [rig.path("one.mp4"), rig.path("two.mp4")];
    let mut vsctl = paths.each_ref().map(|path| rig.vsctl_beside(&["--json", "record", "a", path.to_str().unwrap()]));
    eventually("two recordings", || (rig.objects().recordings.len() == 2).then_some(()));
    under_way(&rig, FPS);
    assert_eq!(rig.terminate(), system_tests::process::End::Exit(0));
    for (path, vsctl) in paths.iter().zip(&mut vsctl) {
        let report = Outcome::of(vsctl).good().json();
        assert_eq!((&report["reason"], &report["progressive"]), (&json!("stream-stopped"), &json!(true)), "{report:#}");
        assert_eq!(plays(path).len() as u64, report["frames"].as_u64().unwrap());
    }
}

#[test]
fn a_recording_ends_with_its_stream() {
    let rig = Rig::start(CONFIG);
    let path = rig.path("out.mp4");
    let mut vsctl = rig.vsctl_beside(&["--json", "record", "a", path.to_str().unwrap(), "-t", "1h"]);
    under_way(&rig, FPS);
    let _ = rig.ask(&["stop-stream", "a"]);
    let outcome = Outcome::of(&mut vsctl);
    outcome.refused(5, &["ended early", "stream-stopped"]);
    assert_eq!(outcome.json()["progressive"], json!(true));
    plays(&path);
}

/// A file holds one format: when the stream takes another one, the recording goes on in another.
#[test]
fn another_format_goes_into_another_file() {
    let rig = Rig::start(CONFIG);
    let (path, second) = (rig.path("out.mp4"), rig.path("out-2.mp4"));
    let mut vsctl = rig.vsctl_beside(&["--json", "record", "a", path.to_str().unwrap(), "-t", "1h"]);
    let (first, _) = under_way(&rig, FPS);
    let _ = rig.ask(&["start-stream", "a", "--size", "160x120"]);
    eventually("the second file to get along", || {
        let mut recordings = rig.objects().recordings.into_iter();
        recordings.find(|(number, info)| *number != first && info.progress.frames >= FPS)
    });
    vsctl.signal(Signal::INT);
    let report = Outcome::of(&mut vsctl).good().json();
    let [earlier] = &report["earlier"].as_array().unwrap()[..] else { panic!("{report:#}") };
    assert_eq!((&earlier["state"], &earlier["reason"]), (&json!("finished"), &json!("format-changed")), "{report:#}");
    assert_eq!((&report["state"], &report["reason"]), (&json!("finished"), &json!("stopped")), "{report:#}");
    assert_eq!(report["file"], json!(second.to_str().unwrap()));
    assert_eq!(plays(&path).len() as u64, earlier["frames"].as_u64().unwrap());
    let probe = video::probe(&second);
    assert_eq!((probe.size, probe.frames), ((160, 120), report["frames"].as_u64().unwrap()));
}

#[test]
fn two_recordings_of_a_stream_share_an_encoder() {
    let rig = Rig::start(CONFIG);
    let encoders = || rig.daemon().threads().iter().filter(|name| name.starts_with("enc-")).count();
    let paths = [rig.path("one.mp4"), rig.path("two.mp4")];
    let mut vsctl = Vec::new();
    for (path, number) in paths.iter().zip(1..) {
        vsctl.push(rig.vsctl_beside(&["--json", "record", "a", path.to_str().unwrap()]));
        eventually("a recording", || (rig.objects().recordings.len() == number).then_some(()));
        under_way(&rig, FPS);
    }
    assert_eq!(encoders(), 1);
    // The second began in the middle of the encoder's work, and with a keyframe of its own.
    for (path, vsctl) in paths.iter().zip(&mut vsctl) {
        vsctl.signal(Signal::INT);
        let report = Outcome::of(vsctl).good().json();
        assert_eq!(plays(path).len() as u64, report["frames"].as_u64().unwrap());
    }
    eventually("the encoder to end", || (encoders() == 0).then_some(()));
    let opened = rig.daemon().process.stderr.lines().iter().filter(|line| line.contains("encoder opened")).count();
    assert_eq!(opened, 1);
}

#[test]
fn files_that_cannot_be_recorded_into_are_refused() {
    let rig = Rig::start(CONFIG);
    let read_only = File::open(create_at(&rig, "read-only")).unwrap();
    let filled = rig.path("filled");
    std::fs::write(&filled, "precious").unwrap();
    let filled_file = File::options().read(true).write(true).open(&filled).unwrap();
    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    let cases = [
        ("read-only", &read_only, "not open for writing"),
        ("filled", &filled_file, "already holds 8 bytes"),
        ("/dev/full", &full, "No space left on device"),
    ];
    for (what, file, expected) in cases {
        let error = record(&rig, file.as_fd(), &RecordOptions::default()).expect_err(what).to_string();
        assert!(error.contains(expected), "{what}: {error}");
    }
    assert_eq!(std::fs::read(&filled).unwrap(), b"precious");
    assert_eq!(rig.stream("a").state, "running");
}

fn create_at(rig: &Rig, name: &str) -> std::path::PathBuf {
    let path = rig.path(name);
    create(&path);
    path
}

/// A disk that is full in the middle: memory that is sealed against growing.
#[test]
fn a_file_that_takes_no_more_ends_its_recording_alone() {
    let rig = Rig::start(CONFIG);
    let fd = rustix::fs::memfd_create("disk", MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC).unwrap();
    let other = rig.path("other.mp4");
    let mut vsctl = rig.vsctl_beside(&["--json", "record", "a", other.to_str().unwrap()]);
    let recording = record(&rig, fd.as_fd(), &RecordOptions::default()).unwrap();
    under_way(&rig, FPS);
    rustix::fs::fcntl_add_seals(&fd, SealFlags::GROW).unwrap();
    let summary = rig.wait(recording.wait()).unwrap();
    assert_eq!((summary.state.as_str(), summary.reason.as_str()), ("failed", "failed"), "{summary:?}");
    assert!(summary.error.contains("recording stopped") && summary.error.contains("byte"), "{summary:?}");
    assert_eq!(rig.wait(recording.state()).unwrap(), "failed");

    // What it had taken plays.
    let copy = rig.path("copy.mp4");
    std::io::copy(
        &mut File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd))).unwrap(),
        &mut create(&copy),
    )
    .unwrap();
    plays(&copy);
    vsctl.signal(Signal::INT);
    let report: Value = Outcome::of(&mut vsctl).good().json();
    assert_eq!(plays(&other).len() as u64, report["frames"].as_u64().unwrap());
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let rig = Rig::start(CONFIG);
    let options = [
        (coding(CodingOptions { codec: Some("stripes".into()), ..Default::default() }), "stripes"),
        (coding(CodingOptions { bitrate: Some(0), ..Default::default() }), "bitrate"),
        (coding(CodingOptions { bitrate: Some(u64::MAX), ..Default::default() }), "bitrate"),
        (RecordOptions { duration: Some(0), ..Default::default() }, "duration"),
        (RecordOptions { frames: Some(0), ..Default::default() }, "frames"),
    ];
    for (number, (options, word)) in options.into_iter().enumerate() {
        let file = create(&rig.path(&number.to_string()));
        match record(&rig, file.as_fd(), &options) {
            Err(CallError::BadOption(text)) => assert!(text.contains(word), "{text}"),
            other => panic!("{options:?}: {other:?}"),
        }
    }
    // It is a codec, and one that nothing here can make.
    let vp9 = coding(CodingOptions { codec: Some("vp9".into()), ..Default::default() });
    let error = record(&rig, create(&rig.path("vp9")).as_fd(), &vp9).unwrap_err().to_string();
    assert!(error.contains("VP90") && error.contains("H264"), "{error}");
    assert!(rig.objects().recordings.is_empty());
}
