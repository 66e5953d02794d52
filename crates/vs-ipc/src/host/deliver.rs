// SPDX-License-Identifier: Apache-2.0
//! How a frame reaches its readers, and what happens when it does not.

use std::os::fd::AsFd;
use std::sync::Arc;

use vs_frame::clock::{NS_PER_MS, monotonic_ns};
use vs_frame::{BufferId, Frame, MemoryKind};
use zerocopy::IntoBytes;

use super::client::{Client, Trouble};
use super::poller::Watch;
use super::send::{Sent, send_record, send_with_fds};
use super::stats::Dialect;
use super::{Host, Published, vsl};
use crate::book::{LeaseBook, Refusal};
use crate::wire::{self, BufferRetired, FrameEvent, GoodbyeReason, Message, Mode, RevokeReason, SkipReason};

/// A frame older than this is not given to a client as the newest when its credit returns,
/// or when it connects. Two intervals of a slow camera; see [`Host::newest_max_age_ns`].
const NEWEST_MAX_AGE_NS: u64 = 100 * NS_PER_MS;

/// From when and for how long a delivery counts.
#[derive(Clone, Copy)]
struct Terms {
    now_ns: u64,
    lifespan_ns: u64,
    /// It is an access unit, which may need the ones before it.
    coded: bool,
}

/// What one client's delivery came to.
enum Delivery {
    Done,
    Skipped(SkipReason),
    /// Skipped, and the socket must say when it has room.
    Full,
    /// An access unit that needs one which the client has not got.
    Undecodable,
    Gone,
}

impl Host {
    /// Publishes a frame to every client that may have it, and returns its serial. What the
    /// clients may not have now goes home at once.
    pub fn publish(&mut self, frame: Frame) -> u64 {
        self.publish_until(frame, u64::MAX)
    }

    /// As [`publish`](Self::publish), for a frame whose memory is only lent: no client is told
    /// that it may read it beyond `until_ns` of `CLOCK_MONOTONIC`, and none holds it longer.
    pub fn publish_until(&mut self, frame: Frame, until_ns: u64) -> u64 {
        let publish_ns = monotonic_ns();
        let capture_ns = frame.meta().capture_ns;
        if self.book.is_full() {
            self.collect();
            self.expire(publish_ns);
        }
        let format = self.announce_format(&frame);
        self.remember_buffer(&frame);
        let picture = self.picture_for_vsl(&frame);
        self.totals.published += 1;
        match self.book.publish_until(Published { frame, publish_ns, format, picture }, until_ns) {
            Ok(serial) => self.deliver_to_all(serial),
            Err(_) => self.skip_for_all(),
        }
        // 0: whoever made the frame did not know.
        if capture_ns > 0 {
            self.totals.capture_latency.record(publish_ns.saturating_sub(capture_ns));
        }
        self.book.last_serial()
    }

    /// Passes a frame over that the source had no buffer to spare for: the serial is used up,
    /// and every client counts a skip.
    pub fn pass_over(&mut self) -> u64 {
        self.totals.published += 1;
        self.book.pass_over();
        self.skip_for_all();
        self.book.last_serial()
    }

    fn deliver_to_all(&mut self, serial: u64) {
        let mut gone = Vec::new();
        let Some(published) = self.book.frame(serial) else { return };
        let (event, coded) = (frame_event(serial, published), published.frame.format().is_coded());
        let terms = Terms { now_ns: event.publish_ns.get(), lifespan_ns: self.lifespan_ns(), coded };
        let mut missed = Vec::new();
        for (key, client) in &mut self.clients {
            self.totals.skipped.count_all(client.settle());
            match deliver(&mut self.book, client, event, terms) {
                Delivery::Done => self.totals.delivered += 1,
                Delivery::Skipped(reason) => {
                    client.fall_behind(reason);
                    missed.push(key);
                }
                Delivery::Undecodable => {
                    // What one missed unit costs up to the next keyframe, it costs for its reason.
                    client.behind = client.gap;
                    self.keyframe_wanted = true;
                }
                Delivery::Full => {
                    client.fall_behind(SkipReason::NotReading);
                    client.set_watch(&self.poller, key, Watch::MessagesAndRoom);
                }
                Delivery::Gone => gone.push(key),
            }
        }
        self.totals.note_held(self.book.leases());
        for key in gone {
            self.give_up(key, Trouble::Closed);
        }
        // Whoever waits for the frame comes first; what is due can be done now.
        self.collect();
        self.expire(terms.now_ns);
        self.await_unlocks(&missed);
        self.look_after(terms.now_ns);
        if !missed.is_empty() {
            self.hear();
        }
    }

    fn skip_for_all(&mut self) {
        for (_, client) in self.clients.iter_mut().filter(|(_, client)| client.identity.is_some()) {
            self.totals.skipped.count_all(client.settle());
            client.fall_behind(SkipReason::Pool);
            client.call();
        }
        self.collect();
    }

    /// Gives a client the newest frame if it has not seen it: its credit is back, its socket
    /// has room again, or it has just connected.
    pub(super) fn offer_newest(&mut self, key: usize) {
        let (max_age_ns, lifespan_ns) = (self.newest_max_age_ns(), self.lifespan_ns());
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some((serial, published)) = self.book.newest() else { return };
        let coded = published.frame.format().is_coded();
        let terms = Terms { now_ns: monotonic_ns(), lifespan_ns, coded };
        let fresh = terms.now_ns.saturating_sub(published.publish_ns) <= max_age_ns;
        if serial <= client.last_serial || !fresh {
            return;
        }
        let event = frame_event(serial, published);
        match deliver(&mut self.book, client, event, terms) {
            Delivery::Done => {
                self.totals.delivered += 1;
                self.totals.note_held(self.book.leases());
            }
            Delivery::Gone => self.give_up(key, Trouble::Closed),
            Delivery::Undecodable => self.keyframe_wanted = true,
            // As before: it waits for the same thing, or the next frame will find out.
            Delivery::Skipped(_) | Delivery::Full => {}
        }
    }

    /// Whether a client of a coded stream can do nothing before the next keyframe: whoever encodes
    /// had better make one. Asked once, it is forgotten.
    pub fn take_keyframe_wish(&mut self) -> bool {
        std::mem::take(&mut self.keyframe_wanted)
    }

    /// Beyond this the newest frame is stale.
    fn newest_max_age_ns(&self) -> u64 {
        let interval_ns = self.format.as_ref().and_then(|(_, format)| format.rate.interval_ns()).unwrap_or(0);
        NEWEST_MAX_AGE_NS.max(interval_ns.saturating_mul(2))
    }

    /// Ends leases and lifespans whose time has come, and tells the clients.
    pub(super) fn expire(&mut self, now_ns: u64) {
        if self.book.next_end_ns().is_none_or(|end| now_ns < end) {
            return;
        }
        self.collect();
        let mut ended = Vec::new();
        self.book.expire(now_ns, |lease| ended.push(lease));
        for lease in ended {
            if let Some(key) = self.revoke(lease, RevokeReason::Deadline) {
                self.clients[key].suspended = true;
                if lease.strikes >= self.options.strikes_max {
                    let text = format!("{} leases in a row were not given back", lease.strikes);
                    self.dismiss(key, GoodbyeReason::Hoarding, &text);
                }
            }
        }
    }

    /// How long a frame stays without a lease: as the options say, but never so long that
    /// promises alone would take more than half of the frames that the source can spare.
    fn lifespan_ns(&self) -> u64 {
        let interval_ns = self.format.as_ref().and_then(|(_, format)| format.rate.interval_ns());
        let spare = self.book.limits().frames.div_ceil(2) as u64;
        let affordable_ns = interval_ns.map_or(u64::MAX, |interval_ns| interval_ns.saturating_mul(spare));
        self.options.lifespan_ns.min(affordable_ns)
    }

    /// Makes sure that every client knows the format of `frame`; returns its number.
    fn announce_format(&mut self, frame: &Frame) -> u32 {
        if let Some((number, format)) = &self.format
            && (Arc::ptr_eq(format, frame.format()) || **format == **frame.format())
        {
            return *number;
        }
        let number = self.format.as_ref().map_or(1, |(number, _)| number.wrapping_add(1));
        // Frames of the old format must not follow the new one.
        self.book.forget_newest();
        self.format = Some((number, Arc::clone(frame.format())));
        let record = wire::format_message::encode(number, frame.format());
        self.broadcast(&record);
        self.retire_buffers();
        number
    }

    /// Notes a buffer that clients are about to learn of. A new one is the moment to see
    /// which old ones are gone.
    fn remember_buffer(&mut self, frame: &Frame) {
        let id = frame.buffer().id();
        if self.buffers.iter().all(|(known, _)| *known != id) {
            self.retire_buffers();
            self.buffers.push((id, Arc::downgrade(frame.buffer())));
        }
    }

    /// Tells the clients which of the buffers that they know no longer exist. Happens by itself
    /// when a new buffer is published; call it after giving memory back.
    pub fn retire_buffers(&mut self) {
        let gone: Vec<BufferId> =
            self.buffers.iter().filter(|(_, buffer)| buffer.strong_count() == 0).map(|(id, _)| *id).collect();
        self.buffers.retain(|(_, buffer)| buffer.strong_count() > 0);
        for id in gone {
            let knows = |client: &Client| client.known.contains(&id);
            for key in self.keys_where(knows) {
                self.clients[key].known.retain(|known| *known != id);
                let message = BufferRetired { buffer: id.0.into(), ..BufferRetired::default() };
                self.control(key, wire::record(message, &[]));
            }
        }
    }
}

/// The event for a frame, without what differs from client to client.
fn frame_event(serial: u64, published: &Published) -> FrameEvent {
    let frame = &published.frame;
    let (meta, buffer) = (frame.meta(), frame.buffer());
    FrameEvent {
        header: wire::Header {
            kind: FrameEvent::KIND.into(),
            length: (size_of::<FrameEvent>() as u32).into(),
            ..wire::Header::default()
        },
        serial: serial.into(),
        buffer: buffer.id().0.into(),
        format: published.format.into(),
        flags: meta.flags.bits().into(),
        sequence: meta.sequence.into(),
        memories: buffer.memories().len() as u8,
        memory_kind: match buffer.kind() {
            MemoryKind::Memfd => 0,
            MemoryKind::DmaBuf => 1,
        },
        capture_ns: meta.capture_ns.into(),
        publish_ns: published.publish_ns.into(),
        pts: wire::time_field(meta.pts).into(),
        dts: wire::time_field(meta.dts).into(),
        duration: wire::time_field(meta.duration.and_then(|ns| i64::try_from(ns).ok())).into(),
        bytes_used: meta.bytes_used.map(Into::into),
        ..FrameEvent::default()
    }
}

/// Sends one frame to one client, with a lease or a promise.
fn deliver(book: &mut LeaseBook<Published>, client: &mut Client, mut event: FrameEvent, terms: Terms) -> Delivery {
    let Some(identity) = &client.identity else { return Delivery::Done };
    if client.is_blocked() || client.suspended || client.has_backlog() {
        return Delivery::Skipped(SkipReason::NotReading);
    }
    let (holder, mode, serial) = (identity.book, identity.mode, event.serial.get());
    if terms.coded && !client.can_decode(&event) {
        return Delivery::Undecodable;
    }
    match mode {
        Mode::Leased => match lock(book, client, serial, terms.now_ns) {
            Ok(deadline_ns) => event.expires_ns = deadline_ns.into(),
            Err(Refusal::NoCredit) => return Delivery::Skipped(SkipReason::NoCredit),
            Err(Refusal::Gone) => return Delivery::Skipped(SkipReason::Pool),
            Err(Refusal::Scarce) => return Delivery::Skipped(SkipReason::Share),
        },
        Mode::Notify => {
            let lifespan_end_ns = terms.now_ns.saturating_add(terms.lifespan_ns);
            event.expires_ns = lifespan_end_ns.min(book.until_ns(serial)).into();
        }
    }
    event.leased = u8::from(mode == Mode::Leased);
    event.skipped = client.skipped.0.map(|count| (count as u32).into());
    let sent = match book.frame(serial) {
        Some(published) if client.dialect == Dialect::Vsl => vsl::send_event(client.socket.as_fd(), &event, published),
        Some(published) => send_event(client, &mut event, &published.frame),
        None => Sent::Busy,
    };
    if sent != Sent::Yes {
        book.unlock(holder, serial, terms.now_ns);
    }
    match sent {
        Sent::Yes => {
            if mode == Mode::Notify {
                book.promise(serial, event.expires_ns.get());
            }
            client.last_serial = serial;
            (client.behind, client.gap) = (None, None);
            client.hush();
            client.delivered += 1;
            client.held_max = client.held_max.max(book.held(holder));
            Delivery::Done
        }
        Sent::Full => Delivery::Full,
        Sent::Busy => Delivery::Skipped(SkipReason::NotReading),
        Sent::Gone => Delivery::Gone,
    }
}

/// A lease for a frame that is about to be sent. The credit for it may be in the client's page.
fn lock(book: &mut LeaseBook<Published>, client: &mut Client, serial: u64, now_ns: u64) -> Result<u64, Refusal> {
    let Some(identity) = &client.identity else { return Err(Refusal::Gone) };
    let (holder, lease_ns) = (identity.book, identity.lease_ns);
    match book.lock(holder, serial, now_ns, lease_ns) {
        Err(Refusal::NoCredit) if client.collect(book, now_ns) > 0 => book.lock(holder, serial, now_ns, lease_ns),
        outcome => outcome,
    }
}

/// Descriptors travel only with the first event of a buffer that this client gets.
fn send_event(client: &mut Client, event: &mut FrameEvent, frame: &Frame) -> Sent {
    let buffer = frame.buffer();
    if client.known.contains(&buffer.id()) {
        return send_record(client.socket.as_fd(), event.as_bytes());
    }
    event.fds = event.memories;
    let sent = send_with_fds(client.socket.as_fd(), event.as_bytes(), buffer.memories().iter());
    if sent == Sent::Yes {
        client.known.push(buffer.id());
    }
    sent
}
