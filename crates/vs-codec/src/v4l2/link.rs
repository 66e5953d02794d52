// SPDX-License-Identifier: Apache-2.0
//! A session of a device, with the tags of what is inside.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

use vs_frame::clock::monotonic_ns;
use vs_frame::{Format, Frame, FrameFlags, FrameMeta, MemoryKind};
use vs_v4l2::m2m::{
    ConverterRequest, DecoderRequest, Delivery, EncoderRequest, Failure, Input, LossCause, OpenSessionError, Session,
};

use super::name_of;
use crate::hardware::{Device, Ticket};
use crate::poll::Poll;
use crate::session::{BackendError, FrameTag, Loss, Output, Picture, SubmitError};

/// What a session is opened with, and may have to be opened with again.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Encoder(EncoderRequest),
    Decoder(DecoderRequest),
    Converter(ConverterRequest),
}

impl Request {
    fn open(&self, devnode: &std::path::Path) -> Result<Session, OpenSessionError> {
        match self {
            Self::Encoder(request) => Session::encoder(devnode, request),
            Self::Decoder(request) => Session::decoder(devnode, request),
            Self::Converter(request) => Session::converter(devnode, request),
        }
    }

    /// How pictures come; `None` if access units do.
    fn source(&self) -> Option<&Format> {
        match self {
            Self::Encoder(request) => Some(&request.source),
            Self::Decoder(_) => None,
            Self::Converter(request) => Some(&request.source),
        }
    }

    fn copying(&mut self) {
        match self {
            Self::Encoder(request) => request.import = false,
            Self::Decoder(_) => {}
            Self::Converter(request) => request.import = false,
        }
    }

    /// What it does, for people.
    fn doing(&self) -> &'static str {
        match self {
            Self::Encoder(_) => "encoding",
            Self::Decoder(_) => "decoding",
            Self::Converter(_) => "converting",
        }
    }
}

/// What a link has for its owner.
#[derive(Debug)]
pub(super) enum Event {
    Done(FrameTag, Frame),
    Lost(FrameTag, Loss),
    Headers(Frame),
    Drained,
    Pending,
}

/// Why the driver drains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Drain {
    /// The caller wants to see the end.
    Asked,
    /// To begin anew with a keyframe, for it cannot be told otherwise.
    Keyframe,
}

/// An input that has not come out.
#[derive(Debug)]
struct Sent {
    tag: FrameTag,
    /// The input itself, until it is known that the device can reach its memory.
    kept: Option<Input>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Link {
    name: String,
    devnode: PathBuf,
    request: Request,
    session: Session,
    poll: Poll,
    /// By token, in the order in which they were submitted.
    sent: BTreeMap<u64, Sent>,
    tokens: u64,
    /// Whether the device has read imported memory once.
    reaches_memory: bool,
    /// What a device that was opened again is to be given once more.
    again: VecDeque<(u64, Input)>,
    /// How often it is to be drained after that.
    drains_again: usize,
    drains: VecDeque<Drain>,
    failure: Option<BackendError>,
    /// Repairs since the last output.
    repairs: u32,
    ticket: Ticket,
}

impl Link {
    pub(super) fn open(device: &Device, ticket: Ticket, request: Request) -> Result<Self, OpenSessionError> {
        let session = request.open(&device.devnode)?;
        let poll = Poll::new().map_err(OpenSessionError::Waker)?;
        poll.watch(session.as_fd()).map_err(OpenSessionError::Waker)?;
        Ok(Self {
            name: name_of(device),
            devnode: device.devnode.clone(),
            request,
            session,
            poll,
            sent: BTreeMap::new(),
            tokens: 0,
            reaches_memory: false,
            again: VecDeque::new(),
            drains_again: 0,
            drains: VecDeque::new(),
            failure: None,
            repairs: 0,
            ticket,
        })
    }

    /// Closes the device; its place can be taken by another session.
    pub(super) fn close(self) -> Ticket {
        self.ticket
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn error(&self, call: &'static str, reason: impl Into<String>) -> BackendError {
        BackendError { session: self.name.clone(), call, reason: reason.into() }
    }

    pub(super) fn poll_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        let is_ready = self.session.has_next() || self.failure.is_some();
        if is_ready { Some(monotonic_ns()) } else { self.session.deadline() }
    }

    fn is_draining(&self) -> bool {
        self.drains.contains(&Drain::Asked)
    }

    /// Whether an input would be taken; to be asked before one is made.
    pub(super) fn check_room(&mut self) -> Result<(), SubmitError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone().into());
        }
        if self.is_draining() {
            return Err(SubmitError::Draining);
        }
        if !self.session.has_room() {
            // Buffers may have come back since.
            self.session.process();
        }
        // A device that refuses everything would take any number.
        let refuses = self.is_unproven() && self.session.has_next();
        let is_full = refuses || !self.again.is_empty() || !self.session.has_room();
        if is_full { Err(SubmitError::Full) } else { Ok(()) }
    }

    /// Whether it is not known yet that the device can reach the memory of its pictures.
    fn is_unproven(&self) -> bool {
        self.session.imports() && !self.reaches_memory
    }

    /// Whether the device reads pictures where they lie, as it has shown.
    pub(super) fn imports(&self) -> bool {
        self.session.imports() && self.reaches_memory
    }

    /// Takes a picture of the right format; [`check_room`](Self::check_room) has been asked.
    pub(super) fn submit_picture(&mut self, frame: &Frame, tag: FrameTag, keyframe: bool) -> Result<(), SubmitError> {
        if self.session.imports() && !self.can_import(frame) {
            if !self.sent.is_empty() {
                return Err(SubmitError::Format {
                    expected: "pictures in DmaBufs of one layout".to_owned(),
                    got: "one that lies elsewhere, or otherwise".to_owned(),
                });
            }
            self.copy_from_now_on("pictures do not come in DmaBufs of one layout")?;
        }
        let input = Input::from(frame.clone()).with_meta(meta_of(tag, frame.meta().flags));
        self.submit(if keyframe { input.as_keyframe() } else { input }, tag)
    }

    /// Takes an access unit; [`check_room`](Self::check_room) has been asked.
    pub(super) fn submit_unit(&mut self, unit: &Arc<[u8]>, tag: FrameTag) -> Result<(), SubmitError> {
        let len = unit.len();
        match self.session.unit_bytes() {
            Some(max) if len > max => Err(SubmitError::TooLong { len, max }),
            _ => self.submit(Input::unit(Arc::clone(unit), meta_of(tag, FrameFlags::empty())), tag),
        }
    }

    fn submit(&mut self, input: Input, tag: FrameTag) -> Result<(), SubmitError> {
        let kept = self.is_unproven().then(|| input.clone());
        self.tokens += 1;
        match self.session.submit(self.tokens, input) {
            Ok(()) => {
                self.sent.insert(self.tokens, Sent { tag, kept });
                Ok(())
            }
            Err(vs_v4l2::m2m::SubmitError::Full(_)) => Err(SubmitError::Full),
            // Why comes with what is received.
            Err(vs_v4l2::m2m::SubmitError::Failed(_)) => {
                Err(self.error(self.request.doing(), "it has failed before").into())
            }
        }
    }

    /// Whether a picture lies as those do that the device reads where they are.
    fn can_import(&self, frame: &Frame) -> bool {
        let same_place = self.request.source().is_some_and(|source| source.planes == frame.format().planes);
        same_place && frame.buffer().memories().iter().all(|memory| memory.kind() == MemoryKind::DmaBuf)
    }

    /// Opens the device again without importing; what it had is given to it once more.
    fn copy_from_now_on(&mut self, why: &str) -> Result<(), BackendError> {
        tracing::info!(device = self.name, why, "pictures are copied for this device");
        self.request.copying();
        let kept = self.sent.iter_mut().filter_map(|(token, sent)| Some((*token, sent.kept.take()?)));
        self.again = kept.collect();
        self.drains_again = self.drains.len();
        if let Err(error) = self.reopen() {
            let failure = self.error(self.request.doing(), error.to_string());
            return Err(self.failure.insert(failure).clone());
        }
        self.submit_again();
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), OpenSessionError> {
        // It may have one session only: the old one has to go first.
        self.session.close();
        self.session = self.request.open(&self.devnode)?;
        self.poll.watch(self.session.as_fd()).map_err(OpenSessionError::Waker)
    }

    /// Gives the device once more what there is room for; what was to be drained is, after the
    /// last of it.
    fn submit_again(&mut self) {
        while self.session.has_room()
            && let Some((token, input)) = self.again.pop_front()
        {
            // A session that has failed says so, and everything in `sent` is accounted for.
            let _ = self.session.submit(token, input);
        }
        if self.again.is_empty() {
            (0..std::mem::take(&mut self.drains_again)).for_each(|_| self.session.drain());
        }
    }

    pub(super) fn drain(&mut self) -> Result<(), BackendError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if !self.is_draining() {
            self.drain_for(Drain::Asked);
        }
        Ok(())
    }

    /// Has an encoder begin anew with the next picture.
    pub(super) fn begin_anew(&mut self) {
        if self.failure.is_none() {
            self.drain_for(Drain::Keyframe);
        }
    }

    fn drain_for(&mut self, purpose: Drain) {
        self.drains.push_back(purpose);
        if self.again.is_empty() {
            self.session.drain();
        } else {
            self.drains_again += 1;
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), BackendError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.sent.clear();
        self.again.clear();
        self.drains_again = 0;
        self.drains.clear();
        self.session.flush();
        Ok(())
    }

    /// What has come. Never blocks.
    pub(super) fn next(&mut self) -> Result<Event, BackendError> {
        if !self.session.has_next() {
            self.session.process();
        }
        self.submit_again();
        while self.failure.is_none()
            && let Some(delivery) = self.session.next()
        {
            if let Some(event) = self.judge(delivery) {
                return Ok(event);
            }
        }
        let Some(failure) = &self.failure else { return Ok(Event::Pending) };
        match self.sent.pop_first() {
            Some((_, sent)) => Ok(Event::Lost(sent.tag, before())),
            None => Err(failure.clone()),
        }
    }

    /// The same for what makes pictures.
    pub(super) fn next_picture(&mut self) -> Result<Output<Picture>, BackendError> {
        loop {
            return Ok(match self.next()? {
                Event::Done(tag, frame) => Output::Done(Picture { frame, tag }),
                Event::Lost(tag, loss) => Output::Lost(tag, loss),
                // Encoders alone have them.
                Event::Headers(_) => continue,
                Event::Drained => Output::Drained,
                Event::Pending => Output::Pending,
            });
        }
    }

    /// What a delivery means to the owner, if anything. A failure is told when everything that
    /// was inside has been accounted for.
    fn judge(&mut self, delivery: Delivery) -> Option<Event> {
        match delivery {
            Delivery::Frame { token, frame } => {
                self.works();
                self.sent.remove(&token).map(|sent| Event::Done(sent.tag, frame))
            }
            Delivery::Headers(frame) => Some(Event::Headers(frame)),
            Delivery::Format(_) | Delivery::Flushed => None,
            Delivery::Lost { token, cause } => self.lost(token, cause),
            Delivery::Drained => (self.drains.pop_front() == Some(Drain::Asked)).then_some(Event::Drained),
            Delivery::Repaired(repair) => {
                self.repairs += 1;
                if self.repairs == 1 {
                    tracing::warn!(device = self.name, ?repair, "the driver does not go on: repairing the session");
                }
                None
            }
            Delivery::Failed(failure) => {
                let repairs = self.repairs;
                let failure = self.error(self.request.doing(), reason(failure));
                tracing::warn!(device = self.name, repairs, reason = failure.reason, "the session has failed");
                self.failure = Some(failure);
                None
            }
        }
    }

    /// Something came out.
    fn works(&mut self) {
        if self.repairs > 0 {
            tracing::info!(device = self.name, repairs = self.repairs, "the driver works again");
            self.repairs = 0;
        }
        if !self.reaches_memory {
            self.reaches_memory = true;
            for sent in self.sent.values_mut() {
                sent.kept = None;
            }
        }
    }

    fn lost(&mut self, token: u64, cause: LossCause) -> Option<Event> {
        let unreachable = matches!(cause, LossCause::Refused(_)) && self.is_unproven();
        if unreachable && self.sent.contains_key(&token) {
            // If that fails too, it is the failure of the session.
            let _ = self.copy_from_now_on("the device cannot reach their memory");
            return None;
        }
        let is_decoder = matches!(self.request, Request::Decoder(_));
        let loss = match cause {
            LossCause::Corrupt => Loss::Corrupt,
            LossCause::NoOutput if is_decoder => Loss::NoPicture,
            LossCause::NoOutput => Loss::Refused("it gave nothing for it".to_owned()),
            LossCause::Refused(errno) => Loss::Refused(errno.to_string()),
            LossCause::Stalled => Loss::Stalled,
            LossCause::Failed => before(),
        };
        self.sent.remove(&token).map(|sent| Event::Lost(sent.tag, loss))
    }
}

/// Why nothing was made of an input that a session still had when it failed.
fn before() -> Loss {
    Loss::Refused("the session failed before".to_owned())
}

/// The times that come back with what is made of an input.
fn meta_of(tag: FrameTag, flags: FrameFlags) -> FrameMeta {
    FrameMeta {
        capture_ns: tag.capture_ns,
        pts: Some(tag.pts_ns),
        duration: tag.duration_ns,
        flags: flags & FrameFlags::GAP,
        ..FrameMeta::default()
    }
}

fn reason(failure: Failure) -> String {
    match failure {
        Failure::Gone => "the device is gone: it was unplugged, or its driver unbound".to_owned(),
        Failure::Busy => "all of its sessions are in use".to_owned(),
        Failure::NoMemory => "it has no memory for buffers".to_owned(),
        Failure::Refused { action, errno } => format!("cannot {action}: {errno}"),
        Failure::Broken => "it does not work, however often it is repaired; the kernel log (dmesg) may say more".into(),
    }
}
