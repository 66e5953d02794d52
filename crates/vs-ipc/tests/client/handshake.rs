// SPDX-License-Identifier: Apache-2.0
//! How connecting succeeds, and the many ways in which it fails with a reason.

use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use vs_ipc::client::{ConnectError, Connection, Hello, ProtocolError, ReceiveError};
use vs_ipc::wire::{self, GoodbyeReason, Mode, StreamState};

use crate::fake_host::{EPOCH, TIMEOUT, goodbye, greet, pair, state, welcome};

#[test]
fn both_sides_learn_of_each_other() {
    let (host, socket) = pair();
    host.say(&welcome());
    host.say(&state(StreamState::Waiting, "no camera"));
    let hello =
        Hello { mode: Mode::Notify, credits: 4, lease: Some(Duration::from_millis(250)), name: "a viewer".into() };
    let client = Connection::handshake(socket, &hello, TIMEOUT).unwrap();
    let session = client.session();
    assert_eq!((session.epoch, session.client, session.credits), (EPOCH, 5, 3));
    assert_eq!((session.stream.as_str(), session.lease), ("cam0", Duration::from_secs(1)));
    assert_eq!(client.status().to_string(), "waiting: no camera");
    assert!(client.format().is_none());

    let heard = host.hear::<wire::Hello>();
    assert_eq!((heard.magic, heard.major.get(), heard.mode), (*b"VSD1", 1, 1));
    assert_eq!((heard.credits.get(), heard.lease_ns.get()), (4, 250_000_000));
    assert_eq!(wire::name_text(&heard.name), "a viewer");
}

#[test]
fn a_refusal_says_why() {
    let error = greet(&[goodbye(GoodbyeReason::TooManyClients, "64 clients are enough")]).unwrap_err();
    assert_eq!(error.to_string(), "the host refuses: too-many-clients: 64 clients are enough");
    let error = greet(&[goodbye(GoodbyeReason::Version, "")]).unwrap_err();
    assert!(error.to_string().contains("it speaks version 1.1"), "{error}");
}

#[test]
fn messages_of_later_versions_are_skipped() {
    let later = wire::record(wire::Hello::default(), &[]);
    let mut later_kind = later.clone();
    later_kind[0] = 0x55;
    let mut longer = state(StreamState::Running, "");
    longer.extend_from_slice(b"more");
    longer[4] += 4;
    assert!(greet(&[later_kind.clone(), welcome(), later_kind, longer]).is_ok());
    assert!(matches!(
        greet(&[later]).unwrap_err(),
        ConnectError::Receive(ReceiveError::Protocol(ProtocolError::Unexpected { kind: 1 }))
    ));
}

#[test]
fn a_host_of_libvideostream_is_recognised() {
    // It answers what it takes for an unlock, and may send a frame before.
    let mut answer = vec![0; 104];
    answer[0] = 1;
    let mut frame = vec![0xa5; 104];
    frame[..8].fill(0);
    for record in [answer, frame] {
        assert!(matches!(greet(&[record]).unwrap_err(), ConnectError::Libvideostream));
    }
}

#[test]
fn what_is_no_host_is_found_out() {
    let mut other_major = welcome();
    other_major[8] = 9;
    assert!(matches!(
        greet(&[other_major]).unwrap_err(),
        ConnectError::Version { major: 9, minor: wire::VERSION_MINOR }
    ));
    let garbage = |bytes: &[u8]| greet(&[bytes.to_vec()]).unwrap_err().to_string();
    assert!(garbage(b"x").contains("at least 8"));
    assert!(garbage(b"HTTP/1.1 400 Bad Request").contains("says that it has"));
    assert!(garbage(&welcome()[..50]).contains("says that it has"));
    assert!(garbage(&vec![1; wire::MAX_HOST_MESSAGE + 1]).contains("longer than 8192"));
    let mut mad_mode = welcome();
    mad_mode[14] = 200;
    assert!(garbage(&mad_mode).contains("impossible mode"));
}

#[test]
fn silence_ends_in_time() {
    assert!(matches!(greet(&[]).unwrap_err(), ConnectError::Timeout(_)));
    assert!(matches!(greet(&[welcome()]).unwrap_err(), ConnectError::Timeout(_)));
}

#[test]
fn a_host_that_hangs_up_is_not_waited_for() {
    let (host, socket) = pair();
    drop(host);
    let error = Connection::handshake(socket, &Hello::default(), TIMEOUT).unwrap_err();
    assert!(matches!(error, ConnectError::Receive(ReceiveError::Closed)));
}

#[test]
fn paths_without_a_listener_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let connect = |name: &str| Connection::connect(&dir.path().join(name), &Hello::default(), TIMEOUT).unwrap_err();
    assert!(matches!(connect("cam0"), ConnectError::NotFound { .. }));
    assert!(connect("cam0").to_string().contains("vsctl status"));
    assert!(matches!(connect(&"x".repeat(120)), ConnectError::PathTooLong { .. }));

    let socket = |kind| socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    let stale = socket(SocketType::SEQPACKET);
    bind(&stale, &SocketAddrUnix::new(dir.path().join("stale")).unwrap()).unwrap();
    drop(stale);
    assert!(matches!(connect("stale"), ConnectError::NotListening { .. }));

    let stream = socket(SocketType::STREAM);
    bind(&stream, &SocketAddrUnix::new(dir.path().join("stream")).unwrap()).unwrap();
    listen(&stream, 1).unwrap();
    assert!(matches!(connect("stream"), ConnectError::NotAStream { .. }));
}

#[test]
fn a_host_that_never_accepts_does_not_hang_its_clients() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cam0");
    let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&listener, 0).unwrap();
    let attempts: Vec<_> =
        (0..3).map(|_| Connection::connect(&path, &Hello::default(), Duration::from_millis(50))).collect();
    assert!(attempts.iter().all(|attempt| matches!(attempt, Err(ConnectError::Timeout(_)))));
}
