// SPDX-License-Identifier: Apache-2.0
//! The examples do what they say, against a real daemon.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use system_tests::{Process, Rig, eventually};

use crate::toolchain::{against, compile, run, source, under_valgrind};

/// A painted camera in luma and chroma, another one in RGB, and one in the size that is measured with. Under
/// valgrind an honest program takes longer than the usual lease.
const CAMERAS: &str = "
[defaults]
lease = \"10s\"

[stream.cam0]
pattern = \"bars\"
size = \"320x240\"
format = \"NV12\"
rate = 100

[stream.rgb]
pattern = \"bars\"
size = \"320x240\"
format = \"RGB3\"
rate = 30

[stream.large]
pattern = \"bars\"
size = \"1920x1080\"
format = \"NV12\"
rate = 60
";

fn example(name: &str) -> std::path::PathBuf {
    compile(&source("examples").join(name))
}

#[test]
fn statistics_are_shown() {
    let rig = Rig::start(CAMERAS);
    let program = example("stats.c");
    for mut command in [against(&rig, &program), under_valgrind(&rig, &program)] {
        let said = run(command.args(["cam0", "20"]));
        for word in ["connected\n", "running", "format NV12 320x240\n", "frame ", "received 20, lost "] {
            assert!(said.contains(word), "{word} is not in:\n{said}");
        }
    }
}

#[test]
fn a_frame_is_saved_as_a_picture() {
    let rig = Rig::start(CAMERAS);
    let program = example("save.c");
    for (stream, magic, len) in
        [("rgb", "P6\n320 240\n255\n", 320 * 240 * 3), ("cam0", "P5\n320 240\n255\n", 320 * 240)]
    {
        let path = rig.path(stream);
        run(against(&rig, &program).arg(stream).arg(&path));
        let picture = fs::read(path).unwrap();
        assert!(picture.starts_with(magic.as_bytes()));
        assert_eq!(picture.len(), magic.len() + len);
    }
    let said = against(&rig, &program).args(["nobody", "/dev/null"]).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("not found (there is no stream at ") && said.contains("vsctl status"), "{said}");
}

#[test]
fn a_pattern_is_published() {
    let rig = Rig::start("");
    let path = rig.path("breath");
    let mut command = against(&rig, &example("publish.c"));
    let mut publisher = Process::start("publish", command.arg(&path));
    publisher.stdout.until("the publisher", |line| line.starts_with("publishing at "));
    let said = run(under_valgrind(&rig, &example("stats.c")).arg(&path).arg("5"));
    assert!(said.contains("format NV12 320x240"), "{said}");
    publisher.kill();
    let said = run(under_valgrind(&rig, &example("publish.c")).arg(rig.path("brief")).arg("10"));
    assert!(said.contains("published 10, delivered 0"), "{said}");
}

#[test]
fn a_stream_is_encoded_by_the_daemon() {
    let rig = Rig::start(CAMERAS);
    let path = rig.path("out.h264");
    let said = run(under_valgrind(&rig, &example("encode.c")).arg("cam0").arg(&path).arg("30"));
    assert!(said.contains("software"), "{said}");
    let counted = run(Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=nb_read_frames"])
        .arg(&path));
    assert_eq!(counted.trim(), "30");
}

/// A program that is gone when the test is.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended, and been waited for, already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_descriptor_lasts_for_a_whole_event_loop() {
    let mut rig = Rig::start(CAMERAS);
    rig.terminate();
    let program = example("poll.c");
    let mut command = against(&rig, &program);
    let mut child = Beside(command.arg("cam0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let child = &mut child.0;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap())).map(Result::unwrap);
    rig.start_again();
    assert!(lines.any(|line| line == "connected"));
    assert!(lines.any(|line| line.starts_with("frame ")));
    rig.kill();
    assert!(lines.any(|line| line == "disconnected"));
    // It waits for the next attempt, and does not spin.
    let cpu = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let fields: Vec<u64> =
            stat.rsplit(") ").next().unwrap().split(' ').filter_map(|field| field.parse().ok()).collect();
        fields[10..12].iter().sum::<u64>()
    };
    let before = cpu();
    rig.start_again();
    assert!(lines.any(|line| line == "connected"));
    assert!(lines.any(|line| line.starts_with("frame ")));
    assert!(cpu() - before < 50, "it has used {} ticks of the CPU", cpu() - before);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"no end yet\n").unwrap();
    assert!(lines.any(|line| line.starts_with("frame ")));
    drop(input);
    for _ in lines.by_ref() {}
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_daemon_is_listed_and_records() {
    let rig = Rig::start(CAMERAS);
    let path = rig.path("out.mp4");
    let said = run(under_valgrind(&rig, &example("control.c")).arg("cam0").arg(&path).arg("0.5"));
    assert!(said.contains("stream cam0: ") && said.contains("stream rgb: "), "{said}");
    let (_, recorded) = said.split_once("recorded ").unwrap();
    assert!(recorded.split(' ').next().unwrap().parse::<u32>().unwrap() > 10, "{said}");
    let codec = run(Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0", "-show_entries", "stream=codec_name"])
        .arg(&path));
    assert_eq!(codec.trim(), "h264");
}

#[test]
fn cpp_reads_in_another_thread() {
    let rig = Rig::start(CAMERAS);
    let program = example("brightness.cpp");
    let said = run(under_valgrind(&rig, &program).args(["cam0", "5"]));
    assert_eq!(said.lines().filter(|line| line.starts_with("frame ")).count(), 5, "{said}");
}

#[test]
fn throughput_is_one_line_of_json() {
    let rig = Rig::start(CAMERAS);
    let said = run(against(&rig, &example("checksum.c")).args(["large", "30", "5"]));
    let line: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((line["frames"].as_u64(), line["torn"].as_u64()), (Some(30), Some(0)), "{said}");
    assert!(line["frames_per_second"].as_f64().unwrap() > 0.0 && line["checksum"].as_u64().unwrap() > 0, "{said}");
    // Nobody is left behind.
    eventually("the client to leave", || rig.stream("large").clients.is_empty().then_some(()));
}
