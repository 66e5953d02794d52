// SPDX-License-Identifier: Apache-2.0
//! The page between two ends that both keep its rules.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::*;

fn pair(entries: usize) -> (HostPage, ClientPage) {
    let (host, fd) = HostPage::make(entries).unwrap();
    let client = ClientPage::map(&fd, entries).unwrap();
    (host, client)
}

fn collected(host: &HostPage) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    host.collect(|serial, unlock_ns| all.push((serial, unlock_ns)));
    all
}

#[test]
fn what_is_put_in_comes_out_once() {
    let (host, client) = pair(2);
    assert_eq!((client.put(7, 100), client.put(9, 200)), (Put::Done, Put::Done));
    assert_eq!(client.put(11, 300), Put::SendMessage, "there is no third entry");
    assert_eq!(collected(&host), [(7, 100), (9, 200)]);
    assert!(collected(&host).is_empty());
    assert_eq!(client.put(11, 300), Put::Done, "there is room again");
}

#[test]
fn who_is_called_sends_messages_until_the_host_is_quiet_again() {
    let (mut host, client) = pair(4);
    assert_eq!(client.put(1, 0), Put::Done);
    host.call();
    assert_eq!(client.put(2, 0), Put::SendMessage);
    assert_eq!(collected(&host), [(1, 0)], "what was there before the call is still found");
    host.hush();
    assert_eq!(client.put(3, 0), Put::Done);
    assert_eq!(collected(&host), [(3, 0)]);
}

#[test]
fn a_page_has_its_bounds() {
    let (host, client) = pair(100_000);
    assert_eq!(host.entries(), MAX_ENTRIES);
    let put = (1..=100_000).filter(|serial| client.put(*serial, 0) == Put::Done).count();
    assert_eq!(put, MAX_ENTRIES);
    assert_eq!(collected(&host).len(), MAX_ENTRIES);
}

#[test]
fn memory_that_could_shrink_or_is_too_small_is_refused() {
    let memfd = |len| {
        let fd = memfd_create("t", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&fd, len).unwrap();
        fd
    };
    assert!(ClientPage::map(&memfd(LEN as u64), 4).is_err());
    let small = memfd(64);
    rustix::fs::fcntl_add_seals(&small, rustix::fs::SealFlags::SHRINK).unwrap();
    assert!(ClientPage::map(&small, 4).is_err());
    let (pipe, _other) = rustix::pipe::pipe().unwrap();
    assert!(ClientPage::map(&pipe, 4).is_err());
}

/// Threads unlock while the host calls and is quiet in turns: every unlock arrives exactly
/// once, and while the host calls and has looked, none hides in the page.
#[test]
fn no_unlock_is_lost_or_doubled_between_page_and_messages() {
    const THREADS: u64 = 2;
    const EACH: u64 = 20_000;
    let (mut host, client) = pair(4);
    let messages = Mutex::new(Vec::new());
    let (running, ended) = (AtomicUsize::new(THREADS as usize), AtomicBool::new(false));
    let mut seen = HashSet::new();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (client, messages, running, ended) = (&client, &messages, &running, &ended);
            scope.spawn(move || {
                for number in 0..EACH {
                    let serial = 1 + thread * EACH + number;
                    if client.put(serial, serial) == Put::SendMessage {
                        messages.lock().unwrap().push(serial);
                    }
                }
                if running.fetch_sub(1, std::sync::atomic::Ordering::AcqRel) == 1 {
                    ended.store(true, std::sync::atomic::Ordering::Release);
                }
            });
        }
        let mut calls = false;
        loop {
            let last = ended.load(std::sync::atomic::Ordering::Acquire);
            if calls {
                host.hush();
            } else {
                host.call();
            }
            calls = !calls;
            host.collect(|serial, unlock_ns| {
                assert_eq!(serial, unlock_ns);
                assert!(seen.insert(serial), "{serial} came twice");
            });
            for serial in messages.lock().unwrap().drain(..) {
                assert!(seen.insert(serial), "{serial} came twice");
            }
            if last {
                break;
            }
        }
    });
    assert_eq!(seen.len() as u64, THREADS * EACH);
}

/// As `docs/protocol.md` has it.
#[test]
fn the_layout_is_that_of_the_specification() {
    use std::mem::offset_of;
    assert_eq!((offset_of!(Call, called), offset_of!(Layout, entries), size_of::<Entry>()), (0, 64, 16));
    assert_eq!((offset_of!(Entry, serial), offset_of!(Entry, unlock_ns)), (0, 8));
    assert_eq!((LEN, MAX_ENTRIES, WRITING), (4096, 252, u64::MAX));
}
