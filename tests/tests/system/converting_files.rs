// SPDX-License-Identifier: Apache-2.0
//! `vsctl convert`, as it is typed: from files and pipes to files and pipes, without a daemon.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::vsctl::{self, Outcome};
use system_tests::{Process, Rig, eventually, video};
use tempfile::TempDir;

/// There is nobody, and nobody is needed.
const NO_BUS: &str = "unix:path=/nonexistent/bus";

fn convert(arguments: &[&str]) -> Outcome {
    vsctl::run(NO_BUS, &[&["convert"], arguments].concat())
}

fn converted(input: &Path, output: &Path, more: &[&str]) -> Value {
    let files = [input.to_str().unwrap(), output.to_str().unwrap()];
    convert(&[&["--json"], &files[..], more].concat()).good().json()
}

/// A clip of x264 or x265 of two seconds, by the name's ending.
fn clip(folder: &TempDir, name: &str, more: &str) -> PathBuf {
    let path = folder.path().join(name);
    let coder =
        if name.ends_with("264") { "libx264 -bf 2" } else { "libx265 -x265-params log-level=none:repeat-headers=1" };
    let line = format!(
        "-nostdin -v error -f lavfi -i testsrc2=size=320x240:rate=30000/1001:d=2 -c:v {coder} -g 20 -pix_fmt yuv420p {more}"
    );
    assert!(Command::new("ffmpeg").args(line.split_whitespace()).arg(&path).status().unwrap().success());
    path
}

#[test]
fn there_and_back() {
    let folder = TempDir::new().unwrap();
    for (name, codec, said) in [("clip.h264", "h264", "H.264"), ("clip.h265", "h265", "H.265")] {
        let (bare, mp4) = (clip(&folder, name, ""), folder.path().join("clip.mp4"));
        let answer = converted(&bare, &mp4, &["--force"]);
        assert_eq!(answer["frames"], 60, "{answer}");
        assert_eq!(answer["duration_ns"].as_i64().unwrap() / 1000, 2_002_000, "{answer}");
        assert_eq!([&answer["width"], &answer["height"], &answer["codec"]], [&json!(320), &json!(240), &json!(codec)]);
        let of_file = [&answer["format"], &answer["progressive"], &answer["sets"], &answer["notes"]];
        assert_eq!(of_file, [&json!("mp4"), &json!(true), &json!("apart"), &json!([])]);
        assert_eq!(answer["bytes"], mp4.metadata().unwrap().len());
        video::decodes(&mp4);
        assert_eq!(video::probe(&mp4).frames, 60);

        let back = folder.path().join(format!("back-{name}"));
        let answer = converted(&mp4, &back, &[]);
        assert_eq!(
            [&answer["format"], &answer["frames"], &answer["duration_ns"]],
            [&json!("annexb"), &json!(60), &Value::Null]
        );
        // From now on start codes have four bytes: the same to the byte.
        let again = folder.path().join("again.mp4");
        converted(&back, &again, &["--force"]);
        let twice = folder.path().join(format!("twice-{name}"));
        let text = convert(&[again.to_str().unwrap(), twice.to_str().unwrap()]).good();
        let words = format!("{} -> {}: {said} 320x240, 60 frames, ", again.display(), twice.display());
        assert!(text.stdout.starts_with(&words) && text.stderr.is_empty(), "{text}");
        assert_eq!(std::fs::read(&twice).unwrap(), std::fs::read(&back).unwrap());
        let retimed = folder.path().join("retimed.mp4");
        let answer = converted(&bare, &retimed, &["-F", "60", "--force"]);
        assert_eq!(answer["duration_ns"], 1_000_000_000);
    }
}

/// What the daemon records, of its own encoder, while it records: it is read as it lies.
#[test]
fn a_recording() {
    let rig = Rig::start("[stream.a]\npattern = \"bars\"\nsize = \"320x240\"\nrate = 30\nalways-on = true\n");
    let file = rig.path("rec.mp4");
    assert_eq!(rig.ask(&["record", "a", file.to_str().unwrap(), "--frames", "45"])["frames"], 45);
    let (bare, mp4, back) = (rig.path("rec.h264"), rig.path("again.mp4"), rig.path("back.h264"));
    converted(&file, &bare, &[]);
    let answer = converted(&bare, &mp4, &["--rate", "30"]);
    assert_eq!(
        (answer["frames"].as_u64(), answer["duration_ns"].as_i64()),
        (Some(45), Some(1_500_000_000)),
        "{answer}"
    );
    assert_eq!(video::serials(&mp4), video::serials(&file));
    converted(&mp4, &back, &[]);
    assert_eq!(std::fs::read(&back).unwrap(), std::fs::read(&bare).unwrap());

    let bytes = std::fs::read(&mp4).unwrap();
    let cut = rig.path("cut.mp4");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    // The index of an ordinary MP4 is at its end.
    convert(&[cut.to_str().unwrap(), rig.path("whole.mp4").to_str().unwrap()]).refused(1, &["cannot convert", "moov"]);
    assert!(!rig.path("whole.mp4").exists());
}

/// `ARGUMENTS` with this file as standard input; status, standard output and standard error.
fn piped(arguments: &[&str], input: Stdio) -> (Option<i32>, Vec<u8>, String) {
    let line = [&["convert"], arguments].concat();
    let output = vsctl::command(NO_BUS, &line).stdin(input).output().unwrap();
    (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn pipes() {
    let folder = TempDir::new().unwrap();
    let bare = clip(&folder, "clip.h264", "");
    let mp4 = folder.path().join("clip.mp4");
    converted(&bare, &mp4, &[]);
    let cat = |path: &Path| {
        Stdio::from(Command::new("cat").arg(path).stdout(Stdio::piped()).spawn().unwrap().stdout.unwrap())
    };

    let (status, stream, said) = piped(&[mp4.to_str().unwrap(), "-", "--format", "annexb"], Stdio::null());
    assert!(status == Some(0) && said.contains("60 frames"), "{said}");
    let again = folder.path().join("again.mp4");
    std::fs::write(folder.path().join("piped.h264"), &stream).unwrap();
    let (status, _, said) = piped(&["-", again.to_str().unwrap()], cat(&folder.path().join("piped.h264")));
    assert!(status == Some(0) && said.contains("avc3"), "{said}");
    video::decodes(&again);

    let (status, fragmented, said) = piped(&["-", "-", "--format", "mp4", "-q"], cat(&bare));
    assert_eq!((status, said.as_str()), (Some(0), ""));
    let file = folder.path().join("fragmented.mp4");
    std::fs::write(&file, &fragmented).unwrap();
    video::decodes(&file);
    assert_eq!(video::probe(&file).frames, 60);

    // A file at standard input is one.
    let (status, ..) = piped(&["-", "-", "--format", "annexb", "-q"], File::open(&mp4).unwrap().into());
    assert_eq!(status, Some(0));
    let (status, _, said) = piped(&["-", "-", "--format", "annexb"], cat(&mp4));
    assert!(status == Some(1) && said.contains("cannot be read from a pipe"), "{said}");
    let (status, ..) = piped(&["--json", mp4.to_str().unwrap(), "-", "--format", "annexb"], Stdio::null());
    assert_eq!(status, Some(2));
}

#[test]
fn what_cannot_be_is_said() {
    let folder = TempDir::new().unwrap();
    let bare = clip(&folder, "clip.h265", "-x265-params log-level=none:repeat-headers=1:vui-timing-info=0");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (bare, mp4) = (bare.to_str().unwrap(), path("clip.mp4"));
    convert(&[bare, &mp4]).refused(1, &["cannot convert", "clip.h265", "--rate 25"]);
    assert!(!Path::new(&mp4).exists(), "a file without frames was left");
    convert(&[bare, &path("clip.mkv")]).refused(2, &["clip.mkv", "--format"]);
    convert(&[&path("nothing.h264"), &mp4]).refused(4, &["there is no file"]);
    convert(&[bare, "/nonexistent/out.mp4", "-r", "25"]).refused(1, &["there is no directory /nonexistent"]);
    convert(&[bare, &path("other.h265")]).refused(1, &["a bare stream already"]);
    assert_eq!(convert(&[bare, &mp4, "--rate", "640x480"]).status, 2);
    assert_eq!(convert(&[bare, &mp4, "--codec", "vp9"]).status, 2);

    converted(Path::new(bare), Path::new(&mp4), &["--rate", "25"]);
    convert(&[bare, &mp4, "-r", "25"]).refused(1, &["exists already", "--force"]);
    convert(&[&mp4, &path("out.h264")]).refused(1, &["the video is H.265"]);
    convert(&[&mp4, &path("out.h265"), "-r", "25"]).refused(2, &["carries no times", "leave out --rate"]);
    // What is replaced stays until there is something better.
    let before = std::fs::read(&mp4).unwrap();
    convert(&[bare, &mp4, "--force"]).refused(1, &["--rate"]);
    assert_eq!(std::fs::read(&mp4).unwrap(), before);
    let error = convert(&["--json", bare, &mp4, "--force"]).json();
    assert_eq!(error["error"]["name"], "Failed");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "something was left");
}

#[test]
fn ctrl_c_removes_what_is_unfinished() {
    /// Long enough for a signal to come before its end.
    const COPIES: usize = 2000;
    let folder = TempDir::new().unwrap();
    let stream = std::fs::read(clip(&folder, "clip.h264", "-b:v 1M")).unwrap();
    let (long, out) = (folder.path().join("long.h264"), folder.path().join("out.mp4"));
    let mut file = File::create(&long).unwrap();
    (0..COPIES).for_each(|_| file.write_all(&stream).unwrap());
    let line = ["convert", long.to_str().unwrap(), out.to_str().unwrap()];
    let mut process = Process::start("vsctl", &mut vsctl::command(NO_BUS, &line));
    eventually("the file to grow", || out.metadata().is_ok_and(|file| file.len() > 0).then_some(()));
    process.signal(Signal::INT);
    Outcome::of(&mut process).refused(5, &["interrupted after", "the output is removed"]);
    assert!(!out.exists());
}

#[test]
fn ctrl_c_ends_what_comes_through_a_pipe() {
    let folder = TempDir::new().unwrap();
    let stream = std::fs::read(clip(&folder, "clip.h264", "")).unwrap();
    let (fifo, out) = (folder.path().join("fifo"), folder.path().join("out.mp4"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut camera = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let line = ["convert", fifo.to_str().unwrap(), out.to_str().unwrap()];
    let mut process = Process::start("vsctl", &mut vsctl::command(NO_BUS, &line));
    camera.write_all(&stream).unwrap();
    eventually("all to be read", || (rustix::io::ioctl_fionread(&camera).unwrap() == 0).then_some(()));
    process.signal(Signal::INT);
    let outcome = Outcome::of(&mut process).good();
    assert!(outcome.stdout.contains("60 frames"), "{outcome}");
    video::decodes(&out);
}
