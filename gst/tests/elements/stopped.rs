// SPDX-License-Identifier: Apache-2.0
//! Readers that are stopped, and readers that are killed, while they hold pictures: nobody else notices.
//!
//! They are processes of their own: this test program, started again for one test.

use std::process::Command;

use rustix::process::Signal;
use system_tests::Process;

use crate::numbers::{Numbers, Witness};
use crate::stage::{Stage, pull_from};

/// The test, as the program's command line names it, and where its readers are told the socket's folder.
const TEST: &str = "stopped::a_stopped_and_a_killed_reader_hold_up_nobody";
const FOLDER: &str = "VSLSINK_TEST_FOLDER";

/// More than a socket takes that nobody reads (278 messages of this size, with the kernel's usual buffers).
const PICTURES: u64 = 600;

/// A reader that holds what it gets, and says when it has something.
fn reader(stage: &Stage) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "--test-threads=1", TEST]).env(FOLDER, stage.folder());
    Process::start("a reader", &mut command)
}

fn holds(reader: &Process) {
    reader.stdout.until("a held picture", |line| line.contains("HOLDS"));
}

fn hold(stage: &Stage) -> ! {
    let mut harness = pull_from(&stage.source(), true);
    let _held = harness.pull().unwrap();
    println!("\nHOLDS");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_stopped_and_a_killed_reader_hold_up_nobody() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        hold(&Stage::at(folder.into()));
    }
    let stage = Stage::new();
    let mut numbers = Numbers::new(&stage, 8);
    let mut witnesses = [Witness::of(&stage), Witness::of(&stage)];
    let (stopped, mut killed) = (reader(&stage), reader(&stage));
    numbers.readers(4);
    let mut all_see = |numbers: &mut Numbers, range: std::ops::Range<u64>| {
        for number in range {
            numbers.publish();
            witnesses.iter_mut().for_each(|witness| witness.sees(number));
        }
    };
    all_see(&mut numbers, 0..10);
    holds(&stopped);
    holds(&killed);
    stopped.signal(Signal::STOP);
    all_see(&mut numbers, 10..PICTURES);
    killed.kill();
    all_see(&mut numbers, PICTURES..2 * PICTURES);
    numbers.assert_published(2 * PICTURES);
}
