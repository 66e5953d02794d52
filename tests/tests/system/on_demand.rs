// SPDX-License-Identifier: Apache-2.0
//! A stream that nobody has started is there for whoever comes, and its source is open only as
//! long as somebody uses it.

use std::time::Duration;

use serde_json::json;
use system_tests::client::{Checker, builder, next};
use system_tests::{PATIENCE, Rig, eventually};
use vs_ipc::vsl::client::Connection;
use vsclient::{Mode, StreamState};

const CONFIG: &str = "\
[defaults]
linger = \"200ms\"
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
";

/// Waits until a stream is as it should be.
fn until(rig: &Rig, stream: &str, state: &str) {
    eventually(&format!("{stream} to be {state}"), || (rig.stream(stream).state == state).then_some(()));
}

#[test]
fn the_first_client_opens_it_and_the_last_one_closes_it() {
    let rig = Rig::start(CONFIG);
    assert_eq!(rig.stream("a").state, "idle");
    let mut epochs = Vec::new();
    let mut last_serial = 0;
    for mode in [Mode::Leased, Mode::Notify, Mode::Leased] {
        let mut first = builder(&rig.socket("a")).mode(mode).connect().unwrap();
        let mut second = builder(&rig.socket("a")).connect().unwrap();
        let frame = next(&mut first);
        Checker::default().check(&frame).unwrap();
        assert!(frame.serial() > last_serial, "serials begin anew");
        last_serial = next(&mut second).serial();
        assert_eq!((first.state().state, rig.stream("a").state.as_str()), (StreamState::Running, "running"));
        epochs.push(first.session().map(|session| session.epoch));
        drop((frame, first));
        // One is left: it goes on.
        for _ in 0..20 {
            last_serial = next(&mut second).serial();
        }
        drop(second);
        until(&rig, "a", "idle");
    }
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    let status = rig.ask(&["status", "a"]);
    let captured = status["streams"][0]["source_counters"]["captured"].as_u64().unwrap();
    assert!(captured >= last_serial, "what was counted is lost: {status:#}");
}

#[test]
fn a_client_that_is_back_in_time_finds_it_open() {
    let rig = Rig::start(&CONFIG.replace("200ms", "1min"));
    let mut client = builder(&rig.socket("a")).connect().unwrap();
    let _ = next(&mut client);
    drop(client);
    eventually("the client to be gone", || rig.stream("a").clients.is_empty().then_some(()));
    assert_eq!(rig.stream("a").state, "running");
}

#[test]
fn recordings_and_clients_of_libvideostream_are_users_too() {
    let dir = tempfile::tempdir().unwrap();
    let vsl = dir.path().join("a.vsl");
    let rig = Rig::start(&format!("{CONFIG}vsl = \"{}\"\n", vsl.display()));
    let out = rig.path("out.mp4");
    let recorded = rig.ask(&["record", "a", out.to_str().unwrap(), "--frames", "10"]);
    assert_eq!(recorded["frames"], json!(10), "{recorded:#}");
    until(&rig, "a", "idle");

    let mut client = Connection::connect(&vsl, 2, PATIENCE).unwrap();
    assert!(matches!(client.wait(Some(PATIENCE)), Ok(Some(_))));
    drop(client);
    until(&rig, "a", "idle");
}

#[test]
fn what_was_started_is_held_and_what_was_stopped_stays_so() {
    let rig = Rig::start(&format!("{CONFIG}[stream.b]\npattern = \"bars\"\nsize = \"320x240\"\nrate = 60\n"));
    let _ = rig.ask(&["start-stream", "a", "--size", "176x144"]);
    for stream in ["a", "b"] {
        assert_eq!(rig.ask(&["receive", stream, "--frames", "3"])["frames"], json!(3));
    }
    // That the one is closed shows that the time has come for both.
    until(&rig, "b", "idle");
    assert_eq!(rig.stream("a").state, "running");

    let _ = rig.ask(&["stop-stream", "a"]);
    assert!(builder(&rig.socket("a")).connect().is_err());
    // Neither does a start that fails bring it back, when the daemon looks again at what it offers.
    rig.vsctl(&["start-stream", "a", "--size", "8x8"]).refused(1, &["too small"]);
    assert_eq!(rig.ask(&["receive", "b", "--frames", "1"])["frames"], json!(1));
    until(&rig, "b", "idle");
    assert_eq!(rig.stream("a").state, "stopped");
    let _ = rig.vsctl(&["record", "a", rig.path("o.mp4").to_str().unwrap(), "--frames", "1"]).good();
}

#[test]
fn a_start_that_fails_leaves_it_to_its_users() {
    let rig = Rig::start(CONFIG);
    rig.vsctl(&["start-stream", "a", "--size", "8x8"]).refused(1, &["too small"]);
    assert_eq!(rig.stream("a").state, "idle");
    let mut client = builder(&rig.socket("a")).connect().unwrap();
    Checker::default().check(&next(&mut client)).unwrap();
    // Started while it is used: it is held from then on, and no frame is lost.
    let before = next(&mut client).serial();
    let _ = rig.ask(&["start-stream", "a"]);
    assert_eq!(next(&mut client).skipped().total(), 0);
    assert!(next(&mut client).serial() > before);
}

#[test]
fn clients_that_come_and_go_leave_nothing_open() {
    let rig = Rig::start(&CONFIG.replace("200ms", "1ms"));
    let open = || std::fs::read_dir(format!("/proc/{}/fd", rig.daemon().process.pid())).unwrap().count();
    let use_it = || {
        let mut client = builder(&rig.socket("a")).connect().unwrap();
        let frame = client.next_frame(PATIENCE).unwrap().expect("no frame comes");
        drop((frame, client));
        until(&rig, "a", "idle");
    };
    use_it();
    let before = eventually("descriptors to be still", || {
        let first = open();
        std::thread::sleep(Duration::from_millis(50));
        (open() == first).then_some(first)
    });
    (0..20).for_each(|_| use_it());
    eventually("no more descriptors than before", || (open() <= before).then_some(()));
}
