// SPDX-License-Identifier: Apache-2.0
//! Where a stream's socket is.

use std::path::PathBuf;

use anyhow::anyhow;
use vs_ipc::client::ConnectError as Refusal;
use vsclient::dbus::{Bus, CallError};
use vsclient::{ConnectError, DEFAULT_SOCKET_DIR, SOCKET_DIR_ENV};

use crate::daemon;
use crate::exit::{Incomplete, NoDaemon, NotFound};

/// The socket of a stream.
pub struct Socket {
    pub path: PathBuf,
    /// Why the daemon could not be asked, if it was not it who said the path.
    no_daemon: Option<anyhow::Error>,
}

/// Finds the socket of `stream`. A path is taken as it is. For a name the daemon is asked;
/// if it cannot be reached the socket may still be in the usual place, for frames need no bus.
pub async fn find(stream: &str, bus: &Bus) -> anyhow::Result<Socket> {
    if stream.contains('/') {
        return Ok(Socket { path: PathBuf::from(stream), no_daemon: None });
    }
    let daemon = match daemon::connect(bus).await {
        Ok(daemon) => daemon,
        Err(error) => return Ok(Socket { path: usual_place(stream), no_daemon: Some(error) }),
    };
    let objects = daemon::objects(&daemon).await?;
    let info = daemon::stream(&objects, stream).ok_or_else(|| daemon::no_such_stream(&objects, stream))?;
    if info.socket.is_empty() {
        let why = if info.state_text.is_empty() { String::new() } else { format!(" ({})", info.state_text) };
        let text = format!("stream '{stream}' is {}{why}: start it with `vsctl start-stream {stream}`", info.state);
        return Err(CallError::NotRunning(text).into());
    }
    Ok(Socket { path: PathBuf::from(&info.socket), no_daemon: None })
}

fn usual_place(stream: &str) -> PathBuf {
    let dir = std::env::var_os(SOCKET_DIR_ENV).filter(|dir| !dir.is_empty());
    dir.map_or_else(|| PathBuf::from(DEFAULT_SOCKET_DIR), PathBuf::from).join(stream)
}

impl Socket {
    /// Why there is no connection, with the exit status that belongs to it.
    pub fn explain(self, error: ConnectError) -> anyhow::Error {
        let text = error.to_string();
        match (error, self.no_daemon) {
            (ConnectError::Connection(Refusal::NotFound { path } | Refusal::NotListening { path }), Some(daemon)) => {
                daemon.context(format!("nothing at {}, and the daemon cannot be asked", path.display()))
            }
            (ConnectError::Connection(Refusal::NotFound { .. }), None) => NotFound(text).into(),
            (ConnectError::Connection(Refusal::NotListening { .. }), None) => NoDaemon(text).into(),
            (ConnectError::Connection(Refusal::Timeout(_)), _) => Incomplete(text).into(),
            _ => anyhow!(text),
        }
    }
}
