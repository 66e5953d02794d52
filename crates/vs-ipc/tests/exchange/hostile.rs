// SPDX-License-Identifier: Apache-2.0
//! Sides that break the rules: each is told why, and loses its connection.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};
use vs_ipc::exchange::{Credits, Exchange, ExchangeError, LendError, MAX_BUFFERS, MAX_QUEUED, Received, Word};
use vs_ipc::wire::exchange::{Lend, Opened, Return};
use vs_ipc::wire::{self, GoodbyeReason, format_message};

use crate::stage::{alone, client, daemon, format, frame, hear, lend, pool, say, told};

const CREDITS: Credits = Credits { inputs: 2, outputs: 2 };

/// Lets a daemon hear what was said; what the client is told.
fn ended(mut exchange: Exchange, socket: OwnedFd) -> (GoodbyeReason, String) {
    let outcome = hear(&mut exchange);
    assert!(matches!(outcome, Err(ExchangeError::Violation(_))), "{outcome:?}");
    assert!(exchange.is_closed());
    told(socket).1.expect("it is told nothing")
}

/// What becomes of a client that lends a frame, altered.
fn lends(alter: impl FnOnce(&mut Lend)) -> String {
    let (exchange, socket) = daemon(CREDITS);
    say(&socket, &format_message::encode(1, &format(16)), &[]);
    let frame = frame(&pool(16, 1), 0).unwrap();
    let (mut message, fds) = lend(1, &frame);
    alter(&mut message);
    say(&socket, &wire::record(message, &[]), &fds);
    let (reason, text) = ended(exchange, socket);
    assert_eq!(reason, GoodbyeReason::Malformed);
    text
}

#[test]
fn frames_that_are_not_what_they_claim() {
    let _alone = alone();
    let cases: [(&str, String); 7] = [
        ("lends frame 7 where 1 is due", lends(|lend| lend.number = 7.into())),
        ("names format 2", lends(|lend| lend.format = 2.into())),
        ("no descriptor was sent", lends(|lend| lend.fds = 0)),
        ("number of descriptors", lends(|lend| lend.fds = 2)),
        ("should carry 4 descriptors", lends(|lend| (lend.fds, lend.memories) = (4, 4))),
        ("memory kind", lends(|lend| lend.memory_kind = 2)),
        ("memory 0 is said to carry", lends(|lend| lend.bytes_used[0] = u32::MAX.into())),
    ];
    for (expected, text) in cases {
        assert!(text.contains(expected), "'{text}' does not say '{expected}'");
    }
}

/// What becomes of a client that lends this memory.
fn lends_memory(fd: &OwnedFd, kind: u8) -> String {
    let (exchange, socket) = daemon(CREDITS);
    say(&socket, &format_message::encode(1, &format(16)), &[]);
    let message =
        Lend { number: 1.into(), format: 1.into(), memories: 1, fds: 1, memory_kind: kind, ..Default::default() };
    say(&socket, &wire::record(message, &[]), &[fd.as_fd()]);
    ended(exchange, socket).1
}

#[test]
fn memory_that_is_not_safe_to_read() {
    let _alone = alone();
    let memfd = |len, seals| {
        let fd = rustix::fs::memfd_create("t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&fd, len).unwrap();
        rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
        fd
    };
    let could_shrink = memfd(4096, SealFlags::GROW);
    assert!(lends_memory(&could_shrink, 0).contains("sealed against shrinking"));
    assert!(lends_memory(&could_shrink, 1).contains("not a DmaBuf"));
    let short = memfd(100, SealFlags::SHRINK);
    assert!(lends_memory(&short, 0).contains("does not fit into its buffer"));
    let (pipe, _other) = rustix::pipe::pipe().unwrap();
    assert!(lends_memory(&pipe, 0).contains("sealed against shrinking"));
}

#[test]
fn more_than_there_is_credit_for() {
    let _alone = alone();
    let (mut exchange, socket) = daemon(CREDITS);
    say(&socket, &format_message::encode(1, &format(16)), &[]);
    let pool = pool(16, 3);
    let frames: Vec<_> = (0..3).map(|number| frame(&pool, number).unwrap()).collect();
    let send = |number: u64| {
        let (message, fds) = lend(number, &frames[number as usize - 1]);
        say(&socket, &wire::record(message, &[]), &fds);
    };
    (1..=2).for_each(send);
    let heard = hear(&mut exchange).unwrap();
    assert_eq!(heard.len(), 2);
    send(3);
    let outcome = hear(&mut exchange);
    assert!(outcome.unwrap_err().to_string().contains("more than 2 frames"));
    drop(heard);
    let (_, goodbye) = told(socket);
    assert_eq!(goodbye.unwrap().0, GoodbyeReason::Malformed);
}

#[test]
fn words_of_the_other_side_and_frames_that_nobody_has() {
    let _alone = alone();
    let said = |record: &[u8]| {
        let (exchange, socket) = daemon(CREDITS);
        say(&socket, record, &[]);
        ended(exchange, socket).1
    };
    assert!(said(&wire::record(Opened::default(), &[])).contains("wrong side"));
    assert!(said(&Word::Drained(1).encode()).contains("wrong side"));
    assert!(said(&wire::record(Return { number: 1.into(), ..Return::default() }, &[])).contains("does not have"));
    assert!(said(&[1, 2, 3]).contains("at least 8"));
    assert!(said(&[0x24, 0, 0, 0, 9, 0, 0, 0, 0]).contains("at least 16"));
    assert!(said(&[0; 9000]).contains("longer than 8192"));

    let (mut exchange, socket) = client(CREDITS);
    say(&socket, &Word::Drain(1).encode(), &[]);
    assert!(hear(&mut exchange).is_err() && told(socket).1.is_some());
    let (mut exchange, socket) = client(CREDITS);
    say(&socket, &wire::record(Opened { major: 1.into(), ..Opened::default() }, &[]), &[]);
    assert!(hear(&mut exchange).is_err() && told(socket).1.is_some());
}

#[test]
fn a_daemon_that_promises_what_cannot_be() {
    let _alone = alone();
    for (opened, expected) in [
        (Opened { major: 2.into(), inputs: 1.into(), outputs: 1.into(), ..Opened::default() }, GoodbyeReason::Version),
        (
            Opened { major: 1.into(), inputs: 0.into(), outputs: 1.into(), ..Opened::default() },
            GoodbyeReason::Malformed,
        ),
        (
            Opened { major: 1.into(), inputs: 1.into(), outputs: 33.into(), ..Opened::default() },
            GoodbyeReason::Malformed,
        ),
    ] {
        let (ours, theirs) = vs_ipc::exchange::pair().unwrap();
        let mut client = Exchange::client(ours);
        assert_eq!(client.lend(&frame(&pool(16, 1), 0).unwrap(), 0), Err(LendError::NoCredit));
        say(&theirs, &wire::record(opened, &[]), &[]);
        assert!(hear(&mut client).is_err());
        assert_eq!(told(theirs).1.unwrap().0, expected);
    }
}

#[test]
fn whoever_does_not_read_is_let_go() {
    let _alone = alone();
    let (mut exchange, socket) = daemon(CREDITS);
    // The socket takes some; then they wait, and in the end it is enough.
    for request in 0.. {
        assert!(request < 10_000, "nothing bounds what waits");
        exchange.say(&Word::Drained(request));
        if exchange.is_closed() {
            break;
        }
    }
    assert!(matches!(exchange.receive(), Err(ExchangeError::NotReading)));
    assert!(told(socket).0.len() >= MAX_QUEUED / 2);
}

#[test]
fn buffers_without_end() {
    let _alone = alone();
    let (mut exchange, socket) = daemon(CREDITS);
    say(&socket, &format_message::encode(1, &format(16)), &[]);
    let pool = pool(16, MAX_BUFFERS + 1);
    let frames: Vec<_> = (0..=MAX_BUFFERS as u64).map(|number| frame(&pool, number).unwrap()).collect();
    let mut outcome = Ok(());
    for (index, frame) in frames.iter().enumerate() {
        let (message, fds) = lend(index as u64 + 1, frame);
        say(&socket, &wire::record(message, &[]), &fds);
        outcome = hear(&mut exchange).map(drop);
        assert_eq!(outcome.is_err(), index == MAX_BUFFERS);
    }
    assert!(outcome.unwrap_err().to_string().contains("more than 64 buffers"));
}

#[test]
fn what_is_not_known_is_passed_over_and_does_not_keep_the_caller() {
    let _alone = alone();
    let (mut exchange, socket) = daemon(CREDITS);
    let unknown = [0xff, 0, 0, 0, 8, 0, 0, 0];
    (0..100).for_each(|_| say(&socket, &unknown, &[]));
    say(&socket, &Word::Drain(7).encode(), &[]);
    assert!(matches!(exchange.receive(), Ok(None)), "the caller gets a turn");
    assert!(matches!(exchange.receive(), Ok(Some(Received::Word(Word::Drain(7))))));
}
