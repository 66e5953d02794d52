// SPDX-License-Identifier: Apache-2.0
//! What the other processes of a benchmark do. Each ends when its connection does: no
//! process is left behind, however the benchmark ends.
//!
//! While it measures, a receiver only writes into memory that it has; what it saw goes to its
//! standard output afterwards.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Subcommand;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use vs_frame::clock::monotonic_ns;
use vs_ipc::client::ReceiveError as Lost;
use vs_ipc::wire::{LockRequest, LockResponse, Mode};
use vsclient::{Client, Frame, ReceiveError};

use crate::side::bare::{BareFrame, receive};

/// Far longer than any answer takes, so that a host that hangs is noticed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A part to play, as the rest of the command line.
#[derive(Subcommand, Debug)]
pub enum Role {
    /// Receives from the bare sender
    #[command(hide = true)]
    BareReceiver {
        /// Its socket
        socket: PathBuf,
        /// Frames that will be sent
        frames: usize,
    },
    /// Receives from the host
    #[command(hide = true)]
    Receiver {
        /// Its socket
        socket: PathBuf,
        /// Frames that will be published
        frames: usize,
        /// Be told of frames instead of leasing each
        #[arg(long)]
        notify: bool,
    },
    /// Takes all frames that it can get from the host and gives none back
    #[command(hide = true)]
    Hoarder {
        /// Its socket
        socket: PathBuf,
    },
    /// Sends what has the size of lock requests to the bare responder
    #[command(hide = true)]
    BareLocker {
        /// Its socket
        socket: PathBuf,
        /// Round trips of a burst
        locks: usize,
    },
    /// Locks frames of the host
    #[command(hide = true)]
    Locker {
        /// Its socket
        socket: PathBuf,
        /// Round trips of a burst
        locks: usize,
    },
}

/// Plays a part until the connection ends.
pub fn play(role: &Role) -> anyhow::Result<()> {
    match role {
        Role::BareReceiver { socket, frames } => bare_receiver(socket, *frames),
        Role::Receiver { socket, frames, notify } => receiver(socket, *frames, *notify),
        Role::Hoarder { socket } => hoarder(socket),
        Role::BareLocker { socket, locks } => bare_locker(socket, *locks),
        Role::Locker { socket, locks } => locker(socket, *locks),
    }
}

/// Latencies by the number of the frame; 0 where none came.
struct Log(Vec<u32>);

impl Log {
    fn new(len: usize) -> Self {
        // Every page is touched now rather than in the middle of a measurement.
        let mut log = vec![u32::MAX; len];
        log.fill(0);
        Self(log)
    }

    fn note(&mut self, number: usize, since_ns: u64) {
        if let Some(entry) = self.0.get_mut(number) {
            *entry = elapsed(since_ns);
        }
    }

    fn tell(&self) -> anyhow::Result<()> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut out = std::io::stdout().lock();
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            // The benchmark has been broken off; nobody wants to know any more.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error).context("cannot tell what was measured"),
        }
    }
}

/// Nanoseconds since a moment, at least 1.
fn elapsed(since_ns: u64) -> u32 {
    u32::try_from(monotonic_ns().saturating_sub(since_ns)).unwrap_or(u32::MAX).max(1)
}

fn bare_receiver(path: &Path, frames: usize) -> anyhow::Result<()> {
    let mut log = Log::new(frames);
    let socket = connect_bare(path)?;
    let mut buffer = [0; BareFrame::LEN];
    while let Some(record) = receive(&socket, &mut buffer)? {
        let frame = BareFrame::decode(record).context("the bare sender sent something else")?;
        log.note(frame.number as usize, frame.publish_ns);
    }
    log.tell()
}

fn receiver(path: &Path, frames: usize, notify: bool) -> anyhow::Result<()> {
    let mut log = Log::new(frames);
    let mode = if notify { Mode::Notify } else { Mode::Leased };
    let mut client = connect_to(path, mode)?;
    while let Some(frame) = next_frame(&mut client)? {
        log.note(frame.meta().sequence as usize, frame.publish_ns());
    }
    log.tell()
}

/// Comes again when it is thrown out, until there is nobody to come to.
fn hoarder(path: &Path) -> anyhow::Result<()> {
    while let Ok(mut client) = connect_to(path, Mode::Leased) {
        let mut hoard = Vec::new();
        while let Some(frame) = next_frame(&mut client)? {
            hoard.push(frame);
        }
    }
    Ok(())
}

fn bare_locker(path: &Path, locks: usize) -> anyhow::Result<()> {
    let mut log = Log::new(locks);
    let socket = connect_bare(path)?;
    let request = [0; size_of::<LockRequest>()];
    let mut buffer = [0; BareFrame::LEN];
    while receive(&socket, &mut buffer)?.is_some() {
        for number in 0..locks {
            let start_ns = monotonic_ns();
            rustix::net::send(&socket, &request, SendFlags::NOSIGNAL).context("cannot send a request")?;
            match receive(&socket, &mut buffer)? {
                Some(answer) if answer.len() == size_of::<LockResponse>() => log.note(number, start_ns),
                Some(_) => bail!("the bare responder answered something else"),
                None => return Ok(()),
            }
        }
        log.tell()?;
    }
    Ok(())
}

fn locker(path: &Path, locks: usize) -> anyhow::Result<()> {
    let mut log = Log::new(locks);
    let mut client = connect_to(path, Mode::Notify)?;
    while let Some(frame) = next_frame(&mut client)? {
        for number in 0..locks {
            let start_ns = monotonic_ns();
            client.lock(&frame, None, PATIENCE).context("a frame could not be locked")?;
            log.note(number, start_ns);
        }
        drop(frame);
        log.tell()?;
    }
    Ok(())
}

fn connect_bare(path: &Path) -> anyhow::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let socket = socket.context("cannot make a socket")?;
    connect(&socket, &SocketAddrUnix::new(path)?).with_context(|| format!("cannot connect to {}", path.display()))?;
    Ok(socket)
}

fn connect_to(path: &Path, mode: Mode) -> anyhow::Result<Client> {
    let builder = Client::builder(path.to_str().context("the socket's path is no text")?);
    Ok(builder.mode(mode).timeout(PATIENCE).no_reconnect().connect()?)
}

/// The next frame; `None` when the connection has ended.
fn next_frame(client: &mut Client) -> anyhow::Result<Option<Frame>> {
    match client.next_frame(None) {
        Err(ReceiveError::Goodbye(_) | ReceiveError::Connection(Lost::Closed)) => Ok(None),
        outcome => Ok(outcome?),
    }
}
