// SPDX-License-Identifier: Apache-2.0
//! What is lent ends with the loan, whoever has it by then.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use system_tests::client::next;
use vsclient::{Ended, Event, Format, Mode, Rate, RevokeReason};

use super::stage::{Stage, check, format, publish, until, until_event};

/// Lease that the publisher of these tests gives at most.
const SHORT: Duration = Duration::from_millis(400);

#[test]
fn no_client_has_a_frame_for_longer_than_the_daemon() {
    let stage = Stage::new();
    let publisher = stage.publisher(|builder| builder.host(|host| host.lease_max_ns = SHORT.as_nanos() as u64));
    let mut client = stage.client();
    assert!(client.session().unwrap().lease > SHORT, "the daemon itself would give more");
    publish(&publisher);
    let frame = next(&mut client);
    let end_ns = frame.publish_ns() + SHORT.as_nanos() as u64;
    assert!(frame.deadline_ns() < end_ns);
    // Asking for more does not help, whether it comes in time or too late.
    drop(client.lock(&frame, Some(Duration::from_secs(5)), Duration::from_secs(5)));
    assert!(frame.deadline_ns() < end_ns);
    until_event(&mut client, |event| matches!(event, Event::Revoked { reason: RevokeReason::Deadline, .. }));
    until(&publisher, "the frame to come back", |now| now.clients.iter().all(|client| client.held == 0));
    // And the client that was too late gets the next one.
    drop(frame);
    assert_eq!((publish(&publisher), next(&mut client).serial()), (2, 2));
}

#[test]
fn what_the_host_hangs_up_on_is_taken_from_every_client() {
    let stage = Stage::with("lifespan = \"1min\"\nlease = \"1min\"\nlease-max = \"1min\"\n");
    // So slow that a lifespan of a minute can be afforded.
    let slow = Format { rate: Rate::new(1, 60).unwrap(), ..format(320) };
    let publisher = stage.publisher(|builder| builder.format(slow).host(|host| host.lease_max_ns = 120_000_000_000));
    let mut leased = stage.client();
    let mut notify = stage.client_with(|builder| builder.mode(Mode::Notify));
    publish(&publisher);
    let (one, other) = (next(&mut leased), next(&mut notify));
    assert_eq!((check(&one), check(&other)), (1, 1));
    publisher.stop("the show is over");
    for (client, frame) in [(&mut leased, &one), (&mut notify, &other)] {
        let withdrawn = |serial: u64, reason| (serial, reason) == (frame.serial(), RevokeReason::Withdrawn);
        until_event(client, |event| matches!(event, Event::Revoked { serial, reason } if withdrawn(*serial, *reason)));
        assert_eq!(frame.check(), Err(Ended::Revoked));
        until_event(client, |event| matches!(event, Event::State(state) if state.reason.contains("the show is over")));
    }
    // The one in notify mode held no lease: it was told, but none is counted.
    let revoked = HashMap::from([("withdrawn".to_owned(), 1), ("deadline".to_owned(), 0)]);
    let stream = stage.rig.stream("lib0");
    let of_client = |mode: &str| stream.clients.iter().find(|client| client.mode == mode).unwrap().revoked.clone();
    assert_eq!((&stream.counters.revoked, &of_client("leased")), (&revoked, &revoked));
    assert_eq!(of_client("notify").values().sum::<u64>(), 0);
    let status = &stage.rig.ask(&["status", "lib0"])["streams"][0];
    assert_eq!(status["revoked"], json!({ "deadline": 0, "withdrawn": 1 }), "{status:#}");
    let text = stage.rig.vsctl(&["status", "lib0"]).good().stdout;
    assert!(text.contains("1 (withdrawn 1)"), "{text}");
    drop((one, other));

    // Nobody is blamed: both get the frames of the next life.
    let publisher = stage.publisher(|builder| builder);
    publish(&publisher);
    assert_eq!((check(&next(&mut leased)), check(&next(&mut notify))), (1, 1));
    stage.end();
}
