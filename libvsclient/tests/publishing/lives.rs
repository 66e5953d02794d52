// SPDX-License-Identifier: Apache-2.0
//! Programs that are killed or stopped while they publish: this test program, started again
//! for one test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use vsclient::publish::Publisher;
use vsclient::{Backoff, Client, Event};

use crate::program::{TIMEOUT, check, client_of, format, publish};

const SOCKET: &str = "VSCLIENT_TEST_PUBLISH_AT";

/// A child that publishes until it is killed; killed at the latest when it is dropped.
struct Life(Child);

impl Life {
    fn begin(socket: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1", "lives::publishes_until_it_is_killed"])
            .env(SOCKET, socket)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(said.any(|line| line.contains("PUBLISHING")), "it did not begin");
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child; nothing if this is the test run itself.
#[test]
fn publishes_until_it_is_killed() {
    let Some(socket) = std::env::var_os(SOCKET).map(PathBuf::from) else { return };
    let publisher = Publisher::builder(socket.to_str().unwrap()).format(format(320)).start().unwrap();
    println!("\nPUBLISHING");
    loop {
        publish(&publisher);
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn next_whole(client: &mut Client) -> u64 {
    let frame = client.next_frame(TIMEOUT).unwrap().expect("no frame came");
    assert_eq!(check(&frame), frame.serial());
    frame.serial()
}

#[test]
fn the_next_life_of_a_killed_program_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mine");
    let mut client = client_of(&socket)
        .reconnect(Backoff::new(Duration::from_millis(20), Duration::from_millis(50)))
        .connect_or_wait()
        .unwrap();
    for life in 0..3 {
        let program = Life::begin(&socket);
        loop {
            match client.next_event(TIMEOUT).unwrap().expect("nothing happened") {
                Event::Connected { epoch_changed, .. } => break assert_eq!(epoch_changed, life > 0),
                Event::Frame(frame) => assert_eq!(check(&frame), frame.serial()),
                _ => {}
            }
        }
        for _ in 0..5 {
            next_whole(&mut client);
        }
        // Its socket stays in the file system; the next life is not to stumble over it.
        program.kill();
        assert!(socket.exists());
    }
}

#[test]
fn a_program_that_is_stopped_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mine");
    let program = Life::begin(&socket);
    let mut client = client_of(&socket).connect().unwrap();
    let before = next_whole(&mut client);
    program.signal(Signal::STOP);
    while client.next_frame(Duration::from_millis(200)).unwrap().is_some() {}
    let late = client_of(&socket).timeout(Duration::from_millis(100)).connect();
    assert!(late.unwrap_err().to_string().contains("stopped"));
    program.signal(Signal::CONT);
    assert!(next_whole(&mut client) > before);
    assert_eq!(client.counters().connections, 1);
}
