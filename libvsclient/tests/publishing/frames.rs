// SPDX-License-Identifier: Apache-2.0
//! What a program publishes is what its clients get.

use vsclient::publish::{BindError, BufferError, FrameMeta, HostError, Publisher, StartError};
use vsclient::{Event, GoodbyeReason, ReceiveError, StreamState};

use crate::program::{Program, TIMEOUT, check, format, publish};

#[test]
fn every_frame_arrives_whole_under_its_serial() {
    let program = Program::new();
    let mut client = program.client().connect().unwrap();
    assert_eq!(client.session().unwrap().stream, "mine");
    for round in 1..=100 {
        assert_eq!(program.publish(), round);
        let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
        assert_eq!((frame.serial(), check(&frame)), (round, round));
        assert_eq!(frame.meta().bytes_used[0], 320 * 240 * 3 / 2);
    }
    let now = program.publisher.snapshot().unwrap();
    assert_eq!((now.published, now.delivered, now.clients.len()), (100, 100, 1));
    assert_eq!(now.clients[0].name, "tester");
}

#[test]
fn frames_of_many_threads_get_serials_in_the_order_in_which_they_come() {
    let program = Program::new();
    let mut client = program.client().connect().unwrap();
    let publisher = &program.publisher;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let mut published = 0;
                // Faster than anybody could read: what is too much for the pool is said.
                while published < 50 {
                    match publisher.buffer() {
                        Ok(slot) => {
                            publisher.publish(slot.finish(FrameMeta::default()).unwrap()).unwrap();
                            published += 1;
                        }
                        Err(error) => assert!(matches!(error, BufferError::Exhausted(12)), "{error}"),
                    }
                }
            });
        }
    });
    assert_eq!((program.publisher.next_serial(), program.publisher.snapshot().unwrap().published), (201, 200));
    let mut last = 0;
    while let Some(frame) = client.next_frame(std::time::Duration::ZERO).unwrap() {
        assert!(frame.serial() > last);
        last = frame.serial();
    }
    assert!(last > 0);
}

#[test]
fn the_format_may_change() {
    let mut program = Program::new();
    let mut client = program.client().connect().unwrap();
    program.publish();
    assert_eq!(client.next_frame(TIMEOUT).unwrap().unwrap().format().width, 320);
    program.publisher.set_format(format(640)).unwrap();
    program.publish();
    let frame = client.next_frame(TIMEOUT).unwrap().unwrap();
    assert_eq!((frame.format().width, check(&frame)), (640, 2));
    assert_eq!(client.format().unwrap().width, 640);
}

#[test]
fn the_state_is_what_the_program_says_or_does() {
    let program = Program::new();
    let mut client = program.client().connect().unwrap();
    let mut states = Vec::new();
    let mut next = |state| {
        while states.last() != Some(&state) {
            if let Event::State(status) = client.next_event(TIMEOUT).unwrap().expect("no change") {
                states.push(status.state);
            }
        }
    };
    next(StreamState::Waiting);
    program.publish();
    next(StreamState::Running);
    program.publisher.set_state(StreamState::Waiting, "the sun is down").unwrap();
    next(StreamState::Waiting);
    assert_eq!(client.state().reason, "the sun is down");
}

#[test]
fn who_drops_the_publisher_tells_the_clients() {
    let program = Program::new();
    let path = program.path();
    let mut client = program.client().no_reconnect().connect().unwrap();
    let Program { publisher, dir: _dir } = program;
    publish(&publisher);
    publisher.stop("the show is over");
    assert!(!path.exists(), "the socket is still there");
    assert_eq!(client.next_frame(TIMEOUT).unwrap().unwrap().serial(), 1, "what was published before still comes");
    let Err(ReceiveError::Goodbye(goodbye)) = client.next_frame(TIMEOUT) else { panic!("no goodbye") };
    assert_eq!((goodbye.reason, goodbye.text.as_str()), (GoodbyeReason::StreamRemoved, "the show is over"));
}

#[test]
fn two_programs_cannot_have_one_socket() {
    let program = Program::new();
    let error = Publisher::builder(program.path().to_str().unwrap()).start().unwrap_err();
    assert!(matches!(error, StartError::Host(HostError::Bind(BindError::InUse(_)))), "{error}");
    // And trying has not taken it from the first.
    program.client().connect().unwrap();
}

#[test]
fn a_publisher_without_a_format_has_no_buffers() {
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::builder("mine").socket_dir(dir.path()).start().unwrap();
    assert!(matches!(publisher.buffer(), Err(BufferError::NoPool)));
    assert!(Publisher::builder("/").start().is_err() && Publisher::builder("").start().is_err());
}

#[tokio::test]
async fn a_program_with_a_runtime_drives_the_host_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut host = Publisher::builder("mine").socket_dir(dir.path()).bind().unwrap();
    let pool = vsclient::publish::CpuPool::new(format(320).into(), vsclient::publish::CpuMemory::Memfd, 1, 3).unwrap();
    let path = dir.path().join("mine");
    let reader = tokio::task::spawn_blocking(move || {
        let mut client = crate::program::client_of(&path).connect().unwrap();
        client.next_frame(TIMEOUT).unwrap().unwrap().serial()
    });
    while host.client_count() == 0 {
        host.turn().await.unwrap();
    }
    let slot = pool.acquire().unwrap().unwrap();
    assert_eq!(host.publish(slot.finish(FrameMeta::default()).unwrap()), 1);
    assert_eq!(reader.await.unwrap(), 1);
}
