// SPDX-License-Identifier: Apache-2.0
//! When a client may read a frame, and that it always gives it back.

use std::time::Duration;

use rustix::net::RecvFlags;
use vs_frame::clock::{NS_PER_SEC, monotonic_ns};
use vs_ipc::client::{Connection, Ended, Incoming, LockReply, MapError, ReceivedFrame, SendError};
use vs_ipc::wire::{
    self, FrameEvent, LockRequest, LockResponse, LockStatus, RevokeReason, Revoked, RevokedV0, UnlockRequest,
    revocation,
};

use crate::fake_host::{FakeHost, TIMEOUT, connected, frame_event, picture};
use crate::messages::next_frame;

fn one_frame(event: FrameEvent) -> (FakeHost, Connection, ReceivedFrame) {
    let (host, mut client) = connected();
    host.frame(event, &picture(7));
    let frame = next_frame(&mut client);
    (host, client, frame)
}

fn notify_event(serial: u64) -> FrameEvent {
    FrameEvent { leased: 0, ..frame_event(serial) }
}

fn answer(host: &FakeHost, request: &LockRequest, status: LockStatus, deadline_ns: u64) {
    let message = LockResponse {
        request: request.request,
        serial: request.serial,
        status: status.code().into(),
        deadline_ns: deadline_ns.into(),
        ..LockResponse::default()
    };
    host.say(&wire::record(message, &[]));
}

fn reply(client: &mut Connection) -> LockReply {
    match client.wait(Some(TIMEOUT)).unwrap() {
        Some(Incoming::Locked(reply)) => reply,
        other => panic!("not an answer: {other:?}"),
    }
}

fn revoke(host: &FakeHost, serial: u64) {
    host.say(&revocation::encode(serial, RevokeReason::Withdrawn, wire::VERSION_MINOR));
}

#[test]
fn the_last_handle_unlocks_in_whatever_thread() {
    let (host, _client, frame) = one_frame(frame_event(3));
    let other = frame.clone();
    drop(frame);
    assert!(host.hears_nothing());
    std::thread::spawn(move || drop(other)).join().unwrap();
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 3);
    assert!(host.hears_nothing());
}

#[test]
fn a_frame_that_was_never_locked_needs_no_unlock() {
    let (host, _client, frame) = one_frame(notify_event(3));
    assert!(!frame.is_leased());
    drop(frame);
    assert!(host.hears_nothing());
}

#[test]
fn a_lock_moves_the_deadline_and_is_given_back() {
    let soon = monotonic_ns() + NS_PER_SEC;
    let (host, mut client, frame) = one_frame(FrameEvent { expires_ns: soon.into(), ..notify_event(3) });
    let request = frame.lock(Some(Duration::from_secs(2))).unwrap();
    let heard = host.hear::<LockRequest>();
    assert_eq!((heard.request.get(), heard.serial.get(), heard.lease_ns.get()), (request, 3, 2 * NS_PER_SEC));
    answer(&host, &heard, LockStatus::Granted, soon + 5);
    assert_eq!(reply(&mut client), LockReply { request, serial: 3, result: Ok(soon + 5) });
    assert_eq!(frame.deadline_ns(), soon + 5);
    drop(frame);
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 3);
}

#[test]
fn a_refused_lock_leaves_nothing_to_unlock() {
    let (host, mut client, frame) = one_frame(notify_event(3));
    frame.lock(None).unwrap();
    answer(&host, &host.hear::<LockRequest>(), LockStatus::NoCredit, 0);
    assert_eq!(reply(&mut client).result, Err(LockStatus::NoCredit));
    drop(frame);
    assert!(host.hears_nothing());
}

#[test]
fn a_lock_granted_after_all_is_lost_is_given_back() {
    let (host, mut client, frame) = one_frame(notify_event(3));
    frame.lock(None).unwrap();
    let request = host.hear::<LockRequest>();
    drop(frame);
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 3);
    // A host that took it otherwise must not keep the lease until its deadline.
    answer(&host, &request, LockStatus::Granted, u64::MAX);
    assert!(reply(&mut client).result.is_ok());
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 3);
}

#[test]
fn answers_are_not_mistaken_for_one_another() {
    let (host, mut client, first) = one_frame(notify_event(3));
    let mut event = notify_event(4);
    event.fds = 0;
    host.say(&wire::record(event, &[]));
    let second = next_frame(&mut client);
    let requests = [first.lock(None).unwrap(), second.lock(None).unwrap()];
    let heard = [host.hear::<LockRequest>(), host.hear::<LockRequest>()];
    answer(&host, &heard[1], LockStatus::Granted, u64::MAX);
    answer(&host, &heard[0], LockStatus::Gone, 0);
    assert_eq!((reply(&mut client).request, reply(&mut client).request), (requests[1], requests[0]));
    assert_eq!((first.is_leased(), second.is_leased()), (false, true));
}

#[test]
fn a_revoked_frame_cannot_be_read_and_the_host_hears_so() {
    let (host, mut client, frame) = one_frame(frame_event(3));
    let map = frame.map().unwrap();
    assert_eq!(map.plane(0).unwrap().data[0], 7);
    revoke(&host, 3);
    assert!(matches!(
        client.wait(Some(TIMEOUT)),
        Ok(Some(Incoming::Revoked { serial: 3, reason: RevokeReason::Withdrawn }))
    ));
    assert_eq!(map.finish(), Err(Ended::Revoked));
    assert!(matches!(frame.map(), Err(MapError::Ended(Ended::Revoked))));
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 3);
    drop(frame);
    assert!(host.hears_nothing());
}

/// A host of version 1.0 gives no reason; one of a later version may have further reasons, and
/// more to say.
#[test]
fn a_reason_that_is_not_known_is_taken_for_the_deadline() {
    let (host, mut client, frame) = one_frame(frame_event(3));
    let without = wire::record(RevokedV0 { serial: 3.into(), ..RevokedV0::default() }, &[]);
    assert_eq!(without.len(), 16);
    let of_later = wire::record(Revoked { serial: 4.into(), reason: 99.into(), ..Revoked::default() }, b"later");
    for (record, revoked) in [(without, 3), (of_later, 4)] {
        host.say(&record);
        match client.wait(Some(TIMEOUT)) {
            Ok(Some(Incoming::Revoked { serial, reason: RevokeReason::Deadline })) => assert_eq!(serial, revoked),
            other => panic!("{other:?}"),
        }
        assert_eq!(host.hear::<UnlockRequest>().serial.get(), revoked);
    }
    assert_eq!(frame.check(), Err(Ended::Revoked));
    host.say(&wire::record(Revoked::default(), &[])[..8]);
    assert!(client.wait(Some(TIMEOUT)).is_err());
}

#[test]
fn a_grant_does_not_bring_a_revoked_frame_back() {
    let (host, mut client, frame) = one_frame(frame_event(3));
    frame.lock(None).unwrap();
    revoke(&host, 3);
    answer(&host, &host.hear::<LockRequest>(), LockStatus::Granted, u64::MAX);
    client.wait(Some(TIMEOUT)).unwrap();
    assert!(reply(&mut client).result.is_ok());
    assert_eq!(frame.check(), Err(Ended::Revoked));
    drop(frame);
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 3);
}

#[test]
fn a_deadline_ends_a_frame_without_a_word_of_the_host() {
    let past = monotonic_ns() - 1;
    let (host, _client, frame) = one_frame(FrameEvent { expires_ns: past.into(), ..frame_event(3) });
    assert!(matches!(frame.map(), Err(MapError::Ended(Ended::Expired))));
    drop(frame);
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 3);
}

#[test]
fn a_dead_host_is_noticed_by_who_reads_a_frame() {
    let (host, client, frame) = one_frame(frame_event(3));
    let map = frame.map().unwrap();
    drop(host);
    assert_eq!(map.finish(), Err(Ended::Disconnected));
    drop(client);
    assert_eq!(frame.lock(None), Err(SendError::Closed));
    drop(frame);
}

#[test]
fn dropping_the_connection_ends_its_frames() {
    let (host, client, frame) = one_frame(frame_event(3));
    drop(client);
    assert_eq!(frame.check(), Err(Ended::Disconnected));
    assert!(host.hangs_up());
}

/// A host that does not read fills the socket; dropping frames still does not block, and
/// every unlock arrives once there is room again.
#[test]
fn unlocks_that_find_no_room_are_sent_later() {
    let (host, mut client) = connected();
    host.frame(frame_event(1), &picture(7));
    let mut frames = vec![next_frame(&mut client)];
    for serial in 2..=20 {
        let mut event = frame_event(serial);
        event.fds = 0;
        host.say(&wire::record(event, &[]));
        frames.push(next_frame(&mut client));
    }
    let mut locks = 0;
    while frames[0].lock(None).is_ok() {
        locks += 1;
    }
    assert_eq!(frames[0].lock(None), Err(SendError::Busy));
    drop(frames);
    for _ in 0..locks {
        host.hear::<LockRequest>();
    }
    // The wait has nothing to read: it sends what is left as soon as there is room.
    assert!(matches!(client.wait(Some(Duration::from_millis(1))), Ok(None)));
    let serials: Vec<u64> = (1..=20).map(|_| host.hear::<UnlockRequest>().serial.get()).collect();
    assert_eq!(serials, (1..=20).collect::<Vec<_>>());
    assert!(host.hear_bytes(RecvFlags::DONTWAIT).is_none());
}
