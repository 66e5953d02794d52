// SPDX-License-Identifier: Apache-2.0
//! How a connection begins: HELLO, then WELCOME and STATE, or GOODBYE.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use zerocopy::IntoBytes;

use super::incoming::{Goodbye, StreamStatus};
use super::link::{Link, header};
use super::socket::{Inbox, Wait};
use super::{ConnectError, Connection, ProtocolError, ReceiveError, SendError};
use crate::vsl;
use crate::wire::{self, MAGIC, Message, Mode, VERSION_MAJOR, VERSION_MINOR, WireError};

/// How long a client waits for the host's answer unless it says otherwise. A host that is
/// alive answers within a millisecond; the rest is for machines that are starting up.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// How it wants its frames.
    pub mode: Mode,
    /// Frames it wants to hold at once; 0 leaves it to the host.
    pub credits: u16,
    /// Lease wanted; `None` leaves it to the host.
    pub lease: Option<Duration>,
    /// Its name in the host's statistics; cut at [`wire::NAME_LEN`] bytes.
    pub name: String,
}

impl Default for Hello {
    /// Leased mode, the host's credits and lease, and the name of the program.
    fn default() -> Self {
        let program = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { mode: Mode::Leased, credits: 0, lease: None, name }
    }
}

/// What host and client have agreed upon: WELCOME.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Minor version of the protocol that is spoken.
    pub minor: u16,
    /// Number of this client at the host.
    pub client: u64,
    /// Changes whenever the host starts anew; serials and buffer numbers belong to it.
    pub epoch: u64,
    /// How frames are delivered.
    pub mode: Mode,
    /// Frames that this client may hold at once.
    pub credits: u16,
    /// Length of a lease.
    pub lease: Duration,
    /// The longest this client may hold one frame, renewals included.
    pub lease_max: Duration,
    /// How long an announced frame stays untouched without a lease.
    pub lifespan: Duration,
    /// Name of the stream.
    pub stream: String,
}

impl Session {
    fn decode(record: &[u8]) -> Result<Self, ConnectError> {
        let (welcome, _) = wire::parse::<wire::Welcome>(record).map_err(protocol)?;
        let (major, minor) = (welcome.major.get(), welcome.minor.get());
        if major != VERSION_MAJOR || minor > VERSION_MINOR {
            return Err(ConnectError::Version { major, minor });
        }
        let bad_mode = WireError::Field { kind: wire::Welcome::KIND, field: "mode" };
        Ok(Self {
            minor,
            client: welcome.client.get(),
            epoch: welcome.epoch.get(),
            mode: Mode::from_code(welcome.mode).ok_or(bad_mode).map_err(protocol)?,
            credits: welcome.credits.get(),
            lease: Duration::from_nanos(welcome.lease_ns.get()),
            lease_max: Duration::from_nanos(welcome.lease_max_ns.get()),
            lifespan: Duration::from_nanos(welcome.lifespan_ns.get()),
            stream: wire::name_text(&welcome.stream),
        })
    }
}

impl Connection {
    /// Connects to the stream at `path` and introduces itself. Takes at most `timeout`
    /// for the connection and as much for the host's answer.
    ///
    /// # Errors
    /// [`ConnectError`]: its message says what to do.
    pub fn connect(path: &Path, hello: &Hello, timeout: Duration) -> Result<Self, ConnectError> {
        let io = |source: Errno| ConnectError::Io { path: path.into(), source: source.into() };
        let address = SocketAddrUnix::new(path).map_err(|error| match error {
            Errno::NAMETOOLONG => ConnectError::PathTooLong { path: path.into() },
            other => io(other),
        })?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(io)?;
        // A host that does not accept leaves connect(2) waiting for room in its queue.
        set_socket_timeout(&socket, Timeout::Send, Some(timeout.max(Duration::from_micros(1)))).map_err(io)?;
        loop {
            match connect(&socket, &address) {
                Ok(()) => return Self::handshake(socket, hello, timeout),
                Err(Errno::INTR) => {}
                Err(Errno::NOENT | Errno::NOTDIR) => return Err(ConnectError::NotFound { path: path.into() }),
                Err(Errno::CONNREFUSED) => return Err(ConnectError::NotListening { path: path.into() }),
                Err(Errno::ACCESS | Errno::PERM) => return Err(ConnectError::Denied { path: path.into() }),
                Err(Errno::PROTOTYPE) => return Err(ConnectError::NotAStream { path: path.into() }),
                Err(Errno::AGAIN) => return Err(ConnectError::Timeout(timeout)),
                Err(other) => return Err(io(other)),
            }
        }
    }

    /// Introduces itself on a seqpacket socket that is connected already.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn handshake(socket: OwnedFd, hello: &Hello, timeout: Duration) -> Result<Self, ConnectError> {
        let link = Link::new(socket);
        match link.send(message(hello).as_bytes()) {
            Ok(()) => {}
            Err(SendError::Busy) => return Err(ConnectError::Timeout(timeout)),
            // A host that has no place closes at once; its GOODBYE may still be read.
            Err(SendError::Closed) => {}
        }
        let mut inbox = Inbox::new();
        let deadline = Instant::now() + timeout;
        let mut session = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ConnectError::Timeout(timeout));
            }
            if inbox.receive(link.as_fd(), Wait::Block(Some(left)))?.is_none() {
                continue;
            }
            let record = inbox.record();
            if vsl::wire::is_foreign(record) {
                return Err(ConnectError::Libvideostream);
            }
            match (wire::kind_of(record).map_err(protocol)?, session.take()) {
                (wire::Welcome::KIND, None) => session = Some(Session::decode(record)?),
                (wire::State::KIND, Some(session)) => {
                    let status = StreamStatus::decode(record).map_err(protocol)?;
                    return Ok(Self::new(link, inbox, session, status));
                }
                (wire::Goodbye::KIND, _) => {
                    return Err(ConnectError::Refused(Goodbye::decode(record).map_err(protocol)?));
                }
                (kind @ 0x01..=0x0b, _) => return Err(protocol(ProtocolError::Unexpected { kind })),
                // A message of a later version.
                (_, unchanged) => session = unchanged,
            }
        }
    }
}

fn message(hello: &Hello) -> wire::Hello {
    let lease_ns = hello.lease.map_or(0, |lease| u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX).max(1));
    wire::Hello {
        header: header::<wire::Hello>(),
        magic: MAGIC,
        major: VERSION_MAJOR.into(),
        minor: VERSION_MINOR.into(),
        mode: hello.mode.code(),
        credits: hello.credits.into(),
        lease_ns: lease_ns.into(),
        name: wire::name_field(&hello.name),
        ..wire::Hello::default()
    }
}

fn protocol(error: impl Into<ProtocolError>) -> ConnectError {
    ConnectError::Receive(ReceiveError::Protocol(error.into()))
}
