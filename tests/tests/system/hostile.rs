// SPDX-License-Identifier: Apache-2.0
//! Whoever breaks the protocol hurts nobody but itself. A witness receives from the same
//! stream all the while, and must not miss a frame.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use system_tests::client::builder;
use system_tests::mischief::Noise;
use system_tests::peer::{hello, lock, unlock};
use system_tests::{Peer, Rig, Witness, eventually};
use vs_ipc::wire::{
    self, BufferRetired, FrameEvent, GoodbyeReason, Hello, LockRequest, LockResponse, LockStatus, Message, Mode,
    RevokeReason, RevokedV0, UnlockRequest, Welcome,
};

const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
buffers = 32
credits-max = 16
lease-max = \"5s\"
always-on = true
";

/// A witness, and the descriptors of the daemon before anybody else came.
struct Stage {
    rig: Rig,
    witness: Witness,
    sockets: usize,
}

impl Stage {
    fn new() -> Self {
        let rig = Rig::start(CONFIG);
        let witness = Witness::start(&rig.socket("a"));
        let sockets = sockets(&rig);
        Self { rig, witness, sockets }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.rig.socket("a")
    }

    /// Everything is as before, and the witness has seen all of it.
    fn all_is_well(self) {
        eventually("the daemon to close its sockets", || (sockets(&self.rig) == self.sockets).then_some(()));
        self.witness.passes(10);
        self.witness.all_was_well();
    }

    fn goodbyes(&self) -> BTreeMap<String, u64> {
        self.rig.stream("a").counters.goodbyes.into_iter().collect()
    }
}

fn sockets(rig: &Rig) -> usize {
    rig.daemon().open_files().iter().filter(|file| file.starts_with("socket:")).count()
}

/// A record of this kind and length, header included, filled with something.
fn filled(kind: u16, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xa5; len];
    bytes[..2].copy_from_slice(&kind.to_le_bytes());
    bytes[4..8].copy_from_slice(&(len as u32).to_le_bytes());
    bytes
}

fn hello_with(change: impl FnOnce(&mut Hello)) -> Vec<u8> {
    let mut message = hello("peer", Mode::Leased);
    change(&mut message);
    wire::record(message, &[])
}

#[test]
fn strangers_are_told_that_this_is_another_protocol() {
    let stage = Stage::new();
    let good = hello_with(|_| {});
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("a byte", vec![1]),
        ("less than a header", vec![0; 7]),
        ("a header alone", filled(Hello::KIND, 8)),
        ("HELLO cut short", filled(Hello::KIND, size_of::<Hello>() - 1)),
        ("HELLO of another length than it says", [&good[..], &[0]].concat()),
        ("HELLO longer than any message", filled(Hello::KIND, 257)),
        ("a very long record", filled(Hello::KIND, 100_000)),
        ("another magic", hello_with(|hello| hello.magic = *b"VSD2")),
        ("an older version", hello_with(|hello| hello.major = 0.into())),
        ("a later version", hello_with(|hello| hello.major = 2.into())),
        ("a mode that nobody knows", hello_with(|hello| hello.mode = 2)),
        ("LOCK_REQUEST first", lock(1, 1)),
        ("UNLOCK_REQUEST first", unlock(1)),
        ("a message of hosts first", filled(Welcome::KIND, size_of::<Welcome>())),
        ("a kind that nobody knows first", filled(0xffff, 64)),
    ];
    let count = cases.len() as u64;
    for (what, bytes) in cases {
        let peer = Peer::connect(&stage.socket());
        assert!(peer.say(&bytes), "{what}");
        let farewell = peer.farewell();
        assert_eq!((farewell.reason, farewell.major), (GoodbyeReason::Version, 1), "{what}: {farewell:?}");
        assert!(!farewell.text.is_empty(), "{what}");
    }
    assert_eq!(stage.goodbyes(), BTreeMap::from([("version".to_owned(), count)]));
    stage.all_is_well();
}

#[test]
fn noise_ends_the_connection_or_is_passed_over() {
    let stage = Stage::new();
    let mut noise = Noise::new(0x5eed);
    for _ in 0..100 {
        let stranger = Peer::connect(&stage.socket());
        assert!(stranger.say(&noise.record()));
        assert_eq!(stranger.farewell().reason, GoodbyeReason::Version);

        let known = Peer::greet(&stage.socket(), "noisy", Mode::Notify);
        while known.say(&noise.record()) {}
        assert_eq!(known.farewell().reason, GoodbyeReason::Malformed);
    }
    stage.all_is_well();
}

#[test]
fn clients_that_break_the_protocol_are_dismissed() {
    let stage = Stage::new();
    let second = hello_with(|_| {});
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("HELLO twice", second),
        ("less than a header", vec![0; 7]),
        ("LOCK_REQUEST cut short", filled(LockRequest::KIND, size_of::<LockRequest>() - 1)),
        ("UNLOCK_REQUEST cut short", filled(UnlockRequest::KIND, size_of::<UnlockRequest>() - 1)),
        ("another length than it says", [&unlock(1)[..], &[0]].concat()),
        ("longer than any message", filled(UnlockRequest::KIND, 257)),
        ("a very long record", filled(0x77, 100_000)),
    ];
    let count = cases.len() as u64;
    for (what, bytes) in cases {
        let peer = Peer::greet(&stage.socket(), "peer", Mode::Leased);
        assert!(peer.say(&bytes), "{what}");
        let farewell = peer.farewell();
        assert_eq!(farewell.reason, GoodbyeReason::Malformed, "{what}: {farewell:?}");
    }
    assert_eq!(stage.goodbyes(), BTreeMap::from([("malformed".to_owned(), count)]));
    stage.all_is_well();
}

/// What a later minor version may say is passed over; what asks for too much gets less.
#[test]
fn unknown_and_immodest_wishes_are_no_offence() {
    let stage = Stage::new();
    let mut name = [b'_'; wire::NAME_LEN];
    name[..10].copy_from_slice(b"\x1b[31m\xffred\n");
    let immodest = Hello {
        minor: 99.into(),
        credits: u16::MAX.into(),
        lease_ns: u64::MAX.into(),
        name,
        ..hello("", Mode::Leased)
    };
    let peer = Peer::connect(&stage.socket());
    assert!(peer.say(&wire::record(immodest, &[7; 100])));
    let (welcome, _) = peer.hear_until::<Welcome>();
    assert_eq!((welcome.major.get(), welcome.minor.get(), welcome.credits.get()), (1, wire::VERSION_MINOR, 16));
    assert_eq!((welcome.lease_ns.get(), welcome.lease_max_ns.get()), (5_000_000_000, 5_000_000_000));
    let shown = stage.rig.stream("a").clients.into_iter().find(|client| client.id == welcome.client.get()).unwrap();
    assert!(shown.name.starts_with("\u{fffd}[31m\u{fffd}red\u{fffd}_"), "{:?}", shown.name);

    for bytes in [filled(0xffff, 8), filled(0x0c, 200), filled(FrameEvent::KIND, 120), filled(BufferRetired::KIND, 16)]
    {
        assert!(peer.say(&bytes));
    }
    let (event, _) = peer.hear_frame();
    for (request, serial) in [(1, 0), (2, u64::MAX), (3, event.serial.get() + 1_000_000)] {
        assert!(peer.say(&lock(request, serial)));
        let (answer, _) = peer.hear_until::<LockResponse>();
        assert_eq!((answer.request.get(), answer.status.get()), (request, LockStatus::Gone.code()));
    }
    let longest = LockRequest { serial: event.serial, lease_ns: u64::MAX.into(), ..LockRequest::default() };
    assert!(peer.say(&wire::record(longest, &[])));
    let (answer, _) = peer.hear_until::<LockResponse>();
    assert_eq!(answer.status.get(), LockStatus::Granted.code());
    assert!(answer.deadline_ns.get() <= event.publish_ns.get() + 6_000_000_000);
    drop(peer);
    stage.all_is_well();
}

/// Who speaks an older minor version is told as much as that version has.
#[test]
fn each_minor_version_gets_the_revocation_that_it_knows() {
    let stage = Stage::new();
    for (minor, length) in [(0, 16), (1, 24), (99, 24)] {
        let peer = Peer::connect(&stage.socket());
        let wishes = Hello {
            minor: minor.into(),
            credits: 1.into(),
            lease_ns: 10_000_000.into(),
            ..hello("brief", Mode::Leased)
        };
        assert!(peer.say(&wire::record(wishes, &[])));
        let (event, _) = peer.hear_frame();
        let (_, record) = peer.hear_until::<RevokedV0>();
        assert_eq!(record.bytes.len(), length, "minor version {minor}");
        let revoked = wire::revocation::decode(&record.bytes);
        assert_eq!(revoked, Ok((event.serial.get(), RevokeReason::Deadline)), "minor version {minor}");
    }
    stage.all_is_well();
}

#[test]
fn floods_drown_nobody_else() {
    let stage = Stage::new();
    let unlocks = Peer::greet(&stage.socket(), "unlocks", Mode::Leased);
    let before = stage.witness.last_serial();
    let mut sent = 0;
    let muted = || stage.rig.client_that("a", "unlocks", |_| true).muted > 0;
    while stage.witness.last_serial() < before + 60 || !muted() {
        for serial in 0..1000 {
            assert!(unlocks.say(&unlock(1_000_000_000 + serial)));
        }
        sent += 1000;
    }
    // An unlock after a revocation is taken for its answer.
    stage.rig.client_that("a", "unlocks", |client| client.stray_unlocks + client.revoked.values().sum::<u64>() >= sent);
    drop(unlocks);

    // Answers that nobody reads are kept up to a number only.
    let locks = Peer::greet(&stage.socket(), "locks", Mode::Notify);
    while locks.say(&lock(1, 1)) {}
    locks.hear_out();
    assert_eq!(stage.goodbyes(), BTreeMap::from([("not-reading".to_owned(), 1)]));

    for _ in 0..500 {
        drop(Peer::connect(&stage.socket()));
    }
    stage.all_is_well();
}

/// Descriptors that clients send are not taken: they could fill the daemon's table.
#[test]
fn gifts_are_refused() {
    let stage = Stage::new();
    let path = stage.rig.path("gift");
    let gift = File::create_new(&path).unwrap();
    let gifts: [BorrowedFd<'_>; 16] = [gift.as_fd(); 16];

    let peer = Peer::connect(&stage.socket());
    assert!(peer.say_with(&hello_with(|_| {}), &gifts));
    let (event, _) = peer.hear_frame();
    for _ in 0..100 {
        assert!(peer.say_with(&filled(0xffff, 64), &gifts));
    }
    assert!(peer.say_with(&unlock(event.serial.get()), &gifts));
    // It has read all of them when the frame is back, and the next one comes.
    stage.rig.client_that("a", "peer", |client| client.delivered > u64::from(client.credits));
    let rude = Peer::connect(&stage.socket());
    assert!(rude.say_with(b"take this", &gifts));
    assert_eq!(rude.farewell().reason, GoodbyeReason::Version);

    let taken = stage.rig.daemon().open_files().into_iter().filter(|file| Path::new(file) == path);
    assert_eq!(taken.count(), 0);
    drop(peer);
    stage.all_is_well();
}

#[test]
fn who_says_nothing_is_dismissed() {
    let stage = Stage::new();
    let peers = [(); 5].map(|()| Peer::connect(&stage.socket()));
    for peer in &peers {
        let farewell = peer.farewell();
        assert_eq!(farewell.reason, GoodbyeReason::HandshakeTimeout, "{farewell:?}");
    }
    assert_eq!(stage.goodbyes(), BTreeMap::from([("handshake-timeout".to_owned(), 5)]));
    stage.all_is_well();
}

/// Goes so far in the course of a connection.
type Step = fn(&Path) -> Peer;

#[test]
fn who_leaves_at_whatever_moment_leaves_nothing_behind() {
    let stage = Stage::new();
    let socket = stage.socket();
    let steps: [(&str, Step); 8] = [
        ("connected", Peer::connect),
        ("said HELLO", |socket| {
            let peer = Peer::connect(socket);
            assert!(peer.say(&hello_with(|_| {})));
            peer
        }),
        ("read WELCOME", |socket| Peer::greet(socket, "peer", Mode::Leased)),
        ("holds frames", |socket| {
            let peer = Peer::greet(socket, "peer", Mode::Leased);
            let _ = (peer.hear_frame(), peer.hear_frame());
            peer
        }),
        ("knows of frames", |socket| {
            let peer = Peer::greet(socket, "peer", Mode::Notify);
            let _ = (peer.hear_frame(), peer.hear_frame());
            peer
        }),
        ("waits for a lock", |socket| {
            let peer = Peer::greet(socket, "peer", Mode::Notify);
            let (event, _) = peer.hear_frame();
            assert!(peer.say(&lock(1, event.serial.get())));
            peer
        }),
        ("has a lock", |socket| {
            let peer = Peer::greet(socket, "peer", Mode::Notify);
            let (event, _) = peer.hear_frame();
            assert!(peer.say(&lock(1, event.serial.get())));
            let _ = peer.hear_until::<LockResponse>();
            peer
        }),
        ("unlocks", |socket| {
            let peer = Peer::greet(socket, "peer", Mode::Leased);
            let (event, _) = peer.hear_frame();
            assert!(peer.say(&unlock(event.serial.get())));
            peer
        }),
    ];
    for (what, step) in steps {
        for _ in 0..20 {
            drop(step(&socket));
        }
        // Half a farewell is one, too.
        let peer = step(&socket);
        peer.shut_up();
        peer.hear_out();
        eventually(&format!("one that {what} to be forgotten"), || {
            (stage.rig.stream("a").clients.len() == 1).then_some(())
        });
    }
    assert_eq!(stage.goodbyes(), BTreeMap::new());
    stage.all_is_well();
}

#[test]
fn no_more_clients_than_the_stream_may_have() {
    for (option, reason) in
        [("clients-max", GoodbyeReason::TooManyClients), ("clients-per-uid-max", GoodbyeReason::TooManyOfUser)]
    {
        let rig = Rig::start(&format!("{CONFIG}{option} = 3\n"));
        let witness = Witness::start(&rig.socket("a"));
        let first = Peer::greet(&rig.socket("a"), "first", Mode::Leased);
        let second = Peer::greet(&rig.socket("a"), "second", Mode::Leased);
        assert_eq!(Peer::connect(&rig.socket("a")).farewell().reason, reason);
        drop(first);
        rig.client_gone("a", "first");
        let _third = Peer::greet(&rig.socket("a"), "third", Mode::Leased);
        assert!(second.hear_frame().0.serial.get() > 0);
        witness.all_was_well();
    }
}

#[test]
fn a_full_stream_leaves_the_other_streams_their_descriptors() {
    let stream = "pattern = \"bars\"\nsize = \"320x240\"";
    let rig = Rig::start(&format!("{CONFIG}[stream.b]\n{stream}\nalways-on = true\n[stream.c]\n{stream}\n"));
    let witness = Witness::start(&rig.socket("a"));
    let daemon = Pid::from_raw(rig.daemon().process.pid() as i32);
    let few = Rlimit { current: Some(256), maximum: Some(256) };
    prlimit(daemon, Resource::Nofile, few).unwrap();
    // Three quarters are for clients, and of these the last eighth is for users with fewer.
    let mut crowd = vec![Peer::greet(&rig.socket("a"), "crowd", Mode::Notify)];
    for _ in 2..256 * 3 / 4 * 7 / 8 {
        crowd.push(Peer::greet(&rig.socket("a"), "crowd", Mode::Notify));
    }
    for stream in ["a", "b"] {
        let farewell = Peer::connect(&rig.socket(stream)).farewell();
        assert_eq!(farewell.reason, GoodbyeReason::TooManyOfUser);
        assert!(farewell.text.contains("descriptors"), "{}", farewell.text);
    }
    // What is left is enough for what is no client: the buffers and the thread of a stream.
    let _ = rig.vsctl(&["start-stream", "c"]).good();
    drop(crowd.pop());
    eventually("a place to be free again", || builder(&rig.socket("c")).connect().ok());
    witness.all_was_well();
}
