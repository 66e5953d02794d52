// SPDX-License-Identifier: Apache-2.0
//! Carries out the commands of a state machine on a node.

mod buffers;
mod configure;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use v4l2r::QueueType;
use v4l2r::ioctl::EventType;
use vs_frame::{Buffer, Format, MAX_PLANES};

use super::controls::EffectiveControl;
use super::error::OpenSessionError;
use super::machine::{Answer, Command, Reply, Returned, Role, Side};
use super::request::{ConverterRequest, DecoderRequest, EncoderRequest};
use super::session::Payload;
use crate::classify::Direction;
use crate::node::{self, NodeError};
use crate::planar::Planar;
use crate::sys::{self, Dequeued, PlaneMapping};

/// What a session is for.
#[derive(Debug)]
pub(super) enum Plan {
    Decoder(DecoderRequest),
    Encoder(EncoderRequest),
    Converter(ConverterRequest),
}

impl Plan {
    pub(super) fn role(&self) -> Role {
        match self {
            Self::Decoder(_) => Role::Decoder,
            Self::Encoder(_) => Role::Encoder,
            Self::Converter(_) => Role::Converter,
        }
    }

    /// How pictures come, and whether they are to be imported.
    fn source(&self) -> Option<(&Arc<Format>, bool)> {
        match self {
            Self::Decoder(_) => None,
            Self::Encoder(request) => Some((&request.source, request.import)),
            Self::Converter(request) => Some((&request.source, request.import)),
        }
    }
}

/// A node and its buffers.
pub(super) struct Device {
    devnode: PathBuf,
    pub(super) plan: Plan,
    node: Option<(OwnedFd, Planar)>,
    /// What the driver takes, in its own layout; of pictures only.
    taken: Option<Format>,
    pub(super) imports: bool,
    /// By number: the driver's own memory for inputs.
    inputs: Vec<Vec<PlaneMapping>>,
    /// What the driver gives.
    pub(super) given: Option<Arc<Format>>,
    /// The same where the picture begins later in its memories, and by how much.
    moved: Option<(Arc<Format>, [u32; MAX_PLANES])>,
    outputs: Vec<Arc<Buffer>>,
    /// The last buffer that was dequeued from CAPTURE.
    fetched: Option<Dequeued>,
    pub(super) effective: Vec<EffectiveControl>,
    /// More about the last error than a number says.
    pub(super) problem: Option<OpenSessionError>,
}

impl Device {
    pub(super) fn new(devnode: &Path, plan: Plan) -> Self {
        Self {
            devnode: devnode.to_owned(),
            plan,
            node: None,
            taken: None,
            imports: false,
            inputs: Vec::new(),
            given: None,
            moved: None,
            outputs: Vec::new(),
            fetched: None,
            effective: Vec::new(),
            problem: None,
        }
    }

    pub(super) fn devnode(&self) -> &Path {
        &self.devnode
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.node.as_ref().map(|(fd, _)| fd.as_fd())
    }

    pub(super) fn planar(&self) -> Option<Planar> {
        self.node.as_ref().map(|(_, planar)| *planar)
    }

    pub(super) fn execute(&mut self, command: Command, payload: Option<&Payload>) -> Answer {
        match command {
            Command::Open => self.open(),
            Command::Close => {
                self.close();
                Ok(Reply::Done)
            }
            Command::Configure(Side::Output) => self.configure_output(),
            Command::Configure(Side::Capture) => self.configure_capture(),
            Command::Allocate(Side::Output, count) => self.allocate_inputs(count),
            Command::Allocate(Side::Capture, count) => self.allocate_outputs(count),
            Command::StreamOn(side) => self.on(side, sys::stream_on).map(|()| Reply::Done),
            Command::StreamOff(side) => self.on(side, sys::stream_off).map(|()| Reply::Done),
            Command::QueueOutput { index, stamp } => {
                self.queue_input(index, stamp, payload.ok_or(Errno::INVAL)?).map(|()| Reply::Done)
            }
            Command::QueueCapture { index } => {
                self.on(Side::Capture, |fd, queue| sys::enqueue(fd, queue, index)).map(|()| Reply::Done)
            }
            Command::DequeueOutput => {
                let buffer = self.on(Side::Output, sys::dequeue)?;
                Ok(Reply::Returned(buffer.map(|buffer| Returned { index: buffer.index, error: buffer.error })))
            }
            Command::DequeueCapture => {
                self.fetched = self.on(Side::Capture, sys::dequeue)?;
                Ok(Reply::Filled(self.fetched.as_ref().map(|buffer| self.filled(buffer))))
            }
            Command::DequeueEvent => sys::next_event(self.queue(Side::Capture)?.0).map(Reply::Event),
            Command::Stop => self.codec_command(sys::encoder_stop, sys::decoder_stop),
            Command::Start => self.codec_command(sys::encoder_start, sys::decoder_start),
        }
    }

    fn queue(&self, side: Side) -> Result<(BorrowedFd<'_>, QueueType), Errno> {
        let (fd, planar) = self.node.as_ref().ok_or(Errno::BADF)?;
        Ok(match side {
            Side::Output => (fd.as_fd(), planar.output()),
            Side::Capture => (fd.as_fd(), planar.capture()),
        })
    }

    fn on<T>(&self, side: Side, call: impl FnOnce(BorrowedFd<'_>, QueueType) -> sys::Result<T>) -> sys::Result<T> {
        let (fd, queue) = self.queue(side)?;
        call(fd, queue)
    }

    fn codec_command(
        &self,
        encoder: fn(BorrowedFd<'_>) -> sys::Result<()>,
        decoder: fn(BorrowedFd<'_>) -> sys::Result<()>,
    ) -> Answer {
        let (fd, _) = self.queue(Side::Output)?;
        match self.plan.role() {
            Role::Encoder => encoder(fd),
            Role::Decoder => decoder(fd),
            Role::Converter => Err(Errno::NOTTY),
        }
        .map(|()| Reply::Done)
    }

    fn explain(&mut self, problem: OpenSessionError, errno: Errno) -> Errno {
        self.problem = Some(problem);
        errno
    }

    fn open(&mut self) -> Answer {
        self.problem = None;
        let (fd, capability) = match node::open(&self.devnode) {
            Ok(opened) => opened,
            Err(error) => {
                let errno = match &error {
                    NodeError::Busy { .. } => Errno::BUSY,
                    NodeError::Gone { .. } => Errno::NODEV,
                    NodeError::Permission { .. } => Errno::ACCESS,
                    NodeError::NotV4l2 { .. } => Errno::NOTTY,
                    NodeError::Hangs { .. } => Errno::IO,
                    NodeError::Other { source, .. } => *source,
                };
                return Err(self.explain(error.into(), errno));
            }
        };
        let planar = Planar::of(capability.caps).filter(|_| Direction::of(capability.caps) == Direction::Mem2Mem);
        let Some(planar) = planar else {
            let problem = OpenSessionError::NotMem2Mem(self.devnode.clone());
            return Err(self.explain(problem, Errno::INVAL));
        };
        // What a driver does not have it refuses; only a decoder needs one of them.
        let _ = sys::subscribe(fd.as_fd(), || EventType::SourceChange(0));
        self.node = Some((fd, planar));
        Ok(Reply::Done)
    }

    fn close(&mut self) {
        // Memory that is mapped keeps the driver's buffers, and with them its session, alive.
        self.inputs.clear();
        self.outputs.clear();
        self.fetched = None;
        self.node = None;
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("devnode", &self.devnode)
            .field("plan", &self.plan)
            .field("given", &self.given)
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}
