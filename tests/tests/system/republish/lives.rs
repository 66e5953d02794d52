// SPDX-License-Identifier: Apache-2.0
//! Hosts that are killed, stopped, or no hosts at all: the daemon's clients stay.

use std::time::Duration;

use rustix::process::Signal;
use system_tests::client::next;
use system_tests::eventually;
use vsclient::publish::FrameFlags;
use vsclient::{Ended, Event, StreamState};

use super::stage::{Stage, check, program, publish, until, until_event, until_state};

/// Whether a process is stopped, by proc_pid_stat(5): its name may have blanks, but no ")".
fn stands_still(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))
}

#[test]
fn a_killed_host_is_waited_for_and_its_next_life_taken_over() {
    let stage = Stage::new();
    let mut client = stage.client();
    until_state(&mut client, StreamState::Waiting);
    for life in 0..3 {
        let mut upstream = program(&stage.upstream());
        until_state(&mut client, StreamState::Running);
        for round in 0..5 {
            let frame = next(&mut client);
            check(&frame);
            let gap = frame.meta().flags.contains(FrameFlags::GAP);
            assert!(round > 0 || gap == (life > 0), "time has passed without frames");
        }
        let held = next(&mut client);
        upstream.kill();
        // What it had lent is nobody's any more, and a client that still reads is told first.
        until_event(&mut client, |event| match event {
            Event::Revoked { serial, .. } => *serial == held.serial(),
            Event::State(_) => panic!("the state came before the end of the frame"),
            _ => false,
        });
        assert_eq!(held.check(), Err(Ended::Revoked));
        drop(held);
        until_state(&mut client, StreamState::Waiting);
    }
    assert_eq!(client.counters().connections, 1);
    stage.end();
}

#[test]
fn a_stopped_host_stops_the_frames_and_nothing_else() {
    let stage = Stage::new();
    let upstream = program(&stage.upstream());
    let mut client = stage.client();
    let before = check(&next(&mut client));
    upstream.signal(Signal::STOP);
    while client.next_frame(Duration::from_millis(300)).unwrap().is_some() {}
    until_state(&mut client, StreamState::Waiting);
    assert!(client.state().reason.contains("sends no frames"), "{}", client.state());
    // Others come meanwhile.
    let mut other = stage.client();
    upstream.signal(Signal::CONT);
    until_state(&mut client, StreamState::Running);
    assert!(check(&next(&mut client)) > before);
    check(&next(&mut other));
    // The daemon ends without waiting for a host that does not answer.
    upstream.signal(Signal::STOP);
    stage.end();
}

#[test]
fn frames_that_the_daemon_missed_leave_a_gap() {
    let stage = Stage::new();
    let publisher = stage.publisher(|builder| builder);
    let mut client = stage.client();
    publish(&publisher);
    let _ = next(&mut client);
    let daemon = &stage.rig.daemon().process;
    daemon.signal(Signal::STOP);
    eventually("the daemon to stop", || stands_still(daemon.pid()).then_some(()));
    let last = (0..20).map(|_| publish(&publisher)).last().unwrap();
    // Else those that are still on their way would come in two parts.
    until(&publisher, "all frames to be out", |now| now.published == last);
    daemon.signal(Signal::CONT);
    eventually("the daemon to catch up", || {
        while client.next_frame(Duration::ZERO).unwrap().is_some() {}
        publisher.snapshot().unwrap().clients.iter().all(|client| client.held <= 1).then_some(())
    });
    let serial = publish(&publisher);
    while check(&next(&mut client)) < serial {}
    assert_eq!(client.counters().source_gaps, 1);
    let status = stage.rig.ask(&["status", "lib0"]);
    let lost = status["streams"][0]["source_counters"]["lost"].as_u64().unwrap();
    assert_eq!(lost, publisher.snapshot().unwrap().skipped.total());
    publish(&publisher);
    assert!(!next(&mut client).meta().flags.contains(FrameFlags::GAP));
}

#[test]
fn what_is_no_host_is_said_and_tried_again() {
    let stage = Stage::new();
    let mut client = stage.client();
    let stranger = std::os::unix::net::UnixListener::bind(stage.upstream()).unwrap();
    until_state(&mut client, StreamState::Failed);
    assert!(client.state().reason.contains("not a stream"), "{}", client.state());
    drop(stranger);
    std::fs::remove_file(stage.upstream()).unwrap();
    let _upstream = program(&stage.upstream());
    until_state(&mut client, StreamState::Running);
    check(&next(&mut client));
}
