// SPDX-License-Identifier: Apache-2.0
//! Frames that the protocol cannot tell: its clients are disconnected, all others go on.

use vs_frame::{CpuMemory, FourCc};
use vs_ipc::client::{Connection as Native, Hello, Incoming};
use vs_ipc::wire::GoodbyeReason;

use crate::raw::{LOCK, Raw};
use crate::stage::{Stage, TIMEOUT, pool, publish};

fn refused(fourcc: FourCc, memory: CpuMemory) {
    let stage = Stage::new();
    let vsl = stage.raw();
    let mut native = Native::connect(&stage.native_path(), &Hello::default(), TIMEOUT).unwrap();
    stage.run(move |host, _| publish(host, &pool(fourcc, memory), 1));
    assert!(vsl.is_dismissed());
    // Later ones are refused at once.
    assert!(Raw::connect(&stage.path()).is_dismissed());
    let frame = loop {
        if let Some(Incoming::Frame(frame)) = native.wait(Some(TIMEOUT)).unwrap() {
            break frame;
        }
    };
    assert_eq!(frame.format().fourcc, fourcc);
    let goodbyes = stage.run(|host, _| host.snapshot().goodbyes);
    assert_eq!(goodbyes, [(GoodbyeReason::Other, 2)]);
    // With frames that can be told the endpoint is there again.
    let serial = stage.publish(2);
    let back = stage.raw();
    assert_eq!(back.event().serial(), serial);
    assert_eq!(back.ask(LOCK, serial), (0, 1));
}

#[test]
fn two_memories() {
    refused(FourCc::NV12M, CpuMemory::WritableMemfd);
}

#[test]
fn a_format_that_the_ancestor_does_not_know() {
    refused(FourCc::GREY, CpuMemory::WritableMemfd);
}

#[test]
fn memory_that_cannot_be_mapped_for_writing() {
    refused(FourCc::NV12, CpuMemory::Memfd);
}
