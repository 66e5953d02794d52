// SPDX-License-Identifier: Apache-2.0
//! The sequences of the kernel documents, with a driver that keeps to them.

use super::super::{Command, Failure, Machine, Output, Refusal, Role, Side};
use super::fake::Fault;
use super::rig::{Fate, Rig, SETTINGS};

const ROLES: [Role; 3] = [Role::Decoder, Role::Encoder, Role::Converter];

/// The commands that a machine gives until it rests, dequeues left out.
fn commands(rig: &mut Rig) -> Vec<Command> {
    let mut given = Vec::new();
    rig.machine.ready(rig.fake.readiness());
    while let Some(command) = rig.machine.next_command() {
        let item = rig.machine.first_in_line().cloned().filter(|_| matches!(command, Command::QueueOutput { .. }));
        let answer = rig.fake.execute(command, item.as_ref());
        rig.machine.answer(rig.now, command, answer);
        if !matches!(command, Command::DequeueCapture | Command::DequeueOutput | Command::DequeueEvent) {
            given.push(command);
        }
    }
    given
}

#[test]
fn a_decoder_begins_with_its_coded_side_alone() {
    let mut rig = Rig::new(Role::Decoder, &[], 0, 0);
    let output = Side::Output;
    assert_eq!(
        commands(&mut rig),
        [Command::Open, Command::Configure(output), Command::Allocate(output, 4), Command::StreamOn(output)]
    );
    assert!(rig.submit());
    rig.fake.work();
    let capture = Side::Capture;
    let queue = |index| Command::QueueCapture { index };
    // Two that the driver needs, three for the caller.
    assert_eq!(
        commands(&mut rig),
        [
            Command::Configure(capture),
            Command::Allocate(capture, 5),
            queue(0),
            queue(1),
            queue(2),
            queue(3),
            queue(4),
            Command::StreamOn(capture)
        ]
    );
}

#[test]
fn an_encoder_begins_with_the_coded_format() {
    let mut rig = Rig::new(Role::Encoder, &[], 0, 0);
    let given = commands(&mut rig);
    let at = |command| given.iter().position(|one| *one == command).unwrap();
    assert_eq!(&given[..3], [Command::Open, Command::Configure(Side::Capture), Command::Configure(Side::Output)]);
    assert!(at(Command::Allocate(Side::Output, 4)) < at(Command::StreamOn(Side::Output)));
    assert!(at(Command::Allocate(Side::Capture, 5)) < at(Command::StreamOn(Side::Capture)));
}

#[test]
fn after_a_drain_an_encoder_is_reset_and_not_told_to_go_on() {
    let mut rig = Rig::new(Role::Encoder, &[Fault::NoStart], 9, 0);
    for _ in 0..3 {
        rig.feed(3);
        rig.drain();
        rig.settle();
    }
    assert_eq!((rig.done.len(), rig.drained, rig.fake.tripped), (9, 3, 0));
    // Also if everything had come out before.
    rig.machine.drain(rig.now);
    let given = commands(&mut rig);
    assert_eq!(given.first(), Some(&Command::StreamOff(Side::Capture)));
    assert_eq!(given.last(), Some(&Command::StreamOn(Side::Capture)));
}

#[test]
fn drains_of_0_and_1_and_300_inputs_answer_every_one() {
    for role in ROLES {
        for count in [0, 1, 300] {
            for seed in [0, 0x300] {
                let mut rig = Rig::new(role, &[], 0, seed);
                rig.feed(count);
                rig.drain();
                rig.settle();
                assert_eq!((rig.drained, rig.done.len() as u64), (1, count), "{role:?}");
                // And it goes on.
                rig.feed(10);
                rig.finish();
                assert_eq!(rig.done.len() as u64, count + 10, "{role:?}");
                assert_eq!((rig.lost(), rig.repairs.len()), (vec![], 0), "{role:?}");
            }
        }
    }
}

#[test]
fn what_is_submitted_during_a_drain_comes_after_it() {
    for role in ROLES {
        let mut rig = Rig::new(role, &[], 0, 0x200);
        rig.feed(3);
        rig.drain();
        rig.feed(2);
        rig.drain();
        rig.finish();
        assert_eq!((rig.drained, rig.done.len()), (3, 5), "{role:?}");
    }
}

#[test]
fn a_change_of_resolution_loses_nothing() {
    for seed in [0, 0x100, 0x300, 0x301] {
        let mut rig = Rig::new(Role::Decoder, &[], 0, seed);
        for resolution in [1, 2, 3, 1] {
            rig.resolution = resolution;
            rig.feed(25);
        }
        rig.finish();
        assert_eq!((rig.done.len(), rig.formats, rig.lost()), (100, 4, vec![]));
        assert_eq!(rig.repairs, []);
    }
}

#[test]
fn a_change_of_resolution_during_a_drain_is_followed_by_the_drain() {
    let mut rig = Rig::new(Role::Decoder, &[], 0, 0x300);
    rig.feed(2);
    rig.resolution = 2;
    rig.feed(2);
    rig.drain();
    rig.settle();
    assert_eq!((rig.drained, rig.done.len(), rig.formats, rig.lost()), (1, 4, 2, vec![]));
}

#[test]
fn a_seek_forgets_what_was_before_it_and_nothing_after_it() {
    for role in ROLES {
        let mut rig = Rig::new(role, &[], 0, 0x300);
        rig.feed(20);
        let before = rig.done.len();
        rig.flush();
        rig.resolution = 2;
        rig.feed(20);
        rig.finish();
        let fates: Vec<_> = rig.fates.values().copied().collect();
        assert!(fates[20..].iter().all(|fate| *fate == Fate::Done), "{role:?}: {fates:?}");
        assert_eq!(fates[..20].iter().filter(|fate| **fate == Fate::Done).count(), before);
    }
}

#[test]
fn a_caller_that_holds_everything_is_waited_for() {
    for role in ROLES {
        let mut rig = Rig::new(role, &[], 0, 0);
        rig.generous = false;
        for _ in 0..40 {
            rig.submit();
            rig.work();
        }
        let done = rig.done.len();
        assert!(done < 20, "{role:?}: the driver has no buffer any more");
        assert_eq!(rig.machine.deadline(), None, "{role:?}: nobody is to blame");
        rig.finish();
        assert_eq!((rig.lost(), rig.repairs.len()), (vec![], 0), "{role:?}");
    }
}

#[test]
fn more_than_the_driver_has_buffers_for_is_not_taken() {
    let mut machine = Machine::new(Role::Encoder, SETTINGS);
    for token in 0..4 {
        assert!(machine.submit(0, token, (0, ())).is_ok());
    }
    assert_eq!(machine.submit(0, 4, (0, ())), Err((Refusal::Full, ())));
}

#[test]
fn imported_memory_comes_back_to_the_buffer_that_has_it_mapped() {
    let mut rig = Rig::new(Role::Encoder, &[], 0, 0x200);
    rig.memories = 8;
    rig.fake.slots = 16;
    rig.feed(200);
    rig.finish();
    assert_eq!((rig.fake.mappings, rig.done.len()), (8, 200));
    // With fewer buffers than memories it works all the same.
    let mut rig = Rig::new(Role::Encoder, &[], 0, 0x200);
    rig.memories = 8;
    rig.feed(200);
    rig.finish();
    assert_eq!((rig.fake.mappings, rig.done.len()), (200, 200));
}

#[test]
fn a_busy_device_is_said_to_be_busy_at_once() {
    let mut machine = Machine::<()>::new(Role::Encoder, SETTINGS);
    machine.submit(0, 7, (0, ())).unwrap();
    machine.answer(0, Command::Open, Err(rustix::io::Errno::BUSY));
    let outputs: Vec<_> = std::iter::from_fn(|| machine.next_output()).collect();
    assert_eq!(outputs[1..], [Output::Failed(Failure::Busy)]);
    assert!(matches!(outputs[0], Output::Lost { token: 7, .. }));
    assert_eq!((machine.next_command(), machine.deadline()), (None, None));
}

#[test]
fn headers_by_themselves_answer_nobody() {
    let mut rig = Rig::new(Role::Encoder, &[Fault::SeparateHeaders], 0, 0);
    rig.feed(10);
    rig.finish();
    assert_eq!((rig.headers, rig.done.len(), rig.lost()), (1, 10, vec![]));
}
