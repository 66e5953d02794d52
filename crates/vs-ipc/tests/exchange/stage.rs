// SPDX-License-Identifier: Apache-2.0
//! Frames to lend, and a socket of somebody who may say anything.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_ipc::exchange::{Credits, Exchange, ExchangeError, Received, pair};
use vs_ipc::wire::exchange::Lend;
use vs_ipc::wire::{self, GoodbyeReason};

/// Some tests count the descriptors of the process, so one runs at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub fn format(width: u32) -> Arc<Format> {
    Arc::new(Format::packed(FourCc::NV12, width, 16, Rate::fps(30)).unwrap())
}

pub fn pool(width: u32, buffers: usize) -> CpuPool {
    CpuPool::new(format(width), CpuMemory::Memfd, 1, buffers).unwrap()
}

/// A frame with this number in its first byte and its times.
pub fn frame(pool: &CpuPool, number: u64) -> Option<Frame> {
    let mut slot = pool.acquire().unwrap()?;
    slot.write(|memories| memories[0][0] = number as u8).unwrap();
    let bytes_used = slot.format().picture_bytes();
    let meta = FrameMeta { capture_ns: number, pts: Some(-(number as i64)), bytes_used, ..FrameMeta::default() };
    Some(slot.finish(meta).unwrap())
}

/// Everything that waits for an exchange.
pub fn hear(exchange: &mut Exchange) -> Result<Vec<Received>, ExchangeError> {
    std::iter::from_fn(|| exchange.receive().transpose()).collect()
}

/// A daemon's end, and the bare socket of its client.
pub fn daemon(credits: Credits) -> (Exchange, OwnedFd) {
    let (ours, theirs) = pair().unwrap();
    (Exchange::daemon(ours, credits), theirs)
}

/// A client's end, and the bare socket of its daemon, which has said OPENED.
pub fn client(credits: Credits) -> (Exchange, OwnedFd) {
    let (ours, theirs) = pair().unwrap();
    let opened = wire::exchange::Opened {
        major: 1.into(),
        inputs: credits.inputs.into(),
        outputs: credits.outputs.into(),
        ..Default::default()
    };
    say(&theirs, &wire::record(opened, &[]), &[]);
    let mut client = Exchange::client(ours);
    assert!(matches!(client.receive(), Ok(Some(Received::Opened(told))) if told == credits));
    (client, theirs)
}

pub fn say(socket: &OwnedFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).unwrap();
}

/// A LEND as an honest side would send it, with its descriptors.
pub fn lend(number: u64, frame: &Frame) -> (Lend, Vec<BorrowedFd<'_>>) {
    let fds: Vec<_> = frame.buffer().memories().iter().map(AsFd::as_fd).collect();
    let lend = Lend {
        number: number.into(),
        buffer: frame.buffer().id().0.into(),
        format: 1.into(),
        memories: fds.len() as u8,
        fds: fds.len() as u8,
        bytes_used: frame.meta().bytes_used.map(Into::into),
        ..Lend::default()
    };
    (lend, fds)
}

/// What a bare socket is told: the kind of each record, and why it ends.
pub fn told(socket: OwnedFd) -> (Vec<u16>, Option<(GoodbyeReason, String)>) {
    let mut kinds = Vec::new();
    let mut bytes = [0; wire::MAX_HOST_MESSAGE];
    loop {
        let len = match rustix::net::recv(&socket, &mut bytes, rustix::net::RecvFlags::DONTWAIT) {
            // The kernel says once that something was not read; what is left to read follows.
            Err(rustix::io::Errno::CONNRESET) => continue,
            Ok((len, _)) if len > 0 => len,
            _ => return (kinds, None),
        };
        let record = &bytes[..len];
        let kind = wire::kind_of(record).unwrap();
        kinds.push(kind);
        if kind == <wire::Goodbye as wire::Message>::KIND {
            let (goodbye, text) = wire::parse::<wire::Goodbye>(record).unwrap();
            let text = String::from_utf8(text[..goodbye.text_len.get() as usize].to_vec()).unwrap();
            return (kinds, Some((GoodbyeReason::from_code(goodbye.reason.get()).unwrap(), text)));
        }
    }
}
