// SPDX-License-Identifier: Apache-2.0
//! Every row of the page's tables, as a client sees them.

use vs_frame::clock::{NS_PER_MS, monotonic_ns};

use crate::raw::{LOCK, Raw, UNLOCK};
use crate::stage::{HEIGHT, LONG_NS, Stage, WIDTH};

const SUCCESS: u32 = 0;
const EXPIRED: u32 = 1;
const INVALID: u32 = 2;
const TOO_MANY: u32 = 3;

#[test]
fn a_frame_is_one_event_with_one_descriptor() {
    let stage = Stage::new();
    let client = stage.raw();
    let before = monotonic_ns() as i64;
    let serial = stage.publish(200);
    let event = client.event();
    let after = monotonic_ns() as i64;
    assert_eq!((event.bytes.len(), event.fds.len()), (104, 1));
    assert_eq!((event.error(), event.serial(), event.locked()), (0, serial, 0));
    assert_eq!(serial, 1);
    assert!((before..=after).contains(&event.timestamp()));
    assert_eq!((event.duration(), event.pts(), event.dts()), (33, 7, -1));
    assert_eq!(event.expires(), event.timestamp() + LONG_NS as i64);
    assert_eq!(event.fourcc().to_ne_bytes(), u32::from_le_bytes(*b"NV12").to_ne_bytes());
    assert_eq!((event.width(), event.height(), event.stride()), (WIDTH as i32, HEIGHT as i32, WIDTH as i32));
    assert_eq!((event.address(), event.size(), event.offset()), (0, u64::from(WIDTH * HEIGHT * 3 / 2), 0));
    assert!(event.bytes[4..8].iter().chain(&event.bytes[100..]).all(|byte| *byte == 0));
    assert!(event.map().iter().all(|byte| *byte == 200));
}

#[test]
fn every_event_brings_a_descriptor_also_of_a_buffer_that_came_before() {
    let stage = Stage::new();
    let client = stage.raw();
    for value in 1..=5 {
        stage.publish(value);
        let event = client.event();
        assert_eq!(event.fds.len(), 1);
        assert_eq!(event.map()[0], value);
    }
}

#[test]
fn a_client_gets_the_newest_frame_at_once_without_a_word() {
    let stage = Stage::new();
    stage.publish(1);
    let serial = stage.publish(2);
    let client = stage.raw();
    assert_eq!(client.event().serial(), serial);
    assert_eq!(stage.client().name, "vsl");
}

#[test]
fn a_lock_of_a_frame_that_is_alive_is_granted() {
    let stage = Stage::new();
    let client = stage.raw();
    let serial = stage.publish(1);
    assert_eq!(client.ask(LOCK, serial), (SUCCESS, 1));
    assert_eq!(stage.client().held, 1);
    // Alive and held, then alive and not held.
    assert_eq!(client.ask(UNLOCK, serial), (SUCCESS, 0));
    assert_eq!(client.ask(UNLOCK, serial), (SUCCESS, 0));
    assert_eq!(stage.client().held, 0);
}

#[test]
fn what_is_unknown_is_expired() {
    let stage = Stage::new();
    let client = stage.raw();
    stage.publish(1);
    for serial in [2, 0, -1, i64::MAX, i64::MIN] {
        assert_eq!(client.ask(LOCK, serial), (EXPIRED, 0));
        assert_eq!(client.ask(UNLOCK, serial), (EXPIRED, 0));
    }
}

#[test]
fn what_was_released_is_expired() {
    let stage = Stage::with(|options| options.lifespan_ns = 1);
    let client = stage.raw();
    let serial = stage.publish(1);
    assert_eq!(client.ask(LOCK, serial), (SUCCESS, 1));
    stage.publish(2);
    assert_eq!(client.ask(UNLOCK, serial), (SUCCESS, 0));
    assert_eq!(client.ask(UNLOCK, serial), (EXPIRED, 0));
    assert_eq!(client.ask(LOCK, serial), (EXPIRED, 0));
}

#[test]
fn what_was_never_locked_lives_for_its_lifespan() {
    let stage = Stage::with(|options| options.lifespan_ns = 50 * NS_PER_MS);
    let client = stage.raw();
    let serial = stage.publish(1);
    let expires = client.event().expires();
    stage.publish(2);
    stage.until(move |host| host.frames_live == 1);
    assert!(monotonic_ns() as i64 >= expires);
    assert_eq!(client.ask(LOCK, serial), (EXPIRED, 0));
}

#[test]
fn a_lock_ends_at_the_hosts_deadline() {
    let stage = Stage::with(|options| {
        options.lease_max_ns = 50 * NS_PER_MS;
        options.lifespan_ns = 1;
    });
    let client = stage.raw();
    let serial = stage.publish(1);
    assert_eq!(client.ask(LOCK, serial), (SUCCESS, 1));
    stage.publish(2);
    stage.until(|host| host.clients[0].revoked.total() == 1);
    assert_eq!(client.ask(LOCK, serial), (EXPIRED, 0));
    assert_eq!(client.ask(UNLOCK, serial), (EXPIRED, 0));
    // It goes on: this is not the end of the connection.
    let next = stage.publish(3);
    assert_eq!(client.ask(LOCK, next), (SUCCESS, 1));
}

#[test]
fn twenty_locks_are_the_most() {
    let stage = Stage::with(|options| options.credits_max = 100);
    let client = stage.raw();
    for value in 1..=20 {
        let serial = stage.publish(value);
        assert_eq!(client.ask(LOCK, serial), (SUCCESS, 1));
    }
    let last = stage.publish(21);
    assert_eq!(client.ask(LOCK, last), (TOO_MANY, 0));
    // One that it holds is no further one.
    assert_eq!(client.ask(LOCK, 1), (SUCCESS, 1));
    assert_eq!(client.ask(UNLOCK, 1), (SUCCESS, 0));
    assert_eq!(client.ask(LOCK, last), (SUCCESS, 1));
    assert_eq!(stage.client().held, 20);
}

#[test]
fn the_streams_own_bound_holds_too() {
    let stage = Stage::with(|options| options.credits_max = 3);
    let client = stage.raw();
    let serials: Vec<i64> = (0..4).map(|value| stage.publish(value)).collect();
    let answers: Vec<_> = serials.iter().map(|serial| client.ask(LOCK, *serial)).collect();
    assert_eq!(answers, [(SUCCESS, 1), (SUCCESS, 1), (SUCCESS, 1), (TOO_MANY, 0)]);
}

#[test]
fn other_messages_are_invalid_controls() {
    let stage = Stage::new();
    let client = stage.raw();
    let serial = stage.publish(1);
    for message in [2, 3, u32::MAX] {
        assert_eq!(client.ask(message, serial), (INVALID, 0));
    }
    assert_eq!(client.ask(LOCK, serial), (SUCCESS, 1));
}

#[test]
fn of_a_longer_message_the_first_16_bytes_count() {
    let stage = Stage::new();
    let client = stage.raw();
    let serial = stage.publish(1);
    for length in [17, 104, 256, 257, 4000] {
        let mut bytes = vec![0xff; length];
        bytes[..4].copy_from_slice(&LOCK.to_ne_bytes());
        bytes[8..16].copy_from_slice(&serial.to_ne_bytes());
        client.say(&bytes);
        assert_eq!(client.answer(), (SUCCESS, 1), "{length} bytes");
    }
}

#[test]
fn a_shorter_message_ends_the_connection() {
    for length in [1, 4, 15] {
        let stage = Stage::new();
        let client = stage.raw();
        let serial = stage.publish(1);
        assert_eq!(client.ask(LOCK, serial), (SUCCESS, 1));
        client.say(&vec![0; length]);
        assert!(client.is_dismissed());
        stage.until(|host| host.clients.is_empty());
        let snapshot = stage.run(|host, _| host.snapshot());
        assert_eq!(snapshot.goodbyes, [(vs_ipc::wire::GoodbyeReason::Malformed, 1)]);
    }
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let stage = Stage::new();
    let client = stage.raw();
    let serial = stage.publish(1);
    // A frame in between changes nothing.
    client.request(LOCK, 99);
    client.request(LOCK, serial);
    client.request(7, serial);
    stage.publish(2);
    client.request(UNLOCK, serial);
    client.request(UNLOCK, 99);
    let answers: Vec<_> = (0..5).map(|_| client.answer()).collect();
    assert_eq!(answers, [(EXPIRED, 0), (SUCCESS, 1), (INVALID, 0), (SUCCESS, 0), (EXPIRED, 0)]);
}

#[test]
fn a_client_that_leaves_leaves_nothing() {
    let stage = Stage::with(|options| options.lifespan_ns = 1);
    let client = stage.raw();
    let serial = stage.publish(1);
    assert_eq!(client.ask(LOCK, serial), (SUCCESS, 1));
    stage.publish(2);
    assert_eq!(stage.run(|host, _| host.snapshot().frames_live), 2);
    drop(client);
    stage.until(|host| host.clients.is_empty() && host.frames_live == 1);
}

#[test]
fn the_quotas_of_connections_are_the_streams() {
    let stage = Stage::with(|options| options.clients_per_uid_max = 2);
    let _clients = [stage.raw(), stage.raw()];
    assert!(Raw::connect(&stage.path()).is_dismissed());
    let goodbyes = stage.run(|host, _| host.snapshot().goodbyes);
    assert_eq!(goodbyes, [(vs_ipc::wire::GoodbyeReason::TooManyOfUser, 1)]);
}
