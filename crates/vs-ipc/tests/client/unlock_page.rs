// SPDX-License-Identifier: Apache-2.0
//! How a client unlocks in the page that it shares with its host, as `docs/protocol.md` has it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use vs_frame::clock::monotonic_ns;
use vs_ipc::client::{Connection, Incoming};
use vs_ipc::wire::{self, FrameEvent, LockRequest, RevokeReason, UnlockRequest};

use crate::fake_host::{FakeHost, TIMEOUT, connected, frame_event, picture};
use crate::messages::next_frame;

const LEN: u64 = 4096;

fn memory(len: u64, seals: SealFlags) -> OwnedFd {
    let fd = memfd_create("page", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, len).unwrap();
    fcntl_add_seals(&fd, seals).unwrap();
    fd
}

fn give(host: &FakeHost, fd: &OwnedFd, entries: u32) {
    let message = wire::UnlockPage { entries: entries.into(), ..wire::UnlockPage::default() };
    host.say_with(&wire::record(message, &[]), &[fd.as_fd()]);
}

/// The host's end, by the numbers of the specification.
struct Page(MmapRaw);

impl Page {
    fn u64(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the offsets of the tests lie within the mapping, and are aligned.
        unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().add(offset).cast()) }
    }

    fn call(&self, value: u32) {
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.0.as_mut_ptr().cast()) }.store(value, Ordering::SeqCst);
    }

    fn serials(&self) -> Vec<u64> {
        (0..4).map(|entry| self.u64(64 + 16 * entry).load(Ordering::SeqCst)).filter(|serial| *serial != 0).collect()
    }
}

/// A client with a page of `entries`, and what it holds: frames 1 to 4.
fn four_frames(entries: u32) -> (FakeHost, Connection, Page, Vec<vs_ipc::client::ReceivedFrame>) {
    let (host, mut client) = connected();
    let fd = memory(LEN, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL);
    give(&host, &fd, entries);
    let page = Page(MmapOptions::new().len(LEN as usize).map_raw(&fd).unwrap());
    host.frame(frame_event(1), &picture(7));
    let mut frames = vec![next_frame(&mut client)];
    for serial in 2..=4 {
        host.say(&wire::record(FrameEvent { fds: 0, ..frame_event(serial) }, &[]));
        frames.push(next_frame(&mut client));
    }
    (host, client, page, frames)
}

#[test]
fn frames_are_given_back_without_a_message() {
    let (host, _client, page, mut frames) = four_frames(4);
    let before = monotonic_ns();
    drop(frames.remove(2));
    assert_eq!(page.serials(), [3]);
    let unlock_ns = page.u64(72).load(Ordering::SeqCst);
    assert!((before..=monotonic_ns()).contains(&unlock_ns));
    drop(frames);
    assert_eq!(page.serials(), [3, 1, 2, 4]);
    assert!(host.hears_nothing());
}

#[test]
fn a_full_page_and_a_call_bring_messages() {
    let (host, _client, page, mut frames) = four_frames(1);
    drop(frames.remove(0));
    assert_eq!(page.serials(), [1]);
    drop(frames.remove(0));
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 2);
    page.u64(64).store(0, Ordering::SeqCst);
    page.call(1);
    drop(frames.remove(0));
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 3);
    assert!(page.serials().is_empty());
    page.call(0);
    drop(frames.remove(0));
    assert_eq!(page.serials(), [4]);
}

/// The page could overtake the request, and the host would lock a frame for nobody.
#[test]
fn what_was_asked_for_is_given_back_by_message() {
    let (host, _client, page, frames) = four_frames(4);
    frames[0].lock(None).unwrap();
    drop(frames);
    host.hear::<LockRequest>();
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 1);
    assert_eq!(page.serials(), [2, 3, 4]);
}

#[test]
fn a_revocation_is_answered_by_message() {
    let (host, mut client, page, frames) = four_frames(4);
    host.say(&wire::revocation::encode(2, RevokeReason::Deadline, wire::VERSION_MINOR));
    assert!(matches!(client.wait(Some(TIMEOUT)), Ok(Some(Incoming::Revoked { serial: 2, .. }))));
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 2);
    drop(frames);
    assert_eq!(page.serials(), [1, 3, 4]);
}

/// Touching memory that shrinks would end the process.
#[test]
fn memory_that_may_shrink_ends_the_connection() {
    for fd in [memory(LEN, SealFlags::GROW), memory(100, SealFlags::SHRINK)] {
        let (host, mut client) = connected();
        give(&host, &fd, 4);
        let error = loop {
            match client.wait(Some(TIMEOUT)) {
                Ok(message) => assert!(message.is_some(), "neither message nor error"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("memory"), "{error}");
    }
}

/// A host that has no page to give, or says so badly, is one without pages.
#[test]
fn a_page_without_its_descriptor_is_no_page() {
    let (host, mut client) = connected();
    host.say(&wire::record(wire::UnlockPage { entries: 4.into(), ..wire::UnlockPage::default() }, &[]));
    host.frame(frame_event(1), &picture(7));
    drop(next_frame(&mut client));
    assert_eq!(host.hear::<UnlockRequest>().serial.get(), 1);
}
