// SPDX-License-Identifier: Apache-2.0
//! Wrong input: a message that helps, an exit status, and a daemon that is none the worse.

use std::path::Path;

use system_tests::bus::PrivateBus;
use system_tests::daemon::{self, Daemon, Place};
use system_tests::process::End;
use system_tests::{Rig, Witness, vsctl};

/// Exit statuses of `vsctl`, as its help lists them.
const FAILURE: i32 = 1;
const USAGE: i32 = 2;
const NO_DAEMON: i32 = 3;
const NOT_FOUND: i32 = 4;
const INCOMPLETE: i32 = 5;

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
always-on = true
buffers = 32
credits-max = 16

[stream.b]
pattern = \"bars\"

[stream.lost]
camera = \"cam9\"
";

#[test]
fn names_that_nobody_has() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let out = rig.path("out.mp4");
    let out = out.to_str().unwrap();
    let commands: [&[&str]; 5] = [
        &["start-stream", "cam7"],
        &["stop-stream", "cam7"],
        &["status", "cam7"],
        &["receive", "cam7", "--frames", "1"],
        &["record", "cam7", out, "-t", "1"],
    ];
    for command in commands {
        rig.vsctl(command).refused(NOT_FOUND, &["no stream 'cam7'", "a, b, lost"]);
        let json = rig.vsctl(&[&["--json"], command].concat());
        json.refused(NOT_FOUND, &["cam7"]);
        assert_eq!(json.json()["error"]["name"], "NoSuchStream");
    }
    for command in [&["stop-stream", "losst"][..], &["status", "losst"], &["record", "losst", out]] {
        rig.vsctl(command).refused(NOT_FOUND, &["no stream 'losst'", "did you mean 'lost'?"]);
    }
    rig.vsctl(&["stream", "/tmp/camera.vsl"]).refused(USAGE, &["'/tmp/camera.vsl' is a path", "vsctl devices"]);
    rig.vsctl(&["controls", "a"]).refused(NOT_FOUND, &["'a' is a stream", "vsctl devices --cameras"]);
    rig.vsctl(&["stop-recording", "7"]).refused(NOT_FOUND, &["no recording 7", "vsctl recordings"]);
    rig.vsctl(&["start-stream", "lost"]).refused(NOT_FOUND, &["'lost'", "camera 'cam9'", "not there"]);
    rig.vsctl(&["record", "lost", out]).refused(NOT_FOUND, &["camera 'cam9'"]);
    assert!(!Path::new(out).exists());
    rig.vsctl(&["receive", "./nowhere", "--frames", "1"]).refused(NOT_FOUND, &["nowhere"]);
    witness.all_was_well();
}

#[test]
fn what_the_source_cannot_do() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--format", "H264"], &["no test pattern in H264", "NV12"]),
        (&["--size", "8x8"], &["8x8", "too small", "16"]),
        (&["--size", "99999x240"], &["99999"]),
        (&["--rate", "5000"], &["5000", "too fast", "1000"]),
    ];
    for stream in ["a", "b"] {
        for (wish, words) in &cases {
            rig.vsctl(&[&["start-stream", stream], *wish].concat()).refused(FAILURE, words);
        }
    }
    // Neither did the running one stop, nor the idle one start.
    assert_eq!((rig.stream("a").state.as_str(), rig.stream("b").state.as_str()), ("running", "idle"));
    witness.all_was_well();
}

#[test]
fn command_lines_that_mean_nothing() {
    let rig = Rig::start(CONFIG);
    let cases: [&[&str]; 6] = [
        &["start-stream", "a", "--size", "big"],
        &["start-stream", "a", "--rate", "0"],
        &["start-stream", "a", "--format", "far too long"],
        &["receive", "a", "--frames", "0"],
        &["record", "a", "out.mp4", "-t", "soon"],
        &["recieve", "a"],
    ];
    for command in cases {
        let outcome = rig.vsctl(command);
        assert!(outcome.status == USAGE && outcome.stderr.contains("error: "), "{command:?}: {outcome}");
    }
}

#[test]
fn files_that_cannot_be_written() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let precious = rig.path("precious.mp4");
    std::fs::write(&precious, "precious").unwrap();
    let directory = rig.path("directory.mp4");
    std::fs::create_dir(&directory).unwrap();
    let cases: [(&Path, &[&str], &str); 5] = [
        (&rig.path("nowhere/out.mp4"), &[], "no directory"),
        (&precious, &[], "--force"),
        (&directory, &[], "directory.mp4"),
        (&directory, &["--force"], "directory.mp4"),
        (Path::new("/dev/full"), &["--force"], "not a regular file"),
    ];
    for (path, options, words) in cases {
        let arguments = [&["record", "a", path.to_str().unwrap(), "-t", "1"], options].concat();
        rig.vsctl(&arguments).refused(FAILURE, &[path.to_str().unwrap(), words]);
    }
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    assert!(rig.objects().recordings.is_empty());
    witness.all_was_well();
}

#[test]
fn streams_that_do_not_run() {
    let rig = Rig::start(CONFIG);
    let _ = rig.ask(&["stop-stream", "b"]);
    rig.vsctl(&["receive", "b", "--frames", "1"]).refused(FAILURE, &["'b' is stopped", "vsctl start-stream b"]);
    rig.vsctl(&["stop-stream", "b"]).refused(FAILURE, &["'b' does not run"]);
    // Frames that do not come are no failure of anybody, but less than what was asked for.
    rig.vsctl(&["receive", "a", "--frames", "1000000", "-t", "0.5"]).refused(INCOMPLETE, &["of 1000000 frames"]);
}

#[test]
fn no_daemon_and_no_bus() {
    let dir = tempfile::tempdir().unwrap();
    let bus = PrivateBus::start(dir.path());
    let out = dir.path().join("out.mp4");
    let commands: [&[&str]; 5] =
        [&["status"], &["devices"], &["start-stream", "a"], &["receive", "a"], &["record", "a", out.to_str().unwrap()]];
    for command in commands {
        vsctl::run(&bus.address, command).refused(NO_DAEMON, &["videostreamd is not running", "start it with"]);
        let nowhere = format!("unix:path={}/nothing", dir.path().display());
        vsctl::run(&nowhere, command).refused(NO_DAEMON, &["cannot connect to the", "bus", "nothing"]);
    }
    assert!(!out.exists());
}

/// Runs a daemon with this configuration, which must be refused; what it says.
fn refused_config(text: &str, check_only: bool) -> String {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("my.toml");
    std::fs::write(&config, text).unwrap();
    let mut command = daemon::bare_command();
    command.arg("--config").arg(&config);
    if check_only {
        command.arg("--check-config");
    }
    let (end, said) = daemon::run(&mut command);
    assert_eq!(end, End::Exit(USAGE), "{said}");
    let prefix = format!("videostreamd: {}:", config.display());
    said.strip_prefix(&prefix).unwrap_or_else(|| panic!("no file and line in {said}")).trim_end().to_owned()
}

#[test]
fn configurations_with_mistakes() {
    let cases = [
        ("[stream.a]\npattern = \"bars\"\nfromat = \"NV12\"\n", "3:1: unknown field 'fromat', expected one of"),
        ("[stream.a]\npatern = \"bars\"\n", "2:1: unknown field 'patern'"),
        ("[steam.a]\n", "1:2: unknown field 'steam'"),
        ("[stream.a]\npattern = \"bars\"\nbuffers = \"many\"\n", "3:11: invalid type: string \"many\""),
        ("[stream.a]\npattern = \"bars\"\nrate = -1\n", "3:8: '-1' is not a frame rate"),
        ("[stream.a]\nrate = 30\n", "1:1: stream 'a' has no source"),
        (
            "# first\n\n[stream.a]\npattern = \"bars\"\nsize = \"640\"\n",
            "5:8: '640' is not a size: write pixels as 1280x720",
        ),
        ("[stream.a]\npattern = \"bars\"\npattern = \"bars\"\n", "3:1: duplicate key"),
        ("[stream.a", "1:10: "),
    ];
    for (text, expected) in cases {
        for check_only in [true, false] {
            let said = refused_config(text, check_only);
            assert!(said.starts_with(expected), "{text}\n  gave     {said}\n  expected {expected}");
        }
    }
    let (end, said) = daemon::run(daemon::bare_command().args(["--config", "/nonexistent/my.toml"]));
    assert!(end == End::Exit(USAGE) && said.contains("/nonexistent/my.toml"), "{end:?} {said}");
    let (end, said) = daemon::run(daemon::bare_command().args(["--bus", "sesion"]));
    assert!(end == End::Exit(USAGE) && said.contains("'sesion' is not a bus"), "{end:?} {said}");
}

#[test]
fn the_configuration_that_explains_everything_is_fine() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/videostreamd.toml");
    let mut command = daemon::bare_command();
    let (end, said) = daemon::run(command.arg("--check-config").arg("--config").arg(config));
    assert_eq!((end, said.as_str()), (End::Exit(0), ""));
}

#[test]
fn a_daemon_without_a_bus_says_so() {
    let rig = Rig::start("");
    let place = Place { bus: format!("unix:path={}", rig.path("no-bus").display()), ..rig.place().clone() };
    let (end, said) = daemon::run(&mut daemon::command(&place));
    assert_eq!(end, End::Exit(FAILURE));
    assert!(said.contains("cannot connect to the unix:path=") && said.contains("--bus"), "{said}");
}

#[test]
fn a_second_daemon_on_the_same_bus_is_told_of_the_first() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let place = Place { socket_dir: rig.path("other-sockets"), ..rig.place().clone() };
    let (end, said) = daemon::run(&mut daemon::command(&place));
    assert_eq!(end, End::Exit(FAILURE));
    assert!(said.contains("another daemon has it"), "{said}");
    let _ = rig.ask(&["status"]);
    witness.passes(10);
    witness.all_was_well();
}

/// A second daemon with a bus of its own, but the same directory for its sockets.
#[test]
fn sockets_of_another_daemon_are_left_alone() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let dir = tempfile::tempdir().unwrap();
    let bus = PrivateBus::start(dir.path());
    let config = dir.path().join("second.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let place = Place { bus: bus.address.clone(), socket_dir: rig.place().socket_dir.clone(), config };
    let mut second = Daemon::start(&place);
    let words = [rig.socket("a").display().to_string(), "already served by another process".to_owned()];
    vsctl::run(&bus.address, &["start-stream", "a"]).refused(FAILURE, &[&words[0], &words[1]]);
    // A name that is free is free for both.
    let _ = rig.ask(&["stop-stream", "b"]);
    let _ = vsctl::run(&bus.address, &["start-stream", "b"]).good();
    rig.vsctl(&["start-stream", "b"]).refused(FAILURE, &["already served by another process"]);
    assert_eq!(second.terminate(), End::Exit(0));
    let _ = rig.ask(&["start-stream", "b"]);
    witness.passes(10);
    witness.all_was_well();
}

#[test]
fn a_file_in_the_place_of_a_socket_is_kept() {
    let rig = Rig::start("[stream.a]\npattern = \"bars\"\n");
    let _ = rig.ask(&["stop-stream", "a"]);
    std::fs::write(rig.socket("a"), "precious").unwrap();
    rig.vsctl(&["start-stream", "a"]).refused(FAILURE, &["exists and is not a socket"]);
    assert_eq!(std::fs::read(rig.socket("a")).unwrap(), b"precious");
}
