// SPDX-License-Identifier: Apache-2.0
//! Memory that a program has already.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use rustix::fs::{MemfdFlags, SealFlags};
use vsclient::publish::{FrameMeta, ImportError, MemoryKind, import, lend};
use vsclient::{Format, FourCc, Rate};

use crate::program::{Program, TIMEOUT};

fn grey() -> Arc<Format> {
    Arc::new(Format::packed(FourCc::GREY, 64, 64, Rate::fps(30)).unwrap())
}

fn memfd(flags: MemfdFlags) -> OwnedFd {
    let fd = rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC | flags).unwrap();
    rustix::fs::ftruncate(&fd, 4096).unwrap();
    fd
}

#[test]
fn memory_of_the_program_goes_to_clients_and_comes_back_once() {
    let program = Program::new();
    let file = File::from(memfd(MemfdFlags::ALLOW_SEALING));
    file.write_all_at(&[77; 4096], 0).unwrap();
    let inode = rustix::fs::fstat(&file).unwrap().st_ino;
    let buffer = import(vec![file.into()], MemoryKind::Memfd).unwrap();
    let (done, released) = mpsc::channel();
    let mut clients: Vec<_> = (0..3).map(|_| program.client().connect().unwrap()).collect();
    let frame = lend(&buffer, &grey(), FrameMeta::default(), move || done.send(()).unwrap()).unwrap();
    program.publisher.publish(frame).unwrap();
    // The newest frame is kept for whoever comes: something newer must take its place.
    program.publish();
    let frames: Vec<_> = clients.iter_mut().map(|client| client.next_frame(TIMEOUT).unwrap().unwrap()).collect();
    for frame in &frames {
        let memory = &frame.memories()[0];
        assert_eq!(rustix::fs::fstat(memory).unwrap().st_ino, inode, "it was copied");
        assert_eq!(frame.read(|view| view.plane(0).unwrap().data.to_vec()).unwrap(), [77; 4096]);
        assert!(rustix::io::write(memory.as_fd(), b"x").is_err(), "a client can write");
    }
    assert!(released.try_recv().is_err(), "it came back while it was read");
    drop(frames);
    released.recv_timeout(TIMEOUT).unwrap();
    assert!(released.recv_timeout(TIMEOUT).is_err(), "the sender is gone: it was called once");
}

#[test]
fn what_clients_could_change_is_not_published() {
    let error = import(vec![memfd(MemfdFlags::empty())], MemoryKind::Memfd).unwrap_err();
    assert!(error.to_string().contains("MFD_ALLOW_SEALING"), "{error}");
    let fd = memfd(MemfdFlags::ALLOW_SEALING);
    let ours = fd.try_clone().unwrap();
    import(vec![fd], MemoryKind::Memfd).unwrap();
    let seals = rustix::fs::fcntl_get_seals(&ours).unwrap();
    assert!(seals.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL));

    let (pipe, _other) = rustix::pipe::pipe().unwrap();
    assert!(import(vec![pipe.try_clone().unwrap()], MemoryKind::Memfd).is_err());
    assert!(import(vec![pipe], MemoryKind::DmaBuf).is_err());
    assert!(matches!(import(Vec::new(), MemoryKind::Memfd), Err(ImportError::Count(0))));
}

#[test]
fn a_frame_that_cannot_be_calls_nobody() {
    let buffer = import(vec![memfd(MemfdFlags::ALLOW_SEALING)], MemoryKind::Memfd).unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let meta = FrameMeta { bytes_used: [4097, 0, 0, 0], ..FrameMeta::default() };
    assert!(lend(&buffer, &grey(), meta, move || counter.store(1, Ordering::Relaxed)).is_err());
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}
