// SPDX-License-Identifier: Apache-2.0
//! Streams start, change and stop, and those who look on are told.

use futures_util::StreamExt;
use serde_json::json;
use system_tests::client::{Checker, builder, next};
use system_tests::peer::LastWords;
use system_tests::{PATIENCE, Peer, Rig, Witness};
use vs_ipc::wire::{GoodbyeReason, Mode};
use vs_pattern::Pattern;
use vsclient::dbus::{StartOptions, StopOptions};
use vsclient::{Backoff, Client, Event, Rate};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 60
";

#[test]
fn a_stream_starts_stops_and_starts_again() {
    let rig = Rig::start(CONFIG);
    let status = rig.ask(&["status", "a"]);
    let stream = &status["streams"][0];
    assert_eq!((&stream["state"], &stream["socket"]), (&json!("idle"), &json!(rig.socket("a"))), "{status:#}");

    for _ in 0..2 {
        let stream = &rig.ask(&["start-stream", "a"])["stream"];
        let format = &stream["format"];
        assert_eq!((&stream["name"], &stream["state"]), (&json!("a"), &json!("running")), "{stream:#}");
        assert_eq!(
            (&format["fourcc"], &format["width"], &format["height"]),
            (&json!("NV12"), &json!(320), &json!(240))
        );
        assert_eq!(stream["socket"], json!(rig.socket("a")));
        assert_eq!(rig.ask(&["receive", "a", "--frames", "5", "--verify"])["verify"]["good"], json!(5));

        assert_eq!(rig.ask(&["stop-stream", "a"]), json!({ "stream": "a", "state": "stopped" }));
        assert!(!rig.socket("a").exists());
        assert_eq!(rig.stream("a").state, "stopped");
        rig.vsctl(&["stop-stream", "a"]).refused(1, &["'a' does not run", "vsctl start-stream a"]);
    }
}

#[test]
fn wishes_are_granted_and_stay_until_the_stream_stops() {
    let rig = Rig::start(CONFIG);
    let shape = |arguments: &[&str]| {
        let answer = rig.ask(&[&["start-stream", "a"], arguments].concat());
        let format = &answer["stream"]["format"];
        let rate = (format["rate"]["frames"].as_u64().unwrap(), format["rate"]["seconds"].as_u64().unwrap());
        (format["fourcc"].as_str().unwrap().to_owned(), format["width"].as_u64().unwrap(), rate)
    };
    let wishes = ["--format", "YUYV", "--size", "176x144", "-r", "29.97"];
    assert_eq!(shape(&wishes), ("YUYV".to_owned(), 176, (2997, 100)));
    assert_eq!(shape(&["-r", "50"]), ("YUYV".to_owned(), 176, (50, 1)));
    assert_eq!(shape(&["--format", "BGRx"]), ("XR24".to_owned(), 176, (50, 1)));
    assert_eq!(shape(&["--format", "I420"]), ("YU12".to_owned(), 176, (50, 1)));
    let _ = rig.ask(&["stop-stream", "a"]);
    assert_eq!(shape(&[]), ("NV12".to_owned(), 320, (60, 1)));
}

#[test]
fn a_running_stream_that_is_started_goes_on_as_it_was() {
    let rig = Rig::start(&format!("{CONFIG}always-on = true\n"));
    let witness = Witness::start(&rig.socket("a"));
    for arguments in [&["start-stream", "a"][..], &["start-stream", "a", "--size", "320x240", "-r", "60"]] {
        let _ = rig.ask(arguments);
        witness.passes(10);
    }
    witness.all_was_well();
    assert_eq!(rig.stream("a").counters.goodbyes.len(), 0);
}

/// All formats there are, while a client stays connected, and keeps a frame of each.
#[test]
fn clients_stay_through_changes_of_format() {
    let rig = Rig::start(&format!(
        "{CONFIG}always-on = true\nbuffers = 32\ncredits-max = 16\nlease = \"1min\"\nlease-max = \"1min\"\n"
    ));
    let mut client = builder(&rig.socket("a")).credits(4).connect().unwrap();
    let mut checker = Checker::default();
    let mut kept = next(&mut client);

    let sizes = [(64, 48), (322, 242), (128, 96)];
    for (fourcc, size) in Pattern::formats().zip(sizes.into_iter().cycle()) {
        let options = StartOptions {
            format: Some(fourcc.to_string()),
            size: Some(size),
            rate: Some((90, 1)),
            ..Default::default()
        };
        rig.wait(async { rig.control().manager().await.unwrap().start_stream("a", &options).await.unwrap() });
        let format = loop {
            match client.next_event(PATIENCE).unwrap().expect("no format comes") {
                Event::Format(format) => break format,
                Event::Frame(_) | Event::State(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((format.fourcc, (format.width, format.height), format.rate), (fourcc, size, Rate::fps(90)));
        for _ in 0..3 {
            let frame = next(&mut client);
            assert_eq!(frame.format(), &format);
            checker.check(&frame).unwrap_or_else(|error| panic!("{fourcc}: {error}"));
        }
        // Still as it was, in its own format.
        Checker::default().check(&kept).unwrap();
        kept = next(&mut client);
    }
    assert_eq!(client.counters().connections, 1);
}

#[test]
fn clients_are_told_that_a_stream_stops() {
    let rig = Rig::start(&format!("{CONFIG}always-on = true\n"));
    let modes = [Mode::Leased, Mode::Notify];
    let peers = modes.map(|mode| Peer::greet(&rig.socket("a"), "peer", mode).listen());
    let _ = rig.ask(&["stop-stream", "a"]);
    for peer in peers {
        let told = LastWords::of_a_stop(GoodbyeReason::StreamRemoved, "the stream was stopped");
        assert_eq!(peer.join().unwrap(), told);
    }
}

/// A stream that was stopped and started counts its frames anew, and says so: whoever comes
/// back must not take them for those that it has seen.
#[test]
fn a_client_that_comes_back_to_a_restarted_stream_gets_its_first_frames() {
    let rig = Rig::start(&format!("{CONFIG}always-on = true\n"));
    let mut client =
        Client::builder(rig.socket("a").to_str().unwrap()).reconnect(Backoff::default()).connect().unwrap();
    std::iter::repeat_with(|| next(&mut client).serial()).find(|serial| *serial > 100).unwrap();
    let before = client.counters();
    let _ = rig.ask(&["stop-stream", "a"]);
    let _ = rig.ask(&["start-stream", "a"]);
    loop {
        if let Event::Connected { epoch_changed, .. } = client.next_event(PATIENCE).unwrap().expect("nothing comes") {
            assert!(epoch_changed, "serials begin anew");
            break;
        }
    }
    assert_eq!(next(&mut client).skipped().total(), 0);
    assert_eq!((client.counters().connections, client.counters().lost), (2, before.lost));
}

#[test]
fn changes_are_told_on_the_bus() {
    let rig = Rig::start(CONFIG);
    rig.wait(async {
        let stream = rig.control().stream("a").await.unwrap();
        let mut states = stream.receive_state_changed().await;
        let mut formats = stream.receive_format_changed().await;
        let mut sockets = stream.receive_socket_changed().await;
        // The first value of each is what it was when it was asked for.
        assert_eq!(states.next().await.unwrap().get().await.unwrap(), "idle");
        assert_eq!(formats.next().await.unwrap().get().await.unwrap().fourcc, "");
        assert_eq!(sockets.next().await.unwrap().get().await.unwrap(), rig.socket("a").to_str().unwrap());

        let manager = rig.control().manager().await.unwrap();
        manager.stop_stream("a", &StopOptions::default()).await.unwrap();
        let told = async {
            while states.next().await.unwrap().get().await.unwrap() != "stopped" {}
            while !sockets.next().await.unwrap().get().await.unwrap().is_empty() {}
        };
        tokio::time::timeout(PATIENCE, told).await.expect("no signal tells that the stream has stopped");
        manager.start_stream("a", &StartOptions::default()).await.unwrap();
        let told = async {
            while states.next().await.unwrap().get().await.unwrap() != "running" {}
            while formats.next().await.unwrap().get().await.unwrap().fourcc != "NV12" {}
            while sockets.next().await.unwrap().get().await.unwrap() != rig.socket("a").to_str().unwrap() {}
        };
        tokio::time::timeout(PATIENCE, told).await.expect("no signal tells that the stream runs");
    });
}
