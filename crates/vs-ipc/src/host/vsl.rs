// SPDX-License-Identifier: Apache-2.0
//! The endpoint for clients of libvideostream 2.x (`docs/vsl.md`): everything that a host
//! says to them and hears from them.
//!
//! They are clients like all others, in notify mode, with the same book, quotas and queues;
//! only the bytes differ. What their protocol has no words for is left unsaid: formats and
//! states, the end of a lease, the reason of a disconnection.

use std::os::fd::BorrowedFd;

use vs_frame::Frame;
use vs_frame::clock::monotonic_ns;
use zerocopy::IntoBytes;

use super::client::Identity;
use super::listener::{BindError, Listener};
use super::send::{Sent, send_with_fds};
use super::stats::Dialect;
use super::{Host, Published, VslOptions};
use crate::book::{Claim, Refusal};
use crate::histogram::Histogram;
use crate::vsl::picture::{Picture, Untellable};
use crate::vsl::wire::{Control, Event, LOCKS_MAX, Outcome, Request, time_field};
use crate::wire::{FrameEvent, GoodbyeReason, Mode, WireError, field_time};

/// Bytes of socket buffer for each client, about 10 events. Each event on its way holds a
/// descriptor, and all that a user has on their way count together (unix(7), `ETOOMANYREFS`),
/// so readers that stand still must not collect many; and one that waits for longer than its
/// lifespan is dropped unread by the ancestor's library anyway.
pub(super) const SEND_BUFFER: usize = 4 * 1024;

/// The second socket of a host.
#[derive(Debug)]
pub(super) struct Endpoint {
    listener: Listener,
    /// Why the frames of the moment cannot be told.
    trouble: Option<Untellable>,
}

impl Endpoint {
    pub(super) fn bind(options: &VslOptions) -> Result<Self, BindError> {
        Ok(Self { listener: Listener::bind(&options.path, options.mode, options.group)?, trouble: None })
    }

    pub(super) fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Why no client can be served now.
    pub(super) fn refusal(&self) -> Option<String> {
        self.trouble.as_ref().map(ToString::to_string)
    }
}

impl Host {
    /// What clients of the endpoint are told of a frame. If they cannot be, they are
    /// disconnected: frames that never come would look like a stream that stands still.
    pub(super) fn picture_for_vsl(&mut self, frame: &Frame) -> Option<Picture> {
        let endpoint = self.vsl.as_mut()?;
        match Picture::of_frame(frame) {
            Ok(picture) => {
                if endpoint.trouble.take().is_some() {
                    tracing::info!(
                        stream = self.options.stream,
                        "clients of libvideostream can read this stream again"
                    );
                }
                Some(picture)
            }
            Err(trouble) => {
                if endpoint.trouble.as_ref() != Some(&trouble) {
                    let text = trouble.to_string();
                    tracing::error!(
                        stream = self.options.stream,
                        text,
                        "no client of libvideostream can read this stream"
                    );
                    endpoint.trouble = Some(trouble);
                    let theirs = self.clients.iter().filter(|(_, client)| client.dialect == Dialect::Vsl);
                    let keys: Vec<usize> = theirs.map(|(key, _)| key).collect();
                    keys.into_iter().for_each(|key| self.dismiss(key, GoodbyeReason::Other, &text));
                }
                None
            }
        }
    }

    /// Makes a connection a client: there is no handshake, frames come at once.
    pub(super) fn welcome_vsl(&mut self, key: usize) {
        let credits = self.options.credits_max.min(LOCKS_MAX as u16);
        let Some(client) = self.clients.get_mut(key) else { return };
        client.identity = Some(Identity {
            name: Dialect::Vsl.name().to_owned(),
            minor: 0,
            mode: Mode::Notify,
            credits,
            lease_ns: self.options.lease_max_ns,
            book: self.book.add_client(Claim { credits: usize::from(credits), uid: client.peer.uid }),
            hold: Box::new(Histogram::new()),
        });
        tracing::debug!(
            stream = self.options.stream,
            client = client.id,
            credits,
            uid = client.peer.uid,
            pid = client.peer.pid,
            "client of libvideostream joined"
        );
        self.offer_newest(key);
    }

    /// Answers one request. Every request is answered, and in order: the client's library
    /// waits for it, and tells answers apart by nothing else.
    pub(super) fn on_vsl_record(&mut self, key: usize, record: &[u8]) -> Result<(), WireError> {
        let too_short = WireError::TooShort { kind: 0, len: record.len(), needed: size_of::<Request>() };
        let request = Request::parse(record).ok_or(too_short)?;
        if let Some(client) = self.clients.get_mut(key) {
            client.suspended = false;
        }
        // No frame has a serial below 1.
        let serial = u64::try_from(request.serial.get()).unwrap_or(0);
        let (outcome, locked) = match Control::from_code(request.message.get()) {
            Some(Control::Lock) => self.on_vsl_lock(key, serial),
            Some(Control::Unlock) => (self.on_vsl_unlock(key, serial), false),
            None => (Outcome::InvalidControl, false),
        };
        self.send_or_keep(key, Event::answer(outcome, locked).as_bytes().to_vec());
        if self.clients.get(key).is_some_and(|client| client.behind.is_some()) {
            self.offer_newest(key);
        }
        Ok(())
    }

    fn on_vsl_lock(&mut self, key: usize, serial: u64) -> (Outcome, bool) {
        let now_ns = monotonic_ns();
        // What has ended must not be renewed.
        self.expire(now_ns);
        let Some(client) = self.clients.get_mut(key) else { return (Outcome::Expired, false) };
        let Some(identity) = &client.identity else { return (Outcome::Expired, false) };
        let locked = self.book.lock(identity.book, serial, now_ns, identity.lease_ns);
        client.held_max = client.held_max.max(self.book.held(identity.book));
        self.totals.note_held(self.book.leases());
        match locked {
            Ok(_) => (Outcome::Success, true),
            Err(Refusal::Gone) => (Outcome::Expired, false),
            Err(Refusal::NoCredit | Refusal::Scarce) => (Outcome::TooManyLocked, false),
        }
    }

    /// The client's library unlocks every frame that it lets go of, locked or not.
    fn on_vsl_unlock(&mut self, key: usize, serial: u64) -> Outcome {
        let now_ns = monotonic_ns();
        self.expire(now_ns);
        let alive = self.book.frame(serial).is_some();
        if let Some(identity) = self.clients.get_mut(key).and_then(|client| client.identity.as_mut())
            && let Some(held_ns) = self.book.unlock(identity.book, serial, now_ns)
        {
            identity.hold.record(held_ns);
        }
        if alive { Outcome::Success } else { Outcome::Expired }
    }
}

/// Sends a frame, with its one descriptor.
pub(super) fn send_event(socket: BorrowedFd<'_>, event: &FrameEvent, published: &Published) -> Sent {
    let memory = published.frame.buffer().memories().first();
    let (Some(picture), Some(fd)) = (published.picture, memory.and_then(|memory| memory.writable())) else {
        // Published before there was trouble, or after: nobody is connected then.
        return Sent::Busy;
    };
    let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX).into();
    let time = |field: i64| time_field(field_time(field)).into();
    let event = Event {
        serial: signed(event.serial.get()),
        timestamp: signed(event.publish_ns.get()),
        duration: time(event.duration.get()),
        pts: time(event.pts.get()),
        dts: time(event.dts.get()),
        expires: signed(event.expires_ns.get()),
        fourcc: picture.fourcc.into(),
        width: picture.width.into(),
        height: picture.height.into(),
        size: picture.size.into(),
        offset: picture.offset.into(),
        stride: picture.stride.into(),
        ..Event::answer(Outcome::Success, false)
    };
    send_with_fds(socket, event.as_bytes(), std::iter::once(&fd))
}
