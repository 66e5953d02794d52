// SPDX-License-Identifier: Apache-2.0
//! A client that knows `docs/vsl.md` and nothing of this project's code: offsets and numbers.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use memmap2::MmapMut;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, recvmsg, send, socket_with,
};

use crate::stage::TIMEOUT;

pub const LOCK: u32 = 0;
pub const UNLOCK: u32 = 1;

pub struct Raw {
    socket: OwnedFd,
}

/// A message of the host.
pub struct Heard {
    pub bytes: Vec<u8>,
    pub fds: Vec<OwnedFd>,
}

impl Raw {
    pub fn connect(path: &Path) -> Self {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        set_socket_timeout(&socket, Timeout::Recv, Some(TIMEOUT)).unwrap();
        connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        Self { socket }
    }

    pub fn say(&self, bytes: &[u8]) {
        assert_eq!(send(&self.socket, bytes, SendFlags::NOSIGNAL).unwrap(), bytes.len());
    }

    pub fn request(&self, message: u32, serial: i64) {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&message.to_ne_bytes());
        // What a C compiler may leave there.
        bytes[4..8].fill(0xa5);
        bytes[8..].copy_from_slice(&serial.to_ne_bytes());
        self.say(&bytes);
    }

    fn take(&self, flags: RecvFlags) -> Option<Heard> {
        let mut bytes = vec![0; 512];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let message = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags).ok()?;
        bytes.truncate(message.bytes);
        let rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds.collect::<Vec<_>>()),
            _ => None,
        });
        let fds = rights.flatten().collect();
        (!bytes.is_empty()).then_some(Heard { bytes, fds })
    }

    /// The next message; `None` at the end of the connection.
    pub fn hear(&self) -> Option<Heard> {
        // A host that closes with unread requests resets the connection first.
        self.take(RecvFlags::empty()).or_else(|| self.take(RecvFlags::empty()))
    }

    /// The next frame. Answers must not be due.
    pub fn event(&self) -> Heard {
        let heard = self.hear().expect("the host has gone");
        assert_ne!(heard.serial(), 0, "an answer where a frame is due");
        heard
    }

    /// Asks, and takes the answer: error and locked. Frames that come before it are let go.
    pub fn ask(&self, message: u32, serial: i64) -> (u32, i32) {
        self.request(message, serial);
        self.answer()
    }

    pub fn answer(&self) -> (u32, i32) {
        loop {
            let heard = self.hear().expect("the host has gone");
            if heard.serial() == 0 {
                return heard.as_answer();
            }
        }
    }

    pub fn is_dismissed(&self) -> bool {
        while let Some(heard) = self.hear() {
            assert_ne!(heard.serial(), 0, "an answer instead of the end");
        }
        true
    }
}

impl AsFd for Raw {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

macro_rules! field {
    ($($name:ident: $type:ty = $at:literal;)*) => {
        $(pub fn $name(&self) -> $type {
            <$type>::from_ne_bytes(self.bytes[$at..$at + size_of::<$type>()].try_into().unwrap())
        })*
    };
}

impl Heard {
    field! {
        error: u32 = 0;
        serial: i64 = 8;
        timestamp: i64 = 16;
        duration: i64 = 24;
        pts: i64 = 32;
        dts: i64 = 40;
        expires: i64 = 48;
        locked: i32 = 56;
        fourcc: u32 = 60;
        width: i32 = 64;
        height: i32 = 68;
        address: u64 = 72;
        size: u64 = 80;
        offset: u64 = 88;
        stride: i32 = 96;
    }

    /// Error and locked, of a message that is an answer and nothing else.
    pub fn as_answer(&self) -> (u32, i32) {
        assert_eq!((self.bytes.len(), self.fds.len()), (104, 0));
        let rest = self.bytes.iter().enumerate().filter(|(at, _)| !(0..4).contains(at) && !(56..60).contains(at));
        assert!(rest.into_iter().all(|(_, byte)| *byte == 0), "an answer is zero but for error and locked");
        (self.error(), self.locked())
    }

    /// The picture, mapped as the ancestor's library does: for reading and writing.
    pub fn map(&self) -> MmapMut {
        let options = memmap2::MmapOptions::new().offset(self.offset()).len(self.size() as usize).clone();
        // SAFETY: the host has sealed the memory against shrinking, and tests look at single
        // bytes of it.
        unsafe { options.map_mut(&self.fds[0]) }.unwrap()
    }
}
