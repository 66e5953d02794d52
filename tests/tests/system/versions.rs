// SPDX-License-Identifier: Apache-2.0
//! `vsctl` beside daemons of other versions: it works, or says what does not and why.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, accept, bind, listen, recv, sendmsg, socket_with,
};
use serde_json::json;
use system_tests::Rig;
use vs_frame::clock::{NS_PER_SEC, monotonic_ns};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, Frame, FrameMeta, Rate};
use vs_ipc::wire::{self, FrameEvent, GoodbyeReason, Mode, StreamState};

const FRAMES: u64 = 5;

/// What a later minor version may append to a message, and say besides.
const LATER: [u8; 24] = [0xa5; 24];

/// A host of another version, for one client.
struct Host(OwnedFd);

impl Host {
    /// Does what it is told as soon as somebody has connected and said HELLO.
    fn at(path: &Path, act: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(path).unwrap()).unwrap();
        listen(&listener, 1).unwrap();
        std::thread::spawn(move || {
            let host = Self(accept(&listener).unwrap());
            host.hear();
            act(&host);
            // Until the client has enough.
            while host.hear() > 0 {}
        })
    }

    fn hear(&self) -> usize {
        recv(&self.0, &mut [0; 4096], RecvFlags::empty()).map_or(0, |(len, _)| len)
    }

    fn say(&self, record: &[u8]) {
        self.say_with(record, None);
    }

    fn say_with(&self, record: &[u8], frame: Option<&Frame>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = frame.map(|frame| [frame.buffer().memories()[0].as_fd()]);
        if let Some(fds) = &fds {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        // Whoever has enough is gone.
        let _ = sendmsg(&self.0, &[IoSlice::new(record)], &mut control, SendFlags::NOSIGNAL);
    }

    /// A stream of some frames, each message with so much `more` than this version has.
    fn stream(&self, minor: u16, more: &[u8]) {
        let welcome = wire::Welcome {
            major: wire::VERSION_MAJOR.into(),
            minor: minor.into(),
            credits: (FRAMES as u16).into(),
            mode: Mode::Leased.code(),
            client: 1.into(),
            epoch: 7.into(),
            lease_ns: NS_PER_SEC.into(),
            lease_max_ns: NS_PER_SEC.into(),
            lifespan_ns: NS_PER_SEC.into(),
            stream: wire::name_field("cam0"),
            ..wire::Welcome::default()
        };
        self.say(&wire::record(welcome, more));
        let running = wire::State { state: StreamState::Running.code().into(), ..wire::State::default() };
        self.say(&wire::record(running, &[]));
        let format = Format::packed(FourCc::GREY, 64, 16, Rate::fps(30)).unwrap();
        self.say(&wire::format_message::encode(1, &format));
        if !more.is_empty() {
            self.say(&unheard_of());
        }
        let pool = CpuPool::new(Arc::new(format), CpuMemory::Memfd, 1, 1).unwrap();
        let frame = pool.acquire().unwrap().unwrap().finish(FrameMeta::default()).unwrap();
        for serial in 1..=FRAMES {
            let event = FrameEvent { fds: u8::from(serial == 1), ..event(serial) };
            self.say_with(&wire::record(event, more), Some(&frame).filter(|_| serial == 1));
        }
    }
}

/// A message of a kind that there is not.
fn unheard_of() -> Vec<u8> {
    let mut record = LATER.to_vec();
    record[..8].copy_from_slice(&[0x77, 0x77, 0, 0, LATER.len() as u8, 0, 0, 0]);
    record
}

fn event(serial: u64) -> FrameEvent {
    let now = monotonic_ns();
    FrameEvent {
        serial: serial.into(),
        buffer: 1.into(),
        format: 1.into(),
        memories: 1,
        leased: 1,
        capture_ns: now.into(),
        publish_ns: now.into(),
        pts: wire::UNKNOWN_TIME.into(),
        dts: wire::UNKNOWN_TIME.into(),
        duration: wire::UNKNOWN_TIME.into(),
        expires_ns: (now + 10 * NS_PER_SEC).into(),
        bytes_used: [(64 * 16).into(), 0.into(), 0.into(), 0.into()],
        ..FrameEvent::default()
    }
}

#[test]
fn streams_of_other_minor_versions_are_read() {
    let rig = Rig::start("");
    // A later host speaks the version of its client; what it says besides is passed over.
    for (minor, more) in [(0, &[][..]), (wire::VERSION_MINOR, &LATER)] {
        let path = rig.path(&format!("minor-{minor}"));
        let host = Host::at(&path, move |host| host.stream(minor, more));
        let frames = FRAMES.to_string();
        let received = rig.ask(&["receive", path.to_str().unwrap(), "--frames", &frames, "--timeout", "20s"]);
        assert_eq!((&received["frames"], &received["lost"]), (&json!(FRAMES), &json!(0)), "{minor}: {received:#}");
        host.join().unwrap();
    }
    let path = rig.path("careless");
    let (spoken, known) = (wire::VERSION_MINOR + 1, wire::VERSION_MINOR);
    let host = Host::at(&path, move |host| host.stream(spoken, &[]));
    let (spoken, known) = (format!("1.{spoken}"), format!("1.{known}"));
    rig.vsctl(&["receive", path.to_str().unwrap(), "--frames", "1"]).refused(1, &[&spoken, &known]);
    host.join().unwrap();
}

#[test]
fn another_major_version_is_refused_with_both() {
    let rig = Rig::start("");
    let path = rig.path("major");
    let host = Host::at(&path, |host| {
        let text = "this host speaks version 2";
        let goodbye = wire::Goodbye {
            reason: GoodbyeReason::Version.code().into(),
            major: (wire::VERSION_MAJOR + 1).into(),
            text_len: (text.len() as u32).into(),
            ..wire::Goodbye::default()
        };
        host.say(&wire::record(goodbye, text.as_bytes()));
    });
    rig.vsctl(&["receive", path.to_str().unwrap(), "--frames", "1"]).refused(1, &["version", "2", "1"]);
    host.join().unwrap();
}

/// A daemon from before most of its methods.
struct Elder;

#[zbus::interface(name = "org.videostream.VideoStream1.Manager")]
impl Elder {
    #[zbus(property)]
    fn version(&self) -> &str {
        "0.0.9"
    }
}

#[test]
fn what_an_older_daemon_cannot_do_is_said() {
    let mut rig = Rig::start("");
    let _ = rig.terminate();
    let bus = rig.place().bus.clone();
    let _elder = rig.wait(async move {
        let builder = zbus::connection::Builder::address(bus.as_str()).unwrap();
        let builder = builder.serve_at("/org/videostream/VideoStream1", Elder).unwrap();
        builder.name("org.videostream.VideoStream1").unwrap().build().await.unwrap()
    });
    for command in [&["config", "reload"][..], &["start-stream", "cam0"], &["metrics"]] {
        rig.vsctl(command).refused(1, &["older"]);
    }
}
