// SPDX-License-Identifier: Apache-2.0
//! The endpoint for applications of libvideostream, on the whole system: a client that was
//! written from `docs/vsl.md` alone, and ours.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::json;
use system_tests::process::End;
use system_tests::{PATIENCE, Process, Rig, Witness};
use vs_frame::{CpuMemory, CpuPool, Format, FourCc, FrameMeta, Rate};
use vs_ipc::vsl::client::Connection;
use vs_pattern::Pattern;

/// A configuration whose socket for libvideostream lies at a path that the test knows.
fn rig(more: &str) -> (Rig, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.vsl");
    let config =
        format!("[stream.a]\npattern = \"bars\"\nsize = \"320x240\"\nrate = 60\nvsl = \"{}\"\n{more}", path.display());
    (Rig::start(&config), dir)
}

fn stranger(socket: &Path, arguments: &[&str]) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/vsl.py");
    Process::start("vsl.py", Command::new("python3").arg(script).arg(socket).args(arguments))
}

/// Which frame a dumped picture shows; every pixel of it must be right.
fn serial_of(picture: &[u8], fourcc: FourCc) -> u64 {
    let format = Format::packed(fourcc, 320, 240, Rate::fps(60)).unwrap();
    assert_eq!(picture.len() as u64, format.memory_size(0));
    let pattern = Pattern::new(&format).unwrap();
    let pool = CpuPool::new(Arc::new(format), CpuMemory::Memfd, 1, 1).unwrap();
    let mut slot = pool.acquire().unwrap().unwrap();
    slot.write(|memories| memories[0][..picture.len()].copy_from_slice(picture)).unwrap();
    let frame = slot.finish(FrameMeta::default()).unwrap();
    let stamp = pattern.check(&frame.map().unwrap()).unwrap();
    stamp.serial
}

#[test]
fn an_application_of_libvideostream_connects_unchanged() {
    let (rig, dir) = rig("always-on = true\nbuffers = 32\ncredits-max = 16\n");
    let socket = dir.path().join("a.vsl");
    assert_eq!(rig.stream("a").vsl_socket, socket.to_str().unwrap());
    let witness = Witness::start(&rig.socket("a"));
    let pictures = tempfile::tempdir().unwrap();
    let raw_dir = pictures.path().to_str().unwrap();
    let mut client = stranger(&socket, &["--frames", "30", "--hold", "0.01", "--raw-dir", raw_dir, "--table"]);
    assert_eq!(client.wait(), End::Exit(0), "{}", client.stderr);
    let frames =
        client.stdout.lines().iter().filter(|line| line.contains("NV12 320x240 stride 320 size 115200")).count();
    assert_eq!(frames, 30);
    let mut dumped = 0;
    for entry in std::fs::read_dir(pictures.path()).unwrap() {
        let path = entry.unwrap().path();
        let serial: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!(serial_of(&std::fs::read(&path).unwrap(), FourCc::NV12), serial);
        dumped += 1;
    }
    // On a busy machine a frame may be gone before the script has asked for it.
    assert!(dumped > 0, "no frame could be locked");
    witness.passes(10);
    witness.all_was_well();
    rig.client_gone("a", "vsl");
}

#[test]
fn it_is_seen_as_what_it_is() {
    let (rig, dir) = rig("always-on = true\n");
    let _client = stranger(&dir.path().join("a.vsl"), &["--frames", "100000"]);
    let seen = rig.client_that("a", "vsl", |client| client.delivered > 5);
    assert_eq!((seen.protocol.as_str(), seen.mode.as_str()), ("vsl", "notify"));
    let _ = rig.ask(&["receive", "a", "--frames", "3", "--verify"]);
    // Who takes it for the stream's own socket is told.
    let socket = dir.path().join("a.vsl");
    rig.vsctl(&["receive", socket.to_str().unwrap()]).refused(1, &["speaks libvideostream's protocol"]);
}

#[test]
fn every_format_that_can_be_told_arrives_whole() {
    for fourcc in ["I420", "YV12", "YUYV", "UYVY", "RGB3", "BGR3", "RGBA", "BGRA", "RGBx", "BGRx", "NV21", "NV16"] {
        let (_rig, dir) = rig(&format!("always-on = true\nformat = \"{fourcc}\"\n"));
        let mut client = Connection::connect(&dir.path().join("a.vsl"), 2, PATIENCE).unwrap();
        for _ in 0..5 {
            let received = client.wait(Some(PATIENCE)).unwrap().expect("no frame comes");
            let format = received.frame.format();
            assert_eq!(format.fourcc, fourcc.parse().unwrap());
            let stamp = Pattern::new(format).unwrap().check(&received.frame.map().unwrap()).unwrap();
            assert_eq!(stamp.serial, received.serial, "{fourcc}");
        }
    }
}

#[test]
fn a_format_that_cannot_be_told_is_refused_in_words() {
    let (rig, dir) = rig("always-on = true\n");
    let socket = dir.path().join("a.vsl");
    for fourcc in ["GREY", "NM12"] {
        rig.vsctl(&["start-stream", "a", "--format", fourcc]).refused(1, &["libvideostream", "leave vsl out"]);
    }
    // It goes on as it was.
    assert_eq!(rig.ask(&["status", "a"])["streams"][0]["format"]["fourcc"], json!("NV12"));
    let mut client = Connection::connect(&socket, 2, PATIENCE).unwrap();
    assert!(client.wait(Some(PATIENCE)).unwrap().is_some());
}

#[test]
fn the_socket_comes_and_goes_with_the_stream() {
    let (rig, dir) = rig("");
    let socket = dir.path().join("a.vsl");
    let _ = rig.ask(&["stop-stream", "a"]);
    assert!(!socket.exists() && rig.stream("a").vsl_socket.is_empty());
    let _ = rig.ask(&["start-stream", "a"]);
    let mut client = Connection::connect(&socket, 2, PATIENCE).unwrap();
    assert!(client.wait(Some(PATIENCE)).unwrap().is_some());
    let _ = rig.ask(&["stop-stream", "a"]);
    assert!(!socket.exists());
    let end = std::iter::repeat_with(|| client.wait(Some(PATIENCE))).find(Result::is_err);
    assert!(end.is_some() && client.is_closed());
}
