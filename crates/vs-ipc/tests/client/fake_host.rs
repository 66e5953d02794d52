// SPDX-License-Identifier: Apache-2.0
//! A host that says exactly what a test tells it to say, over one half of a socket pair.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recvmsg, sendmsg, socketpair,
};
use vs_frame::clock::{NS_PER_SEC, monotonic_ns};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_ipc::client::{ConnectError, Connection, Hello};
use vs_ipc::wire::{self, FrameEvent, Message, Mode, StreamState};

pub const TIMEOUT: Duration = Duration::from_secs(5);
pub const EPOCH: u64 = 77;

pub struct FakeHost {
    socket: OwnedFd,
}

/// A pair of sockets: the host's half, and one for a client.
pub fn pair() -> (FakeHost, OwnedFd) {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    (FakeHost { socket: ours }, theirs)
}

/// What a connecting client makes of `answers`.
pub fn greet(answers: &[Vec<u8>]) -> Result<Connection, ConnectError> {
    let (host, socket) = pair();
    answers.iter().for_each(|answer| host.say(answer));
    // The host's half must outlive the handshake, not the test.
    let result = Connection::handshake(socket, &Hello::default(), Duration::from_millis(300));
    drop(host);
    result
}

/// A client that has connected, and knows `format` as number 1.
pub fn connected() -> (FakeHost, Connection) {
    let (host, socket) = pair();
    host.say(&welcome());
    host.say(&state(StreamState::Running, ""));
    let client = Connection::handshake(socket, &Hello::default(), TIMEOUT).unwrap();
    host.hear::<wire::Hello>();
    host.say(&wire::format_message::encode(1, &format()));
    (host, client)
}

pub fn format() -> Format {
    Format::packed(FourCc::GREY, 64, 16, Rate::fps(30)).unwrap()
}

/// A frame filled with `value`, for its memory.
pub fn picture(value: u8) -> Frame {
    let pool = CpuPool::new(Arc::new(format()), CpuMemory::Memfd, 1, 1).unwrap();
    let mut slot = pool.acquire().unwrap().unwrap();
    slot.write(|memories| memories[0].fill(value)).unwrap();
    slot.finish(FrameMeta::default()).unwrap()
}

pub fn welcome() -> Vec<u8> {
    let message = wire::Welcome {
        major: wire::VERSION_MAJOR.into(),
        minor: wire::VERSION_MINOR.into(),
        credits: 3.into(),
        mode: Mode::Leased.code(),
        client: 5.into(),
        epoch: EPOCH.into(),
        lease_ns: NS_PER_SEC.into(),
        lease_max_ns: (10 * NS_PER_SEC).into(),
        lifespan_ns: (NS_PER_SEC / 10).into(),
        stream: wire::name_field("cam0"),
        ..wire::Welcome::default()
    };
    wire::record(message, &[])
}

pub fn state(state: StreamState, text: &str) -> Vec<u8> {
    let text_len = (text.len() as u32).into();
    wire::record(wire::State { state: state.code().into(), text_len, ..wire::State::default() }, text.as_bytes())
}

pub fn goodbye(reason: wire::GoodbyeReason, text: &str) -> Vec<u8> {
    let message = wire::Goodbye {
        reason: reason.code().into(),
        major: wire::VERSION_MAJOR.into(),
        minor: wire::VERSION_MINOR.into(),
        text_len: (text.len() as u32).into(),
        ..wire::Goodbye::default()
    };
    wire::record(message, text.as_bytes())
}

/// A leased frame in format 1 and buffer 1, good for ten seconds, that says it carries one
/// descriptor.
pub fn frame_event(serial: u64) -> FrameEvent {
    let now = monotonic_ns();
    FrameEvent {
        serial: serial.into(),
        buffer: 1.into(),
        format: 1.into(),
        sequence: 9.into(),
        memories: 1,
        memory_kind: 0,
        fds: 1,
        leased: 1,
        capture_ns: now.into(),
        publish_ns: now.into(),
        pts: wire::UNKNOWN_TIME.into(),
        dts: wire::UNKNOWN_TIME.into(),
        duration: 33_000_000.into(),
        expires_ns: (now + 10 * NS_PER_SEC).into(),
        ..FrameEvent::default()
    }
}

impl FakeHost {
    pub fn say(&self, bytes: &[u8]) {
        self.say_with(bytes, &[]);
    }

    pub fn say_with(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let flags = SendFlags::NOSIGNAL;
        assert_eq!(sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags).unwrap(), bytes.len());
    }

    /// Sends a frame with the memory of `picture`.
    pub fn frame(&self, event: FrameEvent, picture: &Frame) {
        let fds: Vec<_> = picture.buffer().memories().iter().map(AsFd::as_fd).collect();
        self.say_with(&wire::record(event, &[]), &fds);
    }

    /// The next message of the client.
    pub fn hear<M: Message + Copy>(&self) -> M {
        let bytes = self.hear_bytes(RecvFlags::empty()).expect("the client has gone");
        assert_eq!(wire::kind_of(&bytes), Ok(M::KIND));
        *wire::parse::<M>(&bytes).unwrap().0
    }

    /// Whether the client has said nothing more.
    pub fn hears_nothing(&self) -> bool {
        self.hear_bytes(RecvFlags::DONTWAIT).is_none()
    }

    /// Waits for the end of the connection.
    pub fn hangs_up(&self) -> bool {
        self.hear_bytes(RecvFlags::empty()).is_none()
    }

    pub fn hear_bytes(&self, flags: RecvFlags) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 512];
        let mut control = RecvAncillaryBuffer::new(&mut []);
        let message = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags).ok()?;
        bytes.truncate(message.bytes);
        (!bytes.is_empty()).then_some(bytes)
    }
}

impl AsFd for FakeHost {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
