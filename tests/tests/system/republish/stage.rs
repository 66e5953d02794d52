// SPDX-License-Identifier: Apache-2.0
//! A daemon with a stream `lib0` that it takes from a socket, and who publishes there.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use system_tests::process::End;
use system_tests::{PATIENCE, Process, Rig, eventually};
use vs_pattern::Pattern;
use vsclient::publish::{FrameFlags, FrameMeta, HostSnapshot, Publisher, PublisherBuilder};
use vsclient::{Client, ClientBuilder, Event, Format, FourCc, Frame, Rate, StreamState, monotonic_ns};

/// The daemon, and the place where it looks for a host.
pub struct Stage {
    pub rig: Rig,
    dir: tempfile::TempDir,
}

impl Stage {
    pub fn new() -> Self {
        Self::with("")
    }

    /// With further lines in the section of the stream.
    pub fn with(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let upstream = dir.path().join("upstream");
        let config = format!("[stream.lib0]\nipc = \"{}\"\nalways-on = true\n{lines}", upstream.display());
        Self { rig: Rig::start(&config), dir }
    }

    pub fn upstream(&self) -> PathBuf {
        self.dir.path().join("upstream")
    }

    /// A publisher at the place where the daemon looks for one, when the daemon has found it.
    pub fn publisher(&self, change: impl FnOnce(PublisherBuilder) -> PublisherBuilder) -> Publisher {
        let builder = Publisher::builder(self.upstream().to_str().unwrap()).format(format(320));
        let publisher = change(builder).start().unwrap();
        until(&publisher, "the daemon", |now| now.clients.iter().any(|client| client.name == "videostreamd/lib0"));
        publisher
    }

    pub fn client(&self) -> Client {
        self.client_with(|builder| builder)
    }

    pub fn client_with(&self, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        change(system_tests::client::builder(&self.rig.socket("lib0"))).connect().unwrap()
    }

    /// Ends the daemon, which must go well.
    pub fn end(mut self) {
        assert_eq!(self.rig.terminate(), End::Exit(0));
    }
}

pub fn format(width: u32) -> Format {
    Format::packed(FourCc::NV12, width, 240, Rate::fps(30)).unwrap()
}

/// Waits until a publisher says that it is so.
pub fn until(publisher: &Publisher, what: &str, is: impl Fn(&HostSnapshot) -> bool) {
    eventually(what, || is(&publisher.snapshot().unwrap()).then_some(()));
}

/// Publishes a test pattern that says its serial.
pub fn publish(publisher: &Publisher) -> u64 {
    publish_with(publisher, FrameFlags::empty())
}

pub fn publish_with(publisher: &Publisher, flags: FrameFlags) -> u64 {
    let mut slot = publisher.buffer().unwrap();
    let (serial, capture_ns) = (publisher.next_serial(), monotonic_ns());
    let pattern = Pattern::new(slot.format()).unwrap();
    slot.write(|memories| pattern.render(serial, capture_ns, memories)).unwrap().unwrap();
    let meta = FrameMeta {
        sequence: serial as u32 + 1000,
        capture_ns,
        pts: Some(serial as i64 * 7),
        bytes_used: slot.format().picture_bytes(),
        flags,
        ..FrameMeta::default()
    };
    publisher.publish(slot.finish(meta).unwrap()).unwrap()
}

/// Reads a whole test pattern; the serial that it says, which is that of its first host.
pub fn check(frame: &Frame) -> u64 {
    let pattern = Pattern::new(frame.format()).unwrap();
    frame.read(|view| pattern.check(view)).unwrap().unwrap().serial
}

/// The file behind a memory: the same in every process that has it.
pub fn inode(memory: impl AsFd) -> (u64, u64) {
    let stat = rustix::fs::fstat(memory).unwrap();
    (stat.st_dev, stat.st_ino)
}

/// Takes events until one is as wanted.
pub fn until_event(client: &mut Client, wanted: impl Fn(&Event) -> bool) -> Event {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let event = client.next_event(left).unwrap().expect("it did not happen");
        if wanted(&event) {
            return event;
        }
    }
}

/// Takes events until the stream is in this state.
pub fn until_state(client: &mut Client, state: StreamState) {
    if client.state().state != state {
        until_event(client, |event| matches!(event, Event::State(status) if status.state == state));
    }
}

const SOCKET: &str = "VIDEOSTREAM_TEST_PUBLISH_AT";

/// A process that publishes until it is killed: this test program, started again.
pub fn program(socket: &Path) -> Process {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "--test-threads=1", "republish::stage::publishes_until_it_is_killed"]);
    let process = Process::start("publisher", command.env(SOCKET, socket));
    process.stdout.until("that it publishes", |line| line == "PUBLISHING");
    process
}

/// The child; nothing if this is the test run itself.
#[test]
fn publishes_until_it_is_killed() {
    let Some(socket) = std::env::var_os(SOCKET).map(PathBuf::from) else { return };
    let publisher = Publisher::builder(socket.to_str().unwrap()).format(format(320)).start().unwrap();
    println!("\nPUBLISHING");
    loop {
        publish(&publisher);
        std::thread::sleep(Duration::from_millis(20));
    }
}
