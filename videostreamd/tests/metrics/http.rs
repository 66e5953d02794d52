// SPDX-License-Identifier: Apache-2.0
//! The endpoint, and what strangers may try with it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::TIMEOUT;
use super::prometheus::Samples;
use super::stage::{Stage, until};

const UNIX: &str = "[metrics]\nlisten = \"unix:DIR/metrics.sock\"\n";

fn connect(path: &Path) -> UnixStream {
    let socket = until(|| UnixStream::connect(path).ok());
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.set_write_timeout(Some(TIMEOUT)).unwrap();
    socket
}

/// Everything that comes until the end.
fn answer(mut socket: impl Read) -> String {
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

fn ask(path: &Path, request: &str) -> String {
    let mut socket = connect(path);
    socket.write_all(request.as_bytes()).unwrap();
    answer(socket)
}

/// The body of an answer whose head is right.
fn body(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    body
}

#[test]
fn a_unix_socket_gives_what_the_bus_gives() {
    let stage = Stage::new(UNIX);
    let path = stage.path("metrics.sock");
    let answer = ask(&path, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
    let samples = Samples::parse(body(&answer));
    assert_eq!(samples.get("videostream_stream_state", &[("stream", "bars"), ("state", "running")]), 1.0);
    assert!(samples.families().eq(stage.metrics().families()));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);

    let head = ask(&path, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_loopback_address_does_too() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _stage = Stage::new(&format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n"));
    let mut socket = until(|| TcpStream::connect(("127.0.0.1", port)).ok());
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    Samples::parse(body(&answer(socket)));
}

#[test]
fn what_is_wrong_is_refused_in_words() {
    let stage = Stage::new(UNIX);
    let path = stage.path("metrics.sock");
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "405"),
        ("rubbish\r\n\r\n", "400"),
        ("\u{1}\u{2}\u{3}\n\n", "400"),
    ];
    for (request, status) in cases {
        let answer = ask(&path, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
    // More than a head may have, without an end.
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    assert!(ask(&path, &long).starts_with("HTTP/1.1 431 "));
    // Half a request, and silence.
    let mut half = connect(&path);
    half.write_all(b"GET /metr").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer(half), "");
}

#[test]
fn silent_connections_lose_their_places_and_the_stream_does_not_notice() {
    let stage = Stage::new(UNIX);
    let path = stage.path("metrics.sock");
    let silent: Vec<UnixStream> = (0..4).map(|_| connect(&path)).collect();
    let mut client = stage.client("reader").connect().unwrap();
    for _ in 0..50 {
        client.next_frame(TIMEOUT).unwrap().unwrap();
    }
    Samples::parse(body(&ask(&path, "GET /metrics HTTP/1.1\r\n\r\n")));
    drop(silent);
}

#[test]
fn an_address_that_is_taken_keeps_no_stream_from_running() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let stage = Stage::new(&format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n"));
    assert!(stage.client("reader").connect().unwrap().next_frame(TIMEOUT).unwrap().is_some());
}
