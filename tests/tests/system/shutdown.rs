// SPDX-License-Identifier: Apache-2.0
//! The daemon ends, is killed, and comes back.

use std::os::unix::fs::FileTypeExt;

use rustix::process::Signal;
use system_tests::client::{Checker, builder, next};
use system_tests::peer::LastWords;
use system_tests::process::End;
use system_tests::{PATIENCE, Peer, Rig};
use vs_ipc::wire::{GoodbyeReason, Mode};
use vsclient::{Backoff, Client, Event};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 60
always-on = true

[stream.b]
pattern = \"bars\"
size = \"320x240\"
always-on = true

[stream.c]
pattern = \"bars\"
";

#[test]
fn a_daemon_that_ends_says_farewell_and_clears_up() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut rig = Rig::start(CONFIG);
        // Connections are taken in turn: when the others are greeted, this one is known.
        let silent = Peer::connect(&rig.socket("a"));
        let peers = [("a", Mode::Leased), ("a", Mode::Notify), ("b", Mode::Leased)]
            .map(|(stream, mode)| Peer::greet(&rig.socket(stream), "peer", mode).listen());
        rig.daemon().process.signal(signal);
        rig.daemon().notified("STOPPING=1");
        for peer in peers {
            let told = LastWords::of_a_stop(GoodbyeReason::Shutdown, "the daemon shuts down");
            assert_eq!(peer.join().unwrap(), told);
        }
        assert_eq!(silent.farewell().reason, GoodbyeReason::Shutdown);
        assert_eq!(rig.end(), End::Exit(0));
        assert_eq!(std::fs::read_dir(&rig.place().socket_dir).unwrap().count(), 0);
    }
}

/// A signal while clients, commands and recordings want something of it.
#[test]
fn a_busy_daemon_ends_cleanly() {
    let mut rig = Rig::start(CONFIG);
    let file = rig.path("out.mp4");
    let mut receive = rig.vsctl_beside(&["receive", "a"]);
    let mut record = rig.vsctl_beside(&["record", "b", file.to_str().unwrap()]);
    system_tests::eventually("a recording", || (!rig.objects().recordings.is_empty()).then_some(()));
    rig.client_that("a", "vsctl receive", |client| client.delivered > 10);
    assert_eq!(rig.terminate(), End::Exit(0));
    assert_eq!(receive.wait(), End::Exit(1), "{}", receive.stderr);
    assert!(receive.stderr.to_string().contains("the daemon shuts down"), "{}", receive.stderr);
    assert_eq!(record.wait(), End::Exit(0), "{}", record.stderr);
}

#[test]
fn what_a_killed_daemon_left_behind_is_replaced() {
    let mut rig = Rig::start(CONFIG);
    rig.kill();
    let left = std::fs::symlink_metadata(rig.socket("a")).unwrap();
    assert!(left.file_type().is_socket());
    rig.start_again();
    let mut client = builder(&rig.socket("a")).connect().unwrap();
    let frame = next(&mut client);
    Checker::default().check(&frame).unwrap();
    assert_eq!(rig.terminate(), End::Exit(0));
    assert_eq!(std::fs::read_dir(&rig.place().socket_dir).unwrap().count(), 0);
}

#[test]
fn clients_of_the_library_outlive_the_daemon() {
    let mut rig = Rig::start(CONFIG);
    for kill in [false, true] {
        let socket = rig.socket("a");
        let mut client = Client::builder(socket.to_str().unwrap()).reconnect(Backoff::default()).connect().unwrap();
        let mut checker = Checker::default();
        let before = std::iter::repeat_with(|| next(&mut client)).find(|frame| frame.serial() > 30).unwrap();
        checker.check(&before).unwrap();
        if kill {
            rig.kill();
        } else {
            assert_eq!(rig.terminate(), End::Exit(0));
        }
        // Told, and the frame in hand is no longer ours.
        while !matches!(client.next_event(PATIENCE).unwrap().unwrap(), Event::Disconnected { .. }) {}
        assert!(checker.check(&before).is_err());
        rig.start_again();
        loop {
            if let Event::Connected { epoch_changed, .. } = client.next_event(PATIENCE).unwrap().unwrap() {
                assert!(epoch_changed);
                break;
            }
        }
        for _ in 0..10 {
            checker.check(&next(&mut client)).unwrap();
        }
        assert_eq!(client.counters().connections, 2);
    }
}

/// Nothing but what the directory is for: no left-overs of starting and stopping.
#[test]
fn streams_come_and_go_without_a_trace() {
    let rig = Rig::start(CONFIG);
    let (files, threads) = (rig.daemon().open_files().len(), rig.daemon().threads().len());
    for _ in 0..10 {
        let _ = rig.ask(&["start-stream", "c"]);
        let _ = next(&mut builder(&rig.socket("c")).connect().unwrap());
        let _ = rig.ask(&["stop-stream", "c"]);
    }
    let names: Vec<_> = std::fs::read_dir(&rig.place().socket_dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    system_tests::eventually("the daemon to be as before", || {
        let now = (rig.daemon().open_files().len(), rig.daemon().threads().len());
        (now.0 <= files && now.1 <= threads).then_some(())
    });
}
