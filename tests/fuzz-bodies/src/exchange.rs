// SPDX-License-Identifier: Apache-2.0
//! An end of an exchange that says anything to the other one, which is ours and lends frames of
//! its own meanwhile.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use vs_frame::{CpuMemory, CpuPool, Frame, FrameMeta};
use vs_ipc::exchange::{Credits, Exchange, Received, Word, pair};
use vs_ipc::wire::exchange::{Adjust, Adjusted, Drain, Flush, Lend, Lost, Opened, Return};
use vs_ipc::wire::{self, BufferRetired, Goodbye, format_message};

use crate::script::Script;
use crate::socket;

/// Frames that each side may lend.
const CREDITS: Credits = Credits { inputs: 3, outputs: 3 };

/// Whatever comes is a message or an error, at once; nobody lends more than it may, no frame
/// reaches beyond its memory, and no descriptor is left.
pub(crate) fn run(data: &[u8]) {
    let _ = socket::gallery();
    let before = socket::lowest_free();
    converse(Script::new(data));
    assert_eq!(socket::lowest_free(), before, "a descriptor is left");
}

struct Ours {
    exchange: Exchange,
    pool: CpuPool,
    held: Vec<Frame>,
}

fn converse(mut script: Script<'_>) {
    let (ours, theirs) = pair().unwrap();
    let client = script.byte() & 1 == 0;
    let exchange = if client { Exchange::client(ours) } else { Exchange::daemon(ours, CREDITS) };
    let pool = CpuPool::new(Arc::new(socket::format()), CpuMemory::Memfd, 0, 4).unwrap();
    let mut ours = Ours { exchange, pool, held: Vec::new() };
    if client && script.byte() & 3 != 0 {
        let opened = Opened {
            major: 1.into(),
            inputs: CREDITS.inputs.into(),
            outputs: CREDITS.outputs.into(),
            ..Opened::default()
        };
        socket::say(&theirs, &wire::record(opened, &[]), &[]);
    }
    while let Some(step) = script.step() {
        if step & 1 == 0 {
            let (record, gifts) = message(step >> 1, &mut script);
            socket::say(&theirs, &record, &socket::gifts(gifts));
        } else {
            ours.act(step >> 1, &theirs);
        }
    }
    ours.hear();
}

impl Ours {
    fn act(&mut self, step: u8, theirs: &OwnedFd) {
        match step % 6 {
            0 => {
                if let Ok(Some(slot)) = self.pool.acquire() {
                    let frame = slot.finish(FrameMeta::default()).unwrap();
                    let _ = self.exchange.lend(&frame, 0);
                }
            }
            1 => drop(self.held.pop()),
            2 => self.held.clear(),
            3 => self.exchange.say(&Word::Drained(u64::from(step))),
            4 => socket::hear(theirs, |record, fds| {
                assert!(wire::kind_of(record).is_ok() && fds.len() <= 4);
            }),
            _ => self.hear(),
        }
        let Credits { inputs, .. } = CREDITS;
        assert!(self.exchange.lent() <= usize::from(inputs) && self.held.len() <= usize::from(inputs));
    }

    fn hear(&mut self) {
        while let Ok(Some(received)) = self.exchange.receive() {
            if let Received::Lent(loan) = received {
                read(&loan.frame);
                self.held.push(loan.frame);
            }
        }
    }
}

/// Reads every byte that the frame claims to have.
fn read(frame: &Frame) {
    let Ok(view) = frame.map() else { return };
    let planes = (0..view.plane_count()).filter_map(|index| view.plane(index));
    let sum: u64 = planes.flat_map(|plane| plane.rows()).flatten().map(|byte| u64::from(*byte)).sum();
    assert!(sum < u64::MAX && view.payload().len() <= u32::MAX as usize);
}

/// What the other end says next, with which descriptors.
fn message(step: u8, script: &mut Script<'_>) -> (Vec<u8>, u16) {
    let mut gifts = 0;
    let request = |script: &mut Script<'_>| script.near(1).into();
    let record = match step % 13 {
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
            gifts = u16::from(script.byte());
            let lend = Lend {
                number: u64::from(script.byte() & 7).into(),
                origin: u64::from(script.byte()).into(),
                buffer: u64::from(script.byte() & 3).into(),
                format: 1.into(),
                memories: 1,
                fds: u8::from(gifts > 0),
                ..Lend::default()
            };
            wire::record(lend, &[])
        }
        5 => format_message::encode(u32::from(script.byte() & 1), &socket::format()),
        6 => wire::record(Return { number: script.near(1).into(), ..Return::default() }, &[]),
        7 => {
            wire::record(BufferRetired { buffer: u64::from(script.byte() & 3).into(), ..BufferRetired::default() }, &[])
        }
        8 => wire::record(Drain { request: request(script), ..Drain::default() }, &[]),
        9 => wire::record(Flush { request: request(script), ..Flush::default() }, &[]),
        10 => wire::record(Adjust { request: request(script), ..Adjust::default() }, &[]),
        11 => {
            let text_len = u32::from(script.byte()).into();
            if script.byte() & 1 == 0 {
                wire::record(Lost { origin: request(script), text_len, ..Lost::default() }, script.bytes())
            } else {
                wire::record(Adjusted { request: request(script), text_len, ..Adjusted::default() }, script.bytes())
            }
        }
        _ => wire::record(Goodbye { reason: u32::from(script.byte()).into(), ..Goodbye::default() }, &[]),
    };
    (record, gifts)
}
