// SPDX-License-Identifier: Apache-2.0
//! What one client does to its frames is no other client's trouble, and a frame that is held
//! stays as it is.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use system_tests::client::{Checker, builder, next};
use system_tests::peer::hello;
use system_tests::{PATIENCE, Peer, Rig, Witness, eventually};
use vs_ipc::wire;
use vsclient::{Ended, Event, Mode, RevokeReason};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
buffers = 32
credits-max = 16
lifespan = \"1s\"
always-on = true
";

#[test]
fn a_stopped_client_changes_nothing_for_others() {
    let rig = Rig::start(CONFIG);
    let witnesses = [Mode::Leased, Mode::Notify].map(|mode| Witness::start_in(&rig.socket("a"), mode));
    let modes = ["leased", "notify"];
    let strangers = modes.map(|mode| rig.stranger("a", &["--frames", "1000000", "--mode", mode, "--name", mode]));
    for (mode, stranger) in modes.iter().zip(&strangers) {
        rig.client_that("a", mode, |client| client.delivered > 10);
        stranger.signal(Signal::STOP);
    }
    witnesses[0].passes(120);
    for mode in modes {
        let client = rig.client_that("a", mode, |_| true);
        assert!(client.skipped.values().sum::<u64>() > 30, "it was stopped, and yet: {client:?}");
        // What it held when it was stopped it has lost by now.
        rig.client_that("a", mode, |client| client.held == 0);
    }
    for (mode, stranger) in modes.iter().zip(&strangers) {
        let before = rig.client_that("a", mode, |_| true).delivered;
        stranger.signal(Signal::CONT);
        rig.client_that("a", mode, |client| client.delivered > before + 30);
    }
    for witness in witnesses {
        witness.all_was_well();
    }
}

/// Two clients hold all the frames that the stream can spare, for longer than this test has
/// patience. Only their death can give the third one any.
#[test]
fn frames_of_killed_clients_are_back_at_once() {
    let rig = Rig::start(
        "[stream.a]\npattern = \"bars\"\nsize = \"320x240\"\nrate = 60\nalways-on = true\n\
         buffers = 7\nspares = 0\nlease = \"10min\"\nlease-max = \"10min\"\n",
    );
    let mut holders = ["first", "second"].map(|name| {
        let holder = rig.stranger("a", &["--hold", "600", "--name", name]);
        rig.client_that("a", name, |client| client.held == 1);
        holder
    });
    let mut third = builder(&rig.socket("a")).name("third").connect().unwrap();
    rig.client_that("a", "third", |client| client.skipped["pool"] > 10);
    let before = rig.stream("a").counters.published;
    for holder in &mut holders {
        holder.kill();
    }
    let frame = loop {
        // What it got before they held everything may be waiting for it.
        let frame = next(&mut third);
        if frame.serial() > before {
            break frame;
        }
    };
    Checker::default().check(&frame).unwrap();
    assert_eq!(rig.stream("a").clients.len(), 1);
    assert_eq!(rig.stream("a").counters.revoked.values().sum::<u64>(), 0);
}

#[test]
fn a_lease_that_is_overdrawn_is_revoked_and_until_then_the_frame_is_whole() {
    let rig = Rig::start(&format!("{CONFIG}lease = \"300ms\"\n"));
    let witness = Witness::start(&rig.socket("a"));
    let mut client = builder(&rig.socket("a")).credits(1).name("slow").connect().unwrap();
    let frame = next(&mut client);
    let mut checker = Checker::default();
    let mut checks = 0;
    let error = loop {
        match checker.check(&frame) {
            Ok(()) => checks += 1,
            Err(error) => break error,
        }
    };
    assert!(checks > 0 && error == Ended::Expired.to_string(), "{error}");
    // Before it answers it gets no frame that could be revoked as well.
    let info = rig.client_that("a", "slow", |client| client.revoked["deadline"] == 1);
    assert_eq!(info.revoked["withdrawn"], 0);
    let stream = &rig.ask(&["status", "a"])["streams"][0];
    let of_slow = stream["clients"].as_array().unwrap().iter().find(|client| client["name"] == "slow").unwrap();
    for revoked in [&stream["revoked"], &of_slow["revoked"]] {
        assert_eq!(revoked, &json!({ "deadline": 1, "withdrawn": 0 }));
    }
    let told =
        rig.metrics().get("videostream_client_leases_revoked_total", &[("client", "slow"), ("reason", "deadline")]);
    assert_eq!(told, 1.0);
    let event = client.next_event(PATIENCE).unwrap().unwrap();
    let why = match event {
        Event::Revoked { serial, reason } if serial == frame.serial() => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(why, RevokeReason::Deadline);
    assert_eq!(checker.check(&frame), Err(Ended::Revoked.to_string()));
    assert!(next(&mut client).serial() > frame.serial());
    let info = rig.client_that("a", "slow", |client| client.delivered >= 2);
    assert_eq!(info.stray_unlocks, 0);
    witness.all_was_well();
}

/// Sixteen leases that run out in a row are hoarding, but not those that were all held when a
/// client was kept from running.
#[test]
fn who_oversleeps_once_keeps_its_connection() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let sleeper = Peer::connect(&rig.socket("a"));
    assert!(sleeper.say(&wire::record(wire::Hello { credits: 16.into(), ..hello("sleeper", Mode::Leased) }, &[])));
    eventually("the sleeper to lose everything", || {
        let stream = rig.stream("a");
        assert_eq!(stream.counters.goodbyes.get("hoarding"), None);
        stream.clients.into_iter().find(|client| client.name == "sleeper" && client.revoked.values().sum::<u64>() == 16)
    });
    witness.all_was_well();
}

#[test]
fn a_frame_that_is_held_for_two_seconds_does_not_change() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let mut client = builder(&rig.socket("a")).lease(Duration::from_secs(5)).name("holder").connect().unwrap();
    assert_eq!(client.session().unwrap().lease, Duration::from_secs(5));
    let frame = next(&mut client);
    let bytes = || frame.read(|view| [0, 1].map(|plane| view.plane(plane).unwrap().data.to_vec())).unwrap();
    let first = bytes();
    for _ in 0..12 {
        // Twelve times five frames at 30 frames per second.
        witness.passes(5);
        assert!(bytes() == first, "the picture under a lease has changed");
    }
    Checker::default().check(&frame).unwrap();
    drop((frame, client));
    rig.client_gone("a", "holder");
    witness.all_was_well();
}

/// In notify mode a lock is what keeps a frame beyond its lifespan.
#[test]
fn a_frame_that_is_locked_outlives_its_lifespan() {
    let rig = Rig::start(CONFIG);
    let witness = Witness::start(&rig.socket("a"));
    let mut client = builder(&rig.socket("a")).mode(Mode::Notify).connect().unwrap();
    // On a busy machine the lifespan may be over before the lock arrives.
    let frame = eventually("a frame that can be locked", || {
        let frame = next(&mut client);
        client.lock(&frame, Some(Duration::from_secs(5)), PATIENCE).is_ok().then_some(frame)
    });
    witness.passes(60);
    Checker::default().check(&frame).unwrap();
    let released = frame.serial();
    drop(frame);
    let again = std::iter::repeat_with(|| next(&mut client)).find(|frame| frame.serial() > released + 60).unwrap();
    assert!(!again.is_leased());
    witness.all_was_well();
}

/// However many hoard what they get, who gives frames back goes on getting them.
#[test]
fn hoarders_do_not_starve_who_gives_frames_back() {
    let rig = Rig::start(
        "[stream.a]\npattern = \"bars\"\nsize = \"320x240\"\nalways-on = true\nlease = \"10min\"\nlease-max = \"10min\"\n",
    );
    let witness = Witness::start(&rig.socket("a"));
    let hoarders: Vec<_> = (0..40).map(|_| Peer::greet(&rig.socket("a"), "hoarder", Mode::Leased)).collect();
    let held =
        || rig.stream("a").clients.iter().filter(|client| client.name == "hoarder").map(|client| client.held).sum();
    let held: u32 = eventually("the hoarders to have all that they get", || {
        let before: u32 = held();
        witness.passes(10);
        (before > 0 && before == held()).then_some(before)
    });
    witness.passes(30);
    drop(hoarders);
    // A busy machine may keep the witness from giving back in time, but what it got was whole.
    let account = witness.end();
    assert!(account.trouble.iter().all(|trouble| trouble.contains("follows")), "{held} held, {account:#?}");
}
