// SPDX-License-Identifier: Apache-2.0
//! Files as cameras: what is received is what is in the file, and what cannot be played says why.

mod clips;
mod damage;
mod faithful;
mod lifetime;
mod refusals;

use std::path::Path;
use std::time::Duration;

use system_tests::client::builder;
use system_tests::{PATIENCE, Process, Rig, eventually};
use vsclient::publish::FrameFlags;
use vsclient::{Client, Frame, ReceiveError};

/// A frame as it was received.
struct Got {
    picture: Vec<u8>,
    size: (u32, u32),
    pts_ns: i64,
    sequence: u32,
    gap: bool,
}

impl Got {
    fn new(frame: &Frame) -> Self {
        let (format, meta) = (frame.format(), frame.meta());
        assert_eq!(format.fourcc.to_string(), "NV12");
        assert!(meta.capture_ns > 0);
        let picture = frame.read(|view| {
            let planes = (0..view.plane_count()).filter_map(|plane| view.plane(plane));
            planes.flat_map(|plane| plane.rows().flatten().copied().collect::<Vec<_>>()).collect::<Vec<_>>()
        });
        Self {
            picture: picture.unwrap(),
            size: (format.width, format.height),
            pts_ns: meta.pts.unwrap(),
            sequence: meta.sequence,
            gap: meta.flags.contains(FrameFlags::GAP),
        }
    }
}

/// Whether the daemon was built with a decoder for this codec.
fn decodes(rig: &Rig, codec: &str) -> bool {
    let info = rig.vsctl(&["--json", "info"]).json();
    let mut findings = info["findings"].as_array().unwrap().iter();
    let software = findings.find(|finding| finding["topic"] == "decoder" && finding["name"] == "software");
    software.unwrap()["text"].as_str().unwrap().split_whitespace().any(|word| word == codec)
}

/// Begins to play a file as stream `clip`, at its readers' pace unless told otherwise.
fn play(rig: &Rig, file: &Path, options: &[&str]) -> Process {
    let pace = if options.contains(&"--pace") { &[][..] } else { &["--pace", "free"] };
    let file = file.to_str().unwrap();
    let vsctl = rig.vsctl_beside(&[&["--json", "play", file, "--as", "clip"], options, pace].concat());
    eventually("the stream", || rig.socket("clip").exists().then_some(()));
    vsctl
}

/// To take a picture apart takes long without optimisation, on a machine that has much to do.
const LEASE: Duration = Duration::from_secs(10);

fn connect(rig: &Rig) -> Client {
    builder(&rig.socket("clip")).lease(LEASE).connect().unwrap()
}

/// Why it ends, whatever comes before.
fn farewell(client: &mut Client) -> String {
    loop {
        match client.next_frame(PATIENCE) {
            Ok(Some(_)) => {}
            Err(ReceiveError::Goodbye(goodbye)) => return goodbye.text.clone(),
            other => panic!("{other:?} before a word"),
        }
    }
}

/// Everything up to the end; why it ended.
fn receive_all(client: &mut Client) -> (Vec<Got>, String) {
    let mut got = Vec::new();
    loop {
        match client.next_frame(PATIENCE) {
            Ok(Some(frame)) => {
                assert_eq!(frame.skipped().total(), 0, "after {} frames", got.len());
                got.push(Got::new(&frame));
            }
            Ok(None) => panic!("no frame comes after {}", got.len()),
            Err(ReceiveError::Goodbye(goodbye)) => return (got, goodbye.text.clone()),
            Err(error) => panic!("{error} after {} frames", got.len()),
        }
    }
}
