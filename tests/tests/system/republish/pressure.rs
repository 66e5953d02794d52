// SPDX-License-Identifier: Apache-2.0
//! Clients of the daemon cannot take the last credit that it has with its host.

use system_tests::client::next;
use vsclient::SkipReason;
use vsclient::publish::ClientSnapshot;

use super::stage::{Stage, check, publish, until};

/// Credits that hosts grant: the fewest, a few, and the daemon's wish.
#[test]
fn hoarders_cost_the_daemon_no_frame() {
    for granted in [1u16, 2, 4, 12] {
        let stage = Stage::with("lease-max = \"1min\"\nlease = \"1min\"\n");
        let publisher = stage.publisher(|builder| {
            builder.buffers(16).host(move |host| {
                host.credits_max = granted;
                host.lease_max_ns = 120_000_000_000;
            })
        });
        let mut hoarders: Vec<_> = (0..4).map(|_| stage.client_with(|builder| builder.credits(16))).collect();
        let mut hoard = Vec::new();
        for round in 1..=50u64 {
            assert_eq!(publish(&publisher), round);
            // With one credit the daemon can have the next frame only when this one is back.
            let spare = |client: &ClientSnapshot| client.held < usize::from(granted).max(2);
            until(&publisher, "a credit to spare", |now| now.clients.iter().all(spare));
            for hoarder in &mut hoarders {
                hoard.extend(hoarder.next_frame(std::time::Duration::ZERO).unwrap());
            }
        }
        let now = publisher.snapshot().unwrap();
        if granted > 1 {
            assert_eq!(now.skipped.by(SkipReason::NoCredit), 0, "{granted} credits: {now:?}");
        }
        assert!(!hoard.is_empty());
        assert!(hoard.iter().all(|frame| check(frame) > 0));
        drop((hoard, hoarders));

        let mut honest = stage.client();
        until(&publisher, "the frames to come back", |now| now.clients.iter().all(|client| client.held <= 1));
        let serial = publish(&publisher);
        while check(&next(&mut honest)) < serial {}
        stage.end();
    }
}
