// SPDX-License-Identifier: Apache-2.0
//! The HTTP endpoint for metrics, and what strangers may try with it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use system_tests::client::{builder, next};
use system_tests::prometheus::Samples;
use system_tests::{PATIENCE, Rig, Witness};
use tempfile::TempDir;

const STREAM: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 60
buffers = 32
credits-max = 16
always-on = true
";

/// A daemon with an endpoint at a unix socket.
struct Stage {
    rig: Rig,
    path: PathBuf,
    _dir: TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.sock");
        // What a daemon that was killed left behind is in nobody's way.
        drop(UnixListener::bind(&path).unwrap());
        let rig = Rig::start(&format!("{STREAM}[metrics]\nlisten = \"unix:{}\"\n", path.display()));
        Self { rig, path, _dir: dir }
    }

    fn connect(&self) -> UnixStream {
        connect(&self.path)
    }

    fn ask(&self, request: &str) -> String {
        let mut socket = self.connect();
        socket.write_all(request.as_bytes()).unwrap();
        answer(socket)
    }
}

fn connect(path: &Path) -> UnixStream {
    let socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Everything that comes until the end.
fn answer(mut socket: impl Read) -> String {
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

/// The body of an answer whose head is right.
fn body(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    body
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";

#[test]
fn a_unix_socket_gives_what_the_bus_gives() {
    let mut stage = Stage::new();
    let samples = Samples::parse(body(&stage.ask(GET)));
    assert_eq!(samples.get("videostream_stream_state", &[("stream", "a"), ("state", "running")]), 1.0);
    assert!(samples.families().eq(stage.rig.metrics().families()));
    assert_eq!(stage.path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    let head = stage.ask("HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let _ = stage.rig.terminate();
    assert!(!stage.path.exists());
}

#[test]
fn a_loopback_address_does_too() {
    // Free a moment ago. If somebody else takes it now, the daemon says so and this fails.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _rig = Rig::start(&format!("{STREAM}[metrics]\nlisten = \"127.0.0.1:{port}\"\n"));
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(GET.as_bytes()).unwrap();
    Samples::parse(body(&answer(socket)));
}

#[test]
fn what_is_wrong_is_refused_in_words() {
    let stage = Stage::new();
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "405"),
        ("rubbish\r\n\r\n", "400"),
        ("\u{1}\u{2}\u{3}\n\n", "400"),
    ];
    for (request, status) in cases {
        let answer = stage.ask(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
    // More than a head may have, without an end.
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    assert!(stage.ask(&long).starts_with("HTTP/1.1 431 "));
    // Half a request, and no more.
    let mut half = stage.connect();
    half.write_all(b"GET /metr").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer(half), "");
}

#[test]
fn silent_connections_lose_their_places_and_the_stream_does_not_notice() {
    let stage = Stage::new();
    let witness = Witness::start(&stage.rig.socket("a"));
    let silent: Vec<UnixStream> = (0..4).map(|_| stage.connect()).collect();
    witness.passes(30);
    // All places are taken; this one waits until they are given up.
    Samples::parse(body(&stage.ask(GET)));
    drop(silent);
    witness.all_was_well();
}

/// Whoever takes the address first must not be able to keep the cameras from running.
#[test]
fn an_address_that_is_taken_keeps_no_stream_from_running() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let rig = Rig::start(&format!("{STREAM}[metrics]\nlisten = \"{address}\"\n"));
    drop(next(&mut builder(&rig.socket("a")).connect().unwrap()));
    rig.daemon().process.stderr.until("why there is no endpoint", |line| line.contains("no metrics endpoint"));
}
