// SPDX-License-Identifier: Apache-2.0
//! The socket in the file system.
//!
//! It is made under a name that nobody knows, given its rights, and only then renamed to
//! its place: there is no moment at which a stranger could connect, and a left-over of a
//! daemon that was killed is replaced without a gap. A socket that somebody still serves is
//! left alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, CWD, Gid, Mode, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, socket_with};
use tokio_seqpacket::UnixSeqpacketListener;

/// Clients that may wait to be accepted. All that a stream may have can come at once, after
/// the daemon has been started anew; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// Why a socket could not be published.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody serves that path.
    #[error(
        "{0} is already served by another process: stop it, or publish at another path (another name, another directory)"
    )]
    InUse(PathBuf),
    /// There is something there that is no socket.
    #[error("{0} exists and is not a socket: remove it, or publish at another path")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot {what} the socket {path}: {source}; the directory must exist and be writable for the daemon")]
    System {
        /// What was tried.
        what: &'static str,
        /// At which path.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// A listening socket that removes its name when it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// What was put there, so that somebody else's later socket is not removed.
    placed: Stat,
}

impl Listener {
    pub(super) fn bind(path: &Path, mode: u32, group: Option<u32>) -> Result<Self, BindError> {
        let system = |what| {
            let path = path.to_owned();
            move |source: io::Error| BindError::System { what, path, source }
        };
        check_vacant(path)?;
        let temporary = temporary_name(path);
        // A left-over of a daemon with the same process number.
        let _ = rustix::fs::unlink(&temporary);
        let socket = UnixSeqpacketListener::bind_with_backlog(&temporary, BACKLOG).map_err(|source| {
            let _ = rustix::fs::unlink(&temporary);
            system("create")(source)
        })?;
        // The host watches it itself, in one set with its clients; the runtime shall not, too.
        let socket = OwnedFd::from(socket);
        let place = || -> io::Result<Stat> {
            rustix::fs::chmod(&temporary, Mode::from_raw_mode(mode))?;
            if let Some(group) = group {
                rustix::fs::chownat(CWD, &temporary, None, Some(Gid::from_raw(group)), AtFlags::empty())?;
            }
            rustix::fs::rename(&temporary, path)?;
            Ok(rustix::fs::stat(path)?)
        };
        match place() {
            Ok(placed) => Ok(Self { socket, path: path.to_owned(), placed }),
            Err(source) => {
                let _ = rustix::fs::unlink(&temporary);
                Err(system("set up")(source))
            }
        }
    }

    /// The next client; `None` if there is none yet.
    pub(super) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        match accept_with(&self.socket, FLAGS) {
            Ok(socket) => Ok(Some(socket)),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let ours = rustix::fs::stat(&self.path)
            .is_ok_and(|now| (now.st_dev, now.st_ino) == (self.placed.st_dev, self.placed.st_ino));
        if ours {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{}.{number}", std::process::id()))
}

/// Fails if someone listens at `path`, or if it is something else than a socket.
fn check_vacant(path: &Path) -> Result<(), BindError> {
    let Ok(stat) = rustix::fs::lstat(path) else { return Ok(()) };
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Socket {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    let answers = || -> rustix::io::Result<()> {
        let probe = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None)?;
        rustix::net::connect(&probe, &SocketAddrUnix::new(path)?)
    };
    match answers() {
        // EAGAIN: there is a listener whose backlog is full.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(BindError::InUse(path.to_owned())),
        Err(_) => Ok(()),
    }
}
