// SPDX-License-Identifier: Apache-2.0
//! Random schedules of caller, driver and time, with random misbehaviour.

use proptest::prelude::*;

use super::super::Role;
use super::fake::{FAULTS, Fault};
use super::rig::Rig;

#[derive(Clone, Copy, Debug)]
enum Op {
    Submit,
    /// The driver works so many steps.
    Work(u8),
    GiveBack,
    Drain,
    Flush,
    /// What is submitted from now on has this resolution.
    Resolution(u8),
    /// The deadline comes, if there is one.
    Deadline,
    /// Some time passes, in ms.
    Time(u16),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => Just(Op::Submit),
        16 => (1..4u8).prop_map(Op::Work),
        8 => Just(Op::GiveBack),
        2 => Just(Op::Drain),
        1 => Just(Op::Flush),
        1 => (1..4u8).prop_map(Op::Resolution),
        3 => Just(Op::Deadline),
        2 => (1..1000u16).prop_map(Op::Time),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Decoder), Just(Role::Encoder), Just(Role::Converter)]
}

#[derive(Clone, Debug)]
struct Schedule {
    role: Role,
    faults: Vec<Fault>,
    budget: u32,
    seed: u64,
    generous: bool,
    /// Memories that inputs lie in, and buffers that the driver would like to have for them.
    imports: (u64, u32),
    ops: Vec<Op>,
}

fn schedule(faults: usize) -> impl Strategy<Value = Schedule> {
    let faults = prop::collection::vec(prop::sample::select(FAULTS), 0..=faults);
    let ops = prop::collection::vec(op(), 1..120);
    let manner = (any::<u64>(), any::<bool>(), (0..9u64, 0..20u32));
    (role(), faults, 0..6u32, manner, ops).prop_map(|(role, faults, budget, (seed, generous, imports), ops)| Schedule {
        role,
        faults,
        budget,
        seed,
        generous,
        imports,
        ops,
    })
}

fn run(schedule: &Schedule) -> Rig {
    let mut rig = Rig::new(schedule.role, &schedule.faults, schedule.budget, schedule.seed);
    rig.generous = schedule.generous;
    (rig.memories, rig.fake.slots) = schedule.imports;
    rig.pump();
    for op in &schedule.ops {
        match *op {
            Op::Submit => {
                rig.submit();
            }
            Op::Work(steps) => {
                for _ in 0..steps {
                    rig.work();
                }
            }
            Op::GiveBack => {
                rig.give_back();
                rig.pump();
            }
            Op::Drain => rig.drain(),
            Op::Flush => rig.flush(),
            Op::Resolution(resolution) => rig.resolution = resolution,
            Op::Deadline => {
                if let Some(deadline) = rig.machine.deadline() {
                    rig.now = rig.now.max(deadline);
                    rig.machine.tick(rig.now);
                    rig.pump();
                }
            }
            Op::Time(ms) => {
                rig.now += u64::from(ms) * 1_000_000;
                rig.machine.tick(rig.now);
                rig.pump();
            }
        }
    }
    rig.finish();
    rig
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_a_driver_does_nothing_hangs_and_everything_is_accounted_for(schedule in schedule(4)) {
        run(&schedule);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120_000))]

    #[test]
    #[ignore = "takes minutes; run it with --release"]
    fn whatever_a_driver_does_at_length(schedule in schedule(6)) {
        run(&schedule);
    }
}
