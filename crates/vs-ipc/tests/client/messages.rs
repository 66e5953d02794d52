// SPDX-License-Identifier: Apache-2.0
//! What a well-behaved host sends arrives as it was meant.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use vs_frame::{MemoryKind, Rate};
use vs_ipc::client::{Incoming, ReceiveError, ReceivedFrame};
use vs_ipc::wire::{self, GoodbyeReason, SkipReason, StreamState};

use crate::fake_host::{TIMEOUT, connected, format, frame_event, goodbye, picture, state};

pub fn next_frame(client: &mut vs_ipc::client::Connection) -> ReceivedFrame {
    loop {
        match client.wait(Some(TIMEOUT)).unwrap().expect("no message in time") {
            Incoming::Frame(frame) => return frame,
            _ => continue,
        }
    }
}

#[test]
fn a_frame_brings_its_picture_and_all_that_is_known_of_it() {
    let (host, mut client) = connected();
    let mut event = frame_event(41);
    event.skipped = [1.into(), 2.into(), 4.into(), 0.into()];
    event.bytes_used[0] = 1024.into();
    host.frame(event, &picture(200));
    assert!(matches!(client.wait(None), Ok(Some(Incoming::Format(sent))) if *sent == format()));
    let frame = next_frame(&mut client);
    assert_eq!((frame.serial(), frame.meta().sequence, frame.meta().bytes_used[0]), (41, 9, 1024));
    assert_eq!((frame.meta().pts, frame.meta().duration), (None, Some(33_000_000)));
    assert_eq!((frame.skipped().total(), frame.skipped().get(SkipReason::Pool)), (7, 4));
    assert_eq!((frame.format().rate, frame.memories()[0].kind()), (Rate::fps(30), MemoryKind::Memfd));
    assert!(frame.received_ns() >= frame.publish_ns());
    let rows = frame.read(|view| view.plane(0).unwrap().rows().map(<[u8]>::to_vec).collect::<Vec<_>>()).unwrap();
    assert_eq!(rows, vec![vec![200; 64]; 16]);
}

#[test]
fn a_buffer_is_sent_once_and_known_until_it_is_retired() {
    let (host, mut client) = connected();
    let picture = picture(1);
    host.frame(frame_event(1), &picture);
    let mut again = frame_event(2);
    again.fds = 0;
    host.say(&wire::record(again, &[]));
    let (first, second) = (next_frame(&mut client), next_frame(&mut client));
    assert_eq!(first.buffer().id(), second.buffer().id());

    let retired = wire::BufferRetired { buffer: 1.into(), ..wire::BufferRetired::default() };
    host.say(&wire::record(retired, &[]));
    again.serial = 3.into();
    host.say(&wire::record(again, &[]));
    assert!(matches!(client.wait(Some(TIMEOUT)), Err(ReceiveError::Protocol(_))));
    assert_eq!(second.memories().len(), 1);
}

#[test]
fn states_are_kept_and_told() {
    let (host, mut client) = connected();
    host.say(&state(StreamState::Failed, "the camera\nis gone"));
    let _format = client.wait(Some(TIMEOUT)).unwrap();
    assert!(matches!(client.wait(Some(TIMEOUT)), Ok(Some(Incoming::State(_)))));
    assert_eq!(client.status().to_string(), "failed: the camera\u{fffd}is gone");
}

#[test]
fn nothing_is_told_after_goodbye() {
    let (host, mut client) = connected();
    host.frame(frame_event(1), &picture(1));
    host.say(&goodbye(GoodbyeReason::Shutdown, "bye"));
    let frame = next_frame(&mut client);
    assert!(
        matches!(client.wait(None), Ok(Some(Incoming::Goodbye(goodbye))) if goodbye.reason == GoodbyeReason::Shutdown)
    );
    assert!(matches!(client.wait(None), Err(ReceiveError::Closed)));
    assert!(frame.is_revoked());
}

#[test]
fn waiting_ends_with_the_time_and_receiving_does_not_wait() {
    let (host, mut client) = connected();
    assert!(matches!(client.receive(), Ok(Some(Incoming::Format(_)))));
    assert!(matches!(client.receive(), Ok(None)));
    assert!(matches!(client.wait(Some(Duration::from_millis(20))), Ok(None)));
    assert!(matches!(client.wait(Some(Duration::from_nanos(1))), Ok(None)));
    host.say(&state(StreamState::Running, ""));
    poll(&mut [PollFd::new(&client, PollFlags::IN)], None).unwrap();
    assert!(matches!(client.receive(), Ok(Some(Incoming::State(_)))));
}

/// The kernel reports a host that closed with requests unread (ECONNRESET) before the
/// messages that the host had sent.
#[test]
fn the_last_words_of_a_host_that_did_not_listen_are_heard() {
    let (host, mut client) = connected();
    host.frame(frame_event(1), &picture(1));
    let frame = next_frame(&mut client);
    frame.lock(None).unwrap();
    host.say(&goodbye(GoodbyeReason::Malformed, "what?"));
    drop(host);
    assert!(matches!(client.wait(None), Ok(Some(Incoming::Goodbye(goodbye))) if goodbye.text == "what?"));
}
