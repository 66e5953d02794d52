// SPDX-License-Identifier: Apache-2.0
//! The publishing side: one stream, one socket, any number of clients.
//!
//! A [`Host`] belongs to one thread with a tokio runtime. Its owner calls
//! [`publish`](Host::publish) when a frame is there and awaits [`turn`](Host::turn)
//! meanwhile; nothing in it blocks, and nothing needs a lock. A frame that goes to a
//! thousand clients is a thousand small messages: its bytes are not touched.
//!
//! What a client can do to others is bounded here: frames are sent at once or skipped for
//! that client alone, the [`book`](crate::book) bounds what it holds and for how long, and
//! whoever breaks the protocol loses its connection with a [`GoodbyeReason`].

mod admission;
mod alarm;
mod by_reason;
mod client;
mod collect;
mod deliver;
mod departures;
mod flood;
mod listener;
mod options;
mod pace;
mod places;
mod poller;
mod requests;
mod revoke;
mod send;
mod stats;
mod vsl;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use slab::Slab;
use vs_frame::clock::{NS_PER_MS, monotonic_ns};
use vs_frame::{Buffer, BufferId, Format, Frame};

use self::alarm::Alarm;
use self::client::{Client, OUTBOX_MAX, Peer, SEND_BUFFER, Trouble};
use self::flood::{Admissions, Users};
use self::listener::Listener;
use self::poller::{Member, Poller, Ready, Watch};
use self::send::send_record;
use self::stats::Totals;
use crate::book::{LeaseBook, Limits};
use crate::vsl::picture::Picture;
use crate::wire::{self, GoodbyeReason, MAX_TEXT, StreamState};

pub use by_reason::{ByReason, Reason, Revocations, Skips};
pub use departures::Departure;
pub use listener::BindError;
pub use options::{HostOptions, VslOptions};
pub use places::raise_descriptor_limit;
pub use stats::{ClientSnapshot, Dialect, HostSnapshot};

/// How long a connection may take to say HELLO. An honest client says it at once.
const HANDSHAKE_NS: u64 = 2000 * NS_PER_MS;

/// Leases and lifespans are looked after at most this late. Every published frame does it
/// anyway; the timer is for streams that stand still, and need not fire between frames.
const EXPIRY_SLACK_NS: u64 = 20 * NS_PER_MS;

/// Pause after the system had no descriptor or memory for a connection. The pending client
/// stays in the backlog, so without it the thread would spin.
const ACCEPT_PAUSE_NS: u64 = 100 * NS_PER_MS;

/// The publisher of one stream. See the module.
#[derive(Debug)]
pub struct Host {
    options: HostOptions,
    listener: Listener,
    vsl: Option<vsl::Endpoint>,
    poller: Poller,
    alarm: Alarm,
    clients: Slab<Client>,
    next_client: u64,
    book: LeaseBook<Published>,
    format: Option<(u32, Arc<Format>)>,
    state: (StreamState, String),
    /// Buffers that some client knows, to tell when one will not come again.
    buffers: Vec<(BufferId, Weak<Buffer>)>,
    totals: Totals,
    /// Some client of a coded stream waits for a keyframe.
    keyframe_wanted: bool,
    /// When pages are looked into although no frame comes.
    look_ns: Option<u64>,
    /// When clients that said too much are listened to again.
    listen_again_ns: Option<u64>,
    /// Whose turn it is then: the first key.
    listen_from: usize,
    users: Users,
    admissions: Admissions,
    /// Until when no connection is accepted.
    accept_after_ns: Option<u64>,
    /// The earliest time at which a silent connection is due.
    handshake_due_ns: Option<u64>,
    ready: Vec<Ready>,
}

/// A frame in the book, with what its event says.
#[derive(Debug)]
struct Published {
    frame: Frame,
    publish_ns: u64,
    format: u32,
    /// What clients of libvideostream are told of it; `None` if there are none.
    picture: Option<Picture>,
}

/// Why the host cannot go on at all.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The socket could not be published.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system gave no poller or no timer.
    #[error("cannot watch the clients of a stream: {0}")]
    Poll(#[from] std::io::Error),
}

impl Host {
    /// Publishes a stream, in state [`StreamState::Waiting`]. Must be called on a tokio
    /// runtime with I/O enabled.
    ///
    /// # Errors
    /// [`HostError`] if the socket or the poller cannot be had.
    pub fn bind(options: HostOptions) -> Result<Self, HostError> {
        let listener = Listener::bind(&options.path, options.mode, options.group)?;
        let vsl = options.vsl.as_ref().map(vsl::Endpoint::bind).transpose()?;
        let (poller, alarm) = (Poller::new()?, Alarm::new()?);
        poller.add(Member::Listener(Dialect::Native), &listener)?;
        if let Some(vsl) = &vsl {
            poller.add(Member::Listener(Dialect::Vsl), vsl.listener())?;
        }
        poller.add(Member::Alarm, &alarm)?;
        let limits = Limits { frames: options.frames, lease_max_ns: options.lease_max_ns };
        Ok(Self {
            listener,
            vsl,
            poller,
            alarm,
            clients: Slab::new(),
            next_client: 1,
            book: LeaseBook::new(limits),
            format: None,
            state: (StreamState::Waiting, String::new()),
            buffers: Vec::new(),
            totals: Totals::default(),
            keyframe_wanted: false,
            look_ns: None,
            listen_again_ns: None,
            listen_from: 0,
            users: Users::default(),
            admissions: Admissions::default(),
            accept_after_ns: None,
            handshake_due_ns: None,
            ready: Vec::new(),
            options,
        })
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &HostOptions {
        &self.options
    }

    /// Changes how many frames all clients together may hold. What they hold already, they
    /// keep.
    pub fn set_frames(&mut self, frames: usize) {
        self.options.frames = frames;
        self.book.set_limits(Limits { frames, ..self.book.limits() });
    }

    /// Clients that have said HELLO.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.clients.iter().filter(|(_, client)| client.identity.is_some()).count()
    }

    /// Whether any client has said HELLO, and is there.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        self.clients.iter().any(|(_, client)| client.identity.is_some())
    }

    /// Counters of the host and each client, as of now: what clients have unlocked is counted.
    pub fn snapshot(&mut self) -> HostSnapshot {
        self.collect();
        let held = |client: &Client| client.identity.as_ref().map_or(0, |identity| self.book.held(identity.book));
        let clients = self.clients.iter().filter_map(|(_, client)| client.snapshot(held(client))).collect();
        self.totals.snapshot(&self.book, clients)
    }

    /// The serial that the next frame will get.
    #[must_use]
    pub fn next_serial(&self) -> u64 {
        self.book.last_serial() + 1
    }

    /// The newest frame, if it is still good to look at.
    #[must_use]
    pub fn newest(&self) -> Option<&Frame> {
        self.book.newest().map(|(_, published)| &published.frame)
    }

    /// Lets go of the newest frame: nobody gets it any more who has not got it yet. Those who
    /// have keep it.
    pub fn let_go_newest(&mut self) {
        self.book.forget_newest();
    }

    /// Changes how many frames one client may hold, whatever it asks for. Clients that have
    /// said HELLO keep their credits.
    pub fn set_credits_max(&mut self, credits_max: u16) {
        self.options.credits_max = credits_max;
    }

    /// Tells every client what the stream is doing. When it no longer runs, the newest frame
    /// is let go: a stale frame is never given to anyone as a new one.
    pub fn set_state(&mut self, state: StreamState, text: &str) {
        if self.state.0 == state && self.state.1 == text {
            return;
        }
        self.state = (state, wire::truncate(text, MAX_TEXT).to_owned());
        if state != StreamState::Running {
            self.book.forget_newest();
            self.retire_buffers();
        }
        let record = self.state_record();
        self.broadcast(&record);
    }

    /// What the stream is doing, as clients were told.
    #[must_use]
    pub fn state(&self) -> (StreamState, &str) {
        (self.state.0, &self.state.1)
    }

    /// Ends all connections with a reason. The socket goes when the host is dropped.
    pub fn close(&mut self, reason: GoodbyeReason, text: &str) {
        for key in self.keys_where(|_| true) {
            self.dismiss(key, reason, text);
        }
    }

    /// Waits until something happened among the clients, and deals with it. Safe to cancel.
    ///
    /// # Errors
    /// [`HostError::Poll`] if the system fails; the host cannot go on then.
    pub async fn turn(&mut self) -> Result<(), HostError> {
        if let Some(due_ns) = self.due_ns() {
            self.alarm.set(due_ns)?;
        }
        self.poller.ready(&mut self.ready).await?;
        self.serve_ready();
        Ok(())
    }

    /// Deals with what has happened among the clients, without waiting. A host whose owner publishes without a pause
    /// would otherwise hear the unlocks of those whom it has called only now and then.
    fn hear(&mut self) {
        // A failure shows again when the owner waits.
        if self.poller.ready_now(&mut self.ready).is_ok() {
            self.serve_ready();
        }
    }

    /// When there is something to do although nobody says anything.
    fn due_ns(&self) -> Option<u64> {
        let expiry = self.book.next_end_ns().map(|end| end.saturating_add(EXPIRY_SLACK_NS));
        let others = [self.look_ns, self.listen_again_ns, self.handshake_due_ns, self.accept_after_ns];
        others.into_iter().chain([expiry]).flatten().min()
    }

    fn on_alarm(&mut self) {
        self.alarm.clear();
        let now_ns = monotonic_ns();
        self.expire(now_ns);
        self.look(now_ns);
        self.listen_again(now_ns);
        if self.handshake_due_ns.is_some_and(|due| due <= now_ns) {
            self.end_silent_connections(now_ns);
        }
        if self.accept_after_ns.is_some_and(|due| due <= now_ns) {
            self.accept_after_ns = None;
            self.watch_listeners(Watch::Messages);
        }
    }

    fn watch_listeners(&self, watch: Watch) {
        let _ = self.poller.watch(Member::Listener(Dialect::Native), &self.listener, watch);
        if let Some(vsl) = &self.vsl {
            let _ = self.poller.watch(Member::Listener(Dialect::Vsl), vsl.listener(), watch);
        }
    }

    fn end_silent_connections(&mut self, now_ns: u64) {
        let silent = |client: &Client| client.identity.is_none();
        let due = |client: &Client| client.connected_ns.saturating_add(HANDSHAKE_NS);
        for key in self.keys_where(|client| silent(client) && due(client) <= now_ns) {
            self.dismiss(key, GoodbyeReason::HandshakeTimeout, "no HELLO within 2 s");
        }
        self.handshake_due_ns = self.clients.iter().filter(|(_, c)| silent(c)).map(|(_, c)| due(c)).min();
    }

    fn admit(&mut self, dialect: Dialect) {
        let listener = match (dialect, &self.vsl) {
            (Dialect::Vsl, Some(vsl)) => vsl.listener(),
            _ => &self.listener,
        };
        let socket = match listener.accept() {
            Ok(Some(socket)) => socket,
            Ok(None) => return,
            Err(error) => {
                let now_ns = monotonic_ns();
                if let Some(unlogged) = self.admissions.log(now_ns) {
                    tracing::warn!(
                        stream = self.options.stream, %error, unlogged,
                        "cannot accept a client: allow the daemon more descriptors (LimitNOFILE=), or streams fewer clients"
                    );
                }
                self.accept_after_ns = Some(now_ns.saturating_add(ACCEPT_PAUSE_NS));
                self.watch_listeners(Watch::Nothing);
                return;
            }
        };
        self.note_accepted();
        // A socket without credentials is already dead.
        let Ok(cred) = rustix::net::sockopt::socket_peercred(&socket) else { return };
        let peer = Peer { uid: cred.uid.as_raw(), pid: cred.pid.as_raw_nonzero().get() };
        let place = match self.find_place(peer, dialect) {
            Ok(place) => place,
            Err((reason, text)) => return self.turn_away(&socket, peer, dialect, reason, &text),
        };
        // With the default size a stopped reader would collect hundreds of stale events.
        let send_buffer = if dialect == Dialect::Vsl { vsl::SEND_BUFFER } else { SEND_BUFFER };
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, send_buffer);
        let now_ns = monotonic_ns();
        let entry = self.clients.vacant_entry();
        let key = entry.key();
        if self.poller.add(Member::Client(key), &socket).is_ok() {
            entry.insert(Client::new(self.next_client, dialect, socket, peer, place, now_ns));
            self.next_client += 1;
            if dialect == Dialect::Vsl {
                self.welcome_vsl(key);
                return;
            }
            let due = now_ns.saturating_add(HANDSHAKE_NS);
            self.handshake_due_ns = Some(self.handshake_due_ns.map_or(due, |earlier| earlier.min(due)));
        }
    }

    fn turn_away(&mut self, socket: &OwnedFd, peer: Peer, dialect: Dialect, reason: GoodbyeReason, text: &str) {
        if let Some(unlogged) = self.admissions.log(monotonic_ns()) {
            let stream = &self.options.stream;
            tracing::warn!(stream, uid = peer.uid, pid = peer.pid, %reason, text, unlogged, "refused a client");
        }
        self.totals.goodbye(reason);
        self.totals.departures.add(Departure::refused(peer, reason, text));
        say_goodbye(socket, dialect, reason, text);
    }

    /// Serves those that the poller has listed.
    fn serve_ready(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        for event in &ready {
            match event.member {
                Member::Listener(dialect) => self.admit(dialect),
                Member::Alarm => self.on_alarm(),
                Member::Client(key) => {
                    if event.writable {
                        self.on_writable(key);
                    }
                    if event.readable && self.listens(key) {
                        self.on_readable(key);
                    } else if event.ended {
                        self.remove(key);
                    }
                }
            }
        }
        self.ready = ready;
        self.ready.clear();
    }

    /// The keys of those clients.
    fn keys_where(&self, condition: impl Fn(&Client) -> bool) -> Vec<usize> {
        self.clients.iter().filter(|(_, client)| condition(client)).map(|(key, _)| key).collect()
    }

    fn on_writable(&mut self, key: usize) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let flushed = client.flush();
        if !client.has_backlog() {
            client.set_watch(&self.poller, key, Watch::Messages);
        }
        match flushed {
            Ok(()) => self.offer_newest(key),
            Err(trouble) => self.give_up(key, trouble),
        }
    }

    /// Sends a control message to one client, unless its protocol has no words for it.
    fn control(&mut self, key: usize, record: Vec<u8>) {
        if self.clients.get(key).is_some_and(|client| client.dialect == Dialect::Native) {
            self.send_or_keep(key, record);
        }
    }

    /// Sends a record that must arrive to one client.
    fn send_or_keep(&mut self, key: usize, record: Vec<u8>) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let outcome = client.send_control(record);
        if client.has_backlog() {
            client.set_watch(&self.poller, key, Watch::MessagesAndRoom);
        }
        if let Err(trouble) = outcome {
            self.give_up(key, trouble);
        }
    }

    /// Sends a control message to everyone who has said HELLO.
    fn broadcast(&mut self, record: &[u8]) {
        for key in self.keys_where(|client| client.identity.is_some()) {
            self.control(key, record.to_vec());
        }
    }

    fn give_up(&mut self, key: usize, trouble: Trouble) {
        match trouble {
            Trouble::Closed => self.remove(key),
            Trouble::NotReading => {
                let text = format!("{OUTBOX_MAX} control messages are unread");
                self.dismiss(key, GoodbyeReason::NotReading, &text);
            }
        }
    }

    /// Ends a connection, saying why if the socket still takes it.
    fn dismiss(&mut self, key: usize, reason: GoodbyeReason, text: &str) {
        let Some(client) = self.clients.get(key) else { return };
        let name = client.identity.as_ref().map_or("", |identity| identity.name.as_str());
        tracing::info!(
            stream = self.options.stream, client = client.id, name, pid = client.peer.pid, %reason, text, "dismissed a client"
        );
        self.totals.goodbye(reason);
        say_goodbye(&client.socket, client.dialect, reason, text);
        self.forget(key, Some((reason, text)));
    }

    /// Forgets a connection that the client has ended.
    fn remove(&mut self, key: usize) {
        self.forget(key, None);
    }

    /// Forgets a connection; its frames are free at once.
    fn forget(&mut self, key: usize, cause: Option<(GoodbyeReason, &str)>) {
        let Some(mut client) = self.clients.try_remove(key) else { return };
        self.poller.remove(&client.socket);
        self.totals.skipped.count_all(client.settle());
        let mut held = 0;
        if let Some(identity) = &client.identity {
            held = self.book.remove_client(identity.book);
            self.totals.hold_of_gone.merge(&identity.hold);
            tracing::debug!(stream = self.options.stream, client = client.id, held, "client left");
        }
        // Who came and went without a word, or a reason, was no client.
        if client.identity.is_some() || cause.is_some() {
            self.totals.departures.add(client.departure(held, cause));
        }
    }

    fn state_record(&self) -> Vec<u8> {
        let text = self.state.1.as_bytes();
        let message = wire::State {
            state: self.state.0.code().into(),
            text_len: (text.len() as u32).into(),
            ..wire::State::default()
        };
        wire::record(message, text)
    }
}

/// Says why a connection ends, if the socket still takes it. libvideostream's protocol has no
/// word for it.
fn say_goodbye(socket: &OwnedFd, dialect: Dialect, reason: GoodbyeReason, text: &str) {
    if dialect == Dialect::Native {
        send_record(socket.as_fd(), &goodbye_record(reason, text));
    }
}

fn goodbye_record(reason: GoodbyeReason, text: &str) -> Vec<u8> {
    let text = wire::truncate(text, MAX_TEXT);
    let message = wire::Goodbye {
        reason: reason.code().into(),
        major: wire::VERSION_MAJOR.into(),
        minor: wire::VERSION_MINOR.into(),
        text_len: (text.len() as u32).into(),
        ..wire::Goodbye::default()
    };
    wire::record(message, text.as_bytes())
}
