// SPDX-License-Identifier: Apache-2.0
//! A program that publishes test patterns, and what its tests wait for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use vs_pattern::Pattern;
use vsclient::publish::{FrameMeta, HostSnapshot, Publisher, PublisherBuilder};
use vsclient::{Client, ClientBuilder, Format, FourCc, Frame, Rate, monotonic_ns};

/// Far beyond anything that happens here, so that a fault is a failure and not a hang.
pub const TIMEOUT: Duration = Duration::from_secs(20);

pub struct Program {
    pub dir: tempfile::TempDir,
    pub publisher: Publisher,
}

pub fn format(width: u32) -> Format {
    Format::packed(FourCc::NV12, width, 240, Rate::fps(30)).unwrap()
}

impl Program {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(change: impl FnOnce(PublisherBuilder) -> PublisherBuilder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let builder = Publisher::builder("mine").socket_dir(dir.path()).format(format(320));
        Self { publisher: change(builder).start().unwrap(), dir }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mine")
    }

    pub fn client(&self) -> ClientBuilder {
        client_of(&self.path())
    }

    pub fn publish(&self) -> u64 {
        publish(&self.publisher)
    }

    /// Waits until the publisher says that it is so. Its clients' words take no time that is
    /// worth mentioning, so asking again is waiting.
    pub fn until(&self, condition: impl Fn(&HostSnapshot) -> bool) {
        let deadline = std::time::Instant::now() + TIMEOUT;
        loop {
            let now = self.publisher.snapshot().unwrap();
            if condition(&now) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "it did not happen: {now:?}");
            std::thread::yield_now();
        }
    }
}

pub fn client_of(path: &Path) -> ClientBuilder {
    Client::builder(path.to_str().unwrap()).name("tester")
}

/// Publishes a test pattern that says its serial.
pub fn publish(publisher: &Publisher) -> u64 {
    let mut slot = publisher.buffer().unwrap();
    let (serial, capture_ns) = (publisher.next_serial(), monotonic_ns());
    let pattern = Pattern::new(slot.format()).unwrap();
    slot.write(|memories| pattern.render(serial, capture_ns, memories)).unwrap().unwrap();
    let bytes_used = slot.format().picture_bytes();
    let frame = slot.finish(FrameMeta { capture_ns, bytes_used, ..FrameMeta::default() }).unwrap();
    assert_eq!(publisher.publish(frame), Ok(serial));
    serial
}

/// Reads a whole test pattern; the serial that it says.
pub fn check(frame: &Frame) -> u64 {
    let pattern = Pattern::new(frame.format()).unwrap();
    frame.read(|view| pattern.check(view)).unwrap().unwrap().serial
}
