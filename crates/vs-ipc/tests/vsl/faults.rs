// SPDX-License-Identifier: Apache-2.0
//! What users of libvideostream suffered from, each as a test. The numbers are those of the
//! list in `docs/vsl.md`.

use std::os::fd::{AsFd, AsRawFd};

use vs_frame::clock::NS_PER_MS;
use vs_ipc::client::{Connection as Native, Hello, Incoming};
use vs_ipc::vsl::client::Connection;
use vs_ipc::wire::{GoodbyeReason, Mode, SkipReason};

use crate::raw::{LOCK, Raw, UNLOCK};
use crate::stage::{Stage, TIMEOUT};

/// 2, 3: a locked frame stays as it is, for as long as its lock, however many follow.
#[test]
fn a_locked_frame_is_not_overwritten() {
    let stage = Stage::with(|options| {
        options.lifespan_ns = 1;
        options.frames = 4;
    });
    let client = stage.raw();
    let serial = stage.publish(77);
    let event = client.event();
    assert_eq!(client.ask(LOCK, serial), (0, 1));
    for value in 100..200 {
        stage.publish(value);
    }
    assert!(event.map().iter().all(|byte| *byte == 77));
    assert_eq!(client.ask(UNLOCK, serial), (0, 0));
}

/// 4: who lets go of a frame that it never locked is answered at once, also when it has not
/// read the events before the answer, and no frame follows.
#[test]
fn releasing_what_was_never_locked_is_answered_at_once() {
    let stage = Stage::with(|options| options.lifespan_ns = 1);
    let client = stage.raw();
    let serial = stage.publish(1);
    assert_eq!(client.ask(UNLOCK, serial), (0, 0));
    for value in 2..100 {
        stage.publish(value);
    }
    client.request(UNLOCK, serial);
    client.request(UNLOCK, 99);
    assert_eq!((client.answer(), client.answer()), ((1, 0), (0, 0)));
}

/// 5: a frame locked twice is one lease, and one unlock ends it.
#[test]
fn locking_twice_is_one_lease() {
    let stage = Stage::with(|options| options.lifespan_ns = 1);
    let client = stage.raw();
    let serial = stage.publish(1);
    assert_eq!((client.ask(LOCK, serial), client.ask(LOCK, serial)), ((0, 1), (0, 1)));
    assert_eq!(stage.client().held, 1);
    stage.publish(2);
    assert_eq!(client.ask(UNLOCK, serial), (0, 0));
    assert_eq!(stage.run(|host, _| host.snapshot().frames_live), 1);
    assert_eq!(client.ask(UNLOCK, serial), (1, 0));
}

/// 6: a reader that stands still pins nothing, collects a few events only, and gets the
/// newest frame as soon as it reads again.
#[test]
fn a_reader_that_stands_still_gets_the_newest_next() {
    let stage = Stage::with(|options| options.lifespan_ns = 1);
    let client = stage.raw();
    for value in 0..=250 {
        stage.publish(value);
    }
    let snapshot = stage.client();
    assert_eq!(stage.run(|host, _| host.snapshot().frames_live), 1);
    assert!((5..=20).contains(&snapshot.delivered), "{snapshot:?}");
    // The newest is not lost: it is yet to come.
    assert_eq!(snapshot.delivered + snapshot.skipped.by(SkipReason::NotReading), 250);
    let mut last = client.event();
    for _ in 1..snapshot.delivered {
        last = client.event();
    }
    assert_eq!(last.serial() as u64, snapshot.delivered);
    assert_eq!(client.event().serial(), 251);
}

/// 7: with our client no frame is lost because a lock or an unlock is on its way.
#[test]
fn no_frame_is_lost_for_a_request_on_its_way() {
    let stage = Stage::with(|options| options.lifespan_ns = 1);
    let mut client = Connection::connect(&stage.path(), 4, TIMEOUT).unwrap();
    stage.until(|host| host.clients.len() == 1);
    let mut held = std::collections::VecDeque::new();
    for serial in 1..=1000_u64 {
        stage.publish(serial as u8);
        let received = client.wait(Some(TIMEOUT)).unwrap().unwrap();
        assert_eq!(received.serial, serial);
        held.push_back(received);
        if held.len() > 2 {
            held.pop_front();
        }
    }
    let counts = client.counts();
    assert_eq!((counts.announced, counts.locked, counts.expired), (1000, 1000, 0));
}

/// 8: nobody can take the memory away under the host or other readers.
#[test]
fn no_client_can_cut_a_frame_short() {
    let stage = Stage::new();
    let client = stage.raw();
    stage.publish(9);
    let event = client.event();
    for length in [0, 1, 1 << 20] {
        assert_eq!(rustix::fs::ftruncate(&event.fds[0], length), Err(rustix::io::Errno::PERM));
    }
    // It may write, which is what the endpoint is opt-in for.
    event.map()[0] = 10;
}

/// 8: only clients of the endpoint can write. The stream's other readers get descriptors
/// that refuse it.
#[test]
fn native_clients_of_the_same_stream_cannot_write() {
    let stage = Stage::new();
    let hello = Hello { mode: Mode::Notify, ..Hello::default() };
    let mut native = Native::connect(&stage.native_path(), &hello, TIMEOUT).unwrap();
    let vsl = stage.raw();
    stage.publish(5);
    assert_eq!(vsl.event().map()[0], 5);
    let frame = loop {
        if let Some(Incoming::Frame(frame)) = native.wait(Some(TIMEOUT)).unwrap() {
            break frame;
        }
    };
    assert_eq!(frame.read(|view| view.memory(0)[0]).unwrap(), 5);
    let fd = frame.memories()[0].as_fd().as_raw_fd();
    // SAFETY: the mapping is expected to be refused.
    assert!(unsafe { memmap2::MmapOptions::new().map_mut(fd) }.is_err());
}

/// 9: a client that holds all it may leaves the pool to others, and has it only for a time.
#[test]
fn a_hoarder_starves_nobody_and_not_for_ever() {
    let stage = Stage::with(|options| {
        options.frames = 8;
        options.credits_max = 4;
        options.lifespan_ns = 1;
        options.lease_max_ns = 200 * NS_PER_MS;
    });
    let hoarder = stage.raw();
    let mut granted = 0;
    for value in 0..20 {
        let serial = stage.publish(value);
        granted += i32::from(hoarder.ask(LOCK, serial) == (0, 1));
    }
    assert!(granted >= 4);
    assert!(stage.client().held_max <= 4);
    let honest = stage.raw();
    let serial = stage.publish(100);
    assert_eq!(honest.ask(LOCK, serial), (0, 1));
    stage.until(|host| host.clients.iter().all(|client| client.held == 0));
}

/// 9: a client that lets its locks run out, one after the other, is disconnected.
#[test]
fn who_never_gives_back_is_disconnected() {
    let stage = Stage::with(|options| {
        options.lifespan_ns = 1;
        options.lease_max_ns = 20 * NS_PER_MS;
        options.strikes_max = 3;
    });
    let client = stage.raw();
    for ended in 1..=3 {
        let serial = stage.publish(ended as u8);
        assert_eq!(client.ask(LOCK, serial), (0, 1));
        stage.until(move |host| host.revoked.total() == ended);
    }
    assert!(client.is_dismissed());
    let goodbyes = stage.run(|host, _| host.snapshot().goodbyes);
    assert_eq!(goodbyes, [(GoodbyeReason::Hoarding, 1)]);
}

/// 10: the 129th client is served like the first.
#[test]
fn more_clients_than_128_are_served() {
    let stage = Stage::new();
    let clients: Vec<Raw> = (0..150).map(|_| Raw::connect(&stage.path())).collect();
    stage.until(|host| host.clients.len() == 150);
    let serial = stage.publish(3);
    for client in &clients {
        assert_eq!(client.event().serial(), serial);
        client.request(LOCK, serial);
    }
    assert!(clients.iter().all(|client| client.answer() == (0, 1)));
}

/// One that floods gets its answers in order, or loses its connection; its neighbour notices
/// nothing.
#[test]
fn a_client_that_floods_and_does_not_read_is_cut_off_alone() {
    let stage = Stage::new();
    let (flood, neighbour) = (stage.raw(), stage.raw());
    let mut request = [0; 16];
    request[8] = 1;
    while rustix::net::send(&flood, &request, rustix::net::SendFlags::NOSIGNAL).is_ok() {}
    stage.until(|host| host.clients.len() == 1);
    let serial = stage.publish(1);
    assert_eq!(neighbour.event().serial(), serial);
    assert_eq!(neighbour.ask(LOCK, serial), (0, 1));
}
