// SPDX-License-Identifier: Apache-2.0
//! The options of a client.

use std::path::PathBuf;
use std::time::Duration;

use vs_ipc::client::{HANDSHAKE_TIMEOUT, Hello};
use vs_ipc::wire::Mode;

use crate::address::{SOCKET_DIR_ENV, socket_path};
use crate::core::Target;
use crate::{Backoff, Client, ConnectError, NameError};

/// Says what a client wants; made by [`Client::builder`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    stream: String,
    dir: Option<PathBuf>,
    hello: Hello,
    timeout: Duration,
    backoff: Option<Backoff>,
}

impl ClientBuilder {
    pub(crate) fn new(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            dir: None,
            hello: Hello::default(),
            timeout: HANDSHAKE_TIMEOUT,
            backoff: Some(Backoff::default()),
        }
    }

    /// How frames are delivered. In [`Mode::Leased`], the default, each frame is this
    /// client's until it is dropped. In [`Mode::Notify`] a frame may be read for
    /// [`Session::lifespan`](crate::Session::lifespan) after it was published, and
    /// [`Client::lock`] keeps it for longer.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.hello.mode = mode;
        self
    }

    /// How many frames the program wants to hold at once; the host may allow fewer. 0, the
    /// default, leaves it to the host. With all of them in hand no frame comes until one
    /// is dropped, and then the newest.
    #[must_use]
    pub fn credits(mut self, credits: u16) -> Self {
        self.hello.credits = credits;
        self
    }

    /// How long the program wants to hold a frame; the host may allow less. By default the
    /// host decides.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.hello.lease = Some(lease);
        self
    }

    /// The name under which the host's statistics show this client; by default that of the
    /// program. 64 bytes at most, the rest is cut.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.hello.name = name.into();
        self
    }

    /// The directory of the sockets; counts more than the environment variable
    /// `VIDEOSTREAM_DIR`, which counts more than `/run/videostream`.
    #[must_use]
    pub fn socket_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// How long an attempt to connect may take, and how long the host may take to answer.
    /// 5 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How a lost connection is made again. That is the default, with [`Backoff::default`].
    #[must_use]
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// A lost connection is an error, and the end of the client.
    #[must_use]
    pub fn no_reconnect(mut self) -> Self {
        self.backoff = None;
        self
    }

    /// Connects now.
    ///
    /// # Errors
    /// [`ConnectError`]; its message says what to do.
    pub fn connect(self) -> Result<Client, ConnectError> {
        Client::connect_to(self.target()?)
    }

    /// Makes a client of a stream that need not be there yet: it is waited for as after a
    /// lost connection.
    ///
    /// # Errors
    /// [`NameError`] if the text names no stream.
    pub fn connect_or_wait(self) -> Result<Client, NameError> {
        Ok(Client::wait_for(self.target()?))
    }

    pub(crate) fn target(self) -> Result<Target, NameError> {
        let env = std::env::var_os(SOCKET_DIR_ENV).map(PathBuf::from);
        let path = socket_path(&self.stream, self.dir.as_deref(), env)?;
        Ok(Target { path, hello: self.hello, timeout: self.timeout, backoff: self.backoff })
    }
}
