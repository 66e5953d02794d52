// SPDX-License-Identifier: Apache-2.0
//! Clients that are killed, at every step of their connection.

use system_tests::process::End;

use crate::stage::{Stage, alone, scale};

/// Programs that have clients killed, at the same time.
const PROGRAMS: usize = 2;

#[test]
fn whoever_is_killed_leaves_nothing_behind() {
    let _alone = alone();
    let kills = scale(600, 10_000);
    let stage = Stage::new();
    let inspectors = stage.inspectors();
    let each = (kills / PROGRAMS).to_string();
    let mut killers: Vec<_> = (0..PROGRAMS).map(|_| stage.start("doomed", &[], &[&each])).collect();
    for killer in &mut killers {
        // It may take longer than anything else here.
        while killer.is_running() {
            inspectors[0].passes(1);
        }
        assert_eq!(killer.wait(), End::Exit(0), "{}", killer.stderr);
    }
    let account = stage.nothing_is_lost_or_left(inspectors);
    println!("{kills} clients killed; {} honest frames whole, {} late", account.whole, account.late);
}
