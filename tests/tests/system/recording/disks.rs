// SPDX-License-Identifier: Apache-2.0
//! Disks that are slow, and disks that are full: a recording knows what it has lost, and nobody else notices.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use system_tests::vsctl::Outcome;
use system_tests::{Process, Rig, eventually, video};
use vsclient::dbus::RecordOptions;

use super::{create, plays, record};

/// Frames that come fast fill a queue of 256 soon.
const FAST: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 60
always-on = true
buffers = 32
credits-max = 16
";

/// Frames per second of the stream.
const FPS: u64 = 60;

/// Bytes that a file of the daemon may have: more than a picture, which is in memory that counts as a file.
const LARGEST: u64 = 300_000;

/// A disk of 50 MB that is nearly full, mounted where only the command and those it starts see it. What lies there at
/// the end is copied to another directory: `$0` is the disk, `$1` the copy, then comes the command.
const ON_SMALL_DISK: &str = "\
mount -t tmpfs -o size=50m none \"$0\" && fallocate -l 51814400 \"$0/full\" || exit 99
copy=$1; shift; \"$@\"; status=$?
rm \"$0/full\"
cp -a \"$0\"/. \"$copy\" && exit $status
";

/// Runs a command of vsctl beside the test, on a small disk.
fn on_small_disk(rig: &Rig, disk: &Path, copy: &Path, arguments: &[&str]) -> Process {
    for directory in [disk, copy] {
        std::fs::create_dir(directory).unwrap();
    }
    // Without privileges where users may have namespaces of their own (unshare(1)).
    let own = ["--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", ON_SMALL_DISK];
    let vsctl = system_tests::vsctl::command(&rig.place().bus, arguments);
    let mut command = Command::new("unshare");
    command.args(own).arg(disk).arg(copy).arg(vsctl.get_program()).args(vsctl.get_args());
    for (name, _) in vsctl.get_envs() {
        command.env_remove(name);
    }
    Process::start("vsctl on a small disk", &mut command)
}

#[test]
fn a_full_disk_ends_a_recording_properly_and_alone() {
    let rig = Rig::start(FAST);
    let (disk, copy, other) = (rig.path("disk"), rig.path("copy"), rig.path("other.mp4"));
    let out = disk.join("out.mp4");
    let mut healthy = rig.vsctl_beside(&["--json", "record", "a", other.to_str().unwrap(), "-b", "2M"]);
    eventually("a healthy recording", || (!rig.objects().recordings.is_empty()).then_some(()));
    let line = ["--json", "record", "a", out.to_str().unwrap(), "-b", "2M", "-t", "1h"];
    let outcome = Outcome::of(&mut on_small_disk(&rig, &disk, &copy, &line));
    assert_ne!(outcome.status, 99, "no file system can be mounted here: {outcome}");
    outcome.refused(1, &["out.mp4 failed", "No space left on device", "was kept and plays"]);
    let report = outcome.json();
    assert_eq!((&report["state"], &report["reason"]), (&json!("failed"), &json!("disk-full")), "{report:#}");

    // All that it says is there, and as large as the disk.
    let file = copy.join("out.mp4");
    video::decodes(&file);
    assert_eq!(json!(plays(&file).len()), report["frames"]);
    let size = file.metadata().unwrap().len();
    assert_eq!(json!(size), report["bytes"]);
    assert!(size > 400_000, "only {size} bytes");

    healthy.signal(rustix::process::Signal::INT);
    let report: Value = Outcome::of(&mut healthy).good().json();
    let serials = plays(&other);
    let missing = serials[serials.len() - 1] - serials[0] + 1 - serials.len() as u64;
    assert!(missing <= report["dropped"].as_u64().unwrap(), "{missing} frames are missing: {report:#}");
}

/// File systems have a largest file, and users may have one (setrlimit(2)): with segments there is another file.
#[test]
fn a_file_that_is_as_large_as_may_be_is_not_the_last() {
    let rig = Rig::start(FAST);
    let (one, many) = (rig.path("one.mp4"), rig.path("many.mp4"));
    let record = |path: &Path, more: &[&str]| {
        let line = ["--json", "record", "a", path.to_str().unwrap(), "-b", "2M", "--gop", "30"];
        rig.vsctl_beside(&[&line, more].concat())
    };
    let mut one = (record(&one, &[]), one);
    let mut many = record(&many, &["--segment", "1h"]);
    eventually("two recordings", || (rig.objects().recordings.len() == 2).then_some(()));
    let pid = rustix::process::Pid::from_raw(rig.daemon().process.pid() as i32);
    let limit = rustix::process::Rlimit { current: Some(LARGEST), maximum: None };
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit).unwrap();

    let outcome = Outcome::of(&mut one.0);
    outcome.refused(1, &["one.mp4 failed", "record in segments", "was kept and plays"]);
    assert_eq!(outcome.json()["reason"], json!("disk-full"));
    assert_eq!(json!(plays(&one.1).len()), outcome.json()["frames"]);

    eventually("further files", || rig.objects().recordings.iter().any(|(_, info)| info.segments >= 3).then_some(()));
    many.signal(rustix::process::Signal::INT);
    let report = Outcome::of(&mut many).good().json();
    let files = report["files"].as_array().unwrap();
    let serials: Vec<_> = files.iter().flat_map(|file| plays(Path::new(file["file"].as_str().unwrap()))).collect();
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
    assert_eq!(report["frames"], json!(serials.len()));
    let missing = serials[serials.len() - 1] - serials[0] + 1 - serials.len() as u64;
    assert!((1..=report["dropped"].as_u64().unwrap()).contains(&missing), "{missing} are missing: {report:#}");
}

/// A pipe that nobody reads for a while is a disk that takes a pause.
#[test]
fn a_slow_disk_loses_whole_groups_of_pictures_and_counts_them() {
    let rig = Rig::start(FAST);
    let other = rig.path("other.mp4");
    let mut healthy = rig.vsctl_beside(&["--json", "record", "a", other.to_str().unwrap()]);
    eventually("a healthy recording", || (!rig.objects().recordings.is_empty()).then_some(()));
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let recording = record(&rig, writer.as_fd(), &RecordOptions::default()).unwrap();
    drop(writer);
    let dropped = || rig.wait(recording.progress()).unwrap().dropped;
    eventually("frames to be dropped", || (dropped() > FPS).then_some(()));

    // It is fast again.
    let path = rig.path("slow.mp4");
    let mut copy = create(&path);
    let copied = std::thread::spawn(move || std::io::copy(&mut File::from(reader), &mut copy).unwrap());
    eventually("the queue to be taken", || (rig.wait(recording.progress()).unwrap().frames > 512).then_some(()));
    let summary = rig.wait(recording.stop()).unwrap();
    copied.join().unwrap();
    assert_eq!((summary.state.as_str(), summary.reason.as_str(), summary.progressive), ("finished", "stopped", false));

    video::decodes(&path);
    let serials = plays(&path);
    assert_eq!(serials.len() as u64, summary.frames);
    let missing = serials[serials.len() - 1] - serials[0] + 1 - serials.len() as u64;
    assert_eq!(missing, summary.dropped);
    the_gaps_are_in_its_times(&path, &serials, rig.stream("a").counters.source["lost"]);

    healthy.signal(rustix::process::Signal::INT);
    let report: Value = Outcome::of(&mut healthy).good().json();
    let serials = plays(&other);
    let missing = serials[serials.len() - 1] - serials[0] + 1 - serials.len() as u64;
    assert!(missing <= report["dropped"].as_u64().unwrap(), "{missing} frames are missing: {report:#}");
    assert!(missing < summary.dropped, "the slow one has cost another {missing} frames");
}

/// Each frame is shown as long after the one before as its serial says, and longer only by frames that the source
/// has lost itself.
fn the_gaps_are_in_its_times(path: &Path, serials: &[u64], lost: u64) {
    let times = video::times(path);
    assert_eq!(times.len(), serials.len());
    let mut stretched = 0;
    for (times, serials) in times.windows(2).zip(serials.windows(2)) {
        let frames = (times[1] - times[0]) * FPS as f64;
        let apart = serials[1] - serials[0];
        assert!(
            (frames - frames.round()).abs() < 0.01 && frames.round() as u64 >= apart,
            "{frames} between {serials:?}"
        );
        stretched += frames.round() as u64 - apart;
    }
    assert!(stretched <= lost, "{stretched} frames too long, and the source has lost {lost}");
}
