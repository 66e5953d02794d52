// SPDX-License-Identifier: Apache-2.0
//! A client that says whatever a test wants, byte by byte, and hears all that comes.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg, shutdown, socket_with,
};
use vs_ipc::wire::{
    self, FrameEvent, GoodbyeReason, Hello, MAGIC, MAX_HOST_MESSAGE, Message, Mode, State, StreamState, VERSION_MAJOR,
    Welcome,
};

use crate::PATIENCE;

/// The most descriptors that one message of a test carries.
const MAX_FDS: usize = 16;

/// A connection without manners.
#[derive(Debug)]
pub struct Peer(OwnedFd);

/// A message of the host, with its descriptors.
#[derive(Debug)]
pub struct Record {
    /// All of it, header included.
    pub bytes: Vec<u8>,
    /// What came with it.
    pub fds: Vec<OwnedFd>,
}

/// What a host says when it ends a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Why.
    pub reason: GoodbyeReason,
    /// The same in words.
    pub text: String,
    /// Major version that the host speaks.
    pub major: u16,
}

/// What a peer that listens is told besides frames.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LastWords {
    /// Every STATE: state and text.
    pub states: Vec<(StreamState, String)>,
    /// The last message, if it was GOODBYE.
    pub farewell: Option<Farewell>,
}

impl LastWords {
    /// Those of a stream that stops: STATE with a text, and GOODBYE with the same.
    #[must_use]
    pub fn of_a_stop(reason: GoodbyeReason, text: &str) -> Self {
        let farewell = Farewell { reason, text: text.to_owned(), major: VERSION_MAJOR };
        Self { states: vec![(StreamState::Stopped, text.to_owned())], farewell: Some(farewell) }
    }
}

impl Peer {
    /// Connects, and says nothing.
    #[must_use]
    pub fn connect(socket: &Path) -> Self {
        let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let peer = Self::from(fd);
        let address = SocketAddrUnix::new(socket).unwrap();
        retry_on_intr(|| connect(&peer.0, &address)).unwrap();
        peer
    }

    /// Connects and says HELLO as an honest client does; hears WELCOME and STATE.
    #[must_use]
    pub fn greet(socket: &Path, name: &str, mode: Mode) -> Self {
        let peer = Self::connect(socket);
        assert!(peer.say(&wire::record(hello(name, mode), &[])));
        assert_eq!(peer.hear().kind(), Welcome::KIND);
        assert_eq!(peer.hear().kind(), State::KIND);
        peer
    }

    /// Sends one record, waiting for room; whether the host still takes any.
    #[must_use]
    pub fn say(&self, bytes: &[u8]) -> bool {
        self.say_with(bytes, &[])
    }

    /// Sends one record with descriptors.
    #[must_use]
    pub fn say_with(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> bool {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let mut send = || sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
        match retry_on_intr(&mut send) {
            Ok(_) => true,
            Err(Errno::PIPE | Errno::CONNRESET) => false,
            Err(error) => panic!("cannot send: {error}"),
        }
    }

    /// The next message.
    ///
    /// # Panics
    /// If the connection has ended, or nothing comes.
    #[must_use]
    pub fn hear(&self) -> Record {
        self.hear_or_end().expect("the host has closed the connection")
    }

    /// The next message; `None` if the connection has ended.
    #[must_use]
    pub fn hear_or_end(&self) -> Option<Record> {
        let mut bytes = vec![0; MAX_HOST_MESSAGE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut once = || recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
        // Waiting with a timeout is interrupted when a process is stopped or frozen (signal(7)).
        let mut receive = || retry_on_intr(&mut once);
        let received = match receive() {
            // Said once, before the last messages (docs/protocol.md, "Transport").
            Err(Errno::CONNRESET) => receive(),
            other => other,
        };
        let len = received.expect("nothing comes from the host").bytes;
        let rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let fds = rights.flatten().collect();
        bytes.truncate(len);
        (len > 0).then_some(Record { bytes, fds })
    }

    /// Hears messages until one of this kind comes.
    #[must_use]
    pub fn hear_until<M: Message + Copy>(&self) -> (M, Record) {
        loop {
            let record = self.hear();
            if record.kind() == M::KIND {
                return (record.as_message(), record);
            }
        }
    }

    /// The next frame.
    #[must_use]
    pub fn hear_frame(&self) -> (FrameEvent, Vec<OwnedFd>) {
        let (event, record) = self.hear_until::<FrameEvent>();
        (event, record.fds)
    }

    /// Hears everything up to GOODBYE and the end behind it.
    ///
    /// # Panics
    /// If the connection ends without GOODBYE.
    #[must_use]
    pub fn farewell(&self) -> Farewell {
        let last = self.hear_out().pop().expect("the host closes the connection without a word");
        last.farewell().expect("the host closes the connection without GOODBYE")
    }

    /// Goes on hearing everything on a thread of its own, so that the socket is never full.
    #[must_use]
    pub fn listen(self) -> JoinHandle<LastWords> {
        std::thread::spawn(move || {
            let mut heard = LastWords::default();
            while let Some(record) = self.hear_or_end() {
                heard.states.extend(record.state());
                heard.farewell = record.farewell();
            }
            heard
        })
    }

    /// Hears everything up to the end, whichever way it comes.
    pub fn hear_out(&self) -> Vec<Record> {
        std::iter::from_fn(|| self.hear_or_end()).collect()
    }

    /// Closes the sending half only.
    pub fn shut_up(&self) {
        shutdown(&self.0, Shutdown::Write).unwrap();
    }
}

impl From<OwnedFd> for Peer {
    /// A socket that somebody else has connected.
    fn from(fd: OwnedFd) -> Self {
        for direction in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&fd, direction, Some(PATIENCE)).unwrap();
        }
        Self(fd)
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Record {
    /// Which message it is.
    #[must_use]
    pub fn kind(&self) -> u16 {
        wire::kind_of(&self.bytes).expect("the host sends a broken record")
    }

    /// Its fixed part.
    #[must_use]
    pub fn as_message<M: Message + Copy>(&self) -> M {
        *wire::parse::<M>(&self.bytes).expect("the host sends a broken record").0
    }

    /// What it says, if it is GOODBYE.
    #[must_use]
    pub fn farewell(&self) -> Option<Farewell> {
        if self.kind() != wire::Goodbye::KIND {
            return None;
        }
        let goodbye = self.as_message::<wire::Goodbye>();
        let reason = GoodbyeReason::from_code(goodbye.reason.get()).expect("a reason that nobody knows");
        let tail = &self.bytes[size_of::<wire::Goodbye>()..];
        assert_eq!(tail.len(), goodbye.text_len.get() as usize);
        let text = String::from_utf8(tail.to_vec()).unwrap();
        Some(Farewell { reason, text, major: goodbye.major.get() })
    }

    /// State and text, if it is STATE.
    #[must_use]
    pub fn state(&self) -> Option<(StreamState, String)> {
        if self.kind() != State::KIND {
            return None;
        }
        let state = StreamState::from_code(self.as_message::<State>().state.get())?;
        Some((state, String::from_utf8_lossy(&self.bytes[size_of::<State>()..]).into_owned()))
    }
}

/// The HELLO of an honest client.
#[must_use]
pub fn hello(name: &str, mode: Mode) -> Hello {
    Hello {
        magic: MAGIC,
        major: VERSION_MAJOR.into(),
        mode: mode.code(),
        name: wire::name_field(name),
        ..Hello::default()
    }
}

/// An UNLOCK_REQUEST.
#[must_use]
pub fn unlock(serial: u64) -> Vec<u8> {
    wire::record(wire::UnlockRequest { serial: serial.into(), ..Default::default() }, &[])
}

/// A LOCK_REQUEST.
#[must_use]
pub fn lock(request: u64, serial: u64) -> Vec<u8> {
    let message = wire::LockRequest { request: request.into(), serial: serial.into(), ..Default::default() };
    wire::record(message, &[])
}
