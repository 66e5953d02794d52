// SPDX-License-Identifier: Apache-2.0
//! Clients in such numbers that the host does not listen to each at once. None of them may
//! notice.

use std::time::Duration;

use vsclient::{Client, Frame, Mode};

use crate::stage::{Stage, TIMEOUT};

/// More than the host serves one by one.
const CROWD: usize = 12;

fn crowd(stage: &Stage, credits: u16) -> Vec<Client> {
    (0..CROWD).map(|_| stage.client().credits(credits).connect().unwrap()).collect()
}

fn next(client: &mut Client) -> Frame {
    client.next_frame(TIMEOUT).unwrap().unwrap()
}

#[test]
fn nobody_misses_a_frame_whose_credit_was_on_its_way() {
    let stage = Stage::new();
    let mut clients = crowd(&stage, 1);
    for value in 1..=100 {
        // No pause: what they said is in their sockets, and nowhere else.
        let serial = stage.publish(value);
        assert!(clients.iter_mut().all(|client| next(client).serial() == serial));
    }
    stage.until_all_is_returned();
    let host = stage.run(|host, _| host.snapshot());
    assert_eq!((host.delivered, host.skipped.total()), (100 * CROWD as u64, 0));
}

#[test]
fn buffers_come_home_although_no_frame_follows() {
    let stage = Stage::new();
    let mut clients = crowd(&stage, 2);
    stage.publish(1);
    let mut frames: Vec<Frame> = clients.iter_mut().map(next).collect();
    // The swift ones, then most of the slow ones, then the last.
    for remaining in [CROWD - 2, 2, 0] {
        frames.truncate(remaining);
        stage.until(move |host| host.clients.iter().filter(|client| client.held > 0).count() == remaining);
    }
}

#[test]
fn who_missed_a_frame_gets_the_newest_with_its_credit() {
    let stage = Stage::new();
    let mut clients = crowd(&stage, 1);
    stage.publish(1);
    let slow = next(&mut clients[0]);
    clients[1..].iter_mut().for_each(|client| drop(next(client)));
    stage.publish(2);
    assert!(clients[1..].iter_mut().all(|client| next(client).serial() == 2));
    assert!(clients[0].next_frame(Duration::from_millis(1)).unwrap().is_none());
    drop(slow);
    assert_eq!(next(&mut clients[0]).serial(), 2);
}

#[test]
fn a_request_is_answered_and_an_end_is_noticed_while_the_stream_stands_still() {
    let stage = Stage::new();
    let mut clients = crowd(&stage, 2);
    let mut locker = stage.client().mode(Mode::Notify).connect().unwrap();
    stage.publish(1);
    let frames: Vec<Frame> = clients.iter_mut().map(next).collect();
    let told = next(&mut locker);
    locker.lock(&told, None, TIMEOUT).unwrap();
    clients[0].lock(&frames[0], None, TIMEOUT).unwrap();
    drop(clients);
    stage.until(|host| host.clients.len() == 1 && host.clients[0].held == 1);
}
