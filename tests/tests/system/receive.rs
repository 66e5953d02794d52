// SPDX-License-Identifier: Apache-2.0
//! Frames arrive: all of them, whole, in memory that readers cannot change.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::SealFlags;
use rustix::io::Errno;
use serde_json::json;
use system_tests::client::{Checker, builder, next};
use system_tests::peer::unlock;
use system_tests::process::End;
use system_tests::{Peer, Rig};
use vsclient::{MemoryKind, Mode, SkipReason};

/// Plenty of buffers and credits: a test machine that is busy elsewhere for a moment must not
/// make a client lose frames.
const CONFIG: &str = "\
[stream.a]
pattern = \"bars\"
size = \"320x240\"
rate = 30
buffers = 32
credits-max = 16
lifespan = \"1s\"
always-on = true
";

const FRAMES: u64 = 300;

#[test]
fn vsctl_receives_every_frame_whole() {
    let rig = Rig::start(CONFIG);
    let mut both = [("leased", "a"), ("notify", "a")].map(|(mode, stream)| {
        let frames = FRAMES.to_string();
        let arguments =
            ["--json", "receive", stream, "--mode", mode, "--frames", &frames, "--credits", "16", "--verify"];
        (mode, rig.vsctl_beside(&arguments))
    });
    for (mode, process) in &mut both {
        let report = system_tests::vsctl::Outcome::of(process).good().json();
        assert_eq!((&report["frames"], &report["mode"]), (&json!(FRAMES), &json!(*mode)), "{report:#}");
        assert_eq!((&report["lost"], &report["revoked"]), (&json!(0), &json!(0)), "{report:#}");
        let verify = &report["verify"];
        // Without a lease the right to read a frame may end before it is read on a busy machine.
        let ended = if *mode == "notify" { verify["ended"].as_u64().unwrap() } else { 0 };
        assert_eq!(verify["good"], json!(FRAMES - ended), "{report:#}");
    }
}

#[test]
fn the_library_receives_every_frame_whole() {
    let rig = Rig::start(CONFIG);
    let mut client = builder(&rig.socket("a")).credits(16).name("library").connect().unwrap();
    let mut checker = Checker::default();
    let mut last: Option<vsclient::Frame> = None;
    for _ in 0..FRAMES {
        let frame = next(&mut client);
        checker.check(&frame).unwrap();
        assert_eq!(frame.skipped().total(), 0);
        if let Some(last) = last {
            assert_eq!(frame.serial(), last.serial() + 1);
            assert!(frame.meta().capture_ns > last.meta().capture_ns);
            assert!(frame.publish_ns() >= frame.meta().capture_ns && frame.received_ns() >= frame.publish_ns());
        }
        last = Some(frame);
    }
    let counters = client.counters();
    assert_eq!((counters.received, counters.lost, counters.revoked), (FRAMES, 0, 0));
    assert_eq!(rig.client_that("a", "library", |_| true).stray_unlocks, 0);
}

#[test]
fn a_strangers_client_receives_frames() {
    let rig = Rig::start(CONFIG);
    for mode in ["leased", "notify"] {
        let mut stranger = rig.stranger("a", &["--frames", "60", "--mode", mode]);
        assert_eq!(stranger.wait(), End::Exit(0), "{}", stranger.stderr);
        let lines = stranger.stdout.lines();
        assert!(
            lines[0].starts_with("welcome 1.0 ") && lines[0].ends_with(&format!("mode {mode} stream a")),
            "{lines:?}"
        );
        assert_eq!(lines[1].trim_end(), "state running");
        assert!(lines[2].ends_with(" NV12 320x240 rate 30/1 planes 2"), "{lines:?}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("frame ")).count(), 60);
    }
}

#[test]
fn descriptors_come_once_for_each_buffer() {
    let rig = Rig::start(CONFIG);
    let peer = Peer::greet(&rig.socket("a"), "peer", Mode::Leased);
    let mut known = BTreeSet::new();
    for _ in 0..FRAMES {
        let (event, fds) = peer.hear_frame();
        let expected = if known.insert(event.buffer.get()) { event.memories } else { 0 };
        assert_eq!((event.fds, fds.len()), (expected, usize::from(expected)), "{event:?}");
        assert!(peer.say(&unlock(event.serial.get())));
    }
    assert!(known.len() < 32, "{known:?}");
}

#[test]
fn readers_cannot_change_what_others_see() {
    let rig = Rig::start(CONFIG);
    let mut client = builder(&rig.socket("a")).connect().unwrap();
    let frame = next(&mut client);
    assert_eq!(frame.buffer().kind(), MemoryKind::Memfd);
    let memory = &frame.memories()[0];

    let seals = rustix::fs::fcntl_get_seals(memory).unwrap();
    let expected = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE;
    assert!(seals.contains(expected), "{seals:?}");

    // As it came, and as the owner of a file may open it anew.
    let fd: OwnedFd = rustix::io::dup(memory).unwrap();
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let reopened = OpenOptions::new().read(true).write(true).open(Path::new(&path));
    for mut file in [Ok(File::from(fd)), reopened].into_iter().flatten() {
        assert_eq!(file.set_len(0).unwrap_err().raw_os_error(), Some(Errno::PERM.raw_os_error()));
        file.seek(SeekFrom::Start(0)).unwrap();
        assert!(file.write(b"scribble").is_err());
        // SAFETY: the mapping is expected to fail; were it made, nothing would be read from it.
        assert!(unsafe { memmap2::MmapMut::map_mut(&file) }.is_err(), "a writable mapping");
    }
    Checker::default().check(&frame).unwrap();
}

/// Where there are heaps the frames are DmaBufs; where there are none the message says so.
#[test]
fn dma_heap_memory_is_had_or_explained() {
    let rig = Rig::start("[stream.a]\npattern = \"bars\"\nsize = \"320x240\"\nmemory = \"dma-heap\"\n");
    let started = rig.vsctl(&["start-stream", "a"]);
    if File::open("/dev/dma_heap/system").is_ok() {
        let _ = started.good();
        let mut client = builder(&rig.socket("a")).connect().unwrap();
        let frame = next(&mut client);
        assert_eq!(frame.buffer().kind(), MemoryKind::DmaBuf);
        Checker::default().check(&frame).unwrap();
    } else {
        started.refused(1, &["/dev/dma_heap/system", "No such file or directory", "memory = \"memfd\""]);
        assert_eq!(rig.stream("a").state, "idle");
    }
}

/// Without credit frames are skipped, said why, and the newest comes as soon as there is
/// credit again.
#[test]
fn a_client_without_credit_gets_the_newest_frame_next() {
    let rig = Rig::start(&format!("{CONFIG}lease = \"1min\"\nlease-max = \"1min\"\n"));
    let mut slow = builder(&rig.socket("a")).credits(1).name("slow").connect().unwrap();
    let held = next(&mut slow);
    let skipped = rig.client_that("a", "slow", |client| client.skipped["no-credit"] >= 30).skipped["no-credit"];
    let serial = held.serial();
    Checker::default().check(&held).unwrap();
    drop(held);
    let newest = next(&mut slow);
    assert!(newest.serial() >= serial + skipped, "{} after {serial}, {skipped} skipped", newest.serial());
    assert_eq!(newest.skipped().total(), u64::from(newest.skipped().get(SkipReason::NoCredit)));
    assert_eq!(newest.skipped().total(), newest.serial() - serial - 1);
    assert_eq!(
        (slow.counters().lost, slow.counters().skipped_total()),
        (newest.serial() - serial - 1, newest.skipped().total())
    );
}
