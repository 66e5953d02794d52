// SPDX-License-Identifier: Apache-2.0
//! Hosts that go, come back, or were never there.

use std::time::{Duration, Instant};

use vs_ipc::wire::GoodbyeReason;
use vsclient::{Backoff, Client, ConnectError, Ended, Event, ReceiveError, StreamState};

use crate::stage::{Stage, TIMEOUT};

fn quick() -> Backoff {
    Backoff::new(Duration::from_millis(20), Duration::from_millis(50))
}

/// The next event that is no frame, format or state.
fn next_turn(client: &mut Client) -> Event {
    loop {
        match client.next_event(TIMEOUT).unwrap().expect("nothing happened") {
            Event::Frame(_) | Event::Format(_) | Event::State(_) => {}
            event => return event,
        }
    }
}

#[test]
fn a_host_that_died_is_found_again_and_the_change_is_told() {
    let stage = Stage::with(|options| options.epoch = 1);
    let dir = stage.dir.clone();
    let mut client = stage.client().reconnect(quick()).connect().unwrap();
    assert!(matches!(next_turn(&mut client), Event::Connected { epoch_changed: false, .. }));
    stage.publish_all(1..=5);
    let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
    drop(stage);

    assert!(matches!(next_turn(&mut client), Event::Disconnected { cause: ReceiveError::Connection(_), .. }));
    assert_eq!(frame.check(), Err(Ended::Disconnected));
    assert!(client.session().is_none() && client.socket().is_none() && client.retry_at().is_some());
    let Event::RetryFailed { cause, retry_in } = next_turn(&mut client) else { panic!("connected to nobody") };
    assert!(cause.to_string().contains("videostreamd"), "{cause}");
    assert!(retry_in >= Duration::from_millis(10) && retry_in <= Duration::from_millis(50));
    assert_eq!(client.state().state, StreamState::Waiting);

    let stage = Stage::at(dir, |options| options.epoch = 2);
    stage.publish(7);
    loop {
        match next_turn(&mut client) {
            Event::RetryFailed { .. } => {}
            Event::Connected { epoch_changed, session } => break assert!(epoch_changed && session.epoch == 2),
            other => panic!("{other:?}"),
        }
    }
    stage.publish(8);
    // Serials begin again; that is no loss.
    let serial = client.next_frame(TIMEOUT).unwrap().unwrap().serial();
    assert!(serial <= 2 && client.counters().lost == 0);
    assert_eq!(client.counters().connections, 2);
}

#[test]
fn a_frame_is_not_given_twice_by_a_host_that_only_hung_up() {
    let stage = Stage::new();
    let mut client = stage.client().reconnect(quick()).connect().unwrap();
    assert!(matches!(next_turn(&mut client), Event::Connected { .. }));
    stage.publish(1);
    assert_eq!(client.next_frame(TIMEOUT).unwrap().unwrap().serial(), 1);
    stage.run(|host, _| host.close(GoodbyeReason::Other, "go away"));
    assert!(matches!(next_turn(&mut client), Event::Disconnected { cause: ReceiveError::Goodbye(_), .. }));
    assert!(matches!(next_turn(&mut client), Event::Connected { epoch_changed: false, .. }));
    stage.publish(2);
    assert_eq!(client.next_frame(TIMEOUT).unwrap().unwrap().serial(), 2);
    assert_eq!((client.counters().received, client.counters().lost), (2, 0));
}

#[test]
fn a_host_that_accepts_and_hangs_up_is_left_alone_for_longer_and_longer() {
    let stage = Stage::new();
    let mut client =
        stage.client().reconnect(Backoff::new(Duration::from_millis(20), Duration::from_secs(60))).connect().unwrap();
    let mut waits = Vec::new();
    while waits.len() < 4 {
        match next_turn(&mut client) {
            Event::Connected { .. } => stage.run(|host, _| host.close(GoodbyeReason::Other, "")),
            Event::Disconnected { retry_in, .. } => waits.push(retry_in.as_millis()),
            other => panic!("{other:?}"),
        }
    }
    let bounds = [(10, 20), (20, 40), (40, 80), (80, 160)];
    assert!(waits.iter().zip(bounds).all(|(wait, (least, most))| *wait >= least && *wait <= most), "{waits:?}");
}

#[test]
fn a_stream_that_is_not_there_yet_can_be_waited_for() {
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let builder = Client::builder("cam0").socket_dir(dir.path()).reconnect(quick());
    let mut client = builder.connect_or_wait().unwrap();
    assert!(matches!(next_turn(&mut client), Event::RetryFailed { .. }));
    let begun = Instant::now();
    assert!(client.next_frame(Duration::from_millis(1)).unwrap().is_none());
    assert!(begun.elapsed() < TIMEOUT);
    let stage = Stage::at(dir, |_| {});
    while !matches!(next_turn(&mut client), Event::Connected { epoch_changed: false, .. }) {}
    stage.publish(3);
    assert!(client.next_frame(TIMEOUT).unwrap().is_some());
}

#[test]
fn connecting_beside_the_event_loop_takes_no_event_away() {
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let builder = || Client::builder("cam0").socket_dir(dir.path());
    let patient = Backoff::new(Duration::from_secs(60), Duration::from_secs(60));
    let mut client = builder().reconnect(patient).connect_or_wait().unwrap();
    client.reconnect_if_due().unwrap();
    let next = client.retry_at().expect("connected to nobody");
    client.reconnect_if_due().unwrap();
    assert_eq!(client.retry_at(), Some(next), "an attempt before its time");

    let mut client = builder().reconnect(quick()).connect_or_wait().unwrap();
    client.reconnect_if_due().unwrap();
    let _stage = Stage::at(dir.clone(), |_| {});
    while !client.is_connected() {
        std::thread::sleep(client.retry_at().unwrap().saturating_duration_since(Instant::now()));
        client.reconnect_if_due().unwrap();
    }
    client.reconnect_if_due().unwrap();
    assert!(!client.has_backlog());
    let told = |client: &mut Client| client.next_event(Duration::ZERO).unwrap().unwrap();
    while matches!(told(&mut client), Event::RetryFailed { .. }) {}
    assert!(matches!(told(&mut client), Event::State(_)), "Connected came before it");
}

#[test]
fn a_refusal_for_good_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || Client::builder(&"x".repeat(200)).socket_dir(dir.path()).reconnect(quick());
    assert!(!builder().connect().unwrap_err().is_temporary());
    let mut client = builder().connect_or_wait().unwrap();
    assert!(matches!(client.next_event(TIMEOUT), Err(ReceiveError::Reconnect(_))));
    assert!(matches!(client.next_event(TIMEOUT), Err(ReceiveError::Ended)));
    assert!(matches!(Client::connect(".."), Err(ConnectError::Name(_))));
}

#[test]
fn limits_of_the_host_are_named() {
    let stage = Stage::with(|options| options.clients_max = 1);
    let _first = stage.client().connect().unwrap();
    let error = stage.client().connect().unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("too-many-clients"), "{error}");
}
