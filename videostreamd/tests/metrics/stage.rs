// SPDX-License-Identifier: Apache-2.0
//! A bus and a daemon that live as long as a test.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use vsclient::dbus::{self, Bus, Daemon, StreamInfo};
use vsclient::{Client, ClientBuilder};

use super::TIMEOUT;
use super::prometheus::Samples;

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon with the test pattern `bars` and whatever else a test configures.
pub struct Stage {
    pub runtime: tokio::runtime::Runtime,
    pub daemon: Daemon,
    pub dir: tempfile::TempDir,
    _videostreamd: Process,
    _bus: Process,
}

impl Stage {
    pub fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}", dir.path().join("bus").display());
        let mut bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1", "--address", &address])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon must be installed: scripts/setup test");
        let mut printed = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut printed).unwrap();
        let bus = Process(bus);

        let file = dir.path().join("videostreamd.toml");
        let config = config.replace("DIR", &dir.path().display().to_string());
        std::fs::write(&file, format!("[stream.bars]\npattern = \"bars\"\nalways-on = true\nrate = 100\n{config}"))
            .unwrap();
        let videostreamd = Command::new(env!("CARGO_BIN_EXE_videostreamd"))
            .args(["--bus", &address, "--log", "warn", "--config"])
            .arg(&file)
            .arg("--socket-dir")
            .arg(dir.path())
            .spawn()
            .unwrap();
        let videostreamd = Process(videostreamd);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bus_address: Bus = address.parse().unwrap();
        let daemon = until(|| runtime.block_on(dbus::connect(&bus_address)).ok());
        let stage = Self { runtime, daemon, dir, _videostreamd: videostreamd, _bus: bus };
        stage.until(|stream| (stream.state == "running").then_some(()));
        stage
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A client of `bars`.
    pub fn client(&self, name: &str) -> ClientBuilder {
        Client::builder("bars").socket_dir(self.dir.path()).name(name)
    }

    /// The stream's properties.
    pub fn stream(&self) -> StreamInfo {
        let objects = self.runtime.block_on(self.daemon.objects()).unwrap();
        objects.streams.into_iter().find(|stream| stream.name == "bars").unwrap()
    }

    /// Waits until the stream's properties say something.
    pub fn until<T>(&self, condition: impl Fn(&StreamInfo) -> Option<T>) -> T {
        until(|| condition(&self.stream()))
    }

    /// `Manager.Metrics`, parsed and checked.
    pub fn metrics(&self) -> Samples {
        let text = self.runtime.block_on(async { self.daemon.manager().await.unwrap().metrics().await });
        Samples::parse(&text.unwrap())
    }
}

/// Asks until there is an answer. The daemon tells its counters to those who ask, and sends
/// no signal when they change.
pub fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < TIMEOUT, "it did not happen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
