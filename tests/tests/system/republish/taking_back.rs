// SPDX-License-Identifier: Apache-2.0
//! What is lent ends with the loan, whoever has it by then.

use std::time::Duration;

use system_tests::client::next;
use vsclient::{Ended, Event, Format, Mode, Rate};

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
    until_event(&mut client, |event| matches!(event, Event::Revoked { .. }));
    until(&publisher, "the frame to come back", |now| now.clients.iter().all(|client| client.held == 0));
    // And the client that was too late gets the next one.
    drop(frame);
    assert_eq!((publish(&publisher), next(&mut client).serial()), (2, 2));
}

#[test]
fn what_the_host_hangs_up_on_is_taken_from_every_client() {
    let stage = Stage::with("lifespan = \"1min\"\n");
    // So slow that a lifespan of a minute can be afforded.
    let slow = Format { rate: Rate::new(1, 60).unwrap(), ..format(320) };
    let publisher = stage.publisher(|builder| builder.format(slow));
    let mut leased = stage.client();
    let mut notify = stage.client_with(|builder| builder.mode(Mode::Notify));
    publish(&publisher);
    let (one, other) = (next(&mut leased), next(&mut notify));
    assert_eq!((check(&one), check(&other)), (1, 1));
    publisher.stop("the show is over");
    for (client, frame) in [(&mut leased, &one), (&mut notify, &other)] {
        until_event(client, |event| matches!(event, Event::Revoked { serial } if *serial == frame.serial()));
        assert_eq!(frame.check(), Err(Ended::Revoked));
        until_event(client, |event| matches!(event, Event::State(state) if state.reason.contains("the show is over")));
    }
    drop((one, other));

    // Nobody is blamed: both get the frames of the next life.
    let publisher = stage.publisher(|builder| builder);
    publish(&publisher);
    assert_eq!((check(&next(&mut leased)), check(&next(&mut notify))), (1, 1));
    stage.end();
}
