// SPDX-License-Identifier: Apache-2.0
//! A host that lies. Each lie ends the connection with a reason; none gets further.

use std::os::fd::{AsFd, OwnedFd};

use proptest::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};
use vs_frame::MAX_PLANES;
use vs_ipc::client::{Connection, Incoming, ReceiveError};
use vs_ipc::wire::{self, FrameEvent, StreamState};

use crate::fake_host::{FakeHost, TIMEOUT, connected, format, frame_event, picture, state};

/// What the client says to a host that does `mischief`.
fn complaint(mischief: impl FnOnce(&FakeHost)) -> String {
    let (host, mut client) = connected();
    mischief(&host);
    let error = loop {
        match client.wait(Some(TIMEOUT)) {
            Ok(Some(Incoming::Frame(frame))) => panic!("accepted {frame:?}"),
            Ok(message) => assert!(message.is_some(), "neither message nor error"),
            Err(error) => break error,
        }
    };
    assert!(client.is_closed() && matches!(client.receive(), Err(ReceiveError::Closed)));
    error.to_string()
}

fn frame(change: impl FnOnce(&mut FrameEvent)) -> String {
    complaint(|host| {
        let mut event = frame_event(1);
        change(&mut event);
        host.frame(event, &picture(0));
    })
}

#[test]
fn bytes_that_are_no_message() {
    assert!(complaint(|host| host.say(b"abc")).contains("at least 8"));
    assert!(complaint(|host| host.say(&[0xff; 120])).contains("says that it has"));
    assert!(complaint(|host| host.say(&[0; wire::MAX_HOST_MESSAGE + 1])).contains("longer than"));
    assert!(complaint(|host| host.say(&[])).contains("closed"));
    let mut short = wire::record(frame_event(1), &[]);
    short.truncate(100);
    short[4] = 100;
    assert!(complaint(|host| host.say(&short)).contains("at least 120"));
    let mut text = state(StreamState::Running, "why");
    text[12] = 200;
    assert!(complaint(|host| host.say(&text)).contains("text length"));
}

#[test]
fn frames_that_cannot_be() {
    assert!(frame(|event| event.format = 2.into()).contains("format 2"));
    assert!(frame(|event| event.fds = 0).contains("buffer 1"));
    assert!(frame(|event| event.memory_kind = 9).contains("memory kind"));
    assert!(frame(|event| event.memory_kind = 1).contains("not a DmaBuf"));
    assert!(frame(|event| event.memories = 2).contains("number of descriptors"));
    assert!(frame(|event| (event.memories, event.fds) = (2, 2)).contains("carry 2 descriptors and carries 1"));
    assert!(frame(|event| (event.memories, event.fds) = (0, 0)).contains("buffer 1"));
    assert!(frame(|event| (event.memories, event.fds) = (200, 200)).contains("carry 200"));
    assert!(frame(|event| event.bytes_used[0] = 4097.into()).contains("4097 bytes"));
}

#[test]
fn memory_that_is_unsafe_to_read() {
    let memfd = || rustix::fs::memfd_create("t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let offer = |fd: &OwnedFd| complaint(|host| host.say_with(&wire::record(frame_event(1), &[]), &[fd.as_fd()]));
    let could_shrink = memfd();
    rustix::fs::ftruncate(&could_shrink, 4096).unwrap();
    assert!(offer(&could_shrink).contains("sealed against shrinking"));
    let too_small = memfd();
    rustix::fs::fcntl_add_seals(&too_small, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    assert!(offer(&too_small).contains("does not fit"));
    assert!(offer(&rustix::pipe::pipe().unwrap().0).contains("sealed against shrinking"));
}

#[test]
fn a_new_format_is_checked_against_old_buffers() {
    let complaint = complaint(|host| {
        let mut large = format();
        large.height = 4000;
        large.planes = vs_frame::Planes::new(&[vs_frame::PlaneLayout { size: 256_000, ..large.planes[0] }]).unwrap();
        // The same number as before, other contents.
        host.say(&wire::format_message::encode(1, &large));
        host.frame(frame_event(1), &picture(0));
    });
    assert!(complaint.contains("does not fit"), "{complaint}");
}

#[test]
fn more_buffers_than_anyone_has() {
    let (host, mut client) = connected();
    let picture = picture(0);
    let error = (1..).find_map(|buffer: u64| {
        let mut event = frame_event(buffer);
        event.buffer = buffer.into();
        host.frame(event, &picture);
        loop {
            match client.wait(Some(TIMEOUT)) {
                Ok(Some(Incoming::Frame(_))) => return None,
                Ok(_) => {}
                Err(error) => return Some((buffer, error.to_string())),
            }
        }
    });
    let (buffer, error) = error.unwrap();
    assert_eq!(buffer, 257);
    assert!(error.contains("more than 256 buffers"), "{error}");
}

/// Each REVOKED is answered. A host that never reads the answers must not fill this process.
#[test]
fn answers_that_the_host_does_not_read_are_not_kept_for_ever() {
    let (host, mut client) = connected();
    let error = (1..100_000u64).find_map(|serial| {
        host.say(&wire::record(wire::Revoked { serial: serial.into(), ..wire::Revoked::default() }, &[]));
        loop {
            match client.wait(Some(TIMEOUT)) {
                Ok(Some(Incoming::Revoked { .. })) => return None,
                Ok(_) => {}
                Err(error) => return Some(error.to_string()),
            }
        }
    });
    let error = error.expect("it keeps them all");
    assert!(error.contains("reads nothing"), "{error}");
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let (host, mut client) = connected();
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    let gift = [theirs.as_fd(); MAX_PLANES + 3];
    host.say_with(&state(StreamState::Running, ""), &gift);
    let mut known = frame_event(1);
    host.frame(known, &picture(0));
    known.serial = 2.into();
    let mut last = None;
    host.say_with(&wire::record(known, &[]), &gift[..1]);
    while last != Some(2) {
        if let Some(Incoming::Frame(frame)) = client.wait(Some(TIMEOUT)).unwrap() {
            last = Some(frame.serial());
        }
    }
    // With every writing end closed, the reading end is at its end.
    drop(theirs);
    assert_eq!(rustix::io::read(&ours, &mut [0; 1]).unwrap(), 0);
}

/// Runs this one test again as a process of its own, so that its limit is nobody else's.
#[test]
fn a_full_table_of_open_files_is_named_as_the_reason() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    const CHILD: &str = "VS_IPC_TEST_FEW_FILES";
    if std::env::var_os(CHILD).is_none() {
        let name = "hostile::a_full_table_of_open_files_is_named_as_the_reason";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=1"])
            .env(CHILD, "1")
            .status();
        assert!(child.unwrap().success());
        return;
    }
    let complaint = complaint(|host| {
        host.frame(frame_event(1), &picture(0));
        let next = rustix::io::dup(host.as_fd()).unwrap();
        let limit = std::os::fd::AsRawFd::as_raw_fd(&next) as u64;
        setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..getrlimit(Resource::Nofile) }).unwrap();
    });
    assert!(complaint.contains("RLIMIT_NOFILE"), "{complaint}");
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let body = proptest::collection::vec(any::<u8>(), 0..300);
    (0..16u8, body, any::<bool>()).prop_map(|(kind, body, honest)| {
        let length = body.len() as u32 + if honest { 8 } else { 9 };
        [&[kind, 0, 0, 0], &length.to_le_bytes()[..], &body].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes, with a descriptor or without: a message or an error, at once.
    #[test]
    fn rubbish_never_panics_and_never_blocks(
        messages in proptest::collection::vec((any_message(), any::<bool>()), 1..6)
    ) {
        let (host, mut client) = connected();
        let picture = picture(0);
        for (message, with_fd) in &messages {
            let fds = [picture.buffer().memories()[0].as_fd()];
            host.say_with(message, if *with_fd { &fds } else { &[] });
        }
        drain(&mut client);
    }

    /// One byte of a good frame changed: the frame is refused, or can be read in full.
    #[test]
    fn a_flipped_byte_is_refused_or_harmless(at in 0..120usize, value: u8) {
        let (host, mut client) = connected();
        let mut bytes = wire::record(frame_event(1), &[]);
        bytes[at] = value;
        host.say_with(&bytes, &[picture(3).buffer().memories()[0].as_fd()]);
        drain(&mut client);
    }
}

fn drain(client: &mut Connection) {
    while let Ok(Some(incoming)) = client.receive() {
        if let Incoming::Frame(frame) = incoming {
            let _ = frame.read(|view| {
                let planes = (0..view.plane_count()).filter_map(|plane| view.plane(plane));
                planes.flat_map(|plane| plane.rows()).map(<[u8]>::len).sum::<usize>() + view.payload().len()
            });
        }
    }
}
