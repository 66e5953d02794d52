// SPDX-License-Identifier: Apache-2.0
//! What an application sees that waits by blocking.

use std::time::Duration;

use vs_ipc::wire::{GoodbyeReason, StreamState};
use vsclient::{Ended, Event, LockError, LockStatus, MapError, Mode, ReceiveError, RevokeReason, SkipReason};

use crate::stage::{BUFFERS, Stage, TIMEOUT, value};

#[test]
fn frames_arrive_whole_and_in_order_and_go_back() {
    let stage = Stage::new();
    let mut client = stage.client().connect().unwrap();
    for round in 1..=100u8 {
        let serial = stage.publish(round);
        let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
        assert_eq!((frame.serial(), value(&frame), frame.meta().sequence), (serial, round, u32::from(round)));
        assert!(frame.meta().capture_ns <= frame.publish_ns() && frame.publish_ns() <= frame.received_ns());
    }
    let counters = client.counters();
    assert_eq!((counters.received, counters.lost, counters.skipped_total(), counters.connections), (100, 0, 0, 1));
    stage.until_all_is_returned();
    let host = stage.run(|host, _| host.snapshot());
    assert_eq!((host.clients[0].name.as_str(), host.clients[0].delivered), ("tester", 100));
    assert_eq!((host.clients[0].stray_unlocks, host.clients[0].revoked.total()), (0, 0));
    // Both sides have timed each frame.
    assert_eq!((client.latency().count(), host.capture_latency.count()), (100, 100));
    assert_eq!((host.clients[0].lease_hold.count(), host.lease_hold.count()), (100, 100));
    assert!(host.lease_hold.max_ns() >= host.lease_hold.quantile(0.5));
    // A frame's unlock may still be on its way when the next frame is published.
    assert!(host.held == 0 && (1..=2).contains(&host.held_max));
}

#[test]
fn the_events_of_a_client_begin_with_where_it_stands() {
    let stage = Stage::new();
    let mut client = stage.client().connect().unwrap();
    stage.publish(1);
    stage.run(|host, _| host.set_state(StreamState::Waiting, "the camera is gone"));
    let events: Vec<Event> = client.events().take(5).map(Result::unwrap).collect();
    assert!(matches!(&events[0], Event::Connected { session, epoch_changed: false } if session.stream == "cam0"));
    assert!(matches!(&events[1], Event::State(status) if status.state == StreamState::Running));
    assert!(matches!(&events[2], Event::Format(format) if (format.width, format.height) == (320, 240)));
    assert!(matches!(&events[3], Event::Frame(frame) if frame.serial() == 1));
    assert!(matches!(&events[4], Event::State(status) if status.reason == "the camera is gone"));
    assert_eq!(client.state().to_string(), "waiting: the camera is gone");
    assert_eq!(client.format().unwrap().width, 320);
    assert!(client.next_event(Duration::ZERO).unwrap().is_none());
}

#[test]
fn out_of_credit_frames_are_skipped_and_the_newest_comes_with_the_credit() {
    let stage = Stage::new();
    let mut client = stage.client().credits(2).connect().unwrap();
    stage.publish_all(1..=10);
    let first = client.next_frame(TIMEOUT).unwrap().unwrap();
    let second = client.next_frame(TIMEOUT).unwrap().unwrap();
    assert_eq!((first.serial(), second.serial()), (1, 2));
    assert!(client.next_frame(Duration::from_millis(1)).unwrap().is_none());
    drop(second);
    let newest = client.next_frame(TIMEOUT).unwrap().unwrap();
    assert_eq!((newest.serial(), value(&newest), value(&first)), (10, 10, 1));
    let counters = client.counters();
    assert_eq!((counters.lost, counters.skipped(SkipReason::NoCredit)), (7, 7));
}

#[test]
fn a_held_frame_does_not_change_while_others_come() {
    let stage = Stage::new();
    let mut holder = stage.client().credits(1).connect().unwrap();
    let mut viewer = stage.client().connect().unwrap();
    stage.publish(200);
    let held = holder.next_frame(TIMEOUT).unwrap().unwrap();
    let map = held.map().unwrap();
    assert_eq!(viewer.next_frame(TIMEOUT).unwrap().unwrap().serial(), 1);
    for round in 0..(4 * BUFFERS as u8) {
        stage.publish(round);
        assert_eq!(value(&viewer.next_frame(TIMEOUT).unwrap().unwrap()), round);
        assert_eq!(map.plane(0).unwrap().data[0], 200);
    }
    assert_eq!(map.finish(), Ok(()));
}

#[test]
fn the_newest_passes_over_what_is_old() {
    let stage = Stage::new();
    let mut client = stage.client().credits(4).connect().unwrap();
    stage.publish_all(1..=3);
    // Events of before do not hide that three frames wait.
    assert_eq!(client.newest(TIMEOUT).unwrap().unwrap().serial(), 3);
    assert!(client.newest(Duration::ZERO).unwrap().is_none());
    stage.until_all_is_returned();
}

#[test]
fn a_lease_ends_and_the_frame_knows() {
    let stage = Stage::with(|options| options.lease_max_ns = 500_000_000);
    let mut client = stage.client().lease(Duration::from_secs(60)).connect().unwrap();
    assert_eq!(client.session().unwrap().lease, Duration::from_millis(500));
    stage.publish(1);
    let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
    let map = frame.map().unwrap();
    loop {
        match client.next_event(TIMEOUT).unwrap().unwrap() {
            Event::Revoked { serial, reason } => break assert_eq!((serial, reason), (1, RevokeReason::Deadline)),
            Event::Frame(frame) => panic!("{frame:?}"),
            _ => {}
        }
    }
    assert_eq!(map.finish(), Err(Ended::Revoked));
    assert!(matches!(frame.map(), Err(MapError::Ended(Ended::Revoked))));
    assert!(matches!(client.lock(&frame, None, TIMEOUT), Ok(()) | Err(LockError::Refused(LockStatus::Gone))));
    assert_eq!(frame.check(), Err(Ended::Revoked));
    drop(frame);
    assert_eq!(client.counters().revoked, 1);
    stage.until_all_is_returned();
}

#[test]
fn a_client_that_hangs_holds_nothing_after_its_first_deadline() {
    let stage = Stage::with(|options| options.lease_ns = 1_000_000);
    let mut client = stage.client().connect().unwrap();
    stage.publish(1);
    stage.until(|host| host.revoked.by(RevokeReason::Deadline) == 1);
    stage.publish_all(2..=9);
    let host = stage.run(|host, _| host.snapshot());
    assert_eq!((host.clients[0].held, host.revoked.total()), (0, 1));
    // The newest can still come: it is not lost before there is a newer one.
    assert_eq!(host.clients[0].skipped.by(SkipReason::NotReading), 7);
    // It wakes up, answers, and is served again: at once, if the newest is not stale by then.
    while !matches!(client.next_event(TIMEOUT).unwrap().unwrap(), Event::Revoked { .. }) {}
    stage.publish(10);
    assert!(client.next_frame(TIMEOUT).unwrap().unwrap().serial() >= 9);
}

#[test]
fn renewing_keeps_a_frame_beyond_its_first_deadline() {
    let stage = Stage::new();
    let mut client = stage.client().lease(Duration::from_secs(2)).connect().unwrap();
    stage.publish(9);
    let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
    let before = frame.deadline_ns();
    // What arrives meanwhile is not lost, and comes afterwards in order.
    stage.publish(10);
    client.lock(&frame, Some(Duration::from_secs(5)), TIMEOUT).unwrap();
    assert!(frame.deadline_ns() > before + 2_000_000_000);
    assert_eq!(client.next_frame(TIMEOUT).unwrap().unwrap().serial(), 2);
    assert_eq!(value(&frame), 9);
    drop(frame);
    stage.until_all_is_returned();
    assert_eq!(stage.run(|host, _| host.snapshot().clients[0].stray_unlocks), 0);
}

#[test]
fn in_notify_mode_a_lock_keeps_a_frame_beyond_its_lifespan() {
    let stage = Stage::with(|options| options.lifespan_ns = 1_000_000_000);
    let mut client = stage.client().mode(Mode::Notify).credits(1).connect().unwrap();
    stage.publish_all(1..=4);
    let frames: Vec<_> = (0..4).map(|_| client.next_frame(TIMEOUT).unwrap().unwrap()).collect();
    assert!(frames.iter().all(|frame| !frame.is_leased()));
    client.lock(&frames[2], Some(Duration::from_secs(9)), TIMEOUT).unwrap();
    let refused = client.lock(&frames[3], None, TIMEOUT);
    assert!(matches!(refused, Err(LockError::Refused(LockStatus::NoCredit))), "{refused:?}");
    // The lifespan of all four ends; nobody says a word about it.
    while frames[3].check().is_ok() {
        assert!(client.next_event(Duration::from_millis(20)).unwrap().is_none());
    }
    stage.publish_all(5..=20);
    assert_eq!((value(&frames[2]), frames[1].check()), (3, Err(Ended::Expired)));
    let gone = client.lock(&frames[0], None, TIMEOUT);
    assert!(gone.is_err(), "locked what is gone");
    drop(frames);
    stage.until_all_is_returned();
    assert_eq!(stage.run(|host, _| host.snapshot().clients[0].stray_unlocks), 0);
}

#[test]
fn a_client_that_does_not_want_to_reconnect_ends_with_the_reason() {
    let stage = Stage::new();
    let mut client = stage.client().no_reconnect().connect().unwrap();
    stage.publish(1);
    stage.run(|host, _| host.close(GoodbyeReason::Shutdown, "maintenance"));
    let items: Vec<_> = client.frames().collect();
    assert!(items[0].is_ok() && items.len() == 2);
    let error = items[1].as_ref().unwrap_err();
    assert_eq!(error.to_string(), "the host has ended the connection: shutdown: maintenance");
    assert!(matches!(client.next_event(TIMEOUT), Err(ReceiveError::Ended)));
}

#[test]
fn an_event_loop_can_wait_for_the_socket() {
    use rustix::event::{PollFd, PollFlags, poll};

    let stage = Stage::new();
    let mut client = stage.client().connect().unwrap();
    let mut drain = || {
        let mut frames = 0;
        while let Some(event) = client.next_event(Duration::ZERO).unwrap() {
            frames += usize::from(matches!(event, Event::Frame(_)));
        }
        let mut fds = [PollFd::from_borrowed_fd(client.socket().unwrap(), PollFlags::IN)];
        if frames == 0 {
            poll(&mut fds, None).unwrap();
        }
        frames
    };
    stage.publish(1);
    while drain() == 0 {}
}
