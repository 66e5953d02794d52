// SPDX-License-Identifier: Apache-2.0
//! A client that means no good, until somebody kills it.
//!
//! `villain TRADE SOCKET VSL_SOCKET`
//!
//! It connects again whenever the host has had enough of it. It runs at the lowest priority:
//! what is on trial is how the daemon shares, not how the kernel does.

use std::panic::catch_unwind;
use std::process::ExitCode;

use system_tests::mischief::{Sockets, TRADES};

/// The lowest priority there is (nice(2)).
const NICE: i32 = 19;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(trade), Some(native), Some(vsl)) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: villain TRADE SOCKET VSL_SOCKET");
        return ExitCode::from(2);
    };
    let Some(trade) = TRADES.iter().find(|known| known.name == trade) else {
        eprintln!("villain: no trade {trade}");
        return ExitCode::from(2);
    };
    if let Err(error) = rustix::process::nice(NICE) {
        eprintln!("villain: nice: {error}");
    }
    let sockets = Sockets { native: native.into(), vsl: vsl.into() };
    // The host ends connections wherever it likes, and what was expected then does not come.
    std::panic::set_hook(Box::new(|_| {}));
    println!("ready");
    loop {
        let _ = catch_unwind(|| (trade.live)(&sockets));
    }
}
