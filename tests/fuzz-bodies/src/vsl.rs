// SPDX-License-Identifier: Apache-2.0
//! A host of libvideostream that says anything to a client of ours.

use rustix::net::{Shutdown, shutdown};
use vs_frame::Frame;
use vs_frame::clock::{NS_PER_SEC, monotonic_ns};
use vs_ipc::vsl::client::Connection;
use vs_ipc::vsl::picture::Picture;
use vs_ipc::vsl::wire::{Event, LOCKS_MAX, Outcome};
use zerocopy::IntoBytes;

use crate::script::Script;
use crate::socket;

/// Whatever comes is a frame or an error, at once; no frame reaches beyond its memory, and no
/// descriptor is left.
pub(crate) fn run(data: &[u8]) {
    let _ = socket::gallery();
    let before = socket::lowest_free();
    converse(Script::new(data));
    assert_eq!(socket::lowest_free(), before, "a descriptor is left");
}

fn converse(mut script: Script<'_>) {
    let (host, theirs) = socket::pair();
    let frames = usize::from(script.byte()) % (LOCKS_MAX + 2);
    let picture = Picture::of(&socket::format()).unwrap();
    while let Some(step) = script.step() {
        let (mut record, gifts) = message(step, picture, &mut script);
        for _ in 0..step / 8 % 4 {
            let (at, value) = (usize::from(script.byte()), script.byte());
            if let Some(byte) = record.get_mut(at) {
                *byte = value;
            }
        }
        if !socket::say(&host, &record, &socket::gifts(gifts)) {
            break;
        }
    }
    shutdown(&host, Shutdown::Write).unwrap();
    let mut client = Connection::over(theirs, frames);
    listen(&mut client, frames.clamp(1, LOCKS_MAX));
}

/// What the host says next, with which descriptors.
fn message(step: u8, picture: Picture, script: &mut Script<'_>) -> (Vec<u8>, u16) {
    match step % 8 {
        0..=2 => {
            let now = monotonic_ns();
            let event = Event {
                serial: (script.near(1) as i64).into(),
                timestamp: (now as i64).into(),
                expires: ((now + NS_PER_SEC) as i64).into(),
                fourcc: picture.fourcc.into(),
                width: picture.width.into(),
                height: picture.height.into(),
                stride: picture.stride.into(),
                size: picture.size.into(),
                ..Event::answer(Outcome::Success, false)
            };
            // The good memory, or what the script wants.
            let gifts = if step % 8 == 2 { u16::from(script.byte()) } else { 1 };
            (event.as_bytes().to_vec(), gifts)
        }
        3 => (Event::answer(Outcome::Success, true).as_bytes().to_vec(), 0),
        4 => (Event::answer(Outcome::Success, false).as_bytes().to_vec(), 0),
        5 => {
            let outcome = Outcome::from_code(u32::from(script.byte() & 3)).unwrap();
            (Event::answer(outcome, false).as_bytes().to_vec(), 0)
        }
        _ => (script.bytes().to_vec(), u16::from(script.byte())),
    }
}

/// Takes everything, as a program does that holds some frames.
fn listen(client: &mut Connection, frames: usize) {
    let mut held: Vec<Frame> = Vec::new();
    while let Ok(Some(received)) = client.receive() {
        let view = received.frame.map().unwrap();
        let planes = (0..view.plane_count()).filter_map(|index| view.plane(index));
        let sum: u64 = planes.flat_map(|plane| plane.rows()).flatten().map(|byte| u64::from(*byte)).sum();
        std::hint::black_box(sum);
        drop(view);
        held.push(received.frame);
        if held.len() >= frames {
            held.remove(0);
        }
    }
    assert!(client.is_closed());
    let counts = client.counts();
    assert!(counts.announced >= counts.locked + counts.expired + counts.refused + counts.no_credit, "{counts:?}");
}
