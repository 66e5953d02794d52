// SPDX-License-Identifier: Apache-2.0
//! Sockets of the other side: they say anything, and never wait.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg, socket_with, socketpair,
};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_ipc::wire::MAX_HOST_MESSAGE;

/// More descriptors than any message may carry.
pub(crate) const MAX_FDS: usize = 6;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC;

/// Both ends of a connection.
pub(crate) fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None).unwrap()
}

/// A connection to the socket at `path`; `None` while its queue is full.
pub(crate) fn join(path: &Path) -> Option<OwnedFd> {
    let flags = FLAGS | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    connect(&socket, &SocketAddrUnix::new(path).unwrap()).ok()?;
    Some(socket)
}

/// Sends a record if there is room for it; whether there was.
pub(crate) fn say(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> bool {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok()
}

/// Takes every record that waits: its bytes, and the descriptors that came with it.
pub(crate) fn hear(socket: &OwnedFd, mut told: impl FnMut(&[u8], Vec<OwnedFd>)) {
    let mut bytes = [0; MAX_HOST_MESSAGE + 1];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let Ok(message) = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) else { return };
        let rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let fds = rights.flatten().collect();
        if message.bytes == 0 {
            return;
        }
        told(&bytes[..message.bytes], fds);
    }
}

/// The format of the pictures that travel here: the smallest of a usual kind.
pub(crate) fn format() -> Format {
    Format::packed(FourCc::NV12, 16, 16, Rate::fps(1000)).unwrap()
}

/// Things that a message may carry as descriptors: memory that is good, and what is not.
pub(crate) fn gallery() -> &'static [OwnedFd] {
    static GALLERY: OnceLock<(Frame, Vec<OwnedFd>)> = OnceLock::new();
    let (_, fds) = GALLERY.get_or_init(|| {
        let pool = CpuPool::new(Arc::new(format()), CpuMemory::Memfd, 1, 1).unwrap();
        let frame = pool.acquire().unwrap().unwrap().finish(FrameMeta::default()).unwrap();
        let good = frame.buffer().memories()[0].as_fd().try_clone_to_owned().unwrap();
        let memfd = |len, seals| {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let fd = rustix::fs::memfd_create("gift", flags).unwrap();
            rustix::fs::ftruncate(&fd, len).unwrap();
            rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
            fd
        };
        let could_shrink = memfd(4096, SealFlags::empty());
        let small = memfd(100, SealFlags::SHRINK | SealFlags::GROW);
        let (pipe, _) = rustix::pipe::pipe().unwrap();
        let page = memfd(PAGE_LEN, SealFlags::SHRINK | SealFlags::GROW);
        let empty = memfd(0, SealFlags::SHRINK | SealFlags::GROW);
        (frame, vec![good, could_shrink, small, pipe, page, empty])
    });
    fds
}

/// Which of the gallery's can be a page in which frames are unlocked.
pub(crate) const PAGE: usize = 4;

/// Bytes of such a page (docs/protocol.md, UNLOCK_PAGE).
pub(crate) const PAGE_LEN: u64 = 4096;

/// Writes into a page that another one has mapped.
pub(crate) fn scribble(page: &OwnedFd, bytes: &[u8], at: u64) {
    let room = usize::try_from(PAGE_LEN.saturating_sub(at)).unwrap();
    let written = rustix::io::pwrite(page, &bytes[..bytes.len().min(room)], at);
    assert!(written.is_ok());
}

/// What the digits of `choice` to base 8 take from the gallery; 0 ends it, 7 is the good one
/// again.
pub(crate) fn gifts(choice: u16) -> Vec<BorrowedFd<'static>> {
    let gallery = gallery();
    let digits = std::iter::successors(Some(choice), |rest| Some(rest >> 3)).map(|rest| usize::from(rest & 7));
    let chosen = digits.take(MAX_FDS - 1).take_while(|digit| *digit > 0);
    chosen.map(|digit| gallery.get(digit - 1).unwrap_or(&gallery[0]).as_fd()).collect()
}

/// The number that the next descriptor gets: it stays the same as long as none is leaked.
pub(crate) fn lowest_free() -> RawFd {
    rustix::io::dup(std::io::stdin()).map_or(0, |fd| fd.as_raw_fd())
}
