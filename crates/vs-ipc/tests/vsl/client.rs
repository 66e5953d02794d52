// SPDX-License-Identifier: Apache-2.0
//! Our client against an ancestor's host that follows a script, and against our own host.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use proptest::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv,
    sendmsg, socketpair,
};
use vs_frame::clock::{NS_PER_SEC, monotonic_ns};
use vs_frame::{CpuMemory, FourCc};
use vs_ipc::vsl::client::{Connection, Incoming, Received};

use crate::raw::{LOCK, UNLOCK};
use crate::stage::{HEIGHT, Stage, TIMEOUT, WIDTH, pool};

const SIZE: u64 = (WIDTH * HEIGHT * 3 / 2) as u64;

/// A host that says exactly what a test tells it to.
struct Script {
    socket: OwnedFd,
}

fn scripted(frames: usize) -> (Script, Connection) {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    (Script { socket: ours }, Connection::over(theirs, frames))
}

/// The bytes of an event of an NV12 picture, by the offsets of the page.
fn event(serial: i64) -> Vec<u8> {
    let mut bytes = vec![0; 104];
    put(&mut bytes, 8, serial);
    put(&mut bytes, 16, monotonic_ns() as i64);
    for at in [24, 32, 40] {
        put(&mut bytes, at, -1);
    }
    put(&mut bytes, 48, (monotonic_ns() + NS_PER_SEC) as i64);
    put32(&mut bytes, 60, u32::from_le_bytes(*b"NV12"));
    put32(&mut bytes, 64, WIDTH);
    put32(&mut bytes, 68, HEIGHT);
    put(&mut bytes, 80, SIZE as i64);
    put32(&mut bytes, 96, WIDTH);
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: i64) {
    bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

/// Memory as our own host gives it out, filled with `value`.
fn memory(value: u8) -> OwnedFd {
    let pool = pool(FourCc::NV12, CpuMemory::WritableMemfd);
    let mut slot = pool.acquire().unwrap().unwrap();
    slot.write(|memories| memories[0].fill(value)).unwrap();
    let frame = slot.finish(vs_frame::FrameMeta::default()).unwrap();
    frame.buffer().memories()[0].writable().unwrap().try_clone_to_owned().unwrap()
}

impl Script {
    fn say(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds)));
        sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    fn frame(&self, serial: i64, memory: &OwnedFd) {
        self.say(&event(serial), &[memory.as_fd()]);
    }

    fn answer(&self, error: u32, locked: u32) {
        let mut bytes = vec![0; 104];
        put32(&mut bytes, 0, error);
        put32(&mut bytes, 56, locked);
        self.say(&bytes, &[]);
    }

    /// The next request: message and serial.
    fn hear(&self) -> (u32, i64) {
        self.heard(RecvFlags::empty()).expect("the client has gone")
    }

    fn heard(&self, flags: RecvFlags) -> Option<(u32, i64)> {
        let mut bytes = [0; 64];
        let (_, length) = recv(&self.socket, &mut bytes[..], flags).ok()?;
        if length == 0 {
            return None;
        }
        assert_eq!((length, &bytes[4..8]), (16, &[0; 4][..]));
        let serial = i64::from_ne_bytes(bytes[8..16].try_into().unwrap());
        Some((u32::from_ne_bytes(bytes[..4].try_into().unwrap()), serial))
    }

    fn hears_nothing(&self) -> bool {
        self.heard(RecvFlags::DONTWAIT).is_none()
    }
}

fn next(client: &mut Connection) -> Received {
    client.wait(Some(TIMEOUT)).unwrap().expect("no frame in time")
}

fn nothing(client: &mut Connection) {
    assert!(client.receive().unwrap().is_none());
}

#[test]
fn a_frame_is_yielded_when_it_is_locked_and_unlocked_when_it_is_dropped() {
    let (host, mut client) = scripted(4);
    let memory = memory(8);
    host.frame(1, &memory);
    nothing(&mut client);
    assert_eq!(host.hear(), (LOCK, 1));
    host.answer(0, 1);
    let Received { serial, frame, .. } = next(&mut client);
    assert_eq!((serial, frame.format().fourcc, frame.meta().pts), (1, FourCc::NV12, None));
    assert_eq!((frame.format().width, frame.format().planes[1].offset), (WIDTH, WIDTH * HEIGHT));
    assert!(frame.map().unwrap().memory(0)[..SIZE as usize].iter().all(|byte| *byte == 8));
    let clone = frame.clone();
    drop(frame);
    assert!(host.hears_nothing());
    std::thread::spawn(move || drop(clone)).join().unwrap();
    assert_eq!(host.hear(), (UNLOCK, 1));
    host.answer(0, 0);
    nothing(&mut client);
    assert_eq!((client.counts().locked, client.counts().taken_back), (1, 0));
}

#[test]
fn a_frame_that_is_not_locked_is_not_yielded() {
    let (host, mut client) = scripted(4);
    let memory = memory(8);
    for (serial, error) in [(1, 1), (2, 3)] {
        host.frame(serial, &memory);
        nothing(&mut client);
        assert_eq!(host.hear(), (LOCK, serial));
        host.answer(error, 0);
        nothing(&mut client);
    }
    assert!(host.hears_nothing());
    assert_eq!((client.counts().expired, client.counts().refused), (1, 1));
}

/// Fault 7 of the ancestor: what comes while answers are due.
#[test]
fn events_between_requests_and_answers_are_kept() {
    let (host, mut client) = scripted(4);
    let memory = memory(8);
    host.frame(1, &memory);
    host.frame(2, &memory);
    nothing(&mut client);
    host.frame(3, &memory);
    host.answer(0, 1);
    host.answer(1, 0);
    let first = next(&mut client);
    host.answer(0, 1);
    assert_eq!((first.serial, next(&mut client).serial), (1, 3));
    let asked: Vec<_> = (0..4).map(|_| host.hear()).collect();
    assert_eq!(asked, [(LOCK, 1), (LOCK, 2), (LOCK, 3), (UNLOCK, 3)]);
}

/// Fault 1 of the ancestor.
#[test]
fn answers_that_belong_to_nothing_end_the_connection() {
    let complaint = |script: &dyn Fn(&Script)| {
        let (host, mut client) = scripted(4);
        script(&host);
        let error = loop {
            match client.wait(Some(TIMEOUT)) {
                Ok(frame) => drop(frame.expect("neither frame nor error")),
                Err(error) => break error.to_string(),
            }
        };
        assert!(client.is_closed() && client.receive().is_err());
        error
    };
    assert!(complaint(&|host| host.answer(0, 0)).contains("never made"));
    // Success without a lock is no answer to a lock.
    let memory = memory(0);
    let mistaken = |error, locked| {
        complaint(&|host: &Script| {
            host.frame(1, &memory);
            host.answer(error, locked);
        })
    };
    assert!(mistaken(0, 0).contains("out of step"));
    assert!(mistaken(1, 1).contains("out of step"));
    assert!(mistaken(2, 0).contains("out of step"));
    assert!(mistaken(99, 0).contains("out of step"));
    // A granted lock is no answer to an unlock.
    let of_unlock = complaint(&|host| {
        host.frame(1, &memory);
        host.answer(0, 1);
        host.answer(0, 1);
    });
    assert!(of_unlock.contains("unlock"), "{of_unlock}");
}

#[test]
fn what_is_not_new_ends_the_connection() {
    for again in [5, 3] {
        let (host, mut client) = scripted(4);
        let memory = memory(1);
        host.frame(5, &memory);
        host.frame(again, &memory);
        let error = client.wait(Some(TIMEOUT)).expect_err("accepted").to_string();
        assert!(error.contains("must grow"), "{error}");
    }
}

#[test]
fn no_frame_is_younger_than_its_event() {
    let (host, mut client) = scripted(4);
    let memory = memory(1);
    let (before, mut held) = (monotonic_ns(), Vec::new());
    for (serial, timestamp) in [(1, i64::MAX), (2, 0), (3, -1)] {
        let mut event = event(serial);
        put(&mut event, 16, timestamp);
        host.say(&event, &[memory.as_fd()]);
        host.answer(0, 1);
        let received = next(&mut client);
        assert!((before..=monotonic_ns()).contains(&received.publish_ns));
        assert!((before..=monotonic_ns()).contains(&received.asked_ns));
        held.push(received);
    }
}

/// A host that announces without end must not keep its reader from everything else.
#[test]
fn messages_can_be_taken_one_by_one() {
    let (host, mut client) = scripted(1);
    let memory = memory(1);
    (1..=3).for_each(|serial| host.frame(serial, &memory));
    host.answer(0, 1);
    for _ in 0..3 {
        assert!(matches!(client.receive_one().unwrap(), Some(Incoming::Other)));
    }
    assert!(matches!(client.receive_one().unwrap(), Some(Incoming::Frame(Received { serial: 1, .. }))));
    assert!(client.receive_one().unwrap().is_none() && !client.awaits_answer());
}

#[test]
fn what_is_passed_on_only_reads() {
    let (host, mut client) = scripted(1);
    host.frame(1, &memory(1));
    host.answer(0, 1);
    let received = next(&mut client);
    let memory = &received.frame.buffer().memories()[0];
    assert!(memory.is_read_only() && rustix::io::write(memory, b"x").is_err());
}

#[test]
fn no_more_frames_are_locked_than_wanted() {
    let (host, mut client) = scripted(2);
    let memory = memory(8);
    (1..=3).for_each(|serial| host.frame(serial, &memory));
    nothing(&mut client);
    assert_eq!((host.hear(), host.hear()), ((LOCK, 1), (LOCK, 2)));
    assert!(host.hears_nothing());
    host.answer(0, 1);
    host.answer(0, 1);
    let held = next(&mut client);
    drop(next(&mut client));
    host.frame(4, &memory);
    nothing(&mut client);
    assert_eq!((host.hear(), host.hear()), ((UNLOCK, 2), (LOCK, 4)));
    assert_eq!(client.counts().no_credit, 1);
    drop(held);
}

#[test]
fn a_lock_that_the_host_ended_is_counted() {
    let (host, mut client) = scripted(2);
    host.frame(1, &memory(8));
    host.answer(0, 1);
    drop(next(&mut client));
    host.answer(1, 0);
    nothing(&mut client);
    assert_eq!(client.counts().taken_back, 1);
}

#[test]
fn memory_is_recognised_by_its_inode() {
    let (host, mut client) = scripted(4);
    let memories = [memory(1), memory(2)];
    let mut ids = Vec::new();
    for serial in 1..=6 {
        host.frame(serial, &memories[serial as usize % 2]);
        host.answer(0, 1);
        ids.push(next(&mut client).frame.buffer().id());
        assert_eq!((host.hear(), host.hear()), ((LOCK, serial), (UNLOCK, serial)));
        host.answer(0, 0);
    }
    assert_eq!((ids[0], ids[1]), (ids[2], ids[3]));
    assert_ne!(ids[0], ids[1]);
    // More than are remembered: each is imported, none is lost.
    for serial in 7..=200 {
        host.frame(serial, &memory(serial as u8));
        host.answer(0, 1);
        let frame = next(&mut client).frame;
        assert_eq!(frame.map().unwrap().memory(0)[0], serial as u8);
        drop(frame);
        assert_eq!((host.hear(), host.hear()), ((LOCK, serial), (UNLOCK, serial)));
        host.answer(0, 0);
    }
}

#[test]
fn the_end_of_the_connection_ends_the_frames() {
    let (host, mut client) = scripted(4);
    host.frame(1, &memory(8));
    host.answer(0, 1);
    let received = next(&mut client);
    drop(host);
    assert!(client.wait(Some(TIMEOUT)).is_err());
    assert!(client.is_closed());
    drop(client);
    drop(received);
}

#[test]
fn requests_that_find_no_room_are_sent_later_and_in_order() {
    let (host, mut client) = scripted(20);
    let memory = memory(8);
    let small = rustix::net::sockopt::set_socket_send_buffer_size;
    small(client.as_fd(), 1).unwrap();
    (1..=20).for_each(|serial| {
        host.frame(serial, &memory);
        nothing(&mut client);
    });
    assert!(client.has_backlog());
    let mut asked = Vec::new();
    while asked.len() < 20 {
        asked.push(host.hear());
        client.receive().unwrap();
    }
    assert!(!client.has_backlog());
    assert_eq!(asked, (1..=20).map(|serial| (LOCK, serial)).collect::<Vec<_>>());
}

fn complaint(bytes: &[u8], fds: &[BorrowedFd<'_>]) -> String {
    let (host, mut client) = scripted(4);
    host.say(bytes, fds);
    let error = client.wait(Some(TIMEOUT)).expect_err("accepted").to_string();
    assert!(client.is_closed() && host.hears_nothing());
    error
}

#[test]
fn a_host_that_lies_is_left() {
    let memory = memory(1);
    let fd = [memory.as_fd()];
    let changed = |at: usize, value: i64| {
        let mut bytes = event(1);
        put(&mut bytes, at, value);
        complaint(&bytes, &fd)
    };
    assert!(complaint(&event(1)[..103], &fd).contains("103 bytes"));
    assert!(complaint(&vec![0; 9000], &fd).contains("longer"));
    assert!(complaint(&event(1), &[]).contains("0 descriptors"));
    assert!(complaint(&event(1), &[fd[0], fd[0]]).contains("2 descriptors"));
    assert!(changed(8, -5).contains("serial -5"));
    assert!(changed(0, 3).contains("error 3"));
    assert!(changed(80, 1 << 40).contains("does not fit"));
    assert!(changed(80, -1).contains("does not fit"));
    assert!(changed(88, 4096).contains("does not fit"));
    assert!(changed(88, -1).contains("does not fit"));
    assert!(changed(96, -1).contains("stride") && changed(96, i64::from(i32::MAX)).contains("stride"));
    assert!(changed(96, 1).contains("stride"));
    let mut wrong = event(1);
    put32(&mut wrong, 60, u32::from_le_bytes(*b"H264"));
    assert!(complaint(&wrong, &fd).contains("H264"));
    put32(&mut wrong, 60, u32::from_le_bytes(*b"NV12"));
    put32(&mut wrong, 64, 0);
    assert!(complaint(&wrong, &fd).contains("picture size"));
}

#[test]
fn memory_that_is_unsafe_to_read_is_refused() {
    let memfd = rustix::fs::memfd_create("t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&memfd, 8192).unwrap();
    assert!(complaint(&event(1), &[memfd.as_fd()]).contains("shrinking"));
    let pipe = rustix::pipe::pipe().unwrap().0;
    assert!(complaint(&event(1), &[pipe.as_fd()]).contains("frame 1"));
    let small = rustix::fs::memfd_create("t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&small, 16).unwrap();
    rustix::fs::fcntl_add_seals(&small, SealFlags::SHRINK).unwrap();
    assert!(complaint(&event(1), &[small.as_fd()]).contains("does not fit"));
}

#[test]
fn descriptors_with_an_answer_are_closed() {
    let (host, mut client) = scripted(4);
    host.frame(1, &memory(8));
    let (ours, theirs) = rustix::pipe::pipe().unwrap();
    let mut answer = vec![0; 104];
    put32(&mut answer, 56, 1);
    host.say(&answer, &[theirs.as_fd(); 6]);
    let _frame = next(&mut client);
    drop(theirs);
    assert_eq!(rustix::io::read(&ours, &mut [0; 1]).unwrap(), 0);
}

#[test]
fn nobody_there_is_said_with_the_path() {
    let error = Connection::connect("/nowhere/cam0.vsl".as_ref(), 4, TIMEOUT).unwrap_err().to_string();
    assert!(error.contains("/nowhere/cam0.vsl") && error.contains("is it running"), "{error}");
}

#[test]
fn our_client_and_our_host_understand_each_other() {
    let stage = Stage::with(|options| options.lifespan_ns = 1);
    let mut client = Connection::connect(&stage.path(), 4, TIMEOUT).unwrap();
    stage.until(|host| host.clients.len() == 1);
    for value in 1..=50 {
        let serial = stage.publish(value);
        let Received { serial: got, frame, .. } = next(&mut client);
        assert_eq!((got as i64, frame.meta().pts, frame.meta().duration), (serial, Some(7), Some(33)));
        assert_eq!(frame.map().unwrap().memory(0)[0], value);
        assert_eq!(stage.client().held, 1);
        drop(frame);
        stage.until(|host| host.clients[0].held == 0);
    }
    assert!(client.wait(Some(Duration::from_millis(1))).unwrap().is_none());
    assert_eq!(client.counts().locked, 50);
}

fn any_message() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let noise = proptest::collection::vec(any::<u8>(), 1..220);
    let answer = (0..5u32, 0..3u32).prop_map(|(error, locked)| {
        let mut bytes = vec![0; 104];
        put32(&mut bytes, 0, error);
        put32(&mut bytes, 56, locked);
        bytes
    });
    let flipped = (0..104usize, any::<u8>()).prop_map(|(at, value)| {
        let mut bytes = event(1);
        bytes[at] = value;
        bytes
    });
    (prop_oneof![noise, answer, flipped], 0..3usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes: a frame that can be read in full, nothing, or an error, at once.
    #[test]
    fn rubbish_never_panics_and_never_blocks(messages in proptest::collection::vec(any_message(), 1..8)) {
        let (host, mut client) = scripted(2);
        let memory = memory(1);
        for (bytes, fds) in &messages {
            host.say(bytes, &vec![memory.as_fd(); *fds]);
        }
        while let Ok(Some(Received { frame, .. })) = client.receive() {
            let view = frame.map().unwrap();
            let planes = (0..view.plane_count()).filter_map(|plane| view.plane(plane));
            let _ = planes.flat_map(|plane| plane.rows()).map(<[u8]>::len).sum::<usize>();
        }
    }
}
