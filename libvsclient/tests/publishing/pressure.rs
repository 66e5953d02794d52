// SPDX-License-Identifier: Apache-2.0
//! Whatever clients do, the program goes on.

use vsclient::publish::{BufferError, FrameMeta, Publisher};
use vsclient::{Mode, SkipReason};

use crate::program::{Program, TIMEOUT, check, format};

/// Buffers of the pool: the fewest that there can be.
const FEW: usize = 3;

#[test]
fn hoarders_lose_frames_and_the_program_none() {
    for buffers in [FEW, 6, 12] {
        let program = Program::with(|builder| builder.buffers(buffers).host(|host| host.lease_ns = 1 << 40));
        let mut hoarders: Vec<_> = (0..8).map(|_| program.client().credits(16).connect().unwrap()).collect();
        let mut hoard = Vec::new();
        for round in 1..=100 {
            assert_eq!(program.publish(), round, "with {buffers} buffers");
            for hoarder in &mut hoarders {
                hoard.extend(hoarder.next_frame(std::time::Duration::ZERO).unwrap());
            }
        }
        let now = program.publisher.snapshot().unwrap();
        assert_eq!(now.published, 100);
        assert!(now.frames_live <= buffers - 2, "{now:?}");
        assert!(now.skipped.by(SkipReason::Pool) + now.skipped.by(SkipReason::NoCredit) > 0);
        // What they hold is whole all the time.
        hoard.iter().for_each(|frame| assert_eq!(check(frame), frame.serial()));

        // And whoever is honest gets the next frame once they are gone.
        drop((hoard, hoarders));
        program.until(|now| now.clients.is_empty());
        let mut honest = program.client().connect().unwrap();
        let serial = program.publish();
        let mut frame = honest.next_frame(TIMEOUT).unwrap().unwrap();
        while frame.serial() < serial {
            frame = honest.next_frame(TIMEOUT).unwrap().unwrap();
        }
        assert_eq!(check(&frame), serial);
    }
}

/// A program that publishes as fast as it can leaves its host no time to wait for clients. What they have given back
/// by then is heard all the same.
#[tokio::test]
async fn what_is_given_back_is_heard_without_a_pause() {
    let dir = tempfile::tempdir().unwrap();
    let mut host = Publisher::builder("mine").socket_dir(dir.path()).bind().unwrap();
    let pool = vsclient::publish::CpuPool::new(format(320).into(), vsclient::publish::CpuMemory::Memfd, 1, 12).unwrap();
    let path = dir.path().join("mine");
    let connecting = tokio::task::spawn_blocking(move || crate::program::client_of(&path).credits(1).connect());
    while host.client_count() == 0 {
        host.turn().await.unwrap();
    }
    let mut client = connecting.await.unwrap().unwrap();
    let mut publish = || host.publish(pool.acquire().unwrap().unwrap().finish(FrameMeta::default()).unwrap());
    let mut held = None;
    for round in 1..=20 {
        // One that it misses, from where on its unlocks are messages, and one that it gets.
        let serial = publish();
        if round == 1 {
            held = client.next_frame(TIMEOUT).unwrap();
            continue;
        }
        assert!(client.next_frame(std::time::Duration::ZERO).unwrap().is_none(), "it has no credit");
        drop(held.take());
        let next = publish();
        held = client.next_frame(TIMEOUT).unwrap();
        assert_eq!((serial + 1, held.as_ref().map(|frame| frame.serial())), (next, Some(next)));
    }
}

#[test]
fn a_client_that_does_not_read_costs_the_program_nothing() {
    let program = Program::new();
    let _deaf = program.client().mode(Mode::Notify).connect().unwrap();
    let mut honest = program.client().connect().unwrap();
    for round in 1..=300 {
        // Lifespans that are promised to the deaf one take their part of the pool, then end.
        program.until(|now| now.frames_live < 5);
        assert_eq!(program.publish(), round);
        let frame = honest.next_frame(TIMEOUT).unwrap().unwrap();
        assert_eq!((frame.serial(), check(&frame)), (round, round));
    }
    let now = program.publisher.snapshot().unwrap();
    assert!(now.skipped.by(SkipReason::NotReading) > 0);
}

#[test]
fn only_the_program_itself_can_exhaust_its_pool() {
    let program = Program::with(|builder| builder.buffers(FEW));
    let slots: Vec<_> = (0..FEW).map(|_| program.publisher.buffer().unwrap()).collect();
    assert!(matches!(program.publisher.buffer(), Err(BufferError::Exhausted(FEW))));
    drop(slots);
    program.publish();
}
