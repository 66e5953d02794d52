// SPDX-License-Identifier: Apache-2.0
//! What drivers are known to do, one test each.

use super::super::{Failure, LossCause, Repair, Role};
use super::fake::{Fault, POISONED};
use super::rig::{Rig, SETTINGS, START_NS};

/// Feeds 40 inputs, two resolutions of a decoder, to a driver that misbehaves `times` times,
/// and drains.
fn run(role: Role, fault: Fault, times: u32, seed: u64) -> Rig {
    let mut rig = Rig::new(role, &[fault], times, seed);
    rig.feed(20);
    rig.drain();
    rig.settle();
    rig.resolution = 2;
    rig.feed(20);
    rig.finish();
    rig
}

/// Seeds with which the fake driver delays 0 to 3 pictures, and misbehaves at different times.
const SEEDS: [u64; 8] = [0x0_01, 0x1_35, 0x2_77, 0x3_b3, 0x10_07, 0x21_0d, 0x32_11, 0x43_17];

fn each(roles: &[Role], fault: Fault, times: u32, check: impl Fn(&Rig, Role)) {
    let mut tripped = 0;
    for role in roles {
        for seed in SEEDS {
            let rig = run(*role, fault, times, seed);
            tripped += rig.fake.tripped;
            check(&rig, *role);
        }
    }
    assert!(tripped > 0 || times == 0, "{fault:?} never happened");
}

const CODECS: [Role; 2] = [Role::Decoder, Role::Encoder];
const ALL: [Role; 3] = [Role::Decoder, Role::Encoder, Role::Converter];

fn nothing_is_lost(rig: &Rig, role: Role) {
    assert_eq!((rig.done.len(), rig.lost(), rig.failure), (40, vec![], None), "{role:?}");
}

fn nothing_is_lost_nor_waited_for(rig: &Rig, role: Role) {
    nothing_is_lost(rig, role);
    assert_eq!(rig.now, START_NS, "{role:?}: a deadline has passed");
}

#[test]
fn a_stall_is_repaired_and_pictures_are_given_once_more() {
    each(&ALL, Fault::Stall, 1, |rig, role| {
        assert_eq!(rig.done.len() + rig.lost().len(), 40);
        assert!(rig.repairs.len() <= 1 && !rig.repairs.contains(&Repair::Reopen), "{:?}", rig.repairs);
        assert!(rig.lost().iter().all(|(_, cause)| *cause == LossCause::Stalled));
        if role == Role::Converter {
            nothing_is_lost(rig, role);
        }
    });
}

#[test]
fn a_stall_that_a_restart_does_not_end_is_ended_by_opening_the_device_again() {
    each(&ALL, Fault::DeepStall, 1, |rig, role| {
        assert_eq!(rig.done.len() + rig.lost().len(), 40, "{role:?}");
        assert!(rig.repairs.is_empty() || rig.repairs.contains(&Repair::Reopen), "{:?}", rig.repairs);
    });
}

#[test]
fn a_device_that_never_works_again_is_given_up() {
    for role in ALL {
        let mut rig = Rig::new(role, &[Fault::NeverWorks], 0, 5);
        rig.feed(40);
        rig.finish();
        assert_eq!(rig.failure, Some(Failure::Broken), "{role:?}");
    }
}

#[test]
fn a_drain_without_last_ends_all_the_same() {
    each(&CODECS, Fault::NoLast, 2, nothing_is_lost);
}

#[test]
fn a_change_without_last_goes_on_all_the_same() {
    each(&[Role::Decoder], Fault::NoLastOfOld, 1, nothing_is_lost);
}

#[test]
fn an_event_after_the_last_buffer_is_waited_for() {
    let mut tripped = 0;
    for (seed, drains) in SEEDS.into_iter().flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut rig = Rig::new(Role::Decoder, &[Fault::LateEvent], 1, seed);
        rig.feed(20);
        rig.resolution = 2;
        rig.feed(if drains { 2 } else { 20 });
        rig.finish();
        tripped += rig.fake.tripped;
        assert_eq!((rig.lost(), rig.failure, rig.now), (vec![], None, START_NS), "{seed:x}, {drains}");
    }
    assert_eq!(tripped, 2 * SEEDS.len() as u32);
}

#[test]
fn a_last_buffer_out_of_nowhere_is_no_end() {
    each(&[Role::Encoder], Fault::SuddenLast, 1, |rig, role| {
        assert_eq!(rig.done.len() + rig.lost().len(), 40, "{role:?}");
        assert_eq!(rig.failure, None);
    });
}

#[test]
fn a_picture_that_is_dropped_silently_is_missed_by_name() {
    each(&ALL, Fault::Drop, 3, |rig, role| {
        assert_eq!(rig.lost().len() as u32, rig.fake.tripped, "{role:?}");
        assert!(rig.lost().iter().all(|(_, cause)| *cause == LossCause::NoOutput));
        assert_eq!(rig.repairs, [], "{role:?}");
    });
}

#[test]
fn a_picture_that_comes_twice_is_given_out_once() {
    each(&ALL, Fault::Twice, 3, |rig, role| {
        nothing_is_lost(rig, role);
        assert_eq!(rig.machine.strays(), u64::from(rig.fake.tripped));
    });
}

#[test]
fn erroneous_buffers_are_reported_and_not_fatal() {
    for fault in [Fault::CorruptCapture, Fault::CorruptOutput] {
        each(&ALL, fault, 3, |rig, role| {
            assert_eq!(rig.lost().len() as u32, rig.fake.tripped, "{role:?}");
            assert!(rig.lost().iter().all(|(_, cause)| *cause == LossCause::Corrupt));
            assert_eq!((rig.repairs.len(), rig.failure), (0, None));
        });
    }
}

#[test]
fn an_io_error_is_answered_by_opening_the_device_again() {
    each(&ALL, Fault::Eio, 1, |rig, role| {
        assert_eq!((rig.done.len() + rig.lost().len(), rig.failure), (40, None), "{role:?}");
        assert!(rig.repairs.iter().all(|repair| *repair == Repair::Reopen));
    });
}

#[test]
fn a_device_that_is_busy_when_opened_again_is_tried_again() {
    for role in ALL {
        for seed in SEEDS {
            let mut rig = Rig::new(role, &[Fault::Eio, Fault::BusyAtReopen], 3, seed);
            rig.feed(40);
            rig.finish();
            assert_eq!((rig.done.len() + rig.lost().len(), rig.failure), (40, None), "{role:?}");
        }
    }
}

#[test]
fn epipe_after_start_is_answered_by_a_stop_of_the_queue_at_once() {
    each(&CODECS, Fault::DeafToStart, 0, nothing_is_lost_nor_waited_for);
}

#[test]
fn epipe_says_as_much_as_last() {
    each(&CODECS, Fault::UnflaggedLast, 0, nothing_is_lost_nor_waited_for);
}

#[test]
fn one_poisonous_input_does_not_cost_the_session() {
    for role in ALL {
        let rig = run(role, Fault::Poison, 0, 0);
        assert_eq!((rig.done.len() + rig.lost().len(), rig.failure), (40, None), "{role:?}");
        assert!(rig.lost().iter().any(|(token, _)| *token == POISONED), "{role:?}");
        assert!(rig.lost().len() <= SETTINGS.output_buffers as usize, "{role:?}: {:?}", rig.lost());
    }
}

#[test]
fn a_driver_without_start_goes_on() {
    each(&CODECS, Fault::NoStart, 0, nothing_is_lost);
}

#[test]
fn a_driver_without_stop_is_drained_as_far_as_it_gives_by_itself() {
    for role in CODECS {
        // It keeps nothing back.
        nothing_is_lost(&run(role, Fault::NoStop, 0, 0x0_01), role);
        // It keeps three, of each drain, which nothing gets out.
        let rig = run(role, Fault::NoStop, 0, 0x3_01);
        assert_eq!((rig.done.len(), rig.lost().len(), rig.failure), (34, 6, None), "{role:?}");
    }
}

#[test]
fn refused_buffers_are_offered_again_and_refused_inputs_reported() {
    each(&ALL, Fault::RefuseCapture, 3, nothing_is_lost);
    each(&ALL, Fault::RefuseOutput, 3, |rig, role| {
        assert_eq!(rig.lost().len() as u32, rig.fake.tripped, "{role:?}");
        assert!(rig.lost().iter().all(|(_, cause)| matches!(cause, LossCause::Refused(_))));
    });
}

#[test]
fn fewer_buffers_than_asked_for_are_enough() {
    each(&ALL, Fault::FewerBuffers, 0, nothing_is_lost);
    each(&ALL, Fault::LittleMemory, 1, nothing_is_lost);
}

#[test]
fn buffers_that_callers_hold_delay_a_change_and_no_more() {
    let mut rig = Rig::new(Role::Decoder, &[Fault::HoldsBuffers], 0, 0);
    rig.generous = false;
    rig.feed(2);
    rig.resolution = 2;
    rig.feed(2);
    for _ in 0..20 {
        rig.work();
    }
    assert_eq!((rig.formats, rig.failure), (1, None));
    assert!(rig.fake.tripped > 0);
    rig.finish();
    assert_eq!((rig.formats, rig.done.len(), rig.lost()), (2, 4, vec![]));
}

#[test]
fn a_buffer_number_that_cannot_be_ends_the_driver_not_us() {
    each(&ALL, Fault::WrongIndex, 1, |rig, role| {
        assert_eq!((rig.done.len() + rig.lost().len(), rig.failure), (40, None), "{role:?}");
    });
}

#[test]
fn an_unplugged_device_ends_the_session_and_every_input() {
    each(&ALL, Fault::Gone, 1, |rig, _| {
        if rig.fake.tripped > 0 {
            assert_eq!(rig.failure, Some(Failure::Gone));
        }
    });
}
