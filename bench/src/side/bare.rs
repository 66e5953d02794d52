// SPDX-License-Identifier: Apache-2.0
//! The bare limit: one thread, plain system calls, as many bytes as our messages have.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, accept_with, bind, listen, recvmsg, sendmsg, socket_with,
};
use vs_frame::clock::monotonic_ns;
use vs_ipc::wire::{FrameEvent, LockRequest, LockResponse};

use crate::children::Children;
use crate::pacer::{Burst, Pacer, Tick};

/// What the bare sender sends: as long as a FRAME_EVENT, and only the two fields that the
/// measurement needs.
#[derive(Clone, Copy, Debug)]
pub struct BareFrame {
    pub number: u32,
    pub publish_ns: u64,
}

impl BareFrame {
    pub const LEN: usize = size_of::<FrameEvent>();

    fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.publish_ns.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    /// `None` if it has another length.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let publish_ns = u64::from_le_bytes(*bytes.first_chunk()?);
        let number = u32::from_le_bytes(*bytes[8..].first_chunk()?);
        Some(Self { number, publish_ns })
    }
}

/// Waits for a record; `None` at the end of the connection.
pub fn receive(socket: impl AsFd, buffer: &mut [u8; BareFrame::LEN]) -> anyhow::Result<Option<&[u8]>> {
    let mut slices = [IoSliceMut::new(buffer)];
    let received = recvmsg(socket, &mut slices, &mut RecvAncillaryBuffer::default(), RecvFlags::empty());
    match received {
        Ok(message) if message.bytes > 0 => Ok(Some(&buffer[..message.bytes])),
        Ok(_) | Err(Errno::CONNRESET) => Ok(None),
        Err(error) => Err(error).context("cannot receive"),
    }
}

fn send(socket: impl AsFd, bytes: &[u8]) -> anyhow::Result<()> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match sendmsg(socket, &[IoSlice::new(bytes)], &mut SendAncillaryBuffer::default(), flags) {
        // A full socket loses the frame, which shows in the count.
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error).context("cannot send"),
    }
}

/// A listening socket and those who have connected.
#[derive(Debug)]
pub struct BareSender {
    listener: OwnedFd,
    clients: Vec<OwnedFd>,
}

impl BareSender {
    pub fn bind(path: &Path) -> anyhow::Result<Self> {
        let at = || format!("cannot listen at {}", path.display());
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        bind(&listener, &SocketAddrUnix::new(path)?).with_context(at)?;
        listen(&listener, i32::from(u16::MAX)).with_context(at)?;
        Ok(Self { listener, clients: Vec::new() })
    }

    /// Waits until all of them have connected.
    pub fn accept(&mut self, count: usize, children: &mut Children, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while self.clients.len() < count {
            if Instant::now() > deadline {
                bail!("{} of {count} receivers connected within {patience:?}", self.clients.len());
            }
            let pause = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            if poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&pause))? == 0 {
                children.check()?;
            } else {
                self.clients.push(accept_with(&self.listener, SocketFlags::CLOEXEC).context("cannot accept")?);
            }
        }
        Ok(())
    }

    /// Sends the frames of a burst; the processor time that took, in ns.
    pub fn burst(&self, burst: Burst, pacer: &Pacer) -> anyhow::Result<u64> {
        let mut next = burst.ticks();
        pacer.start()?;
        loop {
            pacer.tick()?;
            match next() {
                Tick::Publish(number) => self.publish(number)?,
                Tick::Done(cpu_ns) => return Ok(cpu_ns),
            }
        }
    }

    fn publish(&self, number: u32) -> anyhow::Result<()> {
        let bytes = BareFrame { number, publish_ns: monotonic_ns() }.encode();
        self.clients.iter().try_for_each(|client| send(client, &bytes))
    }

    /// Tells the only client to begin, and answers its requests.
    pub fn answer(&self, requests: usize) -> anyhow::Result<()> {
        let client = self.clients.first().context("nobody has connected")?;
        self.publish(0)?;
        let mut buffer = [0; BareFrame::LEN];
        for _ in 0..requests {
            match receive(client, &mut buffer)? {
                Some(request) if request.len() == size_of::<LockRequest>() => {
                    send(client, &[0; size_of::<LockResponse>()])?;
                }
                _ => bail!("the bare requester is gone or sends something else"),
            }
        }
        Ok(())
    }
}
