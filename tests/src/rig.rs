// SPDX-License-Identifier: Apache-2.0
//! One daemon with all that belongs to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vsclient::dbus::{self, Bus, ClientInfo, Objects, StreamInfo};

use crate::bus::PrivateBus;
use crate::daemon::{Daemon, Place, write_config};
use crate::process::End;
use crate::prometheus::Samples;
use crate::vsctl::{self, Outcome};
use crate::{Process, eventually};

/// Begins the names of temporary directories.
const PREFIX: &str = "videostream-test-";

/// A private bus, a socket directory, a configuration, and the daemon.
///
/// The fields are dropped in this order: the daemon goes first, the directory last.
#[derive(Debug)]
pub struct Rig {
    daemon: Option<Daemon>,
    place: Place,
    connection: dbus::Daemon,
    runtime: Runtime,
    _bus: PrivateBus,
    dir: TempDir,
}

impl Rig {
    /// Starts a daemon with this configuration.
    #[must_use]
    pub fn start(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap();
        let bus = PrivateBus::start(dir.path());
        let place = Place {
            bus: bus.address.clone(),
            socket_dir: dir.path().join("sockets"),
            config: write_config(dir.path(), config),
        };
        let daemon = Daemon::start(&place);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connection = runtime.block_on(dbus::connect(&place.bus())).unwrap();
        Self { daemon: Some(daemon), place, connection, runtime, _bus: bus, dir }
    }

    /// The daemon.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("there is no daemon at present")
    }

    /// Where the daemon lives.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Starts the daemon again, after its end.
    pub fn start_again(&mut self) {
        assert!(self.daemon.is_none(), "the daemon still runs");
        self.daemon = Some(Daemon::start(&self.place));
    }

    /// Ends the daemon as a service manager does; how it ended.
    pub fn terminate(&mut self) -> End {
        self.daemon.take().expect("there is no daemon at present").terminate()
    }

    /// Waits for a daemon that somebody has asked to end; how it ended.
    pub fn end(&mut self) -> End {
        self.daemon.take().expect("there is no daemon at present").process.wait()
    }

    /// Kills the daemon without warning.
    pub fn kill(&mut self) {
        self.daemon.take().expect("there is no daemon at present").process.kill();
    }

    /// A path in the rig's directory, which goes when the rig goes.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Path of a stream's socket.
    #[must_use]
    pub fn socket(&self, stream: &str) -> PathBuf {
        self.place.socket_dir.join(stream)
    }

    /// Runs `vsctl` to its end.
    #[must_use]
    pub fn vsctl(&self, arguments: &[&str]) -> Outcome {
        vsctl::run(&self.place.bus, arguments)
    }

    /// Runs `vsctl --json`, which must go well; its answer.
    #[must_use]
    pub fn ask(&self, arguments: &[&str]) -> Value {
        self.vsctl(&[&["--json"], arguments].concat()).good().json()
    }

    /// Starts `vsctl`, and does not wait.
    #[must_use]
    pub fn vsctl_beside(&self, arguments: &[&str]) -> Process {
        Process::start("vsctl", &mut vsctl::command(&self.place.bus, arguments))
    }

    /// Starts the client that was written from `docs/protocol.md` alone.
    #[must_use]
    pub fn stranger(&self, stream: &str, arguments: &[&str]) -> Process {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/minimal.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(self.socket(stream)).args(arguments);
        Process::start("minimal.py", &mut command)
    }

    /// A connection to the daemon's bus, and the way to its objects.
    #[must_use]
    pub fn control(&self) -> &dbus::Daemon {
        &self.connection
    }

    /// Waits for an answer over D-Bus.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Everything that the daemon has.
    #[must_use]
    pub fn objects(&self) -> Objects {
        self.wait(self.connection.objects()).unwrap()
    }

    /// All metrics, over D-Bus.
    #[must_use]
    pub fn metrics(&self) -> Samples {
        let text = self.wait(async { self.connection.manager().await.unwrap().metrics().await });
        Samples::parse(&text.unwrap())
    }

    /// A stream.
    #[must_use]
    pub fn stream(&self, name: &str) -> StreamInfo {
        let streams = self.objects().streams;
        streams.into_iter().find(|stream| stream.name == name).unwrap_or_else(|| panic!("no stream {name}"))
    }

    /// Waits until a client of this name is connected and is as `is` wants it.
    pub fn client_that(&self, stream: &str, name: &str, is: impl Fn(&ClientInfo) -> bool) -> ClientInfo {
        eventually(&format!("client {name} of {stream}"), || {
            self.stream(stream).clients.into_iter().find(|client| client.name == name && is(client))
        })
    }

    /// Waits until no client of this name is connected.
    pub fn client_gone(&self, stream: &str, name: &str) {
        eventually(&format!("{name} to leave {stream}"), || {
            self.stream(stream).clients.iter().all(|client| client.name != name).then_some(())
        });
    }
}

impl Place {
    /// The bus, for the client library.
    #[must_use]
    pub fn bus(&self) -> Bus {
        self.bus.parse().unwrap()
    }
}
