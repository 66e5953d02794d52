// SPDX-License-Identifier: Apache-2.0
//! Where the HTTP endpoint listens: on this machine, and nowhere else.
//!
//! The text names clients and their processes, and the endpoint knows neither passwords nor
//! encryption. So an address that other machines can reach is refused when the configuration
//! is read; who wants that puts a proxy in front, which does know them.

use std::fmt;
use std::fs::{Metadata, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// `sun_path` has 108 bytes, one of them for the terminating zero (unix(7)).
const UNIX_PATH_MAX: usize = 107;

/// The owner and the members of one group, as for streams.
const UNIX_MODE: u32 = 0o660;

/// How long whoever has a socket may take to answer a call. A listener that lives has the
/// kernel answer for it, at once.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// An address as the configuration has it: `127.0.0.1:9464`, `[::1]:9464` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A loopback address.
    Tcp(SocketAddr),
    /// An absolute path.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') || path.ends_with('/') || path.len() > UNIX_PATH_MAX {
                return Err(format!(
                    "'{text}': write the socket's whole path, at most {UNIX_PATH_MAX} bytes, as unix:/run/videostream/metrics.sock"
                ));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let address: SocketAddr = text.parse().map_err(|_| {
            format!(
                "'{text}' is not an address: write 127.0.0.1:9464, [::1]:9464 or unix:/run/videostream/metrics.sock"
            )
        })?;
        if !address.ip().is_loopback() {
            return Err(format!(
                "'{text}' can be reached from other machines, but the metrics name clients and processes, and this \
                 endpoint knows no passwords: listen at 127.0.0.1:{port} or at unix:PATH, and put a proxy in front \
                 that does",
                port = address.port()
            ));
        }
        Ok(Self::Tcp(address))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Somebody who is connected.
pub(super) trait Peer: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Peer for T {}

/// A socket that waits for connections.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, Placed),
}

/// A socket in the file system, which is removed when this is dropped, unless it is
/// somebody else's by then.
#[derive(Debug)]
pub(super) struct Placed {
    path: PathBuf,
    identity: (u64, u64),
}

impl Listener {
    pub(super) async fn bind(listen: &Listen) -> anyhow::Result<Self> {
        match listen {
            Listen::Tcp(address) => {
                Ok(Self::Tcp(TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address}"))?))
            }
            Listen::Unix(path) => {
                check_vacant(path).await?;
                let (socket, placed) = place(path).with_context(|| format!("cannot listen at {}", path.display()))?;
                Ok(Self::Unix(socket, placed))
            }
        }
    }

    /// Where it listens in fact: port 0 asks for any.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(|address| address.to_string()).unwrap_or_default(),
            Self::Unix(_, placed) => format!("unix:{}", placed.path.display()),
        }
    }

    /// Waits for a connection. Safe to cancel.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Peer>> {
        Ok(match self {
            Self::Tcp(socket) => Box::new(socket.accept().await?.0),
            Self::Unix(socket, _) => Box::new(socket.accept().await?.0),
        })
    }
}

/// Fails if someone listens at `path`, or if it is something else than a socket.
async fn check_vacant(path: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    let shown = path.display();
    ensure!(metadata.file_type().is_socket(), "{shown} exists and is not a socket: remove it, or choose another path");
    match tokio::time::timeout(PROBE_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => bail!("{shown} is served by another process: stop it, or choose another path"),
    }
}

/// Makes the socket under a name that nobody knows, and renames it when its rights are set.
fn place(path: &Path) -> io::Result<(UnixListener, Placed)> {
    let temporary = path.with_file_name(format!(".{}.metrics", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    let socket = UnixListener::bind(&temporary)?;
    let placed = std::fs::set_permissions(&temporary, Permissions::from_mode(UNIX_MODE))
        .and_then(|()| std::fs::rename(&temporary, path))
        .and_then(|()| path.symlink_metadata());
    match placed {
        Ok(metadata) => Ok((socket, Placed { path: path.to_owned(), identity: identity(&metadata) })),
        Err(error) => {
            let _ = std::fs::remove_file(&temporary);
            Err(error)
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Drop for Placed {
    fn drop(&mut self) {
        if self.path.symlink_metadata().is_ok_and(|now| identity(&now) == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_can_be_meant() {
        for good in ["127.0.0.1:9464", "127.8.9.10:0", "[::1]:9464", "unix:/run/videostream/metrics.sock"] {
            assert_eq!(good.parse::<Listen>().unwrap().to_string(), good);
        }
        for reachable in ["0.0.0.0:9464", "[::]:9464", "192.168.1.5:80", "[fe80::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(reachable.parse::<Listen>().unwrap_err().contains("other machines"), "{reachable}");
        }
        let long = format!("unix:/{}", "x".repeat(UNIX_PATH_MAX));
        for wrong in ["", "9464", "localhost:9464", "127.0.0.1", "unix:metrics.sock", "unix:", "unix:/a/", &long] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
        }
    }
}
