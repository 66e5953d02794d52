// SPDX-License-Identifier: Apache-2.0
//! Clients of either protocol that say anything to a host of ours.
//!
//! One host lives for all scripts, for binding a socket costs more than a conversation. A
//! script begins without clients and without frames, and must leave it so.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::net::{Shutdown, shutdown};
use tokio::runtime::Runtime;
use vs_frame::clock::{NS_PER_MS, monotonic_ns};
use vs_frame::{CpuMemory, CpuPool, FrameMeta};
use vs_ipc::host::{Dialect, Host, HostOptions, VslOptions};
use vs_ipc::vsl::wire::{Event, Request};
use vs_ipc::wire::{
    self, FrameEvent, Hello, LockRequest, MAGIC, MAX_HOST_MESSAGE, Message, StreamState, UnlockPage, UnlockRequest,
    VERSION_MAJOR, VERSION_MINOR,
};
use zerocopy::IntoBytes;

use crate::script::Script;
use crate::socket;

/// Clients at once.
const CLIENTS: usize = 6;
/// Buffers of the source.
const BUFFERS: usize = 8;
/// Frames that clients may hold together.
const FRAMES: usize = 5;
/// Frames that one may hold.
const CREDITS_MAX: u16 = 3;

/// The step in which the host gets its turn; what others do between two of them comes at once.
const SETTLE: u8 = 13;
/// Where the entries of a page begin (docs/protocol.md, UNLOCK_PAGE).
const ENTRIES_AT: u64 = 64;

/// However its clients behave, the host keeps its books, says nothing that breaks the protocol,
/// and has everything back when they are gone.
pub(crate) fn run(data: &[u8]) {
    thread_local!(static STAGE: RefCell<Stage> = RefCell::new(Stage::new()));
    STAGE.with_borrow_mut(|stage| {
        let _ = socket::gallery();
        let before = socket::lowest_free();
        stage.play(Script::new(data));
        stage.clear();
        assert_eq!(socket::lowest_free(), before, "a descriptor is left");
    });
}

struct Stage {
    runtime: Runtime,
    host: Host,
    pool: CpuPool,
    options: HostOptions,
    clients: [Option<Client>; CLIENTS],
    /// Something has happened since the host was last left to settle.
    stirred: bool,
    _dir: tempfile::TempDir,
}

/// The other end of a connection.
struct Client {
    socket: OwnedFd,
    dialect: Dialect,
    last_serial: u64,
    /// Where it may unlock without a message.
    page: Option<OwnedFd>,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = HostOptions::new("fuzz", dir.path().join("native"));
        options.vsl = Some(VslOptions { path: dir.path().join("vsl"), mode: 0o600, group: None });
        (options.frames, options.credits_max, options.clients_max) = (FRAMES, CREDITS_MAX, CLIENTS - 1);
        (options.lease_ns, options.lease_max_ns) = (1000 * NS_PER_MS, 10_000 * NS_PER_MS);
        options.strikes_max = 3;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut host = runtime.block_on(async { Host::bind(options.clone()).unwrap() });
        host.set_state(StreamState::Running, "");
        let pool = CpuPool::new(Arc::new(socket::format()), CpuMemory::WritableMemfd, BUFFERS, BUFFERS).unwrap();
        Self { runtime, host, pool, options, clients: Default::default(), stirred: true, _dir: dir }
    }

    fn play(&mut self, mut script: Script<'_>) {
        while let Some(step) = script.step() {
            self.stirred |= step % 16 != SETTLE;
            match step % 16 {
                0 => self.join(Dialect::Native, &mut script),
                1 => self.join(Dialect::Vsl, &mut script),
                2 => self.hello(&mut script),
                3 => {
                    let (serial, lease_ns) = (script.near(self.last_serial()).into(), script.near(0).into());
                    let request = LockRequest { serial, lease_ns, ..LockRequest::default() };
                    self.say(&mut script, &wire::record(request, &[]));
                }
                4 => {
                    let serial = script.near(self.last_serial()).into();
                    self.say(&mut script, &wire::record(UnlockRequest { serial, ..UnlockRequest::default() }, &[]));
                }
                5 => {
                    let (message, serial) = (u32::from(script.byte() & 3), script.near(self.last_serial()) as i64);
                    let request = Request { message: message.into(), padding: 0.into(), serial: serial.into() };
                    self.say(&mut script, request.as_bytes());
                }
                6 | 7 => self.publish(&mut script),
                8 => {
                    let bytes = script.bytes();
                    self.say(&mut script, bytes);
                }
                9 => {
                    let (kind, body) = (script.byte(), script.bytes());
                    let length = (8 + body.len()) as u32;
                    self.say(&mut script, &[&[kind, 0, 0, 0], &length.to_le_bytes()[..], body].concat());
                }
                10 => {
                    if let Some(client) = self.client(&mut script) {
                        client.hear();
                    }
                }
                11 => *self.place(&mut script) = None,
                12 => {
                    if let Some(client) = self.client(&mut script) {
                        // It may have been dismissed.
                        let _ = shutdown(&client.socket, Shutdown::Write);
                    }
                }
                SETTLE => self.settle(),
                14 => self.rule(&mut script),
                _ => self.scribble(&mut script),
            }
        }
        self.settle();
        self.verify();
    }

    fn place(&mut self, script: &mut Script<'_>) -> &mut Option<Client> {
        &mut self.clients[usize::from(script.byte()) % CLIENTS]
    }

    fn client(&mut self, script: &mut Script<'_>) -> Option<&mut Client> {
        self.place(script).as_mut()
    }

    fn last_serial(&self) -> u64 {
        self.host.next_serial() - 1
    }

    fn join(&mut self, dialect: Dialect, script: &mut Script<'_>) {
        let path = match (dialect, &self.options.vsl) {
            (Dialect::Vsl, Some(vsl)) => vsl.path.clone(),
            _ => self.options.path.clone(),
        };
        let place = self.place(script);
        // Who takes a place has to leave it first: connections cost more than all else here.
        if place.is_none() {
            *place = socket::join(&path).map(|socket| Client { socket, dialect, last_serial: 0, page: None });
        }
    }

    fn hello(&mut self, script: &mut Script<'_>) {
        let wish = script.byte();
        let hello = Hello {
            magic: MAGIC,
            major: VERSION_MAJOR.into(),
            // A page costs more than the rest of a short script: not everybody asks for one.
            minor: if wish & 2 == 0 { 0.into() } else { VERSION_MINOR.into() },
            mode: wish & 1,
            credits: u16::from(script.byte() & 7).into(),
            lease_ns: script.near(0).into(),
            name: wire::name_field("fuzz\n"),
            ..Hello::default()
        };
        self.say(script, &wire::record(hello, &[]));
    }

    /// Some client says this, with some descriptors now and then.
    fn say(&mut self, script: &mut Script<'_>, bytes: &[u8]) {
        let who = script.byte();
        let gifts = socket::gifts(u16::from(who >> 5));
        if let Some(client) = &self.clients[usize::from(who & 0x1f) % CLIENTS] {
            socket::say(&client.socket, bytes, &gifts);
        }
    }

    /// A client writes into its page: an unlock, or anything anywhere.
    fn scribble(&mut self, script: &mut Script<'_>) {
        let (last_serial, now_ns) = (self.last_serial(), monotonic_ns());
        let Some(client) = self.client(script) else { return };
        client.hear();
        let Some(page) = &client.page else { return };
        let at = script.byte();
        if at < 0x80 {
            let entry = [script.near(last_serial), script.near(now_ns)].map(u64::to_le_bytes);
            socket::scribble(page, entry.as_flattened(), ENTRIES_AT + u64::from(at & 3) * size_of_val(&entry) as u64);
        } else {
            socket::scribble(page, script.bytes(), u64::from(at & 0x7f) * 4);
        }
    }

    fn publish(&mut self, script: &mut Script<'_>) {
        match self.pool.acquire().unwrap() {
            Some(slot) => {
                let frame = slot.finish(FrameMeta { capture_ns: monotonic_ns(), ..FrameMeta::default() }).unwrap();
                // Every fourth frame is only lent, for no time at all.
                if script.byte().is_multiple_of(4) {
                    self.host.publish_until(frame, monotonic_ns());
                } else {
                    self.host.publish(frame);
                }
            }
            None => _ = self.host.pass_over(),
        }
    }

    /// What the owner of a host does now and then.
    fn rule(&mut self, script: &mut Script<'_>) {
        let serial = script.byte();
        match serial % 8 {
            0 => self.host.set_state(StreamState::Waiting, "gone"),
            1 => self.host.set_state(StreamState::Running, ""),
            2 => self.host.let_go_newest(),
            3 => _ = self.host.withdraw(|_| true),
            4 => self.host.set_frames(usize::from(script.byte()) % (FRAMES + 1)),
            5 => self.host.set_frames(FRAMES),
            6 => self.host.set_credits_max(u16::from(script.byte()) % (CREDITS_MAX + 1)),
            _ => self.host.retire_buffers(),
        }
    }

    /// Lets the host serve whoever has something to say.
    fn settle(&mut self) {
        if !std::mem::take(&mut self.stirred) {
            return;
        }
        let host = &mut self.host;
        self.runtime.block_on(async {
            let mut idle = false;
            while !idle {
                tokio::select! {
                    biased;
                    turned = host.turn() => turned.unwrap(),
                    // The runtime looks for events before it comes back.
                    () = looked() => idle = true,
                }
            }
        });
    }

    /// What holds at any time.
    fn verify(&mut self) {
        let snapshot = self.host.snapshot();
        let held: usize = snapshot.clients.iter().map(|client| client.held).sum();
        assert_eq!(held, snapshot.held);
        assert!(snapshot.held <= snapshot.held_max && snapshot.frames_live <= FRAMES);
        assert!(snapshot.clients.len() < CLIENTS);
        for client in &snapshot.clients {
            assert!(client.held <= client.held_max && client.held_max <= usize::from(client.credits), "{client:?}");
            assert!(client.credits <= CREDITS_MAX && !client.name.contains(char::is_control));
            assert!(client.delivered + client.skipped.total() <= snapshot.published);
        }
    }

    /// Everybody leaves, and everything is back.
    fn clear(&mut self) {
        self.stirred |= self.clients.iter().any(Option::is_some);
        for mut client in self.clients.iter_mut().filter_map(Option::take) {
            client.hear();
        }
        self.settle();
        self.host.set_state(StreamState::Running, "");
        self.host.set_frames(FRAMES);
        self.host.set_credits_max(CREDITS_MAX);
        self.host.withdraw(|_| true);
        let snapshot = self.host.snapshot();
        assert!(snapshot.clients.is_empty(), "{:?}", snapshot.clients);
        assert_eq!((snapshot.held, snapshot.frames_live), (0, 0));
        assert_eq!(self.pool.available(), BUFFERS, "a buffer is left");
    }
}

/// Comes back after the runtime has looked for events twice: one look finds that the poller is
/// ready, and nothing else.
async fn looked() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

impl Client {
    /// Everything that the host has said so far keeps to the page of its protocol.
    fn hear(&mut self) {
        let Self { socket, dialect, last_serial, page } = self;
        socket::hear(socket, |record, mut fds| {
            assert!(record.len() <= MAX_HOST_MESSAGE);
            let serial = match dialect {
                Dialect::Vsl => {
                    let event = Event::parse(record).expect("a short event");
                    assert_eq!((record.len(), fds.len()), (size_of::<Event>(), usize::from(!event.is_answer())));
                    u64::try_from(event.serial.get()).unwrap()
                }
                Dialect::Native => match wire::kind_of(record).unwrap() {
                    FrameEvent::KIND => {
                        let (event, _) = wire::parse::<FrameEvent>(record).unwrap();
                        let told = usize::from(event.fds);
                        assert!(fds.len() == told && (told == 0 || event.fds == event.memories));
                        event.serial.get()
                    }
                    UnlockPage::KIND => {
                        assert!(fds.len() == 1 && page.is_none());
                        *page = fds.pop();
                        0
                    }
                    _ => {
                        assert!(fds.is_empty());
                        0
                    }
                },
            };
            if serial != 0 {
                assert!(serial > *last_serial, "frame {serial} follows {last_serial}");
                *last_serial = serial;
            }
        });
    }
}
