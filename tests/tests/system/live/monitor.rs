// SPDX-License-Identifier: Apache-2.0
//! `vsctl monitor`: what happens is told once, in order, also of the next daemon.

use rustix::process::Signal;
use serde_json::Value;
use system_tests::process::End;
use system_tests::{Process, Rig};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30

[stream.b]
pattern = \"bars\"
size = \"320x240\"
rate = 30
";

fn monitor(rig: &Rig, arguments: &[&str]) -> Process {
    let monitor = rig.vsctl_beside(&[&["monitor"], arguments].concat());
    monitor.stderr.until("that it listens", |line| line.contains("listening"));
    monitor
}

/// Waits for an event of this name for which `is` holds.
fn event(monitor: &Process, name: &str, is: impl Fn(&Value) -> bool) -> Value {
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let line = monitor.stdout.until(name, |line| {
        let event = parse(line);
        event["event"] == name && is(&event)
    });
    parse(&line)
}

#[test]
fn events_are_told_as_they_happen() {
    let mut rig = Rig::start(CONFIG);
    let mut monitor = monitor(&rig, &["--json", "-i", "0.2"]);
    let state = |stream: &'static str, state: &'static str| {
        move |event: &Value| event["stream"] == stream && event["state"] == state
    };

    let _ = rig.vsctl(&["start-stream", "a"]).good();
    let started = event(&monitor, "stream-state", state("a", "running"));
    assert_eq!(started["before"], "idle");
    assert!(started["wall_ns"].as_u64() > Some(1_600_000_000_000_000_000), "{started}");
    let format = event(&monitor, "stream-format", |event| event["stream"] == "a");
    assert_eq!((&format["width"], &format["height"], &format["rate"]["fps"]), (&320.into(), &240.into(), &30.0.into()));

    let mut reader = rig.vsctl_beside(&["receive", "a"]);
    let pid = reader.pid();
    let came = event(&monitor, "client-connected", |event| event["pid"] == pid);
    assert_eq!((&came["stream"], &came["name"]), (&"a".into(), &"vsctl receive".into()));
    reader.signal(Signal::INT);
    assert_eq!(reader.wait(), End::Exit(0));
    let left = event(&monitor, "client-left", |event| event["pid"] == pid);
    assert!(left["reason"].is_null() && left["delivered"].as_u64() > Some(0), "{left}");

    let file = rig.path("out.mp4");
    let _ = rig.vsctl(&["record", "a", file.to_str().unwrap(), "-t", "0.5"]).good();
    let recording = event(&monitor, "recording-started", |_| true)["recording"].clone();
    let whole = event(&monitor, "recording-file", |event| event["recording"] == recording);
    assert!(whole["file"].as_str().unwrap().ends_with("out.mp4") && whole["frames"].as_u64() > Some(0), "{whole}");
    let ended = event(&monitor, "recording-ended", |event| event["recording"] == recording);
    assert_eq!((&ended["stream"], &ended["state"]), (&"a".into(), &"finished".into()));

    let _ = rig.vsctl(&["stop-stream", "a"]).good();
    let stopped = event(&monitor, "stream-state", state("a", "stopped"));
    assert!(stopped["text"].is_string(), "{stopped}");

    rig.kill();
    event(&monitor, "daemon-gone", |_| true);
    rig.start_again();
    event(&monitor, "daemon-appeared", |event| event["version"].is_string());
    event(&monitor, "stream-added", |event| event["stream"] == "b");
    let _ = rig.vsctl(&["start-stream", "b"]).good();
    event(&monitor, "stream-state", state("b", "running"));

    monitor.signal(Signal::INT);
    assert_eq!(monitor.wait(), End::Exit(0));
    let told: Vec<Value> = monitor.stdout.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times = |is: &dyn Fn(&Value) -> bool| told.iter().filter(|event| is(event)).count();
    assert_eq!(times(&|event| event["event"] == "stream-state" && state("a", "running")(event)), 1, "{told:#?}");
    assert_eq!(times(&|event| event["pid"] == pid), 2, "{told:#?}");
}

#[test]
fn people_read_lines_about_what_they_asked_for() {
    let rig = Rig::start(CONFIG);
    let mut monitor = monitor(&rig, &["b", "-n", "2"]);
    let _ = rig.vsctl(&["start-stream", "a"]).good();
    let _ = rig.vsctl(&["start-stream", "b"]).good();
    assert_eq!(monitor.wait(), End::Exit(0));
    let lines = monitor.stdout.lines();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.split_whitespace().nth(1) == Some("b")), "{lines:?}");
    let told = |words: &str| lines.iter().any(|line| line.ends_with(words));
    assert!(told("  running") && told("  format NV12 320x240, 30 fps"), "{lines:?}");
    // The time of day, to the millisecond.
    assert!(
        lines[0].as_bytes().iter().take(12).zip(b"00:00:00.000").all(|(a, b)| a.is_ascii_digit() == b.is_ascii_digit())
    );
}

#[test]
fn a_client_that_is_too_slow_is_told_of_when_it_begins_and_when_it_ends() {
    let rig = Rig::start(CONFIG);
    let monitor = monitor(&rig, &["--json", "-i", "0.2"]);
    let mut reader = rig.vsctl_beside(&["receive", "a", "--credits", "1"]);
    rig.client_that("a", "vsctl receive", |client| client.delivered > 0);
    reader.signal(Signal::STOP);
    let began = event(&monitor, "trouble-began", |event| event["client"] == "vsctl receive");
    assert!(began["counter"] == "skipped" && began["count"].as_u64() > Some(0), "{began}");
    let _ = reader.kill();
    let over = event(&monitor, "trouble-over", |event| event["reason"] == began["reason"]);
    assert!(over["count"].as_u64() >= began["count"].as_u64(), "{over}");
}
