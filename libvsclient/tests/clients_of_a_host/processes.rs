// SPDX-License-Identifier: Apache-2.0
//! Clients that are processes of their own: this test program, started again for one test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use vsclient::{Client, Event, Mode};

use crate::stage::{Stage, TIMEOUT, value};

const SOCKET: &str = "VSCLIENT_TEST_SOCKET";

/// Starts the client of `test` in a process of its own.
fn start(test: &str, stage: &Stage) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", test])
        .env(SOCKET, stage.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = output.map_while(Result::ok).filter_map(|line| Some(line.split_once("SAID ")?.1.to_owned()));
    (child, said)
}

fn say(text: impl std::fmt::Display) {
    println!("\nSAID {text}");
}

/// The socket, if this is the process of the client.
fn socket() -> Option<String> {
    std::env::var(SOCKET).ok()
}

#[test]
fn leased_frames_reach_another_process() {
    frames_reach("processes::leased_frames_reach_another_process", Mode::Leased);
}

#[test]
fn announced_frames_reach_another_process() {
    frames_reach("processes::announced_frames_reach_another_process", Mode::Notify);
}

fn frames_reach(test: &str, mode: Mode) {
    if let Some(socket) = socket() {
        let mut client = Client::builder(&socket).mode(mode).connect().unwrap();
        say("ready");
        let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
        assert_eq!(frame.is_leased(), mode == Mode::Leased);
        return say(value(&frame));
    }
    let stage = Stage::new();
    let (mut child, mut said) = start(test, &stage);
    assert_eq!(said.next().unwrap(), "ready");
    stage.publish(11);
    assert_eq!(said.next().unwrap(), "11");
    assert!(child.wait().unwrap().success());
}

#[test]
fn frames_of_a_killed_client_are_back_at_once() {
    if let Some(socket) = socket() {
        let mut client = Client::builder(&socket).credits(3).connect().unwrap();
        say("ready");
        let _held: Vec<_> = (0..3).map(|_| client.next_frame(TIMEOUT).unwrap().unwrap()).collect();
        say("holding");
        std::thread::sleep(TIMEOUT);
        return;
    }
    // A lease that is far longer than the test: only the death of the client can end it.
    let stage = Stage::with(|options| options.lease_ns = 1 << 40);
    let (mut child, mut said) = start("processes::frames_of_a_killed_client_are_back_at_once", &stage);
    assert_eq!(said.next().unwrap(), "ready");
    stage.publish_all(1..=3);
    assert_eq!(said.next().unwrap(), "holding");
    assert_eq!(stage.run(|host, _| host.snapshot().clients[0].held), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    // Only the newest is kept, for whoever comes.
    stage.until(|host| host.clients.is_empty() && host.frames_live <= 1);
}

#[test]
fn a_stopped_client_is_alone_with_its_losses() {
    if let Some(socket) = socket() {
        let mut client = Client::builder(&socket).mode(Mode::Notify).connect().unwrap();
        say("ready");
        let first = client.next_frame(TIMEOUT).unwrap().unwrap();
        say(first.serial());
        // Stopped here, and some 500 frames later continued.
        let mut last = first;
        while last.serial() < 500 {
            last = client.next_frame(TIMEOUT).unwrap().unwrap();
        }
        say(format!("{} {}", client.counters().lost, client.counters().skipped_total()));
        return;
    }
    let stage = Stage::new();
    let (mut child, mut said) = start("processes::a_stopped_client_is_alone_with_its_losses", &stage);
    let pid = rustix::process::Pid::from_child(&child);
    let mut other = stage.client().connect().unwrap();
    assert_eq!(said.next().unwrap(), "ready");
    stage.publish(0);
    assert_eq!(said.next().unwrap(), "1");
    assert!(other.next_frame(TIMEOUT).unwrap().is_some());
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    for round in 2..=500u64 {
        // What was announced to the stopped one before its socket was full is promised to
        // it for its lifespan, like to any other reader.
        stage.until(|host| host.frames_live < 6);
        stage.publish(round as u8);
        assert_eq!(other.next_frame(TIMEOUT).unwrap().unwrap().serial(), round);
    }
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    let report = said.next().unwrap();
    let (lost, skipped) = report.split_once(' ').unwrap();
    assert!(lost == skipped && lost.parse::<u64>().unwrap() > 300, "{report}");
    assert!(child.wait().unwrap().success());
    assert_eq!((other.counters().received, other.counters().lost), (500, 0));
}

/// The page `docs/protocol.md` is enough to write a client: this one was written from it.
#[test]
fn a_stranger_speaks_the_protocol() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/minimal.py");
    for mode in ["leased", "notify"] {
        let stage = Stage::new();
        let child = Command::new("python3")
            .arg(&script)
            .args([stage.path().to_str().unwrap(), "--frames", "5", "--mode", mode, "--name", "stranger"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("cannot run python3: install it");
        stage.until(|host| host.clients.iter().any(|client| client.name == "stranger"));
        let mut own = stage.client().connect().unwrap();
        for round in 1..=5 {
            stage.publish(round);
            let serial = own.next_frame(TIMEOUT).unwrap().unwrap().serial();
            // The stranger has had its turn when it has got the frame and given it back.
            stage.until(move |host| {
                let stranger = host.clients.iter().find(|client| client.name == "stranger");
                stranger.is_none_or(|stranger| stranger.delivered >= serial && stranger.held == 0)
            });
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("frame ")).collect();
        for (line, number) in lines.iter().zip(1..) {
            assert!(
                line.starts_with(&format!("frame {number} ")) && line.ends_with(&format!(" mean {number}.00")),
                "{line}"
            );
        }
        assert_eq!(lines.len(), 5);
    }
}

#[test]
fn a_second_life_of_the_host_is_another_epoch() {
    if let Some(socket) = socket() {
        let mut client = Client::connect(&socket).unwrap();
        say("ready");
        let mut epochs = 0;
        while epochs < 2 {
            if let Some(Event::Connected { session, .. }) = client.next_event(TIMEOUT).unwrap() {
                say(session.epoch);
                epochs += 1;
            }
        }
        return;
    }
    let stage = Stage::with(|options| options.epoch = 5);
    let dir = stage.dir.clone();
    let (mut child, mut said) = start("processes::a_second_life_of_the_host_is_another_epoch", &stage);
    assert_eq!([said.next().unwrap(), said.next().unwrap()], ["ready", "5"]);
    drop(stage);
    let _stage = Stage::at(dir, |options| options.epoch = 6);
    assert_eq!(said.next().unwrap(), "6");
    assert!(child.wait().unwrap().success());
}
