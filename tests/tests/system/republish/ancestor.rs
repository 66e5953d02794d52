// SPDX-License-Identifier: Apache-2.0
//! A host of libvideostream, byte by byte as `docs/vsl.md` has it, that says what a test tells
//! it to.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, accept_with, bind, listen, recv, sendmsg, socket_with,
};
use system_tests::PATIENCE;
use vs_frame::{CpuMemory, CpuPool, Frame, FrameMeta};
use vs_pattern::Pattern;
use vsclient::monotonic_ns;

use super::stage::format;

pub const LOCK: u32 = 0;
pub const UNLOCK: u32 = 1;

/// Bytes of a HELLO of the stream protocol, with which the daemon finds out who is there.
const HELLO: usize = 96;

/// The listening socket. Dropping it removes it.
pub struct Ancestor {
    socket: OwnedFd,
    path: PathBuf,
}

/// The connection of a client.
pub struct Peer(OwnedFd);

/// A picture of the test pattern, in memory that can be mapped for writing.
pub struct Picture {
    frame: Frame,
    width: u32,
}

impl Ancestor {
    pub fn at(path: &Path) -> Self {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        listen(&socket, 16).unwrap();
        Self { socket, path: path.to_owned() }
    }

    /// The daemon's connection: the one after that on which it has asked who is there.
    pub fn peer(&self) -> Peer {
        loop {
            let asked = self.accept();
            let mut bytes = [0; 256];
            let (_, length) = recv(&asked.0, &mut bytes[..], RecvFlags::empty()).unwrap();
            // Its first 16 bytes are a request to unlock a frame that there is not.
            assert_eq!((length, &bytes[..4]), (HELLO, &UNLOCK.to_ne_bytes()[..]));
            // If the test was late, the daemon has gone to ask again.
            if asked.answer(1, 0) {
                return self.accept();
            }
        }
    }

    fn accept(&self) -> Peer {
        wait_for(&self.socket, PollFlags::IN);
        let peer = accept_with(&self.socket, SocketFlags::CLOEXEC).unwrap();
        set_socket_timeout(&peer, Timeout::Recv, Some(PATIENCE)).unwrap();
        Peer(peer)
    }
}

impl Drop for Ancestor {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Peer {
    pub fn say(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        assert!(self.try_say(bytes, fds), "the daemon has gone");
    }

    /// Whether the daemon was still there.
    pub fn try_say(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> bool {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds)));
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL).is_ok()
    }

    pub fn frame(&self, serial: i64, picture: &Picture) {
        self.say(&picture.event(serial), &[picture.memory()]);
    }

    /// A frame that is locked as soon as the daemon asks for it.
    pub fn lend(&self, serial: i64, picture: &Picture) {
        self.frame(serial, picture);
        self.grant(serial);
    }

    /// Grants the lock on this frame, which must be what comes next.
    pub fn grant(&self, serial: i64) {
        assert_eq!(self.hear(), Some((LOCK, serial)));
        self.answer(0, 1);
    }

    /// Takes back a frame, which must be what comes next.
    pub fn take_back(&self, serial: i64) {
        assert_eq!(self.hear(), Some((UNLOCK, serial)));
        self.answer(0, 0);
    }

    /// Whether the daemon was still there.
    pub fn answer(&self, error: u32, locked: u32) -> bool {
        let mut bytes = [0; 104];
        put32(&mut bytes, 0, error);
        put32(&mut bytes, 56, locked);
        self.try_say(&bytes, &[])
    }

    /// The next request; nothing if the daemon has hung up.
    pub fn hear(&self) -> Option<(u32, i64)> {
        let mut bytes = [0; 256];
        let (_, length) = recv(&self.0, &mut bytes[..], RecvFlags::empty()).ok()?;
        if length == 0 {
            return None;
        }
        assert_eq!((length, &bytes[4..8]), (16, &[0; 4][..]), "a request");
        let serial = i64::from_ne_bytes(bytes[8..16].try_into().unwrap());
        Some((u32::from_ne_bytes(bytes[..4].try_into().unwrap()), serial))
    }

    /// Whether nothing has been said.
    pub fn hears_nothing(&self) -> bool {
        recv(&self.0, &mut [0; 1][..], RecvFlags::DONTWAIT | RecvFlags::PEEK).is_err()
    }

    /// Waits until the daemon has hung up.
    pub fn is_left(&self) {
        wait_for(&self.0, PollFlags::HUP);
    }
}

impl Picture {
    pub fn new(serial: u64) -> Self {
        Self::of_width(serial, 320)
    }

    pub fn of_width(serial: u64, width: u32) -> Self {
        let pool = CpuPool::new(Arc::new(format(width)), CpuMemory::WritableMemfd, 1, 1).unwrap();
        let mut slot = pool.acquire().unwrap().unwrap();
        let pattern = Pattern::new(slot.format()).unwrap();
        slot.write(|memories| pattern.render(serial, monotonic_ns(), memories)).unwrap().unwrap();
        Self { frame: slot.finish(FrameMeta::default()).unwrap(), width }
    }

    pub fn memory(&self) -> BorrowedFd<'_> {
        self.frame.buffer().memories()[0].writable().unwrap()
    }

    /// The event of a frame that has just been published and never expires.
    pub fn event(&self, serial: i64) -> [u8; 104] {
        let mut bytes = [0; 104];
        put(&mut bytes, 8, serial);
        put(&mut bytes, 16, monotonic_ns() as i64);
        for unknown in [24, 32, 40] {
            put(&mut bytes, unknown, -1);
        }
        put32(&mut bytes, 60, u32::from_le_bytes(*b"NV12"));
        put32(&mut bytes, 64, self.width);
        put32(&mut bytes, 68, 240);
        put(&mut bytes, 80, i64::from(self.width) * 240 * 3 / 2);
        put32(&mut bytes, 96, self.width);
        bytes
    }
}

pub fn put(bytes: &mut [u8], at: usize, value: i64) {
    bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}

pub fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

fn wait_for(socket: impl AsFd, what: PollFlags) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut fds = [PollFd::new(&socket, what)];
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).unwrap();
        assert!(poll(&mut fds, Some(&left)).unwrap() > 0, "waited in vain for {what:?}");
        if fds[0].revents().intersects(what) {
            return;
        }
    }
}
