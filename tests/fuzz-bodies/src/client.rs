// SPDX-License-Identifier: Apache-2.0
//! A host that says anything to a client of ours.

use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use vs_frame::clock::{NS_PER_SEC, monotonic_ns};
use vs_ipc::client::{Connection, Hello, Incoming, ReceivedFrame};
use vs_ipc::wire::{
    self, BufferRetired, FrameEvent, Goodbye, LockResponse, Mode, Revoked, State, UnlockPage, VERSION_MINOR, Welcome,
    format_message,
};
use vs_pattern::Pattern;

use crate::script::Script;
use crate::socket;

/// The host has said everything before the client listens, so it never waits for so long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Frames that the client keeps in hand.
const HELD: usize = 3;

/// Whatever comes is a message or an error, at once; no frame reaches beyond its memory, and
/// no descriptor is left.
pub(crate) fn run(data: &[u8]) {
    let _ = socket::gallery();
    let before = socket::lowest_free();
    converse(Script::new(data));
    assert_eq!(socket::lowest_free(), before, "a descriptor is left");
}

fn converse(mut script: Script<'_>) {
    let (host, theirs) = socket::pair();
    socket::scribble(&socket::gallery()[socket::PAGE], &[0; socket::PAGE_LEN as usize], 0);
    if script.byte().is_multiple_of(4) {
        let welcome = Welcome {
            major: 1.into(),
            minor: VERSION_MINOR.into(),
            credits: 3.into(),
            mode: Mode::Notify.code(),
            ..Welcome::default()
        };
        socket::say(&host, &wire::record(welcome, &[]), &[]);
        socket::say(&host, &wire::record(State::default(), &[]), &[]);
        socket::say(&host, &format_message::encode(1, &socket::format()), &[]);
    }
    while let Some(step) = script.step() {
        let (record, gifts) = message(step, &mut script);
        if !socket::say(&host, &record, &socket::gifts(gifts)) {
            break;
        }
    }
    shutdown(&host, Shutdown::Write).unwrap();
    if let Ok(mut client) = Connection::handshake(theirs, &Hello::default(), TIMEOUT) {
        listen(&mut client);
    }
}

/// What the host says next, with which descriptors.
fn message(step: u8, script: &mut Script<'_>) -> (Vec<u8>, u16) {
    let mut gifts = 0;
    let record = match step % 12 {
        0 => {
            gifts = u16::from(script.byte());
            script.bytes().to_vec()
        }
        1 => {
            let (kind, body) = (script.byte(), script.bytes());
            let length = (8 + body.len()) as u32;
            [&[kind, 0, 0, 0], &length.to_le_bytes()[..], body].concat()
        }
        2..=4 => {
            gifts = u16::from_le_bytes([script.byte(), script.byte()]);
            let event = FrameEvent {
                serial: script.near(1).into(),
                buffer: u64::from(script.byte() & 3).into(),
                format: 1.into(),
                memories: 1,
                fds: 1,
                leased: step & 1,
                expires_ns: (monotonic_ns() + NS_PER_SEC).into(),
                ..FrameEvent::default()
            };
            wire::record(event, &[])
        }
        5 => format_message::encode(u32::from(script.byte() & 1), &socket::format()),
        6 => wire::record(Revoked { serial: script.near(1).into(), ..Revoked::default() }, &[]),
        7 => {
            let (serial, status) = (script.near(1).into(), u32::from(script.byte() & 7).into());
            let deadline_ns = (monotonic_ns() + NS_PER_SEC).into();
            wire::record(LockResponse { serial, status, deadline_ns, ..LockResponse::default() }, &[])
        }
        8 => {
            wire::record(BufferRetired { buffer: u64::from(script.byte() & 3).into(), ..BufferRetired::default() }, &[])
        }
        9 => {
            gifts = 1 + socket::PAGE as u16;
            let entries = u32::from(script.byte()).into();
            wire::record(UnlockPage { entries, ..UnlockPage::default() }, &[])
        }
        10 => {
            // Scribbled before the client comes, and told apart by nothing.
            let at = u64::from(script.byte()) * 4;
            socket::scribble(&socket::gallery()[socket::PAGE], script.bytes(), at);
            wire::record(State::default(), &[])
        }
        _ => wire::record(Goodbye { reason: u32::from(script.byte()).into(), ..Goodbye::default() }, &[]),
    };
    (damaged(record, step / 12 % 4, script), gifts)
}

/// The record with some bytes of its body changed.
fn damaged(mut record: Vec<u8>, changes: u8, script: &mut Script<'_>) -> Vec<u8> {
    for _ in 0..changes {
        let (at, value) = (usize::from(script.byte()), script.byte());
        if let Some(byte) = record.get_mut(at) {
            *byte = value;
        }
    }
    record
}

/// Takes everything, as a program does that holds some frames and locks some.
fn listen(client: &mut Connection) {
    let mut held: Vec<ReceivedFrame> = Vec::new();
    while let Ok(Some(incoming)) = client.receive() {
        let Incoming::Frame(frame) = incoming else { continue };
        read(&frame);
        if frame.serial().is_multiple_of(2) {
            let _ = frame.lock(None);
        }
        held.push(frame);
        if held.len() > HELD {
            held.remove(0);
        }
    }
    assert!(client.is_closed());
    for frame in held {
        assert!(frame.map().is_err(), "a frame outlives its connection");
    }
}

/// Reads every byte that the frame claims to have.
fn read(frame: &ReceivedFrame) {
    let _ = frame.read(|view| {
        let planes = (0..view.plane_count()).filter_map(|index| view.plane(index));
        let sum: u64 = planes.flat_map(|plane| plane.rows()).flatten().map(|byte| u64::from(*byte)).sum();
        let seen = Pattern::new(frame.format()).map(|pattern| pattern.check(view).is_ok());
        (sum, seen.is_ok(), view.payload().len())
    });
}
