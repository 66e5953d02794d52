// SPDX-License-Identifier: Apache-2.0
//! Carries out the commands of a state machine on a node.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use v4l2r::QueueType;
use v4l2r::ioctl::EventType;
use vs_frame::{
    Buffer, Format, FormatError, FourCc, Frame, FrameFlags, FrameMeta, Home, MAX_PLANES, Memory, MemoryKind, Rate,
};

use super::controls::{self, EffectiveControl, EncoderControl, JOINABLE};
use super::error::OpenSessionError;
use super::fwht;
use super::machine::{Answer, Command, Filled, Reply, Returned, Role, Side};
use super::pictures;
use super::request::{ConverterRequest, DecoderRequest, EncoderRequest};
use super::session::Payload;
use crate::capture::layout::{format_of, with_data_offset};
use crate::classify::Direction;
use crate::node::{self, NodeError};
use crate::planar::Planar;
use crate::sys::{self, Dequeued, Export, InputMemory, PixFormat, PixWish, PlaneMapping};

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

const US_PER_SEC: u64 = 1_000_000;

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

    /// Agrees on a format; the driver must know it.
    fn agree(&mut self, side: Side, wish: &PixWish) -> Result<PixFormat, Errno> {
        let (fd, queue) = self.queue(side)?;
        let offered: Vec<FourCc> = sys::formats(fd, queue)?.iter().map(|format| format.fourcc).collect();
        if offered.contains(&wish.fourcc) {
            let pix = sys::set_queue_format(fd, queue, wish)?;
            if pix.fourcc == wish.fourcc {
                return Ok(pix);
            }
        }
        let direction = if side == Side::Output { "take" } else { "give" };
        let devnode = self.devnode.clone();
        let problem = OpenSessionError::NotOffered { devnode, direction, wanted: wish.fourcc, offered };
        Err(self.explain(problem, Errno::INVAL))
    }

    fn layout(&mut self, pix: &PixFormat, rate: Rate) -> Result<Format, Errno> {
        format_of(pix, rate).map_err(|source| {
            let devnode = self.devnode.clone();
            self.explain(OpenSessionError::Layout { devnode, source }, Errno::PROTO)
        })
    }

    fn configure_output(&mut self) -> Answer {
        let Some((source, import)) = self.plan.source().map(|(source, import)| (Arc::clone(source), import)) else {
            return self.configure_coded_output();
        };
        let size = (source.width, source.height);
        let plain = PixWish { color: source.color, ..PixWish::new(source.fourcc, size) };
        let stride = source.planes.first().map_or(0, |plane| plane.stride);
        let mut pix = self.agree(Side::Output, &PixWish { stride: if import { stride } else { 0 }, ..plain })?;
        let mut taken = self.layout(&pix, source.rate)?;
        self.imports = import && pictures::can_import(&source, &taken);
        if import && !self.imports {
            // A stride that is not the driver's own is of no use then.
            pix = self.agree(Side::Output, &plain)?;
            taken = self.layout(&pix, source.rate)?;
        }
        if pix.width < size.0 || pix.height < size.1 {
            let problem =
                OpenSessionError::Size { devnode: self.devnode.clone(), wanted: size, got: (pix.width, pix.height) };
            return Err(self.explain(problem, Errno::INVAL));
        }
        if self.plan.role() == Role::Encoder {
            self.configure_encoder(size, (pix.width, pix.height))?;
        }
        self.taken = Some(taken);
        Ok(Reply::Configured { min_buffers: 1 })
    }

    fn configure_coded_output(&mut self) -> Answer {
        let Plan::Decoder(request) = &self.plan else { return Err(Errno::INVAL) };
        let size = request.size.unwrap_or_default();
        let wish = PixWish { bytes: request.unit_bytes, ..PixWish::new(request.coded, size) };
        self.agree(Side::Output, &wish)?;
        self.taken = None;
        self.imports = false;
        Ok(Reply::Configured { min_buffers: 1 })
    }

    /// Encoder document, "Initialization": visible size, frame interval, controls.
    fn configure_encoder(&mut self, size: (u32, u32), coded_size: (u32, u32)) -> Result<(), Errno> {
        let Plan::Encoder(request) = &self.plan else { return Ok(()) };
        let (coded, rate, wanted) = (request.coded, request.rate, request.controls.clone());
        let (fd, queue) = self.queue(Side::Output)?;
        // Without the ioctl the driver's padding becomes part of the picture.
        let got = match sys::crop(fd, queue, size) {
            Ok(got) => got,
            Err(Errno::INVAL | Errno::NOTTY) => coded_size,
            Err(error) => return Err(error),
        };
        if got != size {
            let problem = OpenSessionError::Size { devnode: self.devnode.clone(), wanted: size, got };
            return Err(self.explain(problem, Errno::INVAL));
        }
        if rate.is_known() {
            // The interval lies at the same place in the structures of both directions.
            sys::set_rate(fd, queue, rate)?;
        }
        for setting in JOINABLE {
            controls::set(fd, coded, setting)?;
        }
        let mut effective = Vec::with_capacity(wanted.len());
        for (control, wanted) in wanted {
            effective.push(EffectiveControl { control, wanted, got: controls::set(fd, coded, (control, wanted))? });
        }
        self.effective = effective;
        Ok(())
    }

    /// Sets a control now, and again when the device has to be opened again.
    pub(super) fn set_control(&mut self, control: EncoderControl, wanted: i64) -> Result<Option<i64>, Errno> {
        let Plan::Encoder(request) = &mut self.plan else { return Ok(None) };
        let coded = request.coded;
        if control != EncoderControl::ForceKeyframe {
            request.controls.retain(|(known, _)| *known != control);
            request.controls.push((control, wanted));
        }
        let (fd, _) = self.queue(Side::Output)?;
        let got = controls::set(fd, coded, (control, wanted))?;
        if control != EncoderControl::ForceKeyframe {
            self.effective.retain(|known| known.control != control);
            self.effective.push(EffectiveControl { control, wanted, got });
        }
        Ok(got)
    }

    fn configure_capture(&mut self) -> Answer {
        match &self.plan {
            Plan::Encoder(request) => {
                let size = (request.source.width, request.source.height);
                let wish = PixWish::new(request.coded, size);
                self.agree(Side::Capture, &wish)?;
            }
            Plan::Converter(request) => {
                let wish = PixWish::new(request.fourcc, request.size);
                self.agree(Side::Capture, &wish)?;
            }
            Plan::Decoder(request) => {
                let (fd, queue) = self.queue(Side::Capture)?;
                let now = sys::get_queue_format(fd, queue)?;
                let offered = sys::formats(fd, queue)?;
                let is_offered = |wanted: &&FourCc| offered.iter().any(|format| format.fourcc == **wanted);
                if let Some(wanted) = request.raw.iter().find(is_offered).filter(|wanted| **wanted != now.fourcc) {
                    sys::set_queue_format(fd, queue, &PixWish::new(*wanted, (now.width, now.height)))?;
                }
            }
        }
        let (fd, _) = self.queue(Side::Capture)?;
        let needed = controls::read(fd, v4l2r::bindings::V4L2_CID_MIN_BUFFERS_FOR_CAPTURE);
        // Drivers that do not say need one.
        let min_buffers = needed.ok().and_then(|needed| u32::try_from(needed).ok()).unwrap_or(1);
        Ok(Reply::Configured { min_buffers: min_buffers.clamp(1, v4l2r::bindings::VIDEO_MAX_FRAME) })
    }

    fn allocate_inputs(&mut self, count: u32) -> Answer {
        self.inputs.clear();
        let (fd, queue) = self.queue(Side::Output)?;
        if self.imports {
            return sys::request_imports(fd, queue, count).map(Reply::Allocated);
        }
        let got = sys::request_buffers(fd, queue, count)?;
        let inputs = (0..got).map(|index| sys::map_buffer(fd, queue, index)).collect::<Result<_, _>>()?;
        self.inputs = inputs;
        Ok(Reply::Allocated(got))
    }

    fn allocate_outputs(&mut self, count: u32) -> Answer {
        self.outputs.clear();
        self.fetched = None;
        let (fd, queue) = self.queue(Side::Capture)?;
        let got = sys::request_buffers(fd, queue, count)?;
        if got > 0 {
            self.learn_given()?;
            let memories = self.given.as_ref().map_or(1, |format| format.memories() as u32);
            self.outputs = (0..got).map(|index| self.export(index, memories)).collect::<Result<_, _>>()?;
        }
        Ok(Reply::Allocated(got))
    }

    /// The format of CAPTURE: only now is everything that it depends on settled.
    fn learn_given(&mut self) -> Result<(), Errno> {
        let (fd, queue) = self.queue(Side::Capture)?;
        let pix = sys::get_queue_format(fd, queue)?;
        let part = match self.plan.role() {
            Role::Decoder => sys::visible_part(fd, queue)?,
            Role::Encoder | Role::Converter => None,
        };
        let rate = self.plan.source().map_or(Rate::UNKNOWN, |(source, _)| source.rate);
        let mut format = self.layout(&pix, rate)?;
        if let Some(part) = part {
            format = pictures::visible(format, part);
        }
        if let Plan::Encoder(request) = &self.plan {
            // The driver's padding is no part of the picture.
            (format.width, format.height) = (request.source.width, request.source.height);
        }
        self.given = Some(Arc::new(format));
        self.moved = None;
        Ok(())
    }

    fn export(&mut self, index: u32, memories: u32) -> Result<Arc<Buffer>, Errno> {
        let mut all = Vec::with_capacity(memories as usize);
        for plane in 0..memories {
            let (fd, queue) = self.queue(Side::Capture)?;
            match Memory::from_dmabuf(sys::export(fd, queue, index, plane, Export::Read)?) {
                Ok(memory) => all.push(memory),
                Err(source) => {
                    let devnode = self.devnode.clone();
                    return Err(self.explain(OpenSessionError::Memory { devnode, source }, Errno::PROTO));
                }
            }
        }
        Buffer::new(all).map(Arc::new).ok_or(Errno::PROTO)
    }

    /// Microseconds between the stamps of two inputs: some encoders take timestamps for times,
    /// and spend bits accordingly.
    fn tick_us(&self) -> u64 {
        let rate = match &self.plan {
            Plan::Encoder(request) => request.rate,
            _ => Rate::UNKNOWN,
        };
        let interval = (US_PER_SEC * u64::from(rate.den)).checked_div(u64::from(rate.num));
        interval.unwrap_or(1).max(1)
    }

    fn queue_input(&mut self, index: u32, stamp: u64, payload: &Payload) -> Result<(), Errno> {
        let buffer = (index, stamp.saturating_mul(self.tick_us()));
        match (payload, &self.taken) {
            (Payload::Frame(frame), Some(_)) if self.imports => self.queue_import(buffer, frame),
            (Payload::Frame(frame), Some(taken)) => {
                let memories = self.inputs.get_mut(index as usize).ok_or(Errno::INVAL)?;
                pictures::copy(frame, taken, memories)?;
                let used: Vec<u64> = (0..memories.len()).map(|memory| taken.memory_size(memory)).collect();
                self.queue_own(buffer, &used)
            }
            (Payload::Frame(frame), None) => {
                let view = frame.map().map_err(|_| Errno::FAULT)?;
                let bytes = view.payload();
                self.queue_bytes(buffer, bytes)
            }
            (Payload::Bytes(bytes), None) => self.queue_bytes(buffer, bytes),
            (Payload::Bytes(_), Some(_)) => Err(Errno::INVAL),
        }
    }

    fn queue_bytes(&mut self, buffer: (u32, u64), bytes: &[u8]) -> Result<(), Errno> {
        let memories = self.inputs.get_mut(buffer.0 as usize).ok_or(Errno::INVAL)?;
        let memory = memories.first_mut().ok_or(Errno::INVAL)?;
        if bytes.is_empty() {
            // To a driver this would mean the end of the stream.
            return Err(Errno::INVAL);
        }
        memory.get_mut(..bytes.len()).ok_or(Errno::MSGSIZE)?.copy_from_slice(bytes);
        self.queue_own(buffer, &[bytes.len() as u64])
    }

    fn queue_own(&self, buffer: (u32, u64), used: &[u64]) -> Result<(), Errno> {
        let memory = |used: &u64| InputMemory { bytes_used: used32(*used), data_offset: 0, import: None };
        let memories: Vec<_> = used.iter().map(memory).collect();
        self.on(Side::Output, |fd, queue| sys::enqueue_input(fd, queue, buffer, &memories))
    }

    fn queue_import(&self, buffer: (u32, u64), frame: &Frame) -> Result<(), Errno> {
        let (source, _) = self.plan.source().ok_or(Errno::INVAL)?;
        let same = frame.format().planes == source.planes && frame.format().fourcc == source.fourcc;
        let all = frame.buffer().memories();
        if !same || all.iter().any(|memory| memory.kind() != MemoryKind::DmaBuf) {
            return Err(Errno::INVAL);
        }
        let wanted = self.taken.as_ref().ok_or(Errno::INVAL)?;
        let memories: Vec<_> = all
            .iter()
            .enumerate()
            .map(|(index, held)| {
                let len = used32(held.len());
                let bytes_used = used32(wanted.memory_size(index)).min(len);
                InputMemory { bytes_used, data_offset: 0, import: Some((held.as_fd(), len)) }
            })
            .collect();
        self.on(Side::Output, |fd, queue| sys::enqueue_input(fd, queue, buffer, &memories))
    }

    fn filled(&self, buffer: &Dequeued) -> Filled {
        let tick = self.tick_us();
        let is_stamp = buffer.stamp_us.is_multiple_of(tick);
        Filled {
            index: buffer.index,
            stamp: if is_stamp { buffer.stamp_us / tick } else { 0 },
            empty: buffer.bytes_used.iter().zip(&buffer.data_offset).all(|(used, offset)| used <= offset),
            error: buffer.error,
            last: buffer.last,
        }
    }

    /// The frame in the CAPTURE buffer that was dequeued last; `None` if the driver describes
    /// it in a way that cannot be.
    pub(super) fn frame(&mut self, index: u32, origin: FrameMeta, home: Arc<dyn Home>) -> Option<Frame> {
        let fetched = self.fetched.take().filter(|fetched| fetched.index == index)?;
        let buffer = Arc::clone(self.outputs.get(index as usize)?);
        let format = self.format_at(&fetched.data_offset, &buffer.memory_lens()).ok()?;
        let mut bytes_used = [0; MAX_PLANES];
        for (memory, used) in bytes_used.iter_mut().enumerate() {
            *used = fetched.bytes_used[memory].saturating_sub(fetched.data_offset[memory]);
        }
        let mut flags = origin.flags & FrameFlags::GAP;
        let is_keyframe =
            format.is_coded() && (fetched.keyframe || is_unflagged_keyframe(&format, &buffer, bytes_used[0]));
        flags.set(FrameFlags::KEYFRAME, is_keyframe);
        let meta = FrameMeta { sequence: fetched.sequence, bytes_used, flags, dts: None, ..origin };
        Frame::new(buffer, format, meta, Some((home, index))).ok()
    }

    fn format_at(&mut self, offsets: &[u32; MAX_PLANES], lens: &[u64]) -> Result<Arc<Format>, FormatError> {
        // There is a format where there are buffers.
        let given = self.given.as_ref().ok_or(FormatError::Layout(FourCc(*b"    ")))?;
        if *offsets == [0; MAX_PLANES] {
            return Ok(Arc::clone(given));
        }
        match &self.moved {
            Some((format, known)) if known == offsets => Ok(Arc::clone(format)),
            _ => {
                let format = Arc::new(with_data_offset(given, offsets, lens)?);
                self.moved = Some((Arc::clone(&format), *offsets));
                Ok(format)
            }
        }
    }
}

fn is_unflagged_keyframe(format: &Format, buffer: &Buffer, bytes_used: u32) -> bool {
    let start = format.planes.first().map_or(0, |plane| plane.offset as usize);
    let is_keyframe =
        |bytes: &[u8]| bytes.get(start..start.saturating_add(bytes_used as usize)).is_some_and(fwht::is_keyframe);
    format.fourcc == FourCc::FWHT && buffer.read().is_ok_and(|guard| is_keyframe(guard.memory(0)))
}

/// Memories of 4 GiB and more do not exist in this API.
fn used32(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
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
