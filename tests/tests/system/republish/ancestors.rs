// SPDX-License-Identifier: Apache-2.0
//! The daemon takes over what a host of libvideostream publishes.

use std::os::fd::AsFd;
use std::time::Duration;

use serde_json::json;
use system_tests::client::{builder, next};
use system_tests::process::End;
use system_tests::{Rig, eventually};
use vsclient::publish::FrameFlags;
use vsclient::{Client, Ended, Event, StreamState, monotonic_ns};

use super::ancestor::{Ancestor, LOCK, Picture, UNLOCK, put};
use super::stage::{Stage, check, inode, until_event, until_state};

/// A daemon, its client, and an ancestor's host to which the daemon has connected.
fn connected() -> (Stage, Client, Ancestor) {
    let stage = Stage::new();
    let client = stage.client();
    let ancestor = Ancestor::at(&stage.upstream());
    (stage, client, ancestor)
}

fn nothing(client: &mut Client) {
    assert!(client.next_frame(Duration::ZERO).unwrap().is_none());
}

#[test]
fn a_frame_is_locked_before_it_is_passed_on_and_unlocked_when_nobody_reads_it() {
    let (stage, mut client, ancestor) = connected();
    let peer = ancestor.peer();
    let pictures: Vec<_> = (1..=3).map(Picture::new).collect();
    peer.frame(1, &pictures[0]);
    assert_eq!(peer.hear(), Some((LOCK, 1)));
    nothing(&mut client);
    peer.answer(0, 1);
    let held = next(&mut client);
    assert_eq!((check(&held), held.format().width), (1, 320));
    assert_eq!(inode(&held.memories()[0]), inode(pictures[0].memory()), "the frame was copied");
    let memory = &held.memories()[0];
    assert!(memory.is_read_only() && rustix::io::write(memory.as_fd(), b"x").is_err());
    // The client reads frame 1 while the others come and go.
    peer.lend(2, &pictures[1]);
    assert_eq!(check(&next(&mut client)), 2);
    peer.lend(3, &pictures[2]);
    peer.take_back(2);
    assert_eq!((check(&next(&mut client)), check(&held)), (3, 1));
    assert!(peer.hears_nothing());
    drop(held);
    peer.take_back(1);
    let status = &stage.rig.ask(&["status", "lib0"])["streams"][0];
    assert_eq!((&status["source"], &status["state"]), (&json!("ipc"), &json!("running")));
    stage.end();
    peer.is_left();
}

#[test]
fn frames_that_do_not_come_leave_a_gap() {
    let (stage, mut client, ancestor) = connected();
    let (peer, picture) = (ancestor.peer(), Picture::new(9));
    let gap = |serial, client: &mut Client| {
        peer.frame(serial, &picture);
        // The frame before is unlocked when this one takes its place, or before.
        while let Some((UNLOCK, _)) = peer.hear() {
            peer.answer(0, 0);
        }
        peer.answer(0, 1);
        next(client).meta().flags.contains(FrameFlags::GAP)
    };
    assert!(!gap(1, &mut client) && !gap(2, &mut client) && gap(5, &mut client) && !gap(6, &mut client));
    let lost = || stage.rig.ask(&["status", "lib0"])["streams"][0]["source_counters"]["lost"].clone();
    assert_eq!(lost(), json!(2));
    // However far a host jumps.
    assert!(gap(i64::MAX - 1, &mut client) && !gap(i64::MAX, &mut client));
}

#[test]
fn what_the_host_does_not_lock_is_not_passed_on() {
    let (_stage, mut client, ancestor) = connected();
    let (peer, picture) = (ancestor.peer(), Picture::new(3));
    for (serial, error) in [(1, 1), (2, 3)] {
        peer.frame(serial, &picture);
        assert_eq!(peer.hear(), Some((LOCK, serial)));
        peer.answer(error, 0);
    }
    peer.lend(3, &picture);
    assert_eq!(check(&next(&mut client)), 3);
}

#[test]
fn what_is_old_is_not_passed_on_as_new() {
    let (stage, mut client, ancestor) = connected();
    let (peer, old, picture) = (ancestor.peer(), Picture::new(1), Picture::new(3));
    let mut event = old.event(1);
    put(&mut event, 16, monotonic_ns() as i64 - 5_000_000_000);
    peer.say(&event, &[old.memory()]);
    peer.grant(1);
    peer.take_back(1);
    let state =
        |text: &'static str| move |event: &Event| matches!(event, Event::State(status) if status.reason.contains(text));
    until_event(&mut client, state("more than 1 s old"));
    peer.lend(3, &picture);
    assert_eq!(check(&next(&mut client)), 3);
    until_state(&mut client, StreamState::Running);
    // And a host that falls silent is not said to run.
    until_event(&mut client, state("sends no frames"));
    assert_eq!(stage.rig.ask(&["status", "lib0"])["streams"][0]["state"], json!("waiting"));
}

#[test]
fn a_host_that_comes_back_does_not_show_its_last_frame_again() {
    let (stage, mut client, ancestor) = connected();
    let (peer, picture) = (ancestor.peer(), Picture::new(7));
    let event = picture.event(7);
    peer.say(&event, &[picture.memory()]);
    peer.grant(7);
    let held = next(&mut client);
    drop((peer, ancestor));
    until_event(&mut client, |event| matches!(event, Event::Revoked { serial, .. } if *serial == held.serial()));
    assert_eq!(held.check(), Err(Ended::Revoked));
    drop(held);
    until_state(&mut client, StreamState::Waiting);

    let ancestor = Ancestor::at(&stage.upstream());
    let peer = ancestor.peer();
    peer.say(&event, &[picture.memory()]);
    peer.grant(7);
    peer.take_back(7);
    let picture = Picture::new(8);
    peer.lend(8, &picture);
    let frame = next(&mut client);
    assert_eq!(check(&frame), 8);
    assert!(frame.meta().flags.contains(FrameFlags::GAP));
    assert_eq!(client.counters().connections, 1);
    stage.end();
}

#[test]
fn a_new_format_of_an_ancestor_is_passed_on() {
    let (stage, mut client, ancestor) = connected();
    let (peer, small, large) = (ancestor.peer(), Picture::new(1), Picture::of_width(2, 640));
    peer.lend(1, &small);
    assert_eq!(next(&mut client).format().width, 320);
    peer.lend(2, &large);
    let frame = next(&mut client);
    assert_eq!((frame.format().width, check(&frame)), (640, 2));
    assert_eq!(stage.rig.ask(&["status", "lib0"])["streams"][0]["format"]["width"], json!(640));
}

/// The protocol does not tell how many frames the host has; most have 8.
#[test]
fn hoarders_lock_no_more_than_half_of_the_hosts_frames() {
    let stage = Stage::with("lease-max = \"1min\"\nlease = \"1min\"\n");
    let mut hoarders: Vec<_> = (0..4).map(|_| stage.client_with(|builder| builder.credits(16))).collect();
    let ancestor = Ancestor::at(&stage.upstream());
    let peer = ancestor.peer();
    let pictures: Vec<_> = (0..8).map(Picture::new).collect();
    let (mut hoard, mut locked, mut most) = (Vec::new(), Vec::new(), 0);
    for serial in 1..=40i64 {
        let free = pictures.iter().find(|picture| locked.iter().all(|(_, used)| *used != inode(picture.memory())));
        let free = free.expect("the host has nothing to fill");
        peer.frame(serial, free);
        // No frame is let go unasked for.
        loop {
            match peer.hear().expect("the daemon has hung up") {
                (LOCK, asked) => {
                    assert_eq!(asked, serial);
                    break;
                }
                (_, back) => {
                    locked.retain(|(locked, _)| *locked != back);
                    peer.answer(0, 0);
                }
            }
        }
        locked.push((serial, inode(free.memory())));
        most = most.max(locked.len());
        peer.answer(0, 1);
        for hoarder in &mut hoarders {
            hoard.extend(hoarder.next_frame(Duration::from_millis(1)).unwrap());
        }
    }
    assert!(most <= 4 && !hoard.is_empty(), "{most} frames were locked, {} read", hoard.len());
    drop((hoard, hoarders));
    stage.end();
}

#[test]
fn the_endpoint_of_another_daemon_is_taken_over_and_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("bars.vsl");
    let config = format!(
        "[stream.bars]\npattern = \"bars\"\nsize = \"320x240\"\nalways-on = true\nvsl = \"{}\"\n",
        socket.display()
    );
    let mut first = Rig::start(&config);
    let config = format!("[stream.again]\nipc = \"{}\"\nalways-on = true\n", socket.display());
    let mut second = Rig::start(&config);
    let mut client = builder(&second.socket("again")).connect().unwrap();
    let (mut last, mut memories) = (0, std::collections::HashSet::new());
    for _ in 0..60 {
        let frame = next(&mut client);
        let serial = check(&frame);
        assert!(serial > last, "frame {serial} came after {last}");
        last = serial;
        memories.extend(frame.memories().iter().map(inode));
    }
    let mut direct = builder(&first.socket("bars")).connect().unwrap();
    let seen = eventually("a shared buffer", || {
        let frame = next(&mut direct);
        frame.memories().iter().map(inode).find(|memory| memories.contains(memory))
    });
    assert!(memories.contains(&seen));
    // Nobody has told the frame rate; it is recorded all the same.
    let file = second.path("out.mp4");
    let _ = second.vsctl(&["record", "again", file.to_str().unwrap(), "--frames", "10"]).good();
    assert!(file.metadata().unwrap().len() > 1000);

    // Its host dies, and another one takes its place.
    first.kill();
    until_state(&mut client, StreamState::Waiting);
    first.start_again();
    until_state(&mut client, StreamState::Running);
    let frame = next(&mut client);
    assert!(frame.meta().flags.contains(FrameFlags::GAP) && check(&frame) > 0);
    assert_eq!(client.counters().connections, 1);
    drop((frame, client));
    assert_eq!((second.terminate(), first.terminate()), (End::Exit(0), End::Exit(0)));
}
