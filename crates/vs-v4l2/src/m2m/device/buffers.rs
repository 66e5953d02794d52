// SPDX-License-Identifier: Apache-2.0
//! The device's buffers: inputs that are copied or imported, outputs that become frames.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::Errno;
use vs_frame::{
    Buffer, Format, FormatError, FourCc, Frame, FrameFlags, FrameMeta, Home, MAX_PLANES, Memory, MemoryKind, Rate,
};

use super::{Device, Plan};
use crate::capture::layout::with_data_offset;
use crate::m2m::controls::{self, EncoderControl};
use crate::m2m::error::OpenSessionError;
use crate::m2m::machine::{Answer, Filled, Reply, Role, Side};
use crate::m2m::session::{Payload, Wish};
use crate::m2m::{fwht, pictures};
use crate::sys::{self, Dequeued, Export, InputMemory};

const US_PER_SEC: u64 = 1_000_000;

impl Device {
    pub(super) fn allocate_inputs(&mut self, count: u32) -> Answer {
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

    pub(super) fn allocate_outputs(&mut self, count: u32) -> Answer {
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
        let source = self.plan.source().map(|(source, _)| (source.rate, source.rotation));
        let (rate, rotation) = source.unwrap_or((Rate::UNKNOWN, 0));
        // What the mounting of a camera turns, a codec does not turn back.
        let mut format = Format { rotation, ..self.layout(&pix, rate)? };
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

    pub(super) fn queue_input(&mut self, index: u32, stamp: u64, payload: &Payload) -> Result<(), Errno> {
        let buffer = (index, stamp.saturating_mul(self.tick_us()));
        match (payload, &self.taken) {
            (Payload::Frame(frame, wish), Some(_)) if self.imports => {
                self.force(*wish);
                self.queue_import(buffer, frame)
            }
            (Payload::Frame(frame, wish), Some(taken)) => {
                self.check_picture(frame)?;
                self.force(*wish);
                let memories = self.inputs.get_mut(index as usize).ok_or(Errno::INVAL)?;
                pictures::copy(frame, taken, memories)?;
                let used: Vec<u64> = (0..memories.len()).map(|memory| taken.memory_size(memory)).collect();
                self.queue_own(buffer, &used)
            }
            (Payload::Frame(frame, _), None) => {
                let view = frame.map().map_err(|_| Errno::FAULT)?;
                let bytes = view.payload();
                self.queue_bytes(buffer, bytes)
            }
            (Payload::Bytes(bytes), None) => self.queue_bytes(buffer, bytes),
            (Payload::Bytes(_), Some(_)) => Err(Errno::INVAL),
        }
    }

    /// The control is "for the next queued buffer" (`V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME`). A
    /// device that has none was asked for it in vain; the picture is coded all the same.
    fn force(&self, wish: Wish) {
        if let (Wish::Keyframe, Plan::Encoder(request), Ok((fd, _))) = (wish, &self.plan, self.queue(Side::Output)) {
            let _ = controls::set(fd, request.coded, (EncoderControl::ForceKeyframe, 1));
        }
    }

    /// Bytes of the longest access unit that it takes.
    pub(in super::super) fn unit_bytes(&self) -> Option<usize> {
        let memory = self.inputs.first()?.first()?;
        self.taken.is_none().then(|| memory.as_ref().len())
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

    /// A picture of another size or format is another session's; returns what it has to be.
    fn check_picture(&self, frame: &Frame) -> Result<&Format, Errno> {
        let (source, _) = self.plan.source().ok_or(Errno::INVAL)?;
        let shape = |format: &Format| (format.fourcc, format.width, format.height);
        if shape(frame.format()) == shape(source) { Ok(source) } else { Err(Errno::INVAL) }
    }

    fn queue_import(&self, buffer: (u32, u64), frame: &Frame) -> Result<(), Errno> {
        let source = self.check_picture(frame)?;
        let all = frame.buffer().memories();
        let elsewhere = frame.format().planes != source.planes;
        if elsewhere || all.iter().any(|memory| memory.kind() != MemoryKind::DmaBuf) {
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

    pub(super) fn filled(&self, buffer: &Dequeued) -> Filled {
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
    pub(in super::super) fn frame(&mut self, index: u32, origin: FrameMeta, home: Arc<dyn Home>) -> Option<Frame> {
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
