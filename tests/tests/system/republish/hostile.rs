// SPDX-License-Identifier: Apache-2.0
//! Hosts that lie: the daemon leaves them, says why, and takes over the next honest one. Its
//! other streams do not notice.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::MemfdFlags;
use serde_json::json;
use system_tests::client::next;
use system_tests::{Rig, Witness, eventually};
use vsclient::StreamState;

use super::ancestor::{Ancestor, LOCK, Peer, Picture, put, put32};
use super::stage::{Stage, check, until_event, until_state};

type Lie = fn(&Peer, &Picture);

/// What a host does, and what `vsctl status` says of it.
const LIES: &[(&str, Lie, &str)] = &[
    ("short", |peer, picture| peer.say(&picture.event(1)[..7], &[picture.memory()]), "7 bytes"),
    ("long", |peer, _| peer.say(&[0; 20_000], &[]), "longer than any"),
    ("bare", |peer, picture| peer.say(&picture.event(1), &[]), "0 descriptors"),
    ("many", |peer, picture| peer.say(&picture.event(1), &[picture.memory(); 3]), "3 descriptors"),
    ("negative", |peer, picture| changed(peer, picture, 8, -1), "impossible serial"),
    ("huge", |peer, picture| changed(peer, picture, 80, 1 << 60), "does not fit"),
    ("beyond", |peer, picture| changed(peer, picture, 88, i64::MAX), "does not fit"),
    ("wide", |peer, picture| changed(peer, picture, 64, i64::from(i32::MAX)), "size"),
    ("coded", |peer, picture| changed(peer, picture, 60, 0x140_3436_3248), "H264"),
    ("failed", |peer, picture| changed(peer, picture, 0, 2), "comes with error 2"),
    ("unasked", |peer, _| assert!(peer.answer(0, 1)), "never made"),
    ("mistaken", mistaken, "out of step"),
    ("again", again, "serials must grow"),
    ("shrinking", |peer, picture| peer.say(&picture.event(1), &[memfd().as_fd()]), "sealed against shrinking"),
    (
        "pipe",
        |peer, picture| peer.say(&picture.event(1), &[std::io::pipe().unwrap().0.as_fd()]),
        "cannot learn the size",
    ),
    ("gone", |_, _| (), "closed the connection"),
];

fn changed(peer: &Peer, picture: &Picture, at: usize, value: i64) {
    let mut event = picture.event(1);
    put(&mut event, at, value);
    peer.say(&event, &[picture.memory()]);
}

fn mistaken(peer: &Peer, picture: &Picture) {
    peer.frame(1, picture);
    assert_eq!(peer.hear(), Some((LOCK, 1)));
    peer.answer(0, 0);
}

fn again(peer: &Peer, picture: &Picture) {
    peer.lend(2, picture);
    peer.try_say(&picture.event(1), &[picture.memory()]);
}

/// Memory that could be cut while somebody reads it.
fn memfd() -> OwnedFd {
    let memory = rustix::fs::memfd_create("t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&memory, 1 << 20).unwrap();
    memory
}

/// Lets the witness sleep for half a second without losing a frame.
const OVERSLEEP: &str = "buffers = 32\ncredits-max = 16\n";

fn descriptors(rig: &Rig) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", rig.daemon().process.pid())).unwrap().count()
}

#[test]
fn a_host_that_lies_is_left_with_a_reason_and_the_next_one_taken() {
    let dir = tempfile::tempdir().unwrap();
    let hosts: Vec<_> = LIES.iter().map(|(name, ..)| Ancestor::at(&dir.path().join(name))).collect();
    let mut config = "[stream.bars]\npattern = \"bars\"\nsize = \"320x240\"\nalways-on = true\n".to_owned() + OVERSLEEP;
    for (name, ..) in LIES {
        config += &format!("[stream.{name}]\nipc = \"{}\"\n", dir.path().join(name).display());
    }
    let rig = Rig::start(&config);
    let witness = Witness::start(&rig.socket("bars"));
    let before = descriptors(&rig);
    let picture = Picture::new(5);
    for ((name, lie, reason), host) in LIES.iter().zip(&hosts) {
        let _ = rig.ask(&["start-stream", name]);
        let peer = host.peer();
        lie(&peer, &picture);
        if *name == "gone" {
            drop(peer);
        } else {
            peer.is_left();
        }
        let stderr = &rig.daemon().process.stderr;
        stderr.until(reason, |line| line.contains("lost another host") && line.contains(name) && line.contains(reason));

        let peer = host.peer();
        let mut client = system_tests::client::builder(&rig.socket(name)).connect().unwrap();
        peer.lend(1, &picture);
        assert_eq!(check(&next(&mut client)), 5, "{name}");
        let _ = rig.ask(&["stop-stream", name]);
    }
    witness.passes(10);
    witness.all_was_well();
    eventually("the descriptors to be as before", || (descriptors(&rig) <= before).then_some(()));
}

#[test]
fn a_reason_is_shown_where_people_look() {
    let stage = Stage::new();
    let mut client = stage.client();
    let ancestor = Ancestor::at(&stage.upstream());
    let (peer, picture) = (ancestor.peer(), Picture::new(1));
    changed(&peer, &picture, 80, 1 << 60);
    until_state(&mut client, StreamState::Failed);
    assert!(client.state().reason.contains("does not fit"), "{}", client.state());
    let seen = |status: &serde_json::Value| {
        status["streams"][0]["state"] == json!("failed")
            && status["streams"][0]["state_text"].as_str().is_some_and(|text| text.contains("does not fit"))
    };
    assert!(seen(&stage.rig.ask(&["status", "lib0"])));
    stage.end();
}

#[test]
fn a_host_that_answers_nothing_is_left() {
    let stage = Stage::new();
    let mut client = stage.client();
    let ancestor = Ancestor::at(&stage.upstream());
    let (peer, picture) = (ancestor.peer(), Picture::new(1));
    peer.frame(1, &picture);
    until_event(
        &mut client,
        |event| matches!(event, vsclient::Event::State(status) if status.reason.contains("has not answered a request")),
    );
    peer.is_left();
    let peer = ancestor.peer();
    peer.lend(1, &picture);
    assert_eq!(check(&next(&mut client)), 1);
}

/// As fast as it can, without ever answering: whoever asks the daemon is answered, and the host
/// is left.
#[test]
fn a_host_that_floods_costs_its_own_stream_only() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = dir.path().join("upstream");
    let rig = Rig::start(&format!(
        "[stream.bars]\npattern = \"bars\"\nsize = \"320x240\"\nalways-on = true\n{OVERSLEEP}\
         [stream.lib0]\nipc = \"{}\"\nalways-on = true\n",
        upstream.display()
    ));
    let witness = Witness::start(&rig.socket("bars"));
    let ancestor = Ancestor::at(&upstream);
    let peer = ancestor.peer();
    let flood = std::thread::spawn(move || {
        let picture = Picture::new(1);
        (1..).take_while(|serial| peer.try_say(&picture.event(*serial), &[picture.memory()])).count()
    });
    for _ in 0..3 {
        assert_eq!(rig.ask(&["status", "lib0"])["streams"][0]["state"], json!("waiting"));
    }
    // It ends when the daemon has had enough of it.
    let said = flood.join().unwrap();
    assert!(said > 1000, "no flood: {said} frames");
    rig.daemon().process.stderr.until("the reason", |line| line.contains("has not answered a request"));
    witness.passes(10);
    witness.all_was_well();
}

/// All of an event, one byte after the other changed at random: nothing harms the daemon.
#[test]
fn noise_in_events_does_no_harm() {
    let stage = Stage::with("");
    let ancestor = Ancestor::at(&stage.upstream());
    let picture = Picture::new(1);
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..6 {
        let peer = ancestor.peer();
        for serial in 1..=200 {
            let mut event = picture.event(serial);
            let at = (random() % 101) as usize;
            put32(&mut event, at, random() as u32);
            if !peer.try_say(&event, &[picture.memory()]) {
                break;
            }
            peer.answer(0, 1);
        }
    }
    assert_eq!(stage.rig.ask(&["status", "lib0"])["streams"][0]["source"], json!("ipc"));
    stage.end();
}
