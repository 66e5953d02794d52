// SPDX-License-Identifier: Apache-2.0
//! What clients say, and what follows from it. Everything here is hostile until checked.

use std::os::fd::AsFd;

use vs_frame::clock::monotonic_ns;

use super::Host;
use super::client::Identity;
use super::send::{Received, RecordBuffer, Sent, receive, send_with_fds};
use super::stats::Dialect;
use crate::book::{Claim, Refusal};
use crate::histogram::Histogram;
use crate::unlock_page::HostPage;
use crate::wire::{
    self, GoodbyeReason, Hello, LockRequest, LockResponse, LockStatus, MAGIC, MAX_CLIENT_MESSAGE, MINOR_UNLOCK_PAGE,
    Message, Mode, UnlockPage, UnlockRequest, VERSION_MAJOR, VERSION_MINOR, Welcome, WireError,
};

impl Host {
    /// Takes one record from a client: one, so that a client that floods gets no more turns
    /// than one that does not.
    pub(super) fn on_readable(&mut self, key: usize) {
        let Some(client) = self.clients.get(key) else { return };
        let dialect = client.dialect;
        let mut buffer: RecordBuffer = [0; MAX_CLIENT_MESSAGE];
        match receive(client.socket.as_fd(), &mut buffer) {
            Received::Nothing => {}
            Received::Closed => self.remove(key),
            Received::Record(len) => {
                let outcome = match buffer.get(..len) {
                    _ if dialect == Dialect::Vsl => self.on_vsl_record(key, &buffer[..len.min(buffer.len())]),
                    Some(record) => self.on_record(key, record),
                    None => Err(WireError::TooLong(MAX_CLIENT_MESSAGE)),
                };
                if let Err(error) = outcome {
                    self.on_rubbish(key, error);
                }
            }
        }
    }

    /// Rubbish before HELLO is somebody who speaks another protocol.
    fn on_rubbish(&mut self, key: usize, error: WireError) {
        let greeted = self.clients.get(key).is_some_and(|client| client.identity.is_some());
        let reason = if greeted { GoodbyeReason::Malformed } else { GoodbyeReason::Version };
        self.dismiss(key, reason, &error.to_string());
    }

    fn on_record(&mut self, key: usize, record: &[u8]) -> Result<(), WireError> {
        let kind = wire::kind_of(record)?;
        let Some(client) = self.clients.get_mut(key) else { return Ok(()) };
        let greeted = client.identity.is_some();
        client.suspended = false;
        client.collect(&mut self.book, monotonic_ns());
        match kind {
            Hello::KIND if !greeted => {
                let (hello, _) = wire::parse::<Hello>(record)?;
                let hello = *hello;
                self.on_hello(key, &hello)
            }
            _ if !greeted => Err(WireError::Field { kind, field: "place: HELLO must come first" }),
            Hello::KIND => Err(WireError::Field { kind, field: "place: HELLO comes once" }),
            LockRequest::KIND => {
                let (request, _) = wire::parse::<LockRequest>(record)?;
                let request = *request;
                self.on_lock(key, &request);
                Ok(())
            }
            UnlockRequest::KIND => {
                let serial = wire::parse::<UnlockRequest>(record)?.0.serial.get();
                self.on_unlock(key, serial);
                Ok(())
            }
            // A later minor version may have more to say.
            _ => Ok(()),
        }
    }

    fn on_hello(&mut self, key: usize, hello: &Hello) -> Result<(), WireError> {
        let field = |field| WireError::Field { kind: Hello::KIND, field };
        if hello.magic != MAGIC {
            return Err(field("magic"));
        }
        if hello.major.get() != VERSION_MAJOR {
            let text = format!("the client speaks version {}, this host {VERSION_MAJOR}", hello.major);
            self.dismiss(key, GoodbyeReason::Version, &text);
            return Ok(());
        }
        let mode = Mode::from_code(hello.mode).ok_or(field("mode"))?;
        let options = &self.options;
        let credits = match hello.credits.get() {
            0 => options.credits,
            wanted => wanted,
        };
        let credits = credits.min(options.credits_max);
        let lease_ns = match hello.lease_ns.get() {
            0 => options.lease_ns,
            wanted => wanted.min(options.lease_max_ns),
        };
        let name = wire::name_text(&hello.name);
        let minor = hello.minor.get().min(VERSION_MINOR);
        let Some(client) = self.clients.get_mut(key) else { return Ok(()) };
        let book = self.book.add_client(Claim { credits: usize::from(credits), uid: client.peer.uid });
        tracing::debug!(
            stream = self.options.stream, client = client.id, name, %mode, credits, uid = client.peer.uid,
            pid = client.peer.pid, "client joined"
        );
        client.identity =
            Some(Identity { name, minor, mode, credits, lease_ns, book, hold: Box::new(Histogram::new()) });
        let welcome = Welcome {
            major: VERSION_MAJOR.into(),
            minor: minor.into(),
            credits: credits.into(),
            mode: mode.code(),
            client: client.id.into(),
            epoch: self.options.epoch.into(),
            lease_ns: lease_ns.into(),
            lease_max_ns: self.options.lease_max_ns.into(),
            lifespan_ns: self.options.lifespan_ns.into(),
            stream: wire::name_field(&self.options.stream),
            ..Welcome::default()
        };
        self.control(key, wire::record(welcome, &[]));
        self.control(key, self.state_record());
        if minor >= MINOR_UNLOCK_PAGE {
            self.give_page(key, usize::from(credits));
        }
        if let Some((number, format)) = &self.format {
            let record = wire::format_message::encode(*number, format);
            self.control(key, record);
        }
        self.offer_newest(key);
        Ok(())
    }

    /// A client to which none can be given unlocks by messages.
    fn give_page(&mut self, key: usize, credits: usize) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Ok((page, fd)) = HostPage::make(credits) else { return };
        let message = UnlockPage { entries: (page.entries() as u32).into(), ..UnlockPage::default() };
        let record = wire::record(message, &[]);
        if !client.has_backlog() && send_with_fds(client.socket.as_fd(), &record, [fd].iter()) == Sent::Yes {
            client.page = Some(page);
        }
    }

    fn on_lock(&mut self, key: usize, request: &LockRequest) {
        let now_ns = monotonic_ns();
        // What has ended must not be renewed.
        self.expire(now_ns);
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(identity) = &client.identity else { return };
        let lease_ns = match request.lease_ns.get() {
            0 => identity.lease_ns,
            wanted => wanted,
        };
        let (status, deadline_ns) = match self.book.lock(identity.book, request.serial.get(), now_ns, lease_ns) {
            Ok(deadline_ns) => (LockStatus::Granted, deadline_ns),
            Err(Refusal::NoCredit) => (LockStatus::NoCredit, 0),
            Err(Refusal::Gone) => (LockStatus::Gone, 0),
            Err(Refusal::Scarce) => (LockStatus::Share, 0),
        };
        client.held_max = client.held_max.max(self.book.held(identity.book));
        self.totals.note_held(self.book.leases());
        let response = LockResponse {
            request: request.request,
            serial: request.serial,
            status: status.code().into(),
            deadline_ns: deadline_ns.into(),
            ..LockResponse::default()
        };
        self.control(key, wire::record(response, &[]));
    }

    fn on_unlock(&mut self, key: usize, serial: u64) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(identity) = &mut client.identity else { return };
        match self.book.unlock(identity.book, serial, monotonic_ns()) {
            Some(held_ns) => identity.hold.record(held_ns),
            None if client.unanswered > 0 => client.unanswered -= 1,
            None => client.stray_unlocks += 1,
        }
        if client.behind.is_some() {
            self.offer_newest(key);
        }
    }
}
