// SPDX-License-Identifier: Apache-2.0
//! Sixteen honest clients beside sixteen that stall, hoard, flood, rave, give, crowd, say
//! nothing, leave at every step, and are killed and come again.

use rustix::process::Signal;
use system_tests::mischief::TRADES;
use system_tests::process::End;
use system_tests::{Inspector, Process};

use crate::stage::{Stage, alone, scale};

/// Frames that the honest see between one event and the next.
const PAUSE: u64 = 6;

#[test]
fn honest_clients_notice_nothing_of_the_others() {
    let _alone = alone();
    let rounds = scale(4, 60);
    let stage = Stage::new();
    let inspectors = stage.inspectors();
    let enlist = |name: &str| {
        let villain = stage.start("villain", &[name], &[]);
        let _ = villain.stdout.until("its beginning", |line| line == "ready");
        villain
    };
    let mut villains: Vec<(&str, Process)> = TRADES.iter().map(|trade| (trade.name, enlist(trade.name))).collect();
    for round in 0..rounds {
        pause(&inspectors);
        // One that reads is stopped while another is killed and comes again; all in turn.
        let (_, reader) = villains.iter().filter(|(name, _)| name.starts_with("reads")).nth(round % 3).unwrap();
        reader.signal(Signal::STOP);
        pause(&inspectors);
        let (name, victim) = &mut villains[3 + round % (TRADES.len() - 3)];
        assert_eq!(victim.kill(), End::Signal(Signal::KILL.as_raw()), "{name} ended by itself");
        *victim = enlist(name);
        let (_, reader) = villains.iter().filter(|(name, _)| name.starts_with("reads")).nth(round % 3).unwrap();
        reader.signal(Signal::CONT);
    }
    pause(&inspectors);
    for (name, villain) in &mut villains {
        assert_eq!(villain.kill(), End::Signal(Signal::KILL.as_raw()), "{name} ended by itself");
    }
    let goodbyes = stage.rig.stream("a").counters.goodbyes;
    let reasons = ["version", "malformed", "not-reading", "handshake-timeout"];
    for reason in reasons {
        assert!(goodbyes.iter().any(|(seen, count)| seen == reason && *count > 0), "nobody was told {reason}");
    }
    let account = stage.nothing_is_lost_or_left(inspectors);
    println!("{rounds} rounds; {} honest frames whole, {} late; goodbyes {goodbyes:?}", account.whole, account.late);
}

fn pause(inspectors: &[Inspector]) {
    inspectors[0].passes(PAUSE);
}
